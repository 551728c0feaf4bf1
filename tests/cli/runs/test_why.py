"""`metrics why` reports what became of a run, which sources it could not read, and the next step."""

import json
import shlex
import shutil
from datetime import UTC, datetime

import boto3
import pytest
from botocore.stub import ANY, Stubber

from metrics_tools.command_line.commands import why
from metrics_tools.published.run_log import LogQueryError, log_lines
from metrics_worker.publication.dead_letter import DeadLetter, dead_letter_key

CODE = "ratio.a_to_b"
NOW = datetime(2026, 10, 30, tzinfo=UTC)


@pytest.fixture
def published(metrics, folder, ask):
    """Publish a version of `ratio.a_to_b` by the run `run-1`, and return the folder of the metric."""
    assert metrics("run", ask(), "--folder", folder, "--publish", "--keep-run-id").exit_code == 0
    return folder / "metrics" / CODE


def asked(metrics, folder, *words):
    done = metrics("why", *words, "--folder", folder, "--json")
    return done.exit_code, json.loads(done.stdout)


def put_dead_letter(folder, run_id, code=CODE, outcome="FAILURE"):
    letter = DeadLetter(
        message_id="m-1",
        outcome=outcome,
        why="gave up after 5 attempts",
        run_id=run_id,
        metric_code=code,
        kept_at="2026-10-30T12:00:00Z",
        attributes={"MessageGroupId": CODE, "SentTimestamp": "1793361597000"},
        body="{}",
    )
    key = dead_letter_key("metrics/", letter)
    (folder / key).parent.mkdir(parents=True)
    (folder / key).write_bytes(letter.encode())
    return key


@pytest.mark.parametrize("words", [(), ("--metric", CODE)])
@pytest.mark.usefixtures("published")
def test_a_committed_run_is_found_with_and_without_its_metric(metrics, folder, words):
    status, found = asked(metrics, folder, "run-1", *words)
    (run,) = found["runs"]
    assert (status, run["metric_code"], run["committed"], run["current"]) == (0, CODE, True, True)
    assert run["marker"]["row_count"] == 10
    assert found["next"] == []
    assert found["not_seen"][0].startswith("the log: give --stack")
    text = metrics("why", "run-1", *words, "--folder", folder).stdout
    assert f"committed    version {run['marker']['version_ts']}, 10 rows" in text
    assert "yes: readers use this version" in text


@pytest.mark.usefixtures("published")
def test_a_superseded_run_names_the_current_version(metrics, folder, ask):
    assert metrics("run", ask(name="again.json"), "--folder", folder, "--publish").exit_code == 0
    status, found = asked(metrics, folder, "run-1")
    (run,) = found["runs"]
    assert (status, run["current"]) == (0, False)
    assert run["current_version"] > run["marker"]["version_ts"]
    shown = metrics("why", "run-1", "--folder", folder).stdout
    assert f"no: it names version {run['current_version']}" in shown


@pytest.mark.usefixtures("published")
def test_a_dead_letter_comes_with_the_command_that_sends_it_back(metrics, folder):
    key = put_dead_letter(folder, "run-2")
    status, found = asked(metrics, folder, "run-2")
    (run,) = found["runs"]
    assert (status, run["committed"], run["dead_letters"][0]["key"]) == (1, False, key)
    assert found["next"][0].endswith(f"metrics redrive --folder {folder} --queue-url URL {key}")
    assert "gave up after 5 attempts" in metrics("why", "run-2", "--folder", folder).stdout


@pytest.mark.parametrize("code", ["my metric", "../../x"])
def test_a_dead_letter_with_an_unusable_metric_code_is_found(metrics, folder, code):
    key = put_dead_letter(folder, "run-2", code)
    status, found = asked(metrics, folder, "run-2")
    (run,) = found["runs"]
    assert (status, run["committed"], run["dead_letters"][0]["key"]) == (1, False, key)
    assert run["metric_code"] == code
    assert f"  metric       {code}\n" in metrics("why", "run-2", "--folder", folder).stdout
    assert "redrive" not in found["next"][0]
    assert f"Correct the metric code {code!r} in the control plane" in found["next"][0]


def test_no_command_is_shown_for_a_message_that_is_not_a_run_request(metrics, folder):
    put_dead_letter(folder, "run-2", outcome="UNANSWERABLE")
    assert asked(metrics, folder, "run-2")[1]["next"] == [
        "Do not send the message back: it is not a run request, and becomes a dead letter again."
    ]


def test_the_command_for_a_dead_letter_in_a_folder_finds_the_dead_letter(metrics, tmp_path):
    folder = tmp_path / "copy of my bucket"
    folder.mkdir()
    key = put_dead_letter(folder, "run-2")
    command = asked(metrics, folder, "run-2")[1]["next"][0].partition("back: ")[2]
    listed = metrics(*shlex.split(command)[1:], "--list")
    assert (listed.exit_code, key in listed.stdout) == (2, False)
    listed = metrics(*shlex.split(command.replace("URL", "https://sqs.x/q"))[1:], "--list")
    assert (listed.exit_code, key in listed.stdout) == (0, True)


def test_a_run_without_a_marker_shows_its_uncommitted_version(metrics, folder, published):
    shutil.rmtree(published / "runs")
    status, found = asked(metrics, folder, "run-1", "--metric", CODE)
    (run,) = found["runs"]
    assert (status, run["committed"], len(run["uncommitted_versions"])) == (1, False, 1)
    assert "readers do not see it" in metrics("why", "run-1", "--metric", CODE, "--folder", folder).stdout
    assert asked(metrics, folder, "run-1")[1]["runs"] == []  # nothing names the metric


@pytest.mark.parametrize("damage", ["{", '{"run_id": "run-1"}'])
def test_an_unusable_marker_is_reported(metrics, folder, published, damage):
    (published / "runs" / "run-1.ok").write_text(damage)
    status, found = asked(metrics, folder, "run-1")
    assert (status, "not a commit record" in found["runs"][0]["problem"]) == (1, True)
    assert "An unusable marker" in found["next"][0]
    assert "damaged" in metrics("why", "run-1", "--folder", folder).stdout


def test_the_first_characters_of_a_run_id_are_enough(metrics, folder, published):
    put_dead_letter(folder, "letter-7")
    for beginning, whole in (("ru", "run-1"), ("let", "letter-7"), ("run-1", "run-1")):
        _, found = asked(metrics, folder, beginning)
        assert (found["run_id"], len(found["runs"])) == (whole, 1)
    shutil.copy(published / "runs" / "run-1.ok", published / "runs" / "run-12.ok")
    done = metrics("why", "run", "--folder", folder)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == "2 run ids begin with 'run': run-1, run-12. Give more characters.\n"
    assert asked(metrics, folder, "run-1")[1]["run_id"] == "run-1"  # also the beginning of run-12
    assert asked(metrics, folder, "let", "--metric", CODE)[1]["run_id"] == "letter-7"
    assert asked(metrics, folder, "let", "--metric", "other")[1]["run_id"] == "let"


def test_the_copy_of_a_local_run_comes_with_the_log_lines_of_its_worker(metrics, folder, tmp_path):
    failed = {"run_id": "0f3a9c1e-1", "message": "run failed", "outcome": "FAILURE", "error": "no series"}
    returned = {"run_id": "24b38009-7", "message": "message given back", "cause": "SlowDown\n\nDebug"}
    settled = {"run_id": "24b38009-7", "message": "dead letter settled", "error": None}
    lines = [failed | {"timestamp": "2026-10-30T12:00:00"}, returned | {"timestamp": "2026-10-30T12:00:01"}]
    worker_log = "START\n" + "\n".join(map(json.dumps, lines)) + "\n[]\n"
    (tmp_path / "worker.log").write_text(worker_log)
    (tmp_path / "dead-letters.log").write_text(json.dumps(settled | {"timestamp": "2026-10-30T12:00:02"}))
    status, found = asked(metrics, folder, "0f3a")
    del failed["run_id"]
    assert (status, found["run_id"]) == (1, "0f3a9c1e-1")
    assert found["log"] == [{"@timestamp": "2026-10-30T12:00:00", **failed}]
    assert found["not_seen"] == ["the messages in the queues, which cannot be read without receiving them"]
    assert found["next"][0].startswith("Correct the cause that the error names")
    assert [line["message"] for line in asked(metrics, folder, "24b38009")[1]["log"]] == [
        "message given back",
        "dead letter settled",
    ]
    text = metrics("why", "24b38009", "--folder", folder).stdout
    assert "12:00:01 message given back, SlowDown\n" in text


def test_a_run_without_any_trace_is_explained(metrics, folder):
    done = metrics("why", "run-9", "--folder", folder)
    assert done.exit_code == 1
    assert "Nothing in the bucket names the run" in done.stdout
    assert metrics("why", "a/b", "--folder", folder).exit_code == 2
    assert metrics("why", "run-9").exit_code == 2


# The log


@pytest.fixture(scope="module")
def client():
    made = boto3.client("logs", region_name="us-east-1")
    yield made
    made.close()


@pytest.fixture
def logs(client, monkeypatch):
    """Yield botocore's stub of CloudWatch Logs, to which a test adds the responses for `metrics why`."""
    monkeypatch.setattr(why, "aws_client", lambda *_: client)
    with Stubber(client) as stub:
        yield stub


def expect_query(logs, *answers):
    query = {"logGroupNames": ["/aws/lambda/s", "/aws/lambda/s-dead-letters"], "queryString": ANY}
    logs.add_response("start_query", {"queryId": "q"}, query | {"startTime": ANY, "endTime": ANY})
    for status, *lines in answers:
        results = [[{"field": name, "value": value} for name, value in line.items()] for line in lines]
        logs.add_response("get_query_results", {"status": status, "results": results}, {"queryId": "q"})


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ({"message": "run failed", "outcome": "FAILURE", "error": "no such series"}, "Correct the cause"),
        ({"message": "message given back", "comes_back": "in 27 s"}, "Wait: the message is redelivered"),
        ({"message": "started"}, "Look at the log"),
    ],
)
def test_the_log_lines_decide_the_next_step(metrics, folder, logs, line, step):
    expect_query(logs, ("Complete", {"@ptr": "x", "@timestamp": "2026-10-30 12:00:00.000", **line}))
    status, found = asked(metrics, folder, "run-9", "--stack", "s")
    assert status == 1
    assert found["log"] == [{"@timestamp": "2026-10-30 12:00:00.000", **line}]
    assert found["next"][0].startswith(step)
    assert len(found["not_seen"]) == 1
    expect_query(logs, ("Complete", line))
    shown = metrics("why", "run-9", "--stack", "s", "--folder", folder).stdout
    assert all(value in shown for value in line.values())


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("AccessDeniedException", "do not permit logs:StartQuery"),
        ("ResourceNotFoundException", "no such group"),
    ],
)
def test_a_log_that_cannot_be_seen_does_not_hide_the_run(metrics, folder, logs, published, code, reason):
    assert published.is_dir()
    logs.add_client_error("start_query", code, "no such group")
    status, found = asked(metrics, folder, "run-1", "--log-group", "g")
    assert (status, len(found["runs"])) == (0, 1)
    assert reason in found["not_seen"][0]


def test_a_query_is_polled_until_it_has_ended(logs):
    client, hours = logs.client, (NOW, NOW)
    waited: list[float] = []
    groups = ["/aws/lambda/s", "/aws/lambda/s-dead-letters"]
    expect_query(logs, ("Scheduled",), ("Running",), ("Complete", {"message": "run succeeded"}))
    found = log_lines(client, groups, "run-1", between=hours, pause=waited.append)
    assert (found, waited) == ([{"message": "run succeeded"}], [0.5, 0.5])
    expect_query(logs, ("Failed",))
    with pytest.raises(LogQueryError, match="status Failed"):
        log_lines(client, groups, "run-1", between=hours, pause=waited.append)
    expect_query(logs, *[("Running",)] * 120)
    with pytest.raises(LogQueryError, match="longer than 60 s"):
        log_lines(client, groups, "run-1", between=hours, pause=waited.append)

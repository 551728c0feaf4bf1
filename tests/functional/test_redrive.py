"""`metrics redrive` lists the dead letters in a folder, and sends them to a queue of moto."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner

from metrics_tools.command_line.app import app
from metrics_tools.published.dead_letters import message_of
from metrics_worker.publication.dead_letter import DeadLetter
from metrics_worker.request import open_record
from tests.builders import envelope, put_a_and_b, record, request

DAY = "metrics/_dead-letters/2026-10-30/"
SENT = datetime(2026, 10, 30, 11, 59, 57, tzinfo=UTC)


QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/gone.fifo"


@dataclass
class Queue:
    """The request queue, which moto simulates.

    Attributes:
        sqs: a boto3 client.
        url: the URL of the queue.
    """

    sqs: Any
    url: str

    def messages(self) -> list[dict[str, Any]]:
        """Receive up to ten messages, and return them as SQS does."""
        answer = self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"]
        )
        found: list[dict[str, Any]] = answer.get("Messages", [])
        return found


@pytest.fixture
def queue():
    attributes = {"FifoQueue": "true"}
    with mock_aws():
        sqs = boto3.client("sqs")
        yield Queue(sqs, sqs.create_queue(QueueName="requests.fifo", Attributes=attributes)["QueueUrl"])
        sqs.close()


@pytest.fixture
def mail(cloud, bury, tmp_path):
    """Return `mail(*records)`, which passes SQS records to the dead-letter handler of the fake cloud.

    The function then copies all dead letters from the fake bucket to the temporary folder of the test, and
    returns a list of their keys.
    """

    def store(*records):
        assert bury(*records) == {"batchItemFailures": []}
        keys = cloud.keys("metrics/_dead-letters/")
        for key in keys:
            put(tmp_path, key, cloud.read(key))
        return keys

    return store


def put(folder: Path, key: str, body: bytes) -> None:
    """Write the object with this key into a folder that is used as a bucket."""
    (folder / key).parent.mkdir(parents=True, exist_ok=True)
    (folder / key).write_bytes(body)


@pytest.fixture
def redrive(tmp_path):
    """Return `redrive(*words)`, which runs `metrics redrive` on the temporary folder of the test.

    It returns typer's result, which has the exit code and the output.
    """

    def run(*words):
        return CliRunner().invoke(app, ["redrive", "--folder", str(tmp_path), *words])

    return run


def test_dead_letters_are_listed_in_a_table_and_nothing_is_sent(mail, queue, redrive):
    mail(record(request()), record("?", message_id="message-2"))

    done = redrive("--list", "--queue-url", queue.url)

    assert done.exit_code == 0
    head, failed, unanswerable = done.stdout.splitlines()
    assert head.split() == ["key", "metric", "run", "outcome", "why"]
    assert failed.split()[:4] == [f"{DAY}message-1.json", "ratio.a_to_b", "run-1", "FAILURE"]
    assert "gave up after 5 attempts" in failed
    assert unanswerable.split()[:4] == [f"{DAY}message-2.json", "-", "-", "UNANSWERABLE"]
    assert "not JSON" in unanswerable
    assert len({line.index(word) for line, word in ((head, "why"), (failed, "INTERNAL_ERROR"))}) == 1
    assert queue.messages() == []


def test_the_dead_letters_of_one_day_can_be_listed(mail, redrive):
    other = record(request(run_id="run-2"), message_id="message-2")
    other["attributes"]["SentTimestamp"] = str(1793361597000 + 86_400_000)
    mail(record(request()), other)

    done = redrive("--list", "--date", "2026-10-31")

    assert done.exit_code == 0
    _, line = done.stdout.splitlines()
    assert "run-2" in line


def test_a_chosen_message_is_sent_unchanged_with_its_group_and_a_new_deduplication_id(mail, queue, redrive):
    asked = json.dumps(envelope(request()))
    key, _ = mail(record(asked, group="g"), record(request(run_id="run-2"), message_id="message-2"))

    for _ in range(2):
        done = redrive("--queue-url", queue.url, key)
        assert (done.exit_code, done.stdout) == (0, f"sent back  {key}  ratio.a_to_b  run-1\n")

    first, second = queue.messages()
    assert first["Body"] == second["Body"] == asked
    assert first["MessageAttributes"] == {"redriven": {"StringValue": "true", "DataType": "String"}}
    assert first["Attributes"]["MessageGroupId"] == "g"
    ids = {message["Attributes"]["MessageDeduplicationId"] for message in (first, second)}
    assert len(ids) == 2
    assert "run-1" not in ids


def test_a_bare_event_is_sent_in_a_notification_with_the_time_of_its_message(mail, queue, redrive):
    (key,) = mail(record(request()))

    redrive("--queue-url", queue.url, key)

    (message,) = queue.messages()
    run = open_record(message["Body"], message["Attributes"]["SentTimestamp"])
    assert run.requested_at == SENT
    assert run.event == request()


def test_a_request_that_was_sent_back_is_computed_but_does_not_replace_a_newer_current(
    cloud, invoke, mail, queue, redrive
):
    put_a_and_b(cloud.store)
    (key,) = mail(record(request(run_id="late")))
    invoke(record(envelope(request(run_id="newer"), timestamp="2026-10-30T11:59:58Z")))

    redrive("--queue-url", queue.url, key)

    (message,) = queue.messages()
    invoke(record(message["Body"], message_id="again"))
    assert [(event["runId"], event["status"]) for event in cloud.sns.completed] == [
        ("late", "FAILURE"),
        ("newer", "SUCCESS"),
        ("late", "SUCCESS"),
    ]
    assert cloud.read_json("metrics/ratio.a_to_b/current/manifest.json")["run_id"] == "newer"


def test_an_unanswerable_message_is_sent_back_unchanged(mail, queue, redrive):
    (key,) = mail(record("?\u00e9"))

    redrive("--queue-url", queue.url, key)

    assert [message["Body"] for message in queue.messages()] == ["?\u00e9"]


def test_a_date_sends_back_the_failed_runs_of_that_day(mail, queue, redrive):
    names = [f"run-{n}" for n in range(3)]
    mail(*(record(request(run_id=name), message_id=name, group=name) for name in names), record("?"))

    assert redrive("--queue-url", queue.url, "--date", "2026-10-30").exit_code == 0

    runs = [open_record(message["Body"], None).run_id for message in queue.messages()]
    assert sorted(runs) == names


def test_nothing_is_deleted_or_changed(mail, queue, redrive, tmp_path):
    (key,) = mail(record(request()))
    before = (tmp_path / key).read_bytes()

    redrive("--queue-url", queue.url, key)

    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == {tmp_path / key: before}


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["--list"], "No dead letters\n"),
        (["--date", "2026-10-30", "--queue-url", QUEUE], "nothing to send"),
    ],
)
def test_the_command_reports_that_there_are_no_dead_letters(redrive, words, printed):
    done = redrive(*words)

    assert done.exit_code == 0
    assert printed in done.stdout


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "Give a KEY, or --date"),
        (["--date", "2026-10-30"], "--queue-url is needed"),
        ([f"{DAY}message-1.json"], "--queue-url is needed"),
        (["--date", "yesterday", "--list"], "--date yesterday: expected a day such as 2026-10-30"),
        (["--queue-url", "requests.fifo", "KEY"], "--queue-url requests.fifo: expected a URL"),
        (["--list", "--bucket", "data"], "Choose one of --bucket, --folder"),
    ],
)
def test_an_incomplete_command_names_the_missing_option(redrive, words, problem):
    done = redrive(*words)

    assert done.exit_code == 2
    assert problem in done.stderr


def test_a_command_without_a_location_asks_for_one():
    done = CliRunner().invoke(app, ["redrive", "--list"])

    assert (done.exit_code, "--bucket NAME or --folder FOLDER" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([f"{DAY}none.json"], "there is no such key"),
        (["metrics/m/runs/run-1.ok"], "not under metrics/_dead-letters/"),
        (["--prefix", "other/", f"{DAY}1.json"], "not under other/_dead-letters/"),
        ([f"{DAY}1.json", f"{DAY}broken.json"], "broken.json: not a dead letter"),
        (["--queue-url", QUEUE, f"{DAY}1.json"], "queue"),
    ],
)
def test_an_error_of_aws_or_a_wrong_key_ends_in_one_line(mail, queue, redrive, tmp_path, words, problem):
    mail(record("?", message_id="1"))
    put(tmp_path, f"{DAY}broken.json", b'{"outcome": "FAILURE"}')

    done = redrive("--queue-url", queue.url, *words)

    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert problem in line
    assert queue.messages() == []


def test_missing_credentials_are_reported_in_one_line(mail, redrive, monkeypatch):
    (key,) = mail(record(request()))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    done = redrive("--queue-url", QUEUE, key)

    assert done.exit_code == 2
    assert done.stderr == "No AWS credentials: set AWS_PROFILE, or run `aws sso login`.\n"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"outcome": "FAILURE", "attributes": 1}'])
def test_an_object_that_is_not_a_dead_letter_is_named_and_left_out_of_the_list(mail, redrive, tmp_path, body):
    mail(record(request()))
    put(tmp_path, f"{DAY}a.json", body)

    done = redrive("--list")

    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr.startswith(f"{DAY}a.json: not a dead letter")


def test_the_json_lists_the_dead_letters_and_which_of_them_were_sent(mail, queue, redrive):
    first, _ = mail(record(request()), record("?", message_id="message-2"))

    listed = json.loads(redrive("--list", "--json").stdout)["dead_letters"]
    sent = json.loads(redrive("--queue-url", queue.url, "--json", first).stdout)["dead_letters"]

    assert [(found["run_id"], found["outcome"], found["sent"]) for found in listed] == [
        ("run-1", "FAILURE", False),
        ("", "UNANSWERABLE", False),
    ]
    assert sent == [listed[0] | {"sent": True}]
    assert sent[0].keys() == {
        "key",
        "message_id",
        "outcome",
        "why",
        "run_id",
        "metric_code",
        "kept_at",
        "sent",
    }


def stored(body, sent=SENT):
    """Return the `DeadLetter` that the dead-letter function stores for the failed run `run-1`.

    Args:
        body: the JSON value in the message's body.
        sent: the time at which the message was sent, as a datetime.
    """
    return DeadLetter(
        message_id="message-1",
        outcome="FAILURE",
        why="gave up",
        run_id="run-1",
        metric_code="m",
        kept_at="2026-10-30T12:00:00Z",
        attributes={"MessageGroupId": "g", "SentTimestamp": str(round(sent.timestamp() * 1000))},
        body=json.dumps(body),
    )


def test_the_time_of_sending_has_milliseconds():
    late = stored(request(), sent=SENT.replace(microsecond=123_000))

    assert json.loads(message_of(late)["MessageBody"])["Timestamp"] == "2026-10-30T11:59:57.123Z"


@pytest.mark.parametrize("timestamp", [None, "yesterday", 1])
def test_a_notification_without_a_valid_time_gets_the_time_of_sending(timestamp):
    body = envelope(request()) | {"Timestamp": timestamp}

    sent = json.loads(message_of(stored(body, sent=datetime(2026, 10, 30, tzinfo=UTC)))["MessageBody"])

    assert sent == body | {"Timestamp": "2026-10-30T00:00:00.000Z"}
    assert open_record(json.dumps(sent), None).requested_at == datetime(2026, 10, 30, tzinfo=UTC)

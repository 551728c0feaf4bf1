"""`redrive` lists stored dead letters and sends them to the request queue again, on a moto server."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws

from metrics_tools.operations.redrive import main, message
from metrics_worker.publication.dead_letter import DeadLetter
from metrics_worker.request import open_record
from tests.builders import BUCKET, envelope, put_a_and_b, record, request

DAY = "metrics/_dead-letters/2026-10-30/"
SENT = datetime(2026, 10, 30, 11, 59, 57, tzinfo=UTC)


@pytest.fixture
def aws():
    with mock_aws():
        yield boto3.client("s3"), boto3.client("sqs")


@pytest.fixture
def s3(aws):
    client, _ = aws
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()


@dataclass
class Queue:
    """The request queue on the moto server."""

    sqs: Any
    url: str

    def messages(self) -> list[dict[str, Any]]:
        """Receive and return up to ten messages."""
        answer = self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"]
        )
        found: list[dict[str, Any]] = answer.get("Messages", [])
        return found


@pytest.fixture
def queue(aws):
    _, sqs = aws
    yield Queue(
        sqs, sqs.create_queue(QueueName="requests.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    )
    sqs.close()


@pytest.fixture
def mail(cloud, bury, s3, capsys):
    """Return a function that stores messages as dead letters in the bucket, and returns the keys."""

    def put(*records):
        assert bury(*records) == {"batchItemFailures": []}
        keys = cloud.keys("metrics/_dead-letters/")
        for key in keys:
            s3.put_object(Bucket=BUCKET, Key=key, Body=cloud.read(key))
        capsys.readouterr()  # the output of the dead-letter function
        return keys

    return put


def redrive(*words):
    return main(["--bucket", BUCKET, *words])


def test_dead_letters_are_listed_in_a_table_and_nothing_is_sent(mail, queue, capsys):
    mail(record(request()), record("?", message_id="message-2"))

    assert redrive("--list", "--queue-url", queue.url) == 0

    head, failed, unanswerable = capsys.readouterr().out.splitlines()
    assert head.split() == ["key", "metric", "run", "outcome", "why"]
    assert failed.split()[:4] == [f"{DAY}message-1.json", "ratio.a_to_b", "run-1", "FAILURE"]
    assert "gave up after 5 attempts" in failed
    assert unanswerable.split()[:4] == [f"{DAY}message-2.json", "-", "-", "UNANSWERABLE"]
    assert "not JSON" in unanswerable
    assert len({line.index(word) for line, word in ((head, "why"), (failed, "INTERNAL_ERROR"))}) == 1
    assert queue.messages() == []


def test_the_dead_letters_of_one_day_can_be_listed(mail, capsys):
    other = record(request(run_id="run-2"), message_id="message-2")
    other["attributes"]["SentTimestamp"] = str(1793361597000 + 86_400_000)
    mail(record(request()), other)

    assert redrive("--list", "--date", "2026-10-31") == 0

    _, line = capsys.readouterr().out.splitlines()
    assert "run-2" in line


def test_a_chosen_message_is_sent_unchanged_with_its_group_and_a_new_deduplication_id(mail, queue, capsys):
    asked = json.dumps(envelope(request()))
    key, _ = mail(record(asked, group="g"), record(request(run_id="run-2"), message_id="message-2"))

    assert redrive("--queue-url", queue.url, key) == redrive("--queue-url", queue.url, key) == 0

    first, second = queue.messages()
    assert first["Body"] == second["Body"] == asked
    assert first["MessageAttributes"] == {"redriven": {"StringValue": "true", "DataType": "String"}}
    assert first["Attributes"]["MessageGroupId"] == "g"
    ids = {message["Attributes"]["MessageDeduplicationId"] for message in (first, second)}
    assert len(ids) == 2
    assert "run-1" not in ids
    assert capsys.readouterr().out.splitlines() == [f"sent back  {key}  ratio.a_to_b  run-1"] * 2


def test_a_bare_event_is_sent_in_a_notification_with_the_time_of_its_message(mail, queue):
    (key,) = mail(record(request()))

    redrive("--queue-url", queue.url, key)

    (message,) = queue.messages()
    run = open_record(message["Body"], message["Attributes"]["SentTimestamp"])
    assert run.requested_at == SENT
    assert run.event == request()


def test_a_request_that_was_sent_back_is_computed_but_does_not_replace_a_newer_current(
    cloud, invoke, mail, queue
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


def test_an_unanswerable_message_is_sent_back_unchanged(mail, queue):
    (key,) = mail(record("?\u00e9"))

    redrive("--queue-url", queue.url, key)

    assert [message["Body"] for message in queue.messages()] == ["?\u00e9"]


def test_a_date_sends_back_the_failed_runs_of_that_day(mail, queue):
    names = [f"run-{n}" for n in range(3)]
    mail(*(record(request(run_id=name), message_id=name, group=name) for name in names), record("?"))

    assert redrive("--queue-url", queue.url, "--date", "2026-10-30") == 0

    runs = [open_record(message["Body"], None).run_id for message in queue.messages()]
    assert sorted(runs) == names


def test_nothing_is_deleted_or_changed(mail, s3, queue):
    (key,) = mail(record(request()))
    before = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    redrive("--queue-url", queue.url, key)

    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == before


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["--list"], "No dead letters\n"),
        (
            ["--date", "2026-10-30", "--queue-url", "https://sqs.us-east-1.amazonaws.com/1/q"],
            "nothing to send",
        ),
    ],
)
def test_the_command_reports_that_there_are_no_dead_letters(capsys, words, printed):
    assert redrive(*words) == 0
    assert printed in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "give a KEY, or --date"),
        (["--date", "2026-10-30"], "--queue-url is needed"),
        ([f"{DAY}message-1.json"], "--queue-url is needed"),
        (["--date", "yesterday", "--list"], "invalid fromisoformat value: 'yesterday'"),
    ],
)
def test_an_incomplete_command_names_the_missing_option(capsys, words, problem):
    with pytest.raises(SystemExit, match="2"):
        redrive(*words)
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--bucket", "no-such-bucket", "--list"], "there is no such bucket"),
        ([f"{DAY}none.json"], "there is no such key"),
        (["metrics/m/runs/run-1.ok"], "not under metrics/_dead-letters/"),
        ([f"{DAY}broken.json"], "broken.json: not a dead letter"),
        (
            ["--queue-url", "https://sqs.us-east-1.amazonaws.com/123456789012/gone.fifo", f"{DAY}1.json"],
            "queue",
        ),
    ],
)
def test_an_error_of_aws_or_a_wrong_key_ends_in_one_line(s3, mail, queue, capsys, words, problem):
    mail(record("?", message_id="1"))
    s3.put_object(Bucket=BUCKET, Key=f"{DAY}broken.json", Body=b'{"outcome": "FAILURE"}')

    assert redrive("--queue-url", queue.url, *words) == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("redrive: ")
    assert problem in line
    assert queue.messages() == []


def test_missing_credentials_are_reported_in_one_line(monkeypatch, capsys):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # the default session keeps its credentials

    assert redrive("--list") == 1

    assert capsys.readouterr().err == "redrive: Unable to locate credentials\n"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"outcome": "FAILURE", "attributes": 1}'])
def test_an_object_that_is_not_a_dead_letter_is_named_and_left_out_of_the_list(s3, mail, capsys, body):
    mail(record(request()))
    s3.put_object(Bucket=BUCKET, Key=f"{DAY}a.json", Body=body)

    assert redrive("--list") == 0

    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert err.startswith(f"{DAY}a.json: not a dead letter")


def stored(body, sent=SENT):
    """Return a stored dead letter with the given body and the given time of sending."""
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

    assert json.loads(message(late)["MessageBody"])["Timestamp"] == "2026-10-30T11:59:57.123Z"


@pytest.mark.parametrize("timestamp", [None, "yesterday", 1])
def test_a_notification_without_a_valid_time_gets_the_time_of_sending(timestamp):
    body = envelope(request()) | {"Timestamp": timestamp}

    sent = json.loads(message(stored(body, sent=datetime(2026, 10, 30, tzinfo=UTC)))["MessageBody"])

    assert sent == body | {"Timestamp": "2026-10-30T00:00:00.000Z"}
    assert open_record(json.dumps(sent), None).requested_at == datetime(2026, 10, 30, tzinfo=UTC)

"""`metrics send` sends a request to a queue or a topic, and can wait for the outcome of the run.

A moto server replaces AWS.
"""

import json
import uuid
from datetime import UTC, datetime

import pytest

from metrics_tools.published.following import follow_queue
from metrics_tools.published.status_event import parse_status_event
from metrics_worker.publication.dead_letter import DeadLetter
from tests.cli.runs.conftest import files

ATTRIBUTES = {"FifoQueue": "true", "ContentBasedDeduplication": "false"}


@pytest.fixture
def queue(client):
    """Return `queue()`, which creates a FIFO queue and returns its URL."""

    def make():
        name = f"{uuid.uuid4().hex}.fifo"
        return client("sqs").create_queue(QueueName=name, Attributes=ATTRIBUTES)["QueueUrl"]

    return make


@pytest.fixture
def topic(client, queue):
    """Create a FIFO topic and a queue that is subscribed to it.

    Returns:
        The ARN of the topic, and the URL of the queue.
    """
    subscriber = queue()
    arn = client("sns").create_topic(Name=f"{uuid.uuid4().hex}.fifo", Attributes={"FifoTopic": "true"})
    names = client("sqs").get_queue_attributes(QueueUrl=subscriber, AttributeNames=["QueueArn"])
    client("sns").subscribe(
        TopicArn=arn["TopicArn"], Protocol="sqs", Endpoint=names["Attributes"]["QueueArn"]
    )
    return arn["TopicArn"], subscriber


@pytest.fixture
def arrived(client):
    """Return `arrived(url)`, which receives up to ten messages of a queue and returns them as SQS does."""

    def receive(url):
        answer = client("sqs").receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
            WaitTimeSeconds=0,
        )
        return answer.get("Messages", [])

    return receive


@pytest.fixture
def say(client):
    """Return `say(url, run_id, kind, …)`, which sends a status event of a run to a queue, as SNS would.

    `kind` is the type of the event, and further arguments are further fields of the event.
    """

    def send(url, run_id, kind="metric_run_completed", **fields):
        event = {"type": kind, "runId": run_id, **fields}
        body = {"Type": "Notification", "Message": json.dumps(event), "Timestamp": "2026-10-30T12:00:00.123Z"}
        client("sqs").send_message(
            QueueUrl=url,
            MessageBody=json.dumps(body),
            MessageGroupId=run_id,
            MessageDeduplicationId=uuid.uuid4().hex,
        )

    return send


SUCCESS = {"metricCode": "m", "status": "SUCCESS", "versionTs": "2026-10-30T12-00-00", "rowCount": 10}
FAILURE = {"metricCode": "m", "status": "FAILURE", "error": "CONFIG_ERROR: output.basePath: no"}


# The message


def test_a_request_goes_to_the_topic_with_a_new_run_id(metrics, topic, arrived, ask):
    arn, subscriber = topic
    done = metrics("send", ask(run_id="of-the-file"), "--topic", arn)
    assert done.exit_code == 0
    (message,) = arrived(subscriber)
    event = json.loads(json.loads(message["Body"])["Message"])
    assert event["runId"] != "of-the-file"
    assert f"Sent ratio.a_to_b, run {event['runId']}" in done.stdout
    assert message["Attributes"]["MessageGroupId"] == "ratio.a_to_b"
    assert message["Attributes"]["MessageDeduplicationId"] == event["runId"]


def test_a_request_goes_to_the_queue(metrics, queue, arrived, ask):
    url = queue()
    done = metrics("send", ask(run_id="mine"), "--queue", url, "--keep-run-id", "--json")
    (message,) = arrived(url)
    (run,) = json.loads(done.stdout)["runs"]
    assert json.loads(message["Body"])["runId"] == run["run_id"] == "mine"
    assert message["MessageId"] == run["message_id"]
    assert message["Attributes"]["MessageGroupId"] == "ratio.a_to_b"


def test_a_request_that_keeps_its_run_id_is_marked_as_sent_again_and_is_no_duplicate(
    metrics, queue, arrived, ask
):
    url, asked = queue(), ask(run_id="mine")
    for _ in range(2):
        assert metrics("send", asked, "--queue", url, "--keep-run-id").exit_code == 0
    first, second = arrived(url), arrived(url)
    received = [*first, *second]
    if len(received) == 1:  # A second message of the group would be locked until the first is deleted.
        pytest.fail("the second message was dropped as a duplicate of the first")
    for message in received:
        assert message["MessageAttributes"]["redriven"]["StringValue"] == "true"
        assert message["Attributes"]["MessageDeduplicationId"].startswith("redrive-")


def test_a_request_with_a_new_run_id_is_not_marked_as_sent_again(metrics, queue, arrived, ask):
    url = queue()
    assert metrics("send", ask(), "--queue", url).exit_code == 0
    (message,) = arrived(url)
    assert "MessageAttributes" not in message


def test_the_topic_can_come_from_the_environment(metrics, topic, arrived, ask, monkeypatch):
    monkeypatch.setenv("METRICS_REQUEST_TOPIC", topic[0])
    assert metrics("send", ask()).exit_code == 0
    assert len(arrived(topic[1])) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "Give the destination"),
        (("--topic", "arn:aws:sns:us-east-1:123456789012:t.fifo", "--queue", "https://q/1/q"), "Choose one"),
        (("--topic", "run-requests"), "expected the ARN of a topic"),
        (("--queue", "run-requests"), "expected the URL of a queue"),
        (("--queue", "https://q/1/q", "--wait"), "--wait needs a source"),
        (("--queue", "https://q/1/q", "--wait", "--status-queue", "q"), "expected the URL of a queue"),
        (("--topic", "arn:aws:sns:us-east-1:123456789012:nothing.fifo"), "AWS refused (NotFound)"),
    ],
)
@pytest.mark.usefixtures("client")
def test_invalid_options_end_the_command_with_the_reason(metrics, ask, words, says):
    done = metrics("send", ask(), *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr


def test_an_unanswerable_request_is_not_sent(metrics, queue, arrived, ask):
    url = queue()
    done = metrics("send", ask(metric="a/b"), "--queue", url)
    assert done.exit_code == 2
    assert "metricCode" in done.stderr
    assert arrived(url) == []


# The outcome from a status queue


@pytest.fixture
def send(metrics, queue, ask):
    """Return `send(status_queue, …)`, which sends the run `mine` and waits for its outcome in that queue.

    `status_queue` is the URL of the queue, and further arguments are passed to `metrics send`. The function
    returns typer's result.
    """

    def run(status, *words):
        asked = ask(run_id="mine")
        where = ("--queue", queue(), "--status-queue", status)
        return metrics("send", asked, *where, "--keep-run-id", "--wait", *words)

    return run


def test_the_events_of_a_run_are_printed_until_its_success(send, queue, say):
    status = queue()
    say(status, "mine", "metric_run_started", startedAt="2026-10-30T12:00:00Z")
    say(status, "mine", "metric_run_heartbeat", progress=0.5, ts="2026-10-30T12:00:01Z")
    say(status, "mine", **SUCCESS)
    done = send(status, "--timeout", "30")
    assert done.exit_code == 0
    printed = [line.split()[:2] for line in done.stdout.splitlines()[1:]]
    assert printed == [["12:00:00", "started"], ["12:00:00", "heartbeat"], ["12:00:00", "completed"]]
    assert "50%" in done.stdout
    assert "SUCCESS  10 rows, version 2026-10-30T12-00-00" in done.stdout


def test_a_failure_is_printed_with_its_error(send, queue, say):
    status = queue()
    say(status, "mine", **FAILURE)
    done = send(status, "--timeout", "30")
    assert done.exit_code == 1
    assert "FAILURE  CONFIG_ERROR: output.basePath: no" in done.stdout


def test_an_error_in_the_v1_form_is_printed_in_the_same_way(send, queue, say):
    status = queue()
    say(status, "mine", **FAILURE | {"error": {"code": "CONFIG_ERROR", "message": "output.basePath: no"}})
    done = send(status, "--timeout", "30")
    assert "FAILURE  CONFIG_ERROR: output.basePath: no" in done.stdout


def test_json_has_every_event(send, queue, say):
    status = queue()
    say(status, "mine", **SUCCESS)
    (run,) = json.loads(send(status, "--timeout", "30", "--json").stdout)["runs"]
    assert (run["run_id"], run["status"]) == ("mine", "SUCCESS")
    assert [event["event"]["rowCount"] for event in run["events"]] == [10]


def test_events_of_other_runs_are_returned_to_the_queue(send, queue, say, arrived):
    status = queue()
    say(status, "another", **SUCCESS)
    say(status, "mine", **SUCCESS)
    assert send(status, "--timeout", "30").exit_code == 0
    (left,) = arrived(status)
    assert json.loads(json.loads(left["Body"])["Message"])["runId"] == "another"


def test_without_an_outcome_in_time_the_command_fails(send, queue, say):
    status = queue()
    say(status, "mine", "metric_run_started", startedAt="2026-10-30T12:00:00Z")
    done = send(status, "--timeout", "0.1")
    assert done.exit_code == 2
    assert "No outcome within 0.1 s: no completed event of ratio.a_to_b mine" in done.stderr


def test_an_interrupted_listener_returns_events_of_other_runs_to_the_queue():
    calls: list[object] = []

    class Sqs:
        def receive_message(self, **_):
            if calls:
                raise KeyboardInterrupt
            calls.append("received")
            return {"Messages": [{"Body": json.dumps({"runId": "another"}), "ReceiptHandle": "handle"}]}

        def change_message_visibility(self, **call):
            calls.append((call["ReceiptHandle"], call["VisibilityTimeout"]))

    with pytest.raises(KeyboardInterrupt):
        list(follow_queue(Sqs(), "queue", {"mine"}, seconds=60))
    assert calls == ["received", ("handle", 0)]


@pytest.mark.parametrize("body", ["", "[]", "3", "{}", '{"Message": "no"}', '{"Message": "{}"}', "null"])
def test_a_message_that_is_not_an_event_is_ignored(body):
    assert parse_status_event(body) is None


def test_an_event_with_raw_delivery_is_read():
    heard = parse_status_event(json.dumps({"type": "metric_run_completed", "runId": "mine", **SUCCESS}))
    assert heard is not None
    assert (heard.run_id, heard.status) == ("mine", "SUCCESS")


# The outcome from a bucket


@pytest.fixture
def watched(metrics, queue, bucket, ask):
    """Return `watched(*words, …)`, which sends the run `mine` and watches the bucket for its outcome.

    `words` are further arguments of `metrics send`, and keyword arguments are passed to the fixture `ask`.
    The function returns typer's result.
    """

    def run(*words, **more):
        asked = ask(run_id="mine", **more)
        where = ("--queue", queue(), "--bucket", bucket)
        return metrics("send", asked, *where, "--keep-run-id", "--wait", "--timeout", "0", *words)

    return run


def test_a_marker_counts_as_a_success(metrics, watched, bucket, ask):
    asked = ask(run_id="mine")
    assert metrics("run", asked, "--bucket", bucket, "--publish", "--keep-run-id").exit_code == 0
    done = watched()
    assert done.exit_code == 0
    assert "SUCCESS  10 rows" in done.stdout


@pytest.mark.parametrize(
    ("letter", "code"),
    [
        ({"run_id": "mine", "outcome": "FAILURE"}, 1),
        ({"run_id": "mine", "outcome": "SUCCESS"}, 0),
        ({"outcome": "UNANSWERABLE", "body": '{"runId": "mine"}'}, 1),
        ({"run_id": "another", "outcome": "FAILURE"}, 2),
    ],
)
def test_a_dead_letter_gives_the_outcome_of_its_run(watched, bucket, client, letter, code):
    key = f"metrics/_dead-letters/{datetime.now(UTC):%Y-%m-%d}/message.json"
    sent = {"MessageGroupId": "m", "SentTimestamp": "1793361597000"}
    more = {"message_id": "message", "why": "gave up", "kept_at": "2026-10-30T12:00:00Z", "attributes": sent}
    kept = DeadLetter.model_validate({"body": "{}", **more, **letter})
    client("s3").put_object(Bucket=bucket, Key=key, Body=kept.encode())
    assert watched().exit_code == code


def test_without_marker_or_dead_letter_the_command_fails_with_a_hint(watched):
    done = watched()
    assert done.exit_code == 2
    assert "neither a marker nor a dead letter" in done.stderr
    assert "use --status-queue to receive its FAILURE" in done.stderr


def test_watching_a_bucket_writes_nothing(watched, folder, bucket, client):
    assert watched().exit_code == 2
    keys = {found["Key"] for found in client("s3").list_objects_v2(Bucket=bucket)["Contents"]}
    assert keys == set(files(folder))

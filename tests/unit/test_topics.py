"""The topic to which each status event is sent, and its group and deduplication id on a FIFO topic."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.parsers import ResponseParserError

from metrics_worker.errors import InternalError, StatusUnavailable
from metrics_worker.messaging.status_events import RunCompleted, RunHeartbeat, RunStarted
from metrics_worker.messaging.topics import MAX_DEDUPLICATION_ID, StatusTopics, deduplication_id
from metrics_worker.request import Run
from metrics_worker.settings import Settings
from tests.builders import NOW, TOPIC, FakeSns
from tests.faulty_store import raising

RUN = Run("run-1", "m.x", v1=False, requested_at=NOW, event={})
STARTED = RunStarted.of(RUN, NOW)
HEARTBEAT = RunHeartbeat.of(RUN, 0.5, NOW)
SUCCESS = RunCompleted.success(
    RUN, version_ts="v", manifest_key="metrics/m.x/v/manifest.json", row_count=1, bucket="b"
)
FAILURE = RunCompleted.failure(RUN, InternalError("a", "b"))
EVENTS = [STARTED, HEARTBEAT, SUCCESS, FAILURE]

ONE_TOPIC: dict[str, Any] = {
    "AWS_SNS_METRIC_RUN_STARTED_TOPIC_ARN": None,
    "AWS_SNS_METRIC_RUN_HEARTBEAT_TOPIC_ARN": None,
    "AWS_SNS_METRIC_RUN_COMPLETED_TOPIC_ARN": None,
}


def published(event, *, attempt=1, number=None, **settings):
    sns = FakeSns()
    StatusTopics(Settings(**settings), sns).publish(event, metric_code="m.x", attempt=attempt, number=number)
    (message,) = sns.messages
    return message


@pytest.mark.parametrize(
    ("event", "topic"),
    [(STARTED, "started"), (HEARTBEAT, "heartbeat"), (SUCCESS, "completed"), (FAILURE, "completed")],
)
def test_each_event_goes_to_its_topic(event, topic):
    assert published(event)["TopicArn"] == TOPIC.format(topic)


@pytest.mark.parametrize("event", EVENTS)
def test_a_single_topic_receives_all_events(event):
    arn = TOPIC.format("events")
    message = published(event, **ONE_TOPIC, AWS_SNS_EVENTS_TOPIC_ARN=arn)
    assert message["TopicArn"] == arn
    assert message["MessageGroupId"] == "run-1"


def test_the_topic_of_an_event_type_takes_precedence_over_the_single_topic():
    settings = {**ONE_TOPIC, "AWS_SNS_METRIC_RUN_HEARTBEAT_TOPIC_ARN": "arn:beat"}
    assert published(HEARTBEAT, **settings, AWS_SNS_EVENTS_TOPIC_ARN="arn:all")["TopicArn"] == "arn:beat"
    assert published(STARTED, **settings, AWS_SNS_EVENTS_TOPIC_ARN="arn:all")["TopicArn"] == "arn:all"


@pytest.mark.parametrize("event", EVENTS)
def test_on_a_fifo_topic_the_run_is_the_message_group(event):
    assert published(event)["MessageGroupId"] == "run-1"


@pytest.mark.parametrize("event", EVENTS)
def test_a_standard_topic_receives_neither_group_nor_deduplication_id(event):
    arn = "arn:aws:sns:us-east-1:123456789012:events"
    message = published(event, **ONE_TOPIC, AWS_SNS_EVENTS_TOPIC_ARN=arn)
    assert set(message) == {"TopicArn", "Message", "MessageAttributes"}


@pytest.mark.parametrize("event", EVENTS)
def test_type_and_metric_code_are_message_attributes(event):
    assert published(event)["MessageAttributes"] == {
        "type": {"DataType": "String", "StringValue": event.type},
        "metricCode": {"DataType": "String", "StringValue": "m.x"},
    }


def test_the_deduplication_id_consists_of_run_type_and_attempt():
    assert published(STARTED)["MessageDeduplicationId"] == "run-1:metric_run_started:1"
    assert published(SUCCESS, attempt=3)["MessageDeduplicationId"] == "run-1:metric_run_completed:3"


def test_the_deduplication_id_of_a_heartbeat_also_has_its_number():
    beats = [published(HEARTBEAT, number=n)["MessageDeduplicationId"] for n in (1, 2)]
    assert beats == ["run-1:metric_run_heartbeat:1:1", "run-1:metric_run_heartbeat:1:2"]


def test_a_success_after_a_failure_has_a_different_deduplication_id():
    ids = [published(event, attempt=n)["MessageDeduplicationId"] for n, event in ((1, FAILURE), (2, SUCCESS))]
    assert ids[0] != ids[1]


def dedup(run_id, kind, attempt, number=None):
    return deduplication_id(run_id=run_id, event_type=kind, attempt=attempt, number=number)


@pytest.mark.parametrize("kind", ["metric_run_started", "metric_run_heartbeat", "metric_run_completed"])
@pytest.mark.parametrize("length", [1, 36, 100, 101, 102, 103, 127, 128])
def test_the_deduplication_id_of_the_longest_run_id_is_valid(kind, length):
    for number in (None, 1, 10**6):
        assert 1 <= len(dedup("r" * length, kind, 1000, number)) <= MAX_DEDUPLICATION_ID


def test_hashed_deduplication_ids_are_distinct():
    run_ids = ["r" * 128, "r" * 127 + "s"]
    kinds = ["metric_run_started", "metric_run_heartbeat"]
    ids = {
        dedup(run_id, kind, attempt, number)
        for run_id in run_ids
        for kind in kinds
        for attempt in (1, 2)
        for number in (None, 1, 2)
    }
    assert len(ids) == 24


def test_the_same_event_of_the_same_attempt_has_the_same_id():
    assert dedup("r" * 128, "t", 1) == dedup("r" * 128, "t", 1)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (ClientError({"Error": {"Code": "Throttling", "Message": "secret"}}, "Publish"), "Throttling"),
        (EndpointConnectionError(endpoint_url="https://secret"), "EndpointConnectionError"),
    ],
)
def test_a_topic_that_refuses_an_event_is_named_in_a_transient_error(failure, said):
    def refuse(_):
        raise failure

    topics = StatusTopics(Settings(), FakeSns(before=refuse))
    with pytest.raises(StatusUnavailable, match=f"run-started.fifo: .*{said}") as raised:
        topics.publish(STARTED, metric_code="m.x", attempt=1)
    assert "secret" not in str(raised.value)


def test_a_response_that_is_not_from_aws_is_a_transient_error():
    """Let botocore raise the error that it raises if a proxy responds with HTML instead of XML."""
    sns = FakeSns(before=lambda _: raising(ResponseParserError("Unable to parse response"))())
    with pytest.raises(StatusUnavailable, match="the response is not from AWS"):
        StatusTopics(Settings(), sns).publish(STARTED, metric_code="m.x", attempt=1)

"""The dead-letter function publishes an outcome for the run of every message in its queue."""

import pytest
from botocore.exceptions import ClientError

from tests.builders import TOPIC, envelope, put_a_and_b, record, request
from tests.faulty_store import CURRENT, MARKER, denied, throttled
from tests.functional.runs import NOTHING_COMES_BACK, given_back

CURRENT_KEY = "metrics/ratio.a_to_b/current/manifest.json"
MARKER_KEY = "metrics/ratio.a_to_b/runs/run-1.ok"
KEPT = "metrics/_dead-letters/2026-10-30/message-1.json"
GAVE_UP = (
    "gave up after 5 attempts: no outcome, the log says why; "
    "asked for at 2026-10-30T11:59:57Z, a dead letter since 2026-10-30T11:59:57Z"
)


@pytest.fixture
def committed(cloud, invoke, faults):
    """Commit a run whose outcome is not published, because S3 throttles the write of `current`.

    Afterwards, the recorded calls and events are cleared, and S3 works again.
    """
    put_a_and_b(cloud.store)
    faults.before("PUT", CURRENT, throttled, times=4)
    assert given_back(invoke(record(request()))) == ["message-1"]
    faults.clear()
    faults.calls.clear()
    cloud.sns.messages.clear()
    cloud.sqs.calls.clear()
    left = cloud.keys("metrics/")
    assert MARKER_KEY in left
    assert CURRENT_KEY not in left


def sns_refuses(cloud):
    def before(_):
        raise ClientError({"Error": {"Code": "Throttling"}}, "Publish")

    cloud.sns.before = before


def test_a_run_without_a_marker_ends_in_failure_in_the_requested_form(cloud, bury):
    v1 = request(run_id="run-2", schema="metrics.run.v1")

    response = bury(record(request()), record(v1, message_id="message-2"))

    assert response == NOTHING_COMES_BACK
    assert cloud.sns.events == [
        {
            "type": "metric_run_completed",
            "runId": "run-1",
            "metricCode": "ratio.a_to_b",
            "status": "FAILURE",
            "error": f"INTERNAL_ERROR: {GAVE_UP}",
        },
        {
            "schema": "metrics.run.v1",
            "type": "metric_run_completed",
            "runId": "run-2",
            "metricCode": "ratio.a_to_b",
            "status": "FAILURE",
            "error": {"code": "INTERNAL_ERROR", "message": GAVE_UP},
        },
    ]
    assert {message["TopicArn"] for message in cloud.sns.messages} == {TOPIC.format("completed")}


def test_the_failure_names_the_number_of_attempts_and_the_time_of_the_request(cloud, bury):
    asked = envelope(request(), timestamp="2026-10-28T09:08:07.654Z")

    bury(record(asked), WORKER_MAX_RECEIVE_COUNT=7)

    (event,) = cloud.sns.completed
    assert "gave up after 7 attempts" in event["error"]
    assert "asked for at 2026-10-28T09:08:07Z" in event["error"]


@pytest.mark.usefixtures("committed")
def test_a_committed_run_is_rolled_forward_to_its_success(cloud, bury, faults):
    assert bury(record(request())) == NOTHING_COMES_BACK

    (event,) = cloud.sns.events
    assert (event["status"], event["rowCount"]) == ("SUCCESS", 10)
    assert cloud.read_json(CURRENT_KEY) == cloud.read_json(event["outputManifest"])
    assert cloud.read_json(KEPT)["outcome"] == "SUCCESS"
    assert faults.count("PUT", "*") == 2
    assert faults.count("GET", "datasets/*") == 0


@pytest.mark.usefixtures("committed")
def test_a_committed_run_does_not_take_current_from_a_newer_request(cloud, bury, invoke):
    newer = envelope(request(run_id="newer"), timestamp="2026-10-30T11:59:58Z")
    invoke(record(newer))

    bury(record(request()))

    assert [event["status"] for event in cloud.sns.completed] == ["SUCCESS", "SUCCESS"]
    assert cloud.read_json(CURRENT_KEY)["run_id"] == "newer"


@pytest.mark.parametrize(
    "wrong", [{"output": {"basePath": "s3://elsewhere/"}}, {"output": None}, {"expressionJson": {"op": "?"}}]
)
def test_an_invalid_request_ends_in_failure_too(cloud, bury, wrong):
    assert bury(record(request() | wrong)) == NOTHING_COMES_BACK

    (event,) = cloud.sns.completed
    assert event["error"] == f"INTERNAL_ERROR: {GAVE_UP}"


@pytest.mark.parametrize("wrong", [{"output": None}, {"output": "s3:"}, {"output": []}, {"output": {}}])
@pytest.mark.usefixtures("committed")
def test_a_committed_run_without_an_output_is_found_by_its_metric_code(cloud, bury, wrong):
    bury(record(request() | wrong))

    (event,) = cloud.sns.completed
    assert event["status"] == "SUCCESS"


def test_a_committed_run_is_found_even_if_its_request_is_invalid_now(cloud, bury, invoke):
    put_a_and_b(cloud.store)
    asked = request()
    invoke(record(asked))

    bury(record(asked | {"expressionJson": {"op": "no longer known"}, "catalog": None}))

    assert [event["status"] for event in cloud.sns.completed] == ["SUCCESS", "SUCCESS"]


def test_events_of_the_worker_and_of_dead_letters_have_different_deduplication_ids(cloud, bury):
    for receive_count in (1, 2):
        assert bury(record(request(), receive_count=receive_count)) == NOTHING_COMES_BACK

    assert [message["MessageDeduplicationId"] for message in cloud.sns.messages] == [
        "run-1:metric_run_completed:6",  # The fifth attempt of the worker was its last.
        "run-1:metric_run_completed:7",
    ]


def test_if_sns_is_down_the_message_is_returned_and_not_stored(cloud, bury, lines):
    sns_refuses(cloud)

    assert given_back(bury(record(request(), receive_count=3))) == ["message-1"]

    assert cloud.keys() == []
    (call,) = cloud.sqs.calls
    assert call["ReceiptHandle"] == "receipt-of-message-1"
    assert 45 <= call["VisibilityTimeout"] <= 90
    (line,) = lines()
    assert (line["level"], line["message"]) == ("WARNING", "dead letter given back")
    assert "AWS answered Throttling" in line["reason"]
    assert "Traceback" in line["exception"]


@pytest.mark.parametrize("fault", [throttled, denied])
def test_nothing_is_published_while_the_marker_cannot_be_read(cloud, bury, faults, fault):
    faults.before("GET", MARKER, fault)

    assert given_back(bury(record(request()))) == ["message-1"]
    assert cloud.sns.messages == []
    assert cloud.keys() == []
    faults.clear()

    assert bury(record(request(), receive_count=2)) == NOTHING_COMES_BACK
    assert [event["status"] for event in cloud.sns.completed] == ["FAILURE"]


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("fault", [throttled, denied])
def test_a_success_is_published_only_after_current_has_moved(cloud, bury, faults, fault):
    faults.before("PUT", CURRENT, fault, times=3)

    assert given_back(bury(record(request()))) == ["message-1"]
    assert cloud.sns.messages == []
    faults.clear()

    assert bury(record(request(), receive_count=2)) == NOTHING_COMES_BACK
    assert [event["status"] for event in cloud.sns.completed] == ["SUCCESS"]


def test_after_an_error_the_rest_of_its_group_is_returned_and_other_groups_continue(cloud, bury, faults):
    faults.before("GET", "metrics/m.a/runs/a-1.ok", throttled)
    names = ["a-1", "b-1", "a-2", "b-2"]

    response = bury(*(record(request(run_id=name, metric=f"m.{name[0]}"), message_id=name) for name in names))

    assert given_back(response) == ["a-1", "a-2"]
    assert [event["runId"] for event in cloud.sns.completed] == ["b-1", "b-2"]
    assert [call["ReceiptHandle"] for call in cloud.sqs.calls] == ["receipt-of-a-1", "receipt-of-a-2"]
    assert faults.count("GET", "metrics/m.a/runs/a-2.ok") == 0


def test_a_defect_returns_the_message_and_logs_its_traceback(cloud, bury, lines):
    lost = record(request())
    del lost["attributes"]["SentTimestamp"]

    assert given_back(bury(lost, record("?", message_id="message-2", group="other"))) == ["message-1"]

    assert cloud.keys() == [KEPT.replace("message-1", "message-2")]
    (line,) = [line for line in lines() if line["message_id"] == "message-1"]
    assert "KeyError" in line["exception"]

"""The dead-letter function stores messages in the bucket, and writes log lines and metrics."""

import json
from datetime import timedelta

import pytest

from tests.builders import NOW, record, request
from tests.faulty_store import denied, throttled
from tests.functional.runs import NOTHING_COMES_BACK, given_back

KEPT = "metrics/_dead-letters/2026-10-30/message-1.json"
KEPT_PATTERN = "metrics/_dead-letters/*"
UNANSWERABLE = {
    "": "not JSON",
    "?": "not JSON",
    "[]": "expected a JSON object",
    '{"Type": "Notification", "Message": "no JSON"}': "body.Message: not JSON",
    json.dumps(request() | {"type": "metric_run_canceled"}): "type: expected 'metric_run_requested'",
    json.dumps(request(run_id="../run")): "runId: expected 1-128",
    "[" * 100_000: "not JSON",
}


@pytest.mark.parametrize(("body", "problem"), UNANSWERABLE.items(), ids=range(len(UNANSWERABLE)))
def test_an_unanswerable_message_is_stored_and_logged(cloud, bury, lines, blobs, body, problem):
    assert bury(record(body)) == NOTHING_COMES_BACK

    assert cloud.sns.messages == []
    kept = cloud.read_json(KEPT)
    assert (kept["outcome"], kept["body"]) == ("UNANSWERABLE", body)
    assert problem in kept["why"]
    (line,) = lines()
    assert (line["level"], line["outcome"], line["kept"]) == ("ERROR", "UNANSWERABLE", KEPT)
    assert problem in line["why"]
    assert [blob["outcome"] for blob in blobs()] == ["UNANSWERABLE"]


def test_each_dead_letter_is_counted_once_by_function_and_outcome_as_in_the_alarms(bury, lines, blobs):
    bury(record("?"), record(request(), message_id="message-2"))

    assert {line["run_id"]: line["kept"] for line in lines() if "run_id" in line} == {
        "run-1": "metrics/_dead-letters/2026-10-30/message-2.json"
    }
    unanswerable, failed = blobs()
    for blob, outcome in ((unanswerable, "UNANSWERABLE"), (failed, "FAILURE")):
        (directive,) = blob["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "MetricsWorker"
        (names,) = directive["Dimensions"]
        assert {name: blob[name] for name in names} == {
            "service": "metrics-worker",
            "function_name": "buried",
            "outcome": outcome,
        }
        assert blob["dead_letters_total"] == [1]


def test_a_stored_message_has_its_unchanged_body_and_all_attributes(cloud, bury):
    strange = "\u00e9\u2028\x7f\U0001f480\ud800"  # UTF-8 cannot encode half of a surrogate pair
    body = f'{{"type" : "metric_run_requested",\r\n"runId":"run-1","metricCode":"m","x":"{strange}"}}'

    assert bury(record(body, group="g", receive_count=2)) == NOTHING_COMES_BACK

    assert cloud.read_json(KEPT) == {
        "message_id": "message-1",
        "outcome": "FAILURE",
        "why": cloud.sns.completed[0]["error"],
        "run_id": "run-1",
        "metric_code": "m",
        "kept_at": "2026-10-30T12:00:00Z",
        "attributes": {
            "ApproximateReceiveCount": "2",
            "SentTimestamp": "1793361597000",
            "MessageGroupId": "g",
        },
        "body": body,
    }


def test_the_outcome_of_a_redelivered_message_is_published_again_and_stored_once(cloud, bury):
    bury(record(request()))
    first = cloud.read(KEPT)
    cloud.now = lambda: NOW + timedelta(days=1)

    assert bury(record(request(), receive_count=2)) == NOTHING_COMES_BACK

    assert [event["status"] for event in cloud.sns.completed] == ["FAILURE", "FAILURE"]
    assert cloud.keys("metrics/_dead-letters/") == [KEPT]
    assert cloud.read(KEPT) == first


@pytest.mark.parametrize("fault", [throttled, denied])
def test_a_message_that_cannot_be_stored_is_returned(cloud, bury, faults, blobs, fault):
    faults.before("PUT", KEPT_PATTERN, fault, times=3)

    assert given_back(bury(record(request()))) == ["message-1"]
    assert blobs() == []
    faults.clear()

    assert bury(record(request(), receive_count=2)) == NOTHING_COMES_BACK
    assert cloud.keys() == [KEPT]


def test_an_unanswerable_message_that_cannot_be_stored_is_returned(cloud, bury, faults):
    faults.before("PUT", KEPT_PATTERN, throttled, times=3)

    assert given_back(bury(record("?"))) == ["message-1"]
    faults.clear()

    assert bury(record("?", receive_count=2)) == NOTHING_COMES_BACK
    assert cloud.keys() == [KEPT]

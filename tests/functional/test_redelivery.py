"""The handler publishes correct results if a message is redelivered, or if two runs have the same metric."""

import json

import obstore
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from tests.builders import TOPIC, Cloud, envelope, put_a_and_b, record, request
from tests.faulty_store import CURRENT, DATA, MANIFEST, MARKER, denied, throttled

BASE = "metrics/ratio.a_to_b/"
CURRENT_KEY = f"{BASE}current/manifest.json"
DONE: dict[str, list[dict[str, str]]] = {"batchItemFailures": []}
GIVEN_BACK = {"batchItemFailures": [{"itemIdentifier": "message-1"}]}


@pytest.fixture(autouse=True)
def dataset(cloud):
    put_a_and_b(cloud.store)


def asked_at(time, run_id="run-1", **more):
    return record(
        envelope(request(run_id=run_id, **more), timestamp=f"2026-10-30T{time}Z"), group="ratio.a_to_b"
    )


def kinds(cloud):
    return [event["type"].removeprefix("metric_run_") for event in cloud.sns.events]


def refuse(cloud: Cloud, topic: str, *, times: int = 1) -> None:
    """Let SNS throttle the next `times` events for a topic.

    Args:
        cloud: the fake cloud.
        topic: the kind of the events for the topic: `started`, `heartbeat` or `completed`.
        times: the number of refused events.
    """
    left = [times]

    def before(message):
        if message["TopicArn"] == TOPIC.format(topic) and left[0]:
            left[0] -= 1
            raise ClientError({"Error": {"Code": "Throttling"}}, "Publish")

    cloud.sns.before = before


def test_a_redelivery_after_success_computes_nothing_and_publishes_the_same_event(cloud, invoke, faults):
    invoke(record(request()))
    faults.calls.clear()
    written = cloud.keys()

    assert invoke(record(request(), receive_count=2)) == DONE

    assert faults.count("GET", "datasets/*") == faults.count("PUT", "*") == 0
    assert cloud.keys() == written
    assert kinds(cloud) == ["started", "completed", "completed"]
    first, second = cloud.sns.completed
    assert second == first | {"error": None}


def test_the_event_of_a_redelivery_has_another_deduplication_id(cloud, invoke):
    invoke(record(request()))
    invoke(record(request(), receive_count=2))

    assert [message["MessageDeduplicationId"] for message in cloud.sns.messages] == [
        "run-1:metric_run_started:1",
        "run-1:metric_run_completed:1",
        "run-1:metric_run_completed:2",
    ]


def test_a_redelivery_publishes_the_same_event_after_the_dataset_has_disappeared(cloud, invoke):
    invoke(record(request()))
    obstore.delete(cloud.store, "datasets/fx/versions/v1/manifest.json")

    invoke(record(request(), receive_count=2))

    first, second = cloud.sns.completed
    assert second == first | {"error": None}


def test_two_runs_of_a_metric_within_a_second_get_two_versions(cloud, invoke):
    runs = [asked_at("11:00:00", "1"), asked_at("11:00:01", "2"), asked_at("11:00:02", "3")]

    assert invoke(*runs) == DONE

    assert [event["versionTs"] for event in cloud.sns.completed] == [
        "2026-10-30T12-00-00",
        "2026-10-30T12-00-01",
        "2026-10-30T12-00-02",
    ]
    for event in cloud.sns.completed:
        assert cloud.read_json(event["outputManifest"])["run_id"] == event["runId"]
    assert cloud.read_json(CURRENT_KEY)["run_id"] == "3"


def test_a_version_that_another_writer_has_taken_is_not_overwritten(cloud, invoke):
    taken = f"{BASE}2026-10-30T12-00-00/data/metrics.parquet"
    obstore.put(cloud.store, taken, b"not ours")

    invoke(record(request()))

    assert cloud.sns.completed[0]["versionTs"] == "2026-10-30T12-00-01"
    assert cloud.read(taken) == b"not ours"


def test_an_older_request_gets_its_version_and_success_but_not_current(cloud, invoke):
    invoke(asked_at("11:00:05", "newer"))

    invoke(asked_at("11:00:00", "older"))

    newer, older = cloud.sns.completed
    assert older["status"] == "SUCCESS"
    assert older["versionTs"] > newer["versionTs"]
    assert cloud.read_json(older["outputManifest"])["run_id"] == "older"
    assert cloud.read_json(CURRENT_KEY)["run_id"] == "newer"


def test_a_redelivery_of_an_older_run_does_not_move_current_back(cloud, invoke):
    invoke(asked_at("11:00:00", "older"))
    invoke(asked_at("11:00:05", "newer"))

    invoke(asked_at("11:00:00", "older"))

    assert cloud.read_json(CURRENT_KEY)["run_id"] == "newer"


def test_the_later_version_of_two_requests_of_the_same_time_is_current(cloud, invoke):
    invoke(asked_at("11:00:00", "1"), asked_at("11:00:00", "2"))
    invoke(asked_at("11:00:00", "1"))

    assert cloud.read_json(CURRENT_KEY)["run_id"] == "2"


def test_without_a_notification_the_request_time_is_the_time_of_sending(cloud, invoke):
    invoke(record(request()))

    assert cloud.read_json(CURRENT_KEY)["requested_at"] == "2026-10-30T11:59:57.000Z"


def legacy(created_at):
    return json.dumps({"version_ts": created_at.replace(":", "-")[:19], "created_at": created_at}).encode()


def test_a_manifest_of_the_predecessor_is_as_old_as_its_creation(cloud, invoke):
    older = legacy("2026-10-30T11:00:00Z")
    obstore.put(cloud.store, CURRENT_KEY, older)

    invoke(asked_at("10:59:59", "late"))
    assert cloud.read(CURRENT_KEY) == older

    invoke(asked_at("11:00:01", "new"))
    assert cloud.read_json(CURRENT_KEY)["run_id"] == "new"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b"{}", b'{"version_ts": "x", "requested_at": "whenever"}', b"null"]
)
def test_a_current_that_cannot_be_parsed_is_replaced(cloud, invoke, body):
    obstore.put(cloud.store, CURRENT_KEY, body)

    invoke(record(request()))

    assert cloud.read_json(CURRENT_KEY)["run_id"] == "run-1"


def test_a_run_is_not_committed_if_its_started_event_is_not_published(cloud, invoke, faults):
    refuse(cloud, "started")

    assert invoke(record(request())) == GIVEN_BACK
    assert cloud.sns.events == []
    assert faults.count("PUT", "*") == 0

    assert invoke(record(request(), receive_count=2)) == DONE
    assert kinds(cloud) == ["started", "completed"]


def test_a_success_that_could_not_be_published_is_published_by_the_next_attempt(cloud, invoke, faults):
    refuse(cloud, "completed")

    assert invoke(record(request())) == GIVEN_BACK
    assert cloud.read_json(CURRENT_KEY)["run_id"] == "run-1"
    faults.calls.clear()

    assert invoke(record(request(), receive_count=2)) == DONE
    assert kinds(cloud) == ["started", "completed"]
    assert faults.count("GET", "datasets/*") == 0


def test_a_failure_that_could_not_be_published_is_published_by_the_next_attempt(cloud, invoke):
    refuse(cloud, "completed")
    body = request(output={"basePath": "s3://another/"})

    assert invoke(record(body)) == GIVEN_BACK
    assert cloud.sns.events == []

    assert invoke(record(body, receive_count=2)) == DONE
    assert [event["status"] for event in cloud.sns.completed] == ["FAILURE"]


def test_an_event_whose_response_is_lost_is_published_again_with_the_same_content(cloud, invoke):
    publish = cloud.sns.publish
    lost = [True]

    def publish_and_lose(**message):
        publish(**message)
        if message["TopicArn"] == TOPIC.format("completed") and lost.pop():
            raise ReadTimeoutError(endpoint_url="https://sns")

    cloud.sns.publish = publish_and_lose
    assert invoke(record(request())) == GIVEN_BACK
    lost.append(False)

    assert invoke(record(request(), receive_count=2)) == DONE

    first, second = cloud.sns.completed
    assert second == first | {"error": None}


@pytest.mark.parametrize("fault", [denied, throttled])
def test_no_failure_is_published_after_the_commit(cloud, invoke, faults, fault):
    faults.before("PUT", CURRENT, fault, times=4)

    assert invoke(record(request())) == GIVEN_BACK
    assert cloud.sns.completed == []
    faults.clear()

    assert invoke(record(request(), receive_count=2)) == DONE
    assert [event["status"] for event in cloud.sns.completed] == ["SUCCESS"]
    assert faults.count("PUT", DATA) == 1


@pytest.mark.parametrize("readable", [True, False])
def test_an_error_of_the_started_event_takes_precedence_over_a_read_error(cloud, invoke, faults, readable):
    refuse(cloud, "started")
    if not readable:
        faults.before("GET", "datasets/fx/projections/A/*", denied, times=2)

    assert invoke(record(request())) == GIVEN_BACK
    assert cloud.sns.events == []

    assert invoke(record(request(), receive_count=2)) == DONE
    assert kinds(cloud) == ["started", "completed"]
    assert [event["status"] for event in cloud.sns.completed] == ["SUCCESS" if readable else "FAILURE"]


def test_a_permanent_error_after_the_commit_of_another_attempt_publishes_success(cloud, invoke, faults):
    def another_attempt_commits():
        assert invoke(record(request())) == DONE
        denied()

    faults.before("GET", "datasets/fx/projections/A/*", another_attempt_commits)  # during this run

    assert invoke(record(request())) == DONE

    assert faults.count("GET", "datasets/fx/projections/A/*") == 2
    assert faults.count("PUT", MARKER) == 1
    others, own = cloud.sns.completed
    assert own == others | {"error": None}
    assert own["status"] == "SUCCESS"


def test_a_success_whose_manifest_has_disappeared_is_not_published(cloud, invoke, faults):
    faults.before("PUT", CURRENT, throttled, times=4)
    invoke(record(request()))
    faults.clear()
    (manifest,) = [key for key in cloud.keys(BASE) if key.endswith("manifest.json")]
    obstore.delete(cloud.store, manifest)

    assert invoke(record(request(), receive_count=2)) == DONE

    (completed,) = cloud.sns.completed
    assert completed["status"] == "FAILURE"
    assert f"{BASE}runs/run-1.ok: the marker names {manifest}, and that manifest is not" in completed["error"]


def test_a_run_that_is_computed_again_after_a_crash_has_one_marker_and_one_event(cloud, invoke, faults):
    faults.before("PUT", MANIFEST, throttled, times=4)
    assert invoke(record(request())) == GIVEN_BACK

    assert invoke(record(request(), receive_count=2)) == DONE

    (completed,) = cloud.sns.completed
    assert completed["versionTs"] == "2026-10-30T12-00-01"
    assert cloud.read_json(f"{BASE}runs/run-1.ok")["version_ts"] == completed["versionTs"]
    assert faults.count("PUT", MARKER) == 1

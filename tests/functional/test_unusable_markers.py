"""If the object at a marker's key is not a commit record of the run, the run fails and is not retried."""

import json

import obstore
import pytest

from tests.builders import put_a_and_b, record, request
from tests.faulty_store import denied, throttled
from tests.functional.runs import NOTHING_COMES_BACK, given_back

BASE = "metrics/ratio.a_to_b/"
MARKER = f"{BASE}runs/run-1.ok"
CURRENT = f"{BASE}current/manifest.json"
VERSION = "2026-01-01T00-00-00"
MANIFEST = f"{BASE}{VERSION}/manifest.json"
REMEDY = "request a new run, or remove this object and send the request of this run again"
GOOD = {
    "run_id": "run-1",
    "metric_code": "ratio.a_to_b",
    "version_ts": VERSION,
    "manifest": MANIFEST,
    "row_count": 10,
    "requested_at": "2026-01-01T00:00:00.000Z",
    "committed_at": "2026-01-01T00:00:01Z",
}
OLD = {
    "run_id": "run-1",
    "metric_code": "ratio.a_to_b",
    "version_ts": VERSION,
    "created_at": "2026-01-01T00:00:00Z",
    "row_count": 7,
    "outputs": {"data_prefix": f"{BASE}{VERSION}/data/", "files": ["metrics.parquet"]},
}
"""A manifest of this worker's predecessor."""

UNUSABLE = {
    "empty": b"",
    "no JSON": b"?",
    "cut short": json.dumps(GOOD).encode()[:-20],
    "not UTF-8": b"\xff\xfe",
    "null": b"null",
    "an empty object": b"{}",
    "an array": b"[1]",
    "the predecessor's, of another run": b'{"run_id": "run-2"}',
    "the predecessor's, with a number": b'{"run_id": 1}',
    "another run's": GOOD | {"run_id": "run-2"},
    "another metric's": GOOD | {"metric_code": "victim"},
    "a manifest in another metric": GOOD | {"manifest": f"metrics/victim/{VERSION}/manifest.json"},
    "a manifest outside the metrics": GOOD | {"manifest": "datasets/fx/versions/v1/manifest.json"},
    "a manifest of another version": GOOD | {"manifest": f"{BASE}2025-01-01T00-00-00/manifest.json"},
    "a version that climbs": GOOD
    | {"version_ts": "../victim/x", "manifest": f"{BASE}../victim/x/manifest.json"},
    "a version that is current": GOOD | {"version_ts": "current", "manifest": CURRENT},
    "a number of rows that no event can carry": GOOD | {"row_count": 2**31},
    "fewer rows than none": GOOD | {"row_count": -1},
    "no time of the request": GOOD | {"requested_at": "whenever"},
    "no time of the commit": GOOD | {"committed_at": ""},
    "a manifest that is not there": GOOD,
}


def put(cloud, key, content):
    obstore.put(cloud.store, key, content if isinstance(content, bytes) else json.dumps(content).encode())


@pytest.fixture(params=["worker", "dead letters"])
def answer(request, invoke, bury):
    return {"worker": invoke, "dead letters": bury}[request.param]


@pytest.fixture(autouse=True)
def dataset(cloud):
    put_a_and_b(cloud.store)


@pytest.mark.parametrize("marker", UNUSABLE.values(), ids=UNUSABLE)
def test_the_run_fails_for_good_and_the_error_names_the_marker_and_the_remedy(cloud, answer, marker):
    put(cloud, MARKER, marker)
    before = cloud.keys(BASE)

    assert answer(record(request())) == NOTHING_COMES_BACK

    (event,) = cloud.sns.events
    assert event["status"] == "FAILURE"
    assert event["error"].startswith(f"OUTPUT_WRITE_ERROR: {MARKER}: ")
    assert event["error"].endswith(REMEDY)
    assert cloud.keys(BASE) == before, "the metric is left as it was"


@pytest.mark.parametrize("marker", UNUSABLE.values(), ids=UNUSABLE)
def test_every_delivery_of_the_message_publishes_the_same_error(cloud, invoke, bury, marker):
    put(cloud, MARKER, marker)

    invoke(record(request()))
    invoke(record(request(), receive_count=2))
    bury(record(request()))
    bury(record(request() | {"output": None}))

    assert len({event["error"] for event in cloud.sns.completed}) == 1
    assert len(cloud.sns.completed) == 4


def test_another_fault_of_the_request_does_not_hide_the_marker(cloud, invoke):
    put(cloud, MARKER, b"?")

    assert invoke(record(request() | {"output": None})) == NOTHING_COMES_BACK

    assert cloud.sns.completed[0]["error"].startswith(f"OUTPUT_WRITE_ERROR: {MARKER}: ")


@pytest.mark.parametrize(
    "manifest",
    [
        f"metrics/victim/{VERSION}/manifest.json",
        "datasets/fx/versions/v2/manifest.json",
        f"{BASE}2025-01-01T00-00-00/manifest.json",
        CURRENT,
    ],
)
def test_a_marker_that_names_a_manifest_elsewhere_is_not_published(cloud, answer, manifest):
    put(cloud, MARKER, GOOD | {"manifest": manifest})
    put(cloud, manifest, OLD)
    before = cloud.keys(BASE)

    assert answer(record(request())) == NOTHING_COMES_BACK

    (event,) = cloud.sns.events
    assert event["status"] == "FAILURE"
    assert f"the marker names '{manifest}', which is no version of the metric" in event["error"]
    assert cloud.keys(BASE) == before


def test_a_manifest_of_another_run_is_not_published(cloud, answer):
    put(cloud, MARKER, GOOD)
    put(cloud, MANIFEST, OLD | {"run_id": "run-2"})

    assert answer(record(request())) == NOTHING_COMES_BACK

    (event,) = cloud.sns.events
    assert event["status"] == "FAILURE"
    assert f"the marker names {MANIFEST}, and that manifest is of another run" in event["error"]
    assert CURRENT not in cloud.keys(BASE)


def test_an_unusable_marker_that_appears_during_the_run_is_not_a_success(cloud, invoke, faults):
    faults.before("PUT", MARKER, lambda: put(cloud, MARKER, b"?"))

    assert invoke(record(request())) == NOTHING_COMES_BACK

    assert [event["status"] for event in cloud.sns.completed] == ["FAILURE"]
    assert CURRENT not in cloud.keys(BASE)


def test_once_the_object_is_removed_the_run_is_computed(cloud, invoke):
    put(cloud, MARKER, b"?")
    invoke(record(request()))

    obstore.delete(cloud.store, MARKER)
    invoke(record(request()))

    assert [event["status"] for event in cloud.sns.completed] == ["FAILURE", "SUCCESS"]


@pytest.mark.parametrize("fault", [throttled, denied])
def test_a_marker_that_cannot_be_read_is_a_transient_error(cloud, answer, faults, fault):
    put(cloud, MARKER, b"?")
    faults.before("GET", MARKER, fault, times=4)

    assert given_back(answer(record(request()))) == ["message-1"]

    assert cloud.sns.events == []


@pytest.mark.parametrize("fault", [throttled, denied])
def test_a_version_that_cannot_be_read_is_a_transient_error(cloud, answer, faults, fault):
    put(cloud, MARKER, GOOD)
    put(cloud, MANIFEST, OLD)
    faults.before("GET", MANIFEST, fault, times=4)

    assert given_back(answer(record(request()))) == ["message-1"]

    assert cloud.sns.events == []


# Markers of the worker's predecessor, which contain only the run id


def test_a_run_of_the_predecessor_that_is_current_is_published(cloud, answer):
    put(cloud, MARKER, {"run_id": "run-1"})
    put(cloud, MANIFEST, OLD)
    put(cloud, CURRENT, OLD)
    before = cloud.keys(BASE)

    assert answer(record(request())) == NOTHING_COMES_BACK

    (event,) = cloud.sns.events
    assert event["status"] == "SUCCESS"
    assert (event["versionTs"], event["outputManifest"], event["rowCount"]) == (VERSION, MANIFEST, 7)
    assert cloud.keys(BASE) == before
    assert cloud.read_json(CURRENT) == OLD


def unlike(**fields):
    return OLD | fields


@pytest.mark.parametrize(
    "current",
    [
        None,
        b"?",
        b"",
        unlike(run_id="run-2"),
        unlike(version_ts="../victim"),
        unlike(row_count=None),
        unlike(row_count=-1),
        unlike(created_at="whenever"),
    ],
)
def test_a_run_of_the_predecessor_that_is_not_current_fails_and_names_the_predecessor(cloud, answer, current):
    put(cloud, MARKER, {"run_id": "run-1"})
    put(cloud, MANIFEST, OLD)
    if current is not None:
        put(cloud, CURRENT, current)

    assert answer(record(request())) == NOTHING_COMES_BACK

    (event,) = cloud.sns.events
    assert event["status"] == "FAILURE"
    assert event["error"].startswith(f"OUTPUT_WRITE_ERROR: {MARKER}: the worker before this one computed")
    assert CURRENT in event["error"]


def test_a_run_of_the_predecessor_without_its_version_is_not_published(cloud, answer):
    put(cloud, MARKER, {"run_id": "run-1"})
    put(cloud, CURRENT, OLD)

    assert answer(record(request())) == NOTHING_COMES_BACK

    assert [event["status"] for event in cloud.sns.events] == ["FAILURE"]

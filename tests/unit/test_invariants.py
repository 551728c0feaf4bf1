"""Each invariant of tests/invariants.py accepts correct states of the system and rejects incorrect ones.

A state is a `Picture` (tests/picture.py): the objects, events and messages that exist at one moment.
"""

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import invariants
from tests.builders import day, parquet, record, request, rows
from tests.picture import Picture

BASE = "metrics/m/"
FIRST, SECOND = "2026-10-30T12-00-00", "2026-10-30T12-00-05"


def version(
    run: str, version_ts: str = FIRST, requested_at: str = "2026-10-30T11:00:00Z", count: int = 3
) -> dict[str, bytes]:
    """Return the objects of a version by key: its data file, its manifest, and the marker of its run.

    Args:
        run: the run id.
        version_ts: the timestamp of the version.
        requested_at: the time of the request, in ISO 8601.
        count: the number of rows.
    """
    table = rows(None, [day(n) for n in range(1, count + 1)], [1.0] * count)
    manifest: dict[str, Any] = {
        "run_id": run,
        "metric_code": "m",
        "version_ts": version_ts,
        "requested_at": requested_at,
        "row_count": count,
        "outputs": {"data_prefix": f"{BASE}{version_ts}/data/", "files": ["metrics.parquet"]},
    }
    marker = {**manifest, "manifest": f"{BASE}{version_ts}/manifest.json"}
    origin = {"run_id": run, "metric_code": "m", "version_ts": version_ts}
    return {
        f"{BASE}{version_ts}/data/metrics.parquet": parquet(table.replace_schema_metadata(origin)),
        marker["manifest"]: json.dumps(manifest).encode(),
        f"{BASE}runs/{run}.ok": json.dumps(marker).encode(),
    }


def published(kind: str, run: str = "r1", attempt: int = 1, number: str = "", **more: Any) -> dict[str, Any]:
    """Return the arguments, without the topic and the group, with which the worker publishes an event to SNS.

    Args:
        kind: the kind of the status event: started, heartbeat or completed.
        run: the run id.
        attempt: the number of the attempt.
        number: the end of the deduplication id of a heartbeat, such as `:1`.
        more: further fields of the event.
    """
    event = {"type": f"metric_run_{kind}", "runId": run, **more}
    name = f"{run}:metric_run_{kind}:{attempt}{number}"
    return {"Message": json.dumps(event), "MessageDeduplicationId": name}


def success(run="r1", version_ts=FIRST, attempt=1, **more):
    manifest = f"{BASE}{version_ts}/manifest.json"
    outcome = {"status": "SUCCESS", "versionTs": version_ts, "outputManifest": manifest, "rowCount": 3}
    return published("completed", run, attempt, **(outcome | more))


def failure(run="r1", attempt=1):
    return published("completed", run, attempt, status="FAILURE", error="INTERNAL_ERROR: x")


def given_up(when):
    return published(
        "completed", status="FAILURE", error=f"INTERNAL_ERROR: gave up after 5 attempts, at {when}"
    )


def current(version_ts=FIRST):
    return f"{BASE}current/manifest.json", f"{BASE}{version_ts}/manifest.json"


def with_current(objects, version_ts=FIRST):
    pointer, manifest = current(version_ts)
    return {**objects, pointer: objects[manifest]}


def changed(picture: Picture, ending: str, **fields: Any) -> Picture:
    """Return a copy of a picture in which some fields of one JSON object in the bucket are changed.

    Args:
        picture: the picture.
        ending: the end of the key of the object; no other key may end with it.
        fields: the new values of the changed fields.
    """
    (key,) = [key for key in picture.objects if key.endswith(ending)]
    body = json.dumps(json.loads(picture.objects[key]) | fields).encode()
    return replace(picture, objects={**picture.objects, key: body})


def without(picture: Picture, ending: str) -> Picture:
    """Return a copy of a picture without the objects whose keys end with `ending`.

    At least one object must have such a key.
    """
    left = {key: body for key, body in picture.objects.items() if not key.endswith(ending)}
    assert len(left) < len(picture.objects)
    return replace(picture, objects=left)


@pytest.fixture
def good() -> Picture:
    """Return a correct picture of four runs of one metric.

    The first run has succeeded, and its version is current. The second has failed, and the third waits in the
    request queue. The message of the fourth is a dead letter.
    """
    return Picture(
        with_current(version("r1")),
        [
            published("started"),
            published("heartbeat", number=":1", progress=0.1),
            published("heartbeat", number=":2", progress=0.5),
            success(),
            failure("r2"),
            success(attempt=2),
        ],
        {"r1": "m", "r2": "m", "r3": "m", "r4": "m"},
        waiting={"r3"},
        dead_letters={"r4"},
    )


@pytest.fixture
def two() -> Picture:
    """Return a correct picture of two versions of a metric; the second was requested later and is current."""
    objects = version("r1") | version("r2", SECOND, "2026-10-30T11:00:09Z")
    return Picture(
        with_current(objects, SECOND),
        [success(), success("r2", SECOND)],
        {"r1": "m", "r2": "m"},
    )


def assert_violated(invariant, *pictures):
    with pytest.raises(AssertionError) as caught:
        invariant(*pictures)
    assert str(caught.value), "the error has no message"


def test_good_pictures_satisfy_every_invariant(good, two):
    invariants.check(good, good)
    invariants.check_when_idle(two)
    invariants.check_when_idle(replace(good, waiting=(), dead_letters={"r3", "r4"}))
    invariants.check(Picture())


@pytest.mark.parametrize("lost", ["data/metrics.parquet", f"{FIRST}/manifest.json", "runs/r1.ok"])
def test_a_current_whose_version_is_incomplete_or_uncommitted_is_found(good, lost):
    assert_violated(invariants.current_names_a_whole_committed_version, without(good, lost))


@pytest.mark.parametrize("fields", [{"row_count": 4}, {"version_ts": SECOND}, {"more": 1}])
def test_a_current_that_differs_from_the_manifest_of_its_version_is_found(good, fields):
    bad = changed(good, "current/manifest.json", **fields)
    assert_violated(invariants.current_names_a_whole_committed_version, bad)


def test_a_current_of_a_version_that_lost_the_race_for_the_marker_is_found(good):
    bad = changed(good, "r1.ok", version_ts=SECOND)
    assert_violated(invariants.current_names_a_whole_committed_version, bad)


@pytest.mark.parametrize("lost", ["data/metrics.parquet", f"{FIRST}/manifest.json"])
def test_a_marker_without_its_manifest_or_data_is_found(good, lost):
    assert_violated(invariants.a_marker_names_a_whole_version, without(good, lost))


@pytest.mark.parametrize(
    "fields",
    [
        {"row_count": 4},
        {"run_id": "r2"},
        {"version_ts": SECOND},
        {"manifest": "metrics/m/x/manifest.json"},
        {"requested_at": "2026-10-30T11:00:01Z"},
    ],
)
def test_a_marker_that_disagrees_with_its_manifest_is_found(good, fields):
    assert_violated(invariants.a_marker_names_a_whole_version, changed(good, "r1.ok", **fields))


@pytest.mark.parametrize("other", [version("r2"), version("r1", count=4)])
def test_a_manifest_with_the_data_of_another_version_is_found(good, other):
    data = f"{BASE}{FIRST}/data/metrics.parquet"
    bad = replace(good, objects={**good.objects, data: other[data]})
    assert_violated(invariants.a_marker_names_a_whole_version, bad)
    assert_violated(invariants.current_names_a_whole_committed_version, bad)


def test_a_current_that_moves_back_or_is_deleted_is_found(two):
    older = replace(two, objects=with_current(two.objects))
    invariants.current_never_goes_back(older, two)
    assert_violated(invariants.current_never_goes_back, two, older)
    assert_violated(invariants.current_never_goes_back, two, without(two, "current/manifest.json"))


@pytest.mark.parametrize("ending", ["runs/r1.ok", f"{FIRST}/manifest.json"])
def test_a_marker_or_manifest_that_changes_is_found(two, ending):
    assert_violated(invariants.published_objects_never_change, two, changed(two, ending, more=1))
    assert_violated(invariants.published_objects_never_change, two, without(two, ending))


def test_a_current_that_is_older_than_a_published_success_is_found(two):
    older = replace(two, objects=with_current(two.objects))
    assert_violated(invariants.current_is_the_newest_request_that_succeeded, older)
    not_announced = replace(older, messages=two.messages[:1])
    invariants.current_is_the_newest_request_that_succeeded(not_announced)


@pytest.mark.parametrize("more", [{"versionTs": SECOND}, {"rowCount": 4}, {"outputManifest": "x"}])
def test_a_success_that_differs_from_the_marker_is_found(good, more):
    assert_violated(invariants.a_success_is_committed, replace(good, messages=[success(**more)]))


def test_a_success_without_a_marker_is_found(good):
    assert_violated(invariants.a_success_is_committed, without(good, "r1.ok"))


def test_two_different_outcomes_of_a_run_are_found(good):
    assert_violated(invariants.a_run_has_one_outcome, replace(good, messages=[success(), failure(attempt=2)]))
    assert_violated(
        invariants.a_run_has_one_outcome, replace(good, messages=[success(), success(rowCount=4)])
    )
    assert_violated(invariants.a_run_has_one_outcome, replace(good, messages=[success(), given_up("1")]))
    assert_violated(invariants.a_run_has_one_outcome, replace(good, messages=[given_up("1"), given_up("2")]))
    invariants.a_run_has_one_outcome(replace(good, messages=[failure(), given_up("1"), given_up("1")]))


@pytest.mark.parametrize(
    "late", [published("heartbeat", number=":3", progress=1), published("started"), success()]
)
def test_an_event_after_completed_is_found(good, late):
    assert_violated(invariants.nothing_follows_completed, replace(good, messages=[success(), late]))


def test_progress_that_decreases_is_found(good):
    beats = [published("heartbeat", number=f":{n}", progress=p) for n, p in ((1, 0.5), (2, 0.4))]
    assert_violated(invariants.progress_never_falls, replace(good, messages=beats))


def test_an_outcome_with_the_deduplication_id_of_another_is_found(good):
    assert_violated(invariants.the_topic_drops_no_outcome, replace(good, messages=[failure(), success()]))


def test_a_message_that_was_deleted_without_an_outcome_is_found(good):
    assert_violated(invariants.a_deleted_message_left_an_outcome, replace(good, waiting=()))
    assert_violated(invariants.a_deleted_message_left_an_outcome, replace(good, dead_letters=()))
    assert_violated(invariants.a_deleted_message_left_an_outcome, replace(good, messages=[]))


def test_a_request_queue_that_is_not_empty_is_found(good):
    assert_violated(invariants.the_request_queue_is_empty, good)


def test_a_group_that_continues_after_a_failure_is_found(good):
    batch = [
        record(request(run_id=run, metric="m"), message_id=f"of-{run}", group=group)
        for run, group in [("r1", "m"), ("r2", "m"), ("x1", "x")]
    ]
    before = replace(good, messages=[], objects={})
    untouched = invariants.after_a_failure_the_rest_of_its_group_is_untouched

    untouched(batch, set(), before, replace(before, messages=[success(), failure("r2")]))
    untouched(
        batch, {"of-r1", "of-r2"}, before, replace(before, messages=[published("started"), success("x1")])
    )
    untouched(batch, {"of-r2"}, before, replace(before, messages=[failure("r2")], objects=version("r2")))
    assert_violated(untouched, batch, {"of-r1"}, before, before)
    assert_violated(
        untouched, batch, {"of-r1", "of-r2"}, before, replace(before, messages=[published("started", "r2")])
    )
    for key, body in version("r2").items():
        assert_violated(untouched, batch, {"of-r1", "of-r2"}, before, replace(before, objects={key: body}))


def test_a_thread_that_is_left_is_found():
    before = threading.enumerate()
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    assert_violated(invariants.no_thread_is_left, before, threading.enumerate())
    over.set()
    thread.join()
    invariants.no_thread_is_left(before, threading.enumerate())


def test_every_invariant_is_violated_by_a_test_of_this_module():
    source = Path(__file__).read_text()
    for invariant in (*invariants.ALWAYS, *invariants.OVER_TIME, *invariants.WHEN_IDLE):
        assert f"assert_violated(invariants.{invariant.__name__}" in source, invariant.__name__

"""Each promise is kept by a good picture, and a bad one breaks it."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests import invariants
from tests.builders import day, parquet, record, request, rows
from tests.picture import Picture

BASE = "metrics/m/"
FIRST, SECOND = "2026-10-30T12-00-00", "2026-10-30T12-00-05"


def version(run, version_ts=FIRST, asked="2026-10-30T11:00:00Z", count=3):
    """A whole version with its marker, as objects by key."""
    table = rows(None, [day(n) for n in range(1, count + 1)], [1.0] * count)
    manifest = {
        "run_id": run,
        "metric_code": "m",
        "version_ts": version_ts,
        "requested_at": asked,
        "row_count": count,
        "outputs": {"data_prefix": f"{BASE}{version_ts}/data/", "files": ["metrics.parquet"]},
    }
    marker = {**manifest, "manifest": f"{BASE}{version_ts}/manifest.json"}
    who = {"run_id": run, "metric_code": "m", "version_ts": version_ts}
    return {
        f"{BASE}{version_ts}/data/metrics.parquet": parquet(table.replace_schema_metadata(who)),
        marker["manifest"]: json.dumps(manifest).encode(),
        f"{BASE}runs/{run}.ok": json.dumps(marker).encode(),
    }


def said(kind, run="r1", attempt=1, number="", **more):
    event = {"type": f"metric_run_{kind}", "runId": run, **more}
    name = f"{run}:metric_run_{kind}:{attempt}{number}"
    return {"Message": json.dumps(event), "MessageDeduplicationId": name}


def success(run="r1", version_ts=FIRST, attempt=1, **more):
    manifest = f"{BASE}{version_ts}/manifest.json"
    outcome = {"status": "SUCCESS", "versionTs": version_ts, "outputManifest": manifest, "rowCount": 3}
    return said("completed", run, attempt, **(outcome | more))


def failure(run="r1", attempt=1):
    return said("completed", run, attempt, status="FAILURE", error="INTERNAL_ERROR: x")


def given_up(when):
    return said("completed", status="FAILURE", error=f"INTERNAL_ERROR: gave up after 5 attempts, at {when}")


def current(version_ts=FIRST):
    return f"{BASE}current/manifest.json", f"{BASE}{version_ts}/manifest.json"


def with_current(objects, version_ts=FIRST):
    pointer, manifest = current(version_ts)
    return {**objects, pointer: objects[manifest]}


def changed(picture, ending, **fields):
    """The same picture with other fields in the JSON object whose key ends so."""
    (key,) = [key for key in picture.objects if key.endswith(ending)]
    body = json.dumps(json.loads(picture.objects[key]) | fields).encode()
    return replace(picture, objects={**picture.objects, key: body})


def without(picture, ending):
    left = {key: body for key, body in picture.objects.items() if not key.endswith(ending)}
    assert len(left) < len(picture.objects)
    return replace(picture, objects=left)


@pytest.fixture
def good():
    """A run that is asked for, committed, current and announced; another that failed, and one that waits."""
    return Picture(
        with_current(version("r1")),
        [
            said("started"),
            said("heartbeat", number=":1", progress=0.1),
            said("heartbeat", number=":2", progress=0.5),
            success(),
            failure("r2"),
            success(attempt=2),
        ],
        {"r1": "m", "r2": "m", "r3": "m", "r4": "m"},
        waiting={"r3"},
        dead_letters={"r4"},
    )


@pytest.fixture
def two():
    """Two versions, of which the second is asked for later and current."""
    objects = version("r1") | version("r2", SECOND, "2026-10-30T11:00:09Z")
    return Picture(
        with_current(objects, SECOND),
        [success(), success("r2", SECOND)],
        {"r1": "m", "r2": "m"},
    )


def broken(promise, *pictures):
    with pytest.raises(AssertionError) as caught:
        promise(*pictures)
    assert str(caught.value), "it does not say what is wrong"


def test_good_pictures_keep_every_promise(good, two):
    invariants.check(good, good)
    invariants.check_when_idle(two)
    invariants.check_when_idle(replace(good, waiting=(), dead_letters={"r3", "r4"}))
    invariants.check(Picture())


@pytest.mark.parametrize("lost", ["data/metrics.parquet", f"{FIRST}/manifest.json", "runs/r1.ok"])
def test_a_current_whose_version_is_not_whole_or_not_committed_is_found(good, lost):
    broken(invariants.current_names_a_whole_committed_version, without(good, lost))


@pytest.mark.parametrize("fields", [{"row_count": 4}, {"version_ts": SECOND}, {"more": 1}])
def test_a_current_that_is_not_its_versions_manifest_is_found(good, fields):
    bad = changed(good, "current/manifest.json", **fields)
    broken(invariants.current_names_a_whole_committed_version, bad)


def test_a_current_of_a_version_that_lost_the_race_for_the_marker_is_found(good):
    bad = changed(good, "r1.ok", version_ts=SECOND)
    broken(invariants.current_names_a_whole_committed_version, bad)


@pytest.mark.parametrize("lost", ["data/metrics.parquet", f"{FIRST}/manifest.json"])
def test_a_marker_without_its_manifest_or_data_is_found(good, lost):
    broken(invariants.a_marker_names_a_whole_version, without(good, lost))


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
    broken(invariants.a_marker_names_a_whole_version, changed(good, "r1.ok", **fields))


@pytest.mark.parametrize("other", [version("r2"), version("r1", count=4)])
def test_a_manifest_with_the_data_of_another_is_found(good, other):
    data = f"{BASE}{FIRST}/data/metrics.parquet"
    bad = replace(good, objects={**good.objects, data: other[data]})
    broken(invariants.a_marker_names_a_whole_version, bad)
    broken(invariants.current_names_a_whole_committed_version, bad)


def test_a_current_that_goes_back_or_away_is_found(two):
    older = replace(two, objects=with_current(two.objects))
    invariants.current_never_goes_back(older, two)
    broken(invariants.current_never_goes_back, two, older)
    broken(invariants.current_never_goes_back, two, without(two, "current/manifest.json"))


@pytest.mark.parametrize("ending", ["runs/r1.ok", f"{FIRST}/manifest.json"])
def test_a_marker_or_manifest_that_changes_is_found(two, ending):
    broken(invariants.what_is_published_stays_as_it_is, two, changed(two, ending, more=1))
    broken(invariants.what_is_published_stays_as_it_is, two, without(two, ending))


def test_a_current_that_stayed_behind_is_found(two):
    older = replace(two, objects=with_current(two.objects))
    broken(invariants.current_is_the_newest_request_that_succeeded, older)
    not_announced = replace(older, messages=two.messages[:1])
    invariants.current_is_the_newest_request_that_succeeded(not_announced)


@pytest.mark.parametrize("more", [{"versionTs": SECOND}, {"rowCount": 4}, {"outputManifest": "x"}])
def test_a_success_that_says_another_thing_than_the_marker_is_found(good, more):
    broken(invariants.a_success_is_committed, replace(good, messages=[success(**more)]))


def test_a_success_that_is_not_committed_is_found(good):
    broken(invariants.a_success_is_committed, without(good, "r1.ok"))


def test_two_outcomes_of_a_run_are_found(good):
    broken(invariants.a_run_has_one_outcome, replace(good, messages=[success(), failure(attempt=2)]))
    broken(invariants.a_run_has_one_outcome, replace(good, messages=[success(), success(rowCount=4)]))
    broken(invariants.a_run_has_one_outcome, replace(good, messages=[success(), given_up("1")]))
    broken(invariants.a_run_has_one_outcome, replace(good, messages=[given_up("1"), given_up("2")]))
    invariants.a_run_has_one_outcome(replace(good, messages=[failure(), given_up("1"), given_up("1")]))


@pytest.mark.parametrize("late", [said("heartbeat", number=":3", progress=1), said("started"), success()])
def test_an_event_after_completed_is_found(good, late):
    broken(invariants.nothing_follows_completed, replace(good, messages=[success(), late]))


def test_a_progress_that_falls_is_found(good):
    beats = [said("heartbeat", number=f":{n}", progress=p) for n, p in ((1, 0.5), (2, 0.4))]
    broken(invariants.progress_never_falls, replace(good, messages=beats))


def test_an_outcome_that_the_topic_drops_is_found(good):
    broken(invariants.the_topic_drops_no_outcome, replace(good, messages=[failure(), success()]))


def test_a_message_that_vanished_is_found(good):
    broken(invariants.a_message_that_is_gone_left_an_outcome, replace(good, waiting=()))
    broken(invariants.a_message_that_is_gone_left_an_outcome, replace(good, dead_letters=()))
    broken(invariants.a_message_that_is_gone_left_an_outcome, replace(good, messages=[]))


def test_a_queue_that_is_not_quiet_is_found(good):
    broken(invariants.nothing_waits, good)


def test_a_group_that_goes_on_after_a_failure_is_found(good):
    batch = [
        record(request(run_id=run, metric="m"), message_id=f"of-{run}", group=group)
        for run, group in [("r1", "m"), ("r2", "m"), ("x1", "x")]
    ]
    before = replace(good, messages=[], objects={})
    alone = invariants.after_a_failure_its_group_is_left_alone

    alone(batch, set(), before, replace(before, messages=[success(), failure("r2")]))
    alone(batch, {"of-r1", "of-r2"}, before, replace(before, messages=[said("started"), success("x1")]))
    alone(batch, {"of-r2"}, before, replace(before, messages=[failure("r2")], objects=version("r2")))
    broken(alone, batch, {"of-r1"}, before, before)
    broken(alone, batch, {"of-r1", "of-r2"}, before, replace(before, messages=[said("started", "r2")]))
    for key, body in version("r2").items():
        broken(alone, batch, {"of-r1", "of-r2"}, before, replace(before, objects={key: body}))


def test_a_thread_that_is_left_is_found():
    before = threading.enumerate()
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    broken(invariants.no_thread_is_left, before, threading.enumerate())
    over.set()
    thread.join()
    invariants.no_thread_is_left(before, threading.enumerate())


def test_every_promise_has_been_broken_here():
    source = Path(__file__).read_text()
    for promise in (*invariants.ALWAYS, *invariants.OVER_TIME, *invariants.WHEN_IDLE):
        assert f"broken(invariants.{promise.__name__}" in source, promise.__name__

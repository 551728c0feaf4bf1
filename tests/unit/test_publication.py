from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import obstore
import pytest

from metrics_worker.errors import OutOfTime, OutputWriteError, StoreUnavailable, UnusableMarker
from metrics_worker.publication.commit import Draft, commit
from metrics_worker.publication.current import (
    Committed,
    RunState,
    find_marker,
    move_current,
    read_state,
    version_of,
)
from metrics_worker.publication.records import Keys, Marker
from metrics_worker.publication.versions import MAX_TRIES
from metrics_worker.request import Run
from metrics_worker.series import Series
from tests.builders import NOW
from tests.faulty_store import CURRENT, DATA, MARKER, Faults, denied

KEYS = Keys("metrics/m/")


def run_of(run_id="run-1", requested_at=NOW):
    return Run(run_id, "m", v1=False, requested_at=requested_at, event={})


def draft_of(run=None, values=(1.0, 2.0)):
    series = Series(np.arange(len(values), dtype=np.int64), np.array(values, dtype=np.float64))
    return Draft(run or run_of(), KEYS, series, {"series_code": "A"}, [], "snappy")


def no_checkpoint() -> None:
    """Do nothing, so that the commit, which calls this function before each write, is never stopped."""


def publish(cloud, run=None, now=NOW):
    committed = commit(cloud.bucket, draft_of(run), lambda: now, no_checkpoint)
    return committed, move_current(cloud.bucket, KEYS, committed)


@pytest.fixture
def faults(monkeypatch):
    return Faults.install(monkeypatch)


def test_a_committed_run_has_a_marker(cloud):
    assert find_marker(cloud.bucket, KEYS, run_of()) is None

    committed = commit(cloud.bucket, draft_of(), lambda: NOW, no_checkpoint)

    assert find_marker(cloud.bucket, KEYS, run_of()) == committed.marker
    assert cloud.read(committed.marker.manifest) == committed.manifest
    assert find_marker(cloud.bucket, KEYS, run_of("another")) is None


def test_the_marker_is_written_after_the_objects_that_it_names(cloud, faults):
    commit(cloud.bucket, draft_of(), lambda: NOW, no_checkpoint)

    assert [key for operation, key in faults.calls if operation == "PUT"] == [
        "metrics/m/2026-10-30T12-00-00/data/metrics.parquet",
        "metrics/m/2026-10-30T12-00-00/manifest.json",
        "metrics/m/runs/run-1.ok",
    ]


@pytest.mark.parametrize("allowed", range(3))
def test_the_deadline_is_checked_before_each_write(cloud, faults, allowed):
    def checkpoint():
        if faults.count("PUT", "*") == allowed:
            raise OutOfTime("invocation", "0.1 s left")

    with pytest.raises(OutOfTime):
        commit(cloud.bucket, draft_of(), lambda: NOW, checkpoint)

    assert faults.count("PUT", "*") == allowed
    assert find_marker(cloud.bucket, KEYS, run_of()) is None


def test_a_version_that_another_run_has_costs_one_request(cloud, faults):
    for second in range(3):
        version = f"2026-10-30T12-00-0{second}"
        obstore.put(cloud.store, KEYS.data(version), b"taken")

    committed = commit(cloud.bucket, draft_of(), lambda: NOW, no_checkpoint)

    assert committed.marker.version_ts == "2026-10-30T12-00-03"
    assert faults.count("PUT", DATA) == 4


@pytest.mark.parametrize(
    ("newest", "version"),
    [
        ("2026-10-30T12-00-00", "2026-10-30T12-00-01"),
        ("2026-10-30T12-00-07", "2026-10-30T12-00-08"),
        ("2026-10-30T12-00-58", "2026-10-30T12-00-59"),
        ("2026-10-30T11-59-59", "2026-10-30T12-00-00"),
        ("2026-10-30T12-00-59", "2026-10-30T12-00-00"),
        ("2027-01-01T00-00-00", "2026-10-30T12-00-00"),
        ("not a version", "2026-10-30T12-00-00"),
        ("", "2026-10-30T12-00-00"),
    ],
)
def test_the_search_for_a_free_version_begins_after_the_newest_known_one(cloud, newest, version):
    draft = replace(draft_of(), newest=(newest,))
    committed = commit(cloud.bucket, draft, lambda: NOW + timedelta(milliseconds=999), no_checkpoint)
    assert committed.marker.version_ts == version


def test_a_burst_of_runs_of_one_metric_tries_no_version_twice(cloud, faults):
    for number in range(40):
        state = read_state(cloud.bucket, KEYS, run_of(f"run-{number}"))
        run = run_of(f"run-{number}", NOW + timedelta(seconds=number))
        draft = replace(draft_of(run), newest=(version_of(state.current),))
        committed = commit(cloud.bucket, draft, lambda: NOW, no_checkpoint)
        move_current(cloud.bucket, KEYS, committed, state)
    assert faults.count("PUT", DATA) == 40


def test_the_next_version_after_the_last_second_of_a_day_is_on_the_next_day(cloud):
    last = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    obstore.put(cloud.store, KEYS.data("2026-12-31T23-59-59"), b"taken")

    committed = commit(cloud.bucket, draft_of(), lambda: last, no_checkpoint)

    assert committed.marker.version_ts == "2027-01-01T00-00-00"


def test_a_run_returns_if_all_versions_are_taken(cloud):
    for second in range(MAX_TRIES):
        version = (NOW + timedelta(seconds=second)).strftime("%Y-%m-%dT%H-%M-%S")
        obstore.put(cloud.store, KEYS.data(version), b"taken")

    with pytest.raises(StoreUnavailable, match="metrics/m/"):
        commit(cloud.bucket, draft_of(), lambda: NOW, no_checkpoint)


def test_a_second_commit_of_a_run_returns_the_first_marker(cloud):
    first = commit(cloud.bucket, draft_of(), lambda: NOW, no_checkpoint)

    second = commit(cloud.bucket, draft_of(values=(3.0,)), lambda: NOW + timedelta(hours=1), no_checkpoint)

    assert second == Committed(first.marker)  # This attempt has not written the manifest.
    assert find_marker(cloud.bucket, KEYS, run_of()) == first.marker


@pytest.mark.parametrize("body", [b"", b"{}", b"?", b'{"run_id": "run-1"}'])
def test_a_marker_that_cannot_be_parsed_is_an_error(cloud, body):
    obstore.put(cloud.store, KEYS.marker("run-1"), body)

    with pytest.raises(UnusableMarker, match=r"runs/run-1\.ok"):
        find_marker(cloud.bucket, KEYS, run_of())


def test_a_marker_that_may_not_be_read_is_an_output_write_error(cloud, faults):
    faults.before("GET", MARKER, denied)

    with pytest.raises(OutputWriteError, match=r"runs/run-1\.ok"):
        find_marker(cloud.bucket, KEYS, run_of())


def test_a_marker_may_have_fields_that_this_worker_does_not_know(cloud):
    committed, _ = publish(cloud)
    body = committed.marker.model_dump() | {"run_id": "run-2", "fingerprint": "…"}
    obstore.put(cloud.store, KEYS.marker("run-2"), Marker.model_construct(**body).model_dump_json().encode())

    found = find_marker(cloud.bucket, KEYS, run_of("run-2"))

    assert found is not None
    assert found.version_ts == committed.marker.version_ts


def test_current_moves_only_to_newer_requests(cloud):
    _, first = publish(cloud, run_of("1", NOW))
    _, older = publish(cloud, run_of("2", NOW - timedelta(milliseconds=1)))
    assert (first, older) == (True, False)
    assert cloud.read_json(KEYS.current)["run_id"] == "1"

    _, newer = publish(cloud, run_of("3", NOW + timedelta(milliseconds=1)))

    assert newer
    assert cloud.read_json(KEYS.current)["run_id"] == "3"


def test_moving_current_a_second_time_writes_nothing_and_returns_true(cloud, faults):
    committed, _ = publish(cloud)
    faults.calls.clear()

    assert move_current(cloud.bucket, KEYS, committed)
    assert move_current(cloud.bucket, KEYS, Committed(committed.marker))

    assert faults.count("PUT", "*") == 0


def test_the_marker_and_current_are_read_concurrently(cloud, faults):
    assert read_state(cloud.bucket, KEYS, run_of()) == RunState(None, None)

    committed, _ = publish(cloud)
    faults.calls.clear()
    state = read_state(cloud.bucket, KEYS, run_of())

    assert state.marker == committed.marker
    assert state.current is not None
    assert bytes(state.current.body) == committed.manifest
    assert set(faults.calls) == {("GET", KEYS.marker("run-1")), ("GET", KEYS.current)}
    assert len(faults.calls) == 2


def test_a_current_that_has_not_moved_since_it_was_read_costs_one_request(cloud, faults):
    publish(cloud, run_of("1", NOW))
    committed = commit(cloud.bucket, draft_of(run_of("2", NOW + timedelta(1))), lambda: NOW, no_checkpoint)
    state = read_state(cloud.bucket, KEYS, run_of("2"))
    faults.calls.clear()

    assert move_current(cloud.bucket, KEYS, committed, state)

    assert faults.calls == [("PUT", KEYS.current)]
    assert cloud.read_json(KEYS.current)["run_id"] == "2"


@pytest.mark.parametrize("before", [None, "0"])
@pytest.mark.parametrize(("later", "moves"), [(-1, True), (1, False)])
def test_a_current_that_has_moved_since_it_was_read_is_read_again(cloud, before, later, moves):
    if before:
        publish(cloud, run_of(before, NOW - timedelta(hours=1)))
    state = read_state(cloud.bucket, KEYS, run_of("1"))
    publish(cloud, run_of("another", NOW + timedelta(seconds=later)))
    committed = commit(cloud.bucket, draft_of(run_of("1")), lambda: NOW, no_checkpoint)

    assert move_current(cloud.bucket, KEYS, committed, state) is moves

    assert cloud.read_json(KEYS.current)["run_id"] == ("1" if moves else "another")


def test_a_time_without_a_zone_in_current_is_utc(cloud):
    old = b'{"version_ts": "2026-10-30T12-00-00", "created_at": "2026-10-30T12:00:00"}'
    obstore.put(cloud.store, KEYS.current, old)

    _, earlier = publish(cloud, run_of("1", NOW - timedelta(seconds=1)))
    assert not earlier
    _, later = publish(cloud, run_of("2", NOW + timedelta(seconds=1)))
    assert later


def test_a_run_returns_if_others_keep_moving_current(cloud, faults):
    publish(cloud, run_of("0", NOW - timedelta(hours=2)))

    def another_moves():
        body = f'{{"version_ts": "v", "requested_at": "2026-10-30T11:00:00Z", "n": {len(faults.calls)}}}'
        obstore.put(cloud.store, KEYS.current, body.encode())

    faults.before("PUT", CURRENT, another_moves, times=10_000)

    with pytest.raises(StoreUnavailable, match="current"):
        publish(cloud, run_of("1"))


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd"])
def test_the_deadline_is_checked_before_each_row_group_of_a_long_series(cloud, monkeypatch, compression):
    monkeypatch.setattr("metrics_worker.publication.commit.ROW_GROUP", 3)
    long = Series(np.arange(10), np.arange(10.0))
    draft = Draft(run_of(), KEYS, long, {"series_code": "A"}, [], compression)
    checked = []

    done = commit(cloud.bucket, draft, lambda: NOW, lambda: checked.append(1))

    assert len(checked) == 4 + 3  # one check for each of four row groups and three objects
    table = cloud.read_table(KEYS.data(done.marker.version_ts))
    assert table["value"].to_pylist() == list(range(10))

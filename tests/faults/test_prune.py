"""`metrics prune` deletes no version to which another object refers.

This is also true if a call fails, or if another run commits at the same time.
"""

import json
from datetime import UTC, datetime, timedelta

import obstore
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.exceptions import GenericError
from obstore.store import MemoryStore

from metrics_tools import pruning
from metrics_tools.pruning import delete, find_unreferenced
from metrics_worker.dataset.snapshot import EMPTY, PartFiles, Snapshot, Subject, encode
from metrics_worker.errors import StoreUnavailable
from metrics_worker.publication.records import Keys, Marker, snapshot
from metrics_worker.s3.s3_bucket import S3Bucket
from tests.builders import BUCKET

KEYS = Keys("metrics/m/")
PARTS = "datasets/fx/projections/"
LATER = datetime.now(UTC) + timedelta(days=2)
"""A time before which every object of these tests was written."""
AT = "2026-10-30T12:00:00Z"
STATES = ("data", "data and manifest", "committed", "previous worker", "damaged manifest", "lost race")


def version(number):
    return f"2026-10-30T12-00-{number:02}"


def put(store, key, document):
    obstore.put(store, key, document if isinstance(document, bytes) else json.dumps(document).encode())


def commit(store, number: int, *, run: str | None = None) -> None:
    """Write the marker of a run of the metric `m`.

    Args:
        store: the obstore store of the bucket.
        number: the number of the version that the marker names; `version` derives the timestamp from it.
        run: the run id; by default, `run-` and the number.
    """
    run = run or f"run-{number}"
    marker = Marker(
        run_id=run,
        metric_code="m",
        version_ts=version(number),
        manifest=KEYS.manifest(version(number)),
        row_count=1,
        requested_at=AT,
        committed_at=AT,
    )
    put(store, KEYS.marker(run), marker.encode())


def put_version(store, number: int, state: str) -> None:
    """Write the objects of a version of the metric `m`.

    Args:
        store: the obstore store of the bucket.
        number: the number of the version, from which `version` derives the timestamp.
        state: what is written, in addition to the data file: nothing (`data`), the manifest (`data and
            manifest`), the manifest and the marker (`committed`), a manifest without the time of the request
            (`previous worker`), an invalid manifest (`damaged manifest`), or the manifest and the marker of
            the same run for another version (`lost race`).
    """
    put(store, KEYS.data(version(number)), b"rows")
    manifest = {
        "run_id": f"run-{number}",
        "version_ts": version(number),
        "requested_at": "2026-10-30T12:00:00Z",
    }
    if state == "previous worker":
        del manifest["requested_at"]
    if state != "data":
        put(store, KEYS.manifest(version(number)), b"{" if state == "damaged manifest" else manifest)
    if state == "committed":
        commit(store, number)
    if state == "lost race":
        put_version(store, number + 30, "data")
        commit(store, number + 30, run=f"run-{number}")


def keys_of(store):
    return {found["path"] for found in obstore.list(store).collect()}


def found_in(store, before=LATER):
    return list(find_unreferenced(S3Bucket(store, BUCKET), "metrics/", before=before))


def prune(store, before: datetime = LATER) -> dict[str, str]:
    """Delete all unreferenced versions and useless snapshots that were written before a time.

    Args:
        store: the obstore store of the bucket.
        before: the time; by default, one after the last write of any test.

    Returns:
        For each version (by its key prefix) and snapshot (by its key) that was found but not deleted, the
        reason why it was kept.
    """
    bucket = S3Bucket(store, BUCKET)
    return {
        one.where: kept for one in found_in(store, before) if (kept := delete(bucket, one, before=before))
    }


@settings(max_examples=60, deadline=None)
@given(
    states=st.lists(st.sampled_from(STATES), min_size=1, max_size=6),
    current=st.sampled_from([None, "missing", "damaged", 0, 1]),
    has_unreadable=st.booleans(),
)
def test_only_versions_that_nothing_can_refer_to_are_deleted(states, current, has_unreadable):
    store = MemoryStore()
    for number, state in enumerate(states):
        put_version(store, number, state)
    if isinstance(current, int):
        put(store, KEYS.current, {"run_id": f"run-{current}", "version_ts": version(current)})
    elif current == "damaged":
        put(store, KEYS.current, b"{")
    if has_unreadable:
        put(store, KEYS.marker("run-x"), {"run_id": "run-x"})
    before = keys_of(store)
    prune(store)
    gone = {key.split("/")[2] for key in before - keys_of(store)}
    expected = set()
    for number, state in enumerate(states):
        has_manifest = state in {"data and manifest", "lost race"}
        is_free = has_manifest or (state in {"data", "damaged manifest"} and not has_unreadable)
        if is_free and current not in {number, "damaged"}:
            expected.add(version(number))
    assert gone == expected
    assert not any("/runs/" in key or "/current/" in key for key in before - keys_of(store))
    assert {key for key in before if key.split("/")[2] in gone}.isdisjoint(keys_of(store))


@pytest.fixture
def store():
    made = MemoryStore()
    for number, state in enumerate(STATES):
        put_version(made, number, state)
    put(made, KEYS.current, {"run_id": "run-2", "version_ts": version(2)})
    return made


def test_nothing_younger_than_the_age_is_deleted(store):
    before = keys_of(store)
    kept = prune(store, before=datetime.now(UTC) - timedelta(days=1))
    assert keys_of(store) == before
    assert "it is too young" in set(kept.values())


def interrupted(monkeypatch, after: int) -> list[str]:
    """Let the deletions of `metrics prune` fail from now on, after `after` objects have been deleted.

    Returns:
        The list to which the key of each deleted object is added.
    """
    made: list[str] = []

    def failing(store, key):
        if len(made) == after:
            raise GenericError("connection closed")
        made.append(key)
        obstore.delete(store, key)

    class Failing:
        delete, list = staticmethod(failing), staticmethod(obstore.list)

    monkeypatch.setattr(pruning, "obstore", Failing)
    return made


@pytest.mark.parametrize("after", range(6))
def test_an_interrupted_prune_leaves_states_of_a_killed_worker_and_can_be_repeated(store, monkeypatch, after):
    with monkeypatch.context() as patch:
        made = interrupted(patch, after)
        with pytest.raises(StoreUnavailable, match="DELETE"):
            prune(store)
    assert len(made) == after
    left = keys_of(store)
    for number in range(len(STATES)):
        # A version with a manifest still has its data, because the manifest is deleted first.
        assert KEYS.manifest(version(number)) not in left or KEYS.data(version(number)) in left
    prune(store)
    versions = {key.split("/")[2] for key in keys_of(store) if "/2" in key}
    assert versions == {version(2), version(3), version(35)}


def test_a_run_that_commits_after_the_listing_of_the_objects_keeps_its_version(store, monkeypatch):
    listed = pruning._listed

    def listing(bucket, where):
        found = listed(bucket, where)
        commit(store, 1)
        return found

    monkeypatch.setattr(pruning, "_listed", listing)
    assert f"metrics/m/{version(1)}/" not in {one.where for one in found_in(store)}


def test_a_run_that_commits_after_the_list_was_shown_keeps_its_version(store):
    bucket, before = S3Bucket(store, BUCKET), keys_of(store)
    (one,) = [found for found in found_in(store) if version(1) in found.where]
    assert not one.kept
    commit(store, 1)
    assert delete(bucket, one, before=LATER) == "a marker names it"
    assert before <= keys_of(store)


def test_a_version_that_became_current_or_was_written_again_after_the_list_is_kept(store):
    bucket = S3Bucket(store, BUCKET)
    (one,) = [found for found in found_in(store) if version(1) in found.where]
    assert delete(bucket, one, before=datetime.now(UTC) - timedelta(days=1)) == "it has changed meanwhile"
    put(store, KEYS.current, {"run_id": "run-1", "version_ts": version(1)})
    assert delete(bucket, one, before=LATER) == "current names it"
    assert KEYS.data(version(1)) in keys_of(store)


def test_two_prunes_at_the_same_time_do_no_harm(store):
    bucket = S3Bucket(store, BUCKET)
    first, second = found_in(store), found_in(store)
    for one in (*first, *second):
        delete(bucket, one, before=LATER)
    assert found_in(store) == [one for one in first if one.kept]


def put_snapshot(store, code, keys):
    subject = Subject(PARTS, code, by_path=True)
    rows = [0] * len(keys)
    files = PartFiles(keys, [f"etag-{key}" for key in keys], rows, rows, rows)
    key = snapshot("metrics/", projections=subject.projections, code=code)
    put(store, key, encode(Snapshot(files, EMPTY.times, EMPTY.values), subject))
    return key


def test_snapshots_are_deleted_if_no_part_file_exists_or_they_cannot_be_decoded():
    store = MemoryStore()
    for name in ("A/1.parquet", "B/1.parquet"):
        put(store, f"{PARTS}{name}", b"rows")
    used = put_snapshot(store, "A", [f"{PARTS}A/1.parquet", f"{PARTS}A/2.parquet"])
    useless = put_snapshot(store, "C", [f"{PARTS}C/1.parquet"])
    damaged = put_snapshot(store, "B", [f"{PARTS}B/1.parquet"])
    put(store, damaged, bytes(obstore.get(store, damaged).bytes())[:-1] + b"x")
    put(store, "metrics/_snapshots/other.snapshot", b"another format")
    found = {one.where: one.why for one in found_in(store)}
    assert set(found) == {useless, damaged, "metrics/_snapshots/other.snapshot"}
    assert "none of the 1 part files of C exists" in found[useless]
    assert set(prune(store, before=datetime.now(UTC) - timedelta(days=1))) == set(found)
    assert prune(store) == {}
    assert {key for key in keys_of(store) if "_snapshots" in key} == {used}

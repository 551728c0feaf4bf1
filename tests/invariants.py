"""The invariants of the worker (sections 5 to 7 of its contract), one function each.

Each function raises an AssertionError if its invariant is violated. They check a `Picture`: everything that
is visible from outside at one moment, in the bucket, on the topics and in the queues. The functions in
`ALWAYS` hold for every picture, those in `OVER_TIME` for an earlier and a later picture, and those in
`WHEN_IDLE` for a picture that is taken when the request queue is empty. For each of them,
`tests/unit/test_invariants.py` has a picture that violates it.
"""

import io
import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import cache
from threading import Thread

import pyarrow.parquet as pq

from tests.builders import BUCKET
from tests.picture import COMPLETED, Json, Picture, event_of, parsed

__all__ = ["Picture"]  # what the promises are about; they themselves are called by their module

HEARTBEAT = "metric_run_heartbeat"


# Versions


def current_names_a_whole_committed_version(picture: Picture) -> None:
    for base, body in picture.currents():
        current = parsed(body)
        manifest = f"{base}{current['version_ts']}/manifest.json"
        copied = picture.objects.get(manifest)
        if "rolled_back_at" in current:
            current = {name: value for name, value in current.items() if not name.startswith("rolled_back_")}
            assert copied is not None, f"{base}current was rolled back to {manifest}, which is not there"
            assert parsed(copied) == current, f"{base}current is no copy of {manifest} after a rollback"
        else:
            assert copied == body, f"{base}current is no copy of {manifest}"
        _is_whole(picture, base, current)
        marker = picture.marker(current["run_id"])
        assert marker, f"{base}current names run {current['run_id']}, which is not committed"
        assert marker["version_ts"] == current["version_ts"], (
            f"{base}current names {current['version_ts']}, the marker {marker['version_ts']}"
        )


def a_marker_names_a_whole_version(picture: Picture) -> None:
    for run, metric in picture.requested.items():
        marker = picture.marker(run)
        if marker is None:
            continue
        base = f"metrics/{metric}/"
        assert marker["manifest"] == f"{base}{marker['version_ts']}/manifest.json", f"{run}: {marker}"
        assert marker["manifest"] in picture.objects, f"{run} is committed without {marker['manifest']}"
        manifest = parsed(picture.objects[marker["manifest"]])
        for name in ("run_id", "metric_code", "version_ts", "row_count", "requested_at"):
            assert manifest[name] == marker[name], f"{run}: the manifest's {name} is not the marker's"
        assert (marker["run_id"], marker["metric_code"]) == (run, metric), f"{run}: the marker is another's"
        _is_whole(picture, base, manifest)


def current_never_goes_back(before: Picture, after: Picture) -> None:
    now = dict(after.currents())
    for base, body in before.currents():
        assert base in now, f"{base}current is gone"
        assert _age(body) <= _age(now[base]), f"{base}current went from {_age(body)} to {_age(now[base])}"


def what_is_published_stays_as_it_is(before: Picture, after: Picture) -> None:
    """Markers, manifests and data are written once: so a run has one version for ever."""
    for key, body in before.objects.items():
        if "/current/" not in key:
            assert key in after.objects, f"{key} is gone"
            assert after.objects[key] == body, f"{key} was written again"


def current_is_the_newest_request_that_succeeded(picture: Picture) -> None:
    """Of those whose SUCCESS was announced: `current` moves before that."""
    currents = dict(picture.currents())
    for run, metric in picture.requested.items():
        done = picture.marker(run) if picture.completed(run) else None
        if done is not None:
            base = f"metrics/{metric}/"
            assert base in currents, f"{run} succeeded, and {base} has no current"
            age = datetime.fromisoformat(done["requested_at"]), done["version_ts"]
            assert age <= _age(currents[base]), f"{base}current is {_age(currents[base])}, but {run} is {age}"


# Events


def a_success_is_committed(picture: Picture) -> None:
    """SUCCESS says what the marker says: the same run, again, has the same version."""
    for run in picture.requested:
        for event in picture.completed(run):
            if event["status"] == "SUCCESS":
                marker = picture.marker(run)
                assert marker, f"SUCCESS of {run}, which is not committed"
                said = event["versionTs"], _key(event["outputManifest"]), event["rowCount"]
                assert said == (marker["version_ts"], marker["manifest"], marker["row_count"]), (
                    f"SUCCESS of {run} says {said}, its marker {marker}"
                )


def a_run_has_one_outcome(picture: Picture) -> None:
    """Published once or ten times, it is the same event. A dead letter may end a FAILURE in another.

    A SUCCESS that is published again has a null error besides.
    """
    for run in picture.requested:
        outcomes = {
            json.dumps({name: value for name, value in event.items() if value is not None}, sort_keys=True)
            for event in picture.completed(run)
        }
        given_up = {outcome for outcome in outcomes if "gave up after" in outcome}
        others = outcomes - given_up
        assert len(given_up) <= 1 >= len(others), f"{run} has several outcomes: {sorted(outcomes)}"
        statuses = {event["status"] for event in picture.completed(run)}
        assert len(statuses) <= 1, f"{run} ended twice: {sorted(outcomes)}"


def nothing_follows_completed(picture: Picture) -> None:
    """No heartbeat, and nothing else, of an attempt that has said how it ended."""
    over: set[tuple[str, str]] = set()
    for message in picture.messages:
        event = event_of(message)
        _, _, attempt, *_ = message["MessageDeduplicationId"].split(":")
        assert (event["runId"], attempt) not in over, f"{event} follows completed of attempt {attempt}"
        if event["type"] == COMPLETED:
            over.add((event["runId"], attempt))


def progress_never_falls(picture: Picture) -> None:
    last: dict[tuple[str, str], float] = {}
    for message in picture.messages:
        event = event_of(message)
        if event["type"] == HEARTBEAT:
            attempt = event["runId"], message["MessageDeduplicationId"].split(":")[2]
            assert 0 <= last.get(attempt, 0) <= event["progress"] <= 1, f"{event} after {last[attempt]}"
            last[attempt] = event["progress"]


def the_topic_drops_no_outcome(picture: Picture) -> None:
    """Of events with one deduplication id SNS lets the first through: so no two of them differ."""
    said: dict[str, str] = {}
    for message in picture.messages:
        first = said.setdefault(message["MessageDeduplicationId"], message["Message"])
        assert COMPLETED not in first + message["Message"] or first == message["Message"], (
            f"SNS drops {message['Message']}: {first} has its deduplication id"
        )


# Messages


def a_message_that_is_gone_left_an_outcome(picture: Picture) -> None:
    for run in picture.requested:
        assert run in picture.waiting or run in picture.dead_letters or picture.completed(run), (
            f"the message of {run} is gone: no outcome is published, nor is it kept as a dead letter"
        )


def nothing_waits(picture: Picture) -> None:
    assert not picture.waiting, f"still in the queue: {sorted(picture.waiting)}"


def after_a_failure_its_group_is_left_alone(
    records: Sequence[Json], failed: set[str], before: Picture, after: Picture
) -> None:
    """Later messages of the group go back with it, untouched: no event of theirs, no object.

    Args:
        records: one batch.
        failed: ids that its answer named.
        before: the batch.
        after: it.
    """
    failing: set[str] = set()
    seen: set[str] = set()
    untouched: set[str] = set()
    for record in records:
        group, run = record["attributes"]["MessageGroupId"], _run_of(record["body"])
        if group in failing:
            assert record["messageId"] in failed, f"{run} is done, but one before it in {group} was not"
            untouched.add(run)
        elif record["messageId"] in failed:
            failing.add(group)
        if run not in untouched:
            seen.add(run)
    touched = {event_of(m)["runId"] for m in after.messages[len(before.messages) :]}
    touched |= {_written_by(key, after.objects[key]) for key in after.objects.keys() - before.objects.keys()}
    assert not (untouched - seen) & touched, f"touched after a failure: {(untouched - seen) & touched}"


# Threads


def no_thread_is_left(before: Collection[Thread], after: Collection[Thread]) -> None:
    left = {thread.name for thread in after if thread not in before}
    assert not left, f"threads outlived the invocation: {left}"


ALWAYS: Sequence[Callable[[Picture], None]] = (
    current_is_the_newest_request_that_succeeded,
    current_names_a_whole_committed_version,
    a_marker_names_a_whole_version,
    a_success_is_committed,
    a_run_has_one_outcome,
    nothing_follows_completed,
    progress_never_falls,
    the_topic_drops_no_outcome,
    a_message_that_is_gone_left_an_outcome,
)
OVER_TIME: Sequence[Callable[[Picture, Picture], None]] = (
    current_never_goes_back,
    what_is_published_stays_as_it_is,
)
WHEN_IDLE: Sequence[Callable[[Picture], None]] = (nothing_waits,)


def check(picture: Picture, before: Picture | None = None) -> None:
    """Hold every promise that holds at any time against a picture, and against the one before it."""
    for promise in ALWAYS:
        promise(picture)
    if before is not None:
        for kept in OVER_TIME:
            kept(before, picture)


def check_when_idle(picture: Picture) -> None:
    """The same, and what holds when no message waits any more."""
    check(picture)
    for promise in WHEN_IDLE:
        promise(picture)


def _is_whole(picture: Picture, base: str, manifest: Json) -> None:
    """The data that a manifest names is there, and is what it says."""
    version = manifest["version_ts"]
    outputs = manifest["outputs"]
    assert outputs["data_prefix"] == f"{base}{version}/data/", f"{base}{version}: {outputs}"
    rows = 0
    for name in outputs["files"]:
        key = outputs["data_prefix"] + name
        assert key in picture.objects, f"{base}{version} has no {key}"
        found, who = _table(picture.objects[key])
        said = manifest["run_id"], manifest["metric_code"], version
        assert who == said, f"{key} is of {who}, its manifest of {said}"
        rows += found
    assert rows == manifest["row_count"], f"{base}{version} has {rows} rows, not {manifest['row_count']}"


@cache
def _table(body: bytes) -> tuple[int, tuple[str, ...]]:
    """Rows of a data file, and the run, metric and version that it says it is of."""
    metadata = pq.ParquetFile(io.BytesIO(body)).schema_arrow.metadata
    names = (b"run_id", b"metric_code", b"version_ts")
    return pq.ParquetFile(io.BytesIO(body)).read(use_threads=False).num_rows, tuple(
        metadata[name].decode() for name in names
    )


def _age(manifest: bytes) -> tuple[datetime, str]:
    """Return when the version was requested, or chosen by a rollback: a request of that moment is older."""
    content = parsed(manifest)
    asked = datetime.fromisoformat(content["requested_at"]), content["version_ts"]
    if "rolled_back_at" not in content:
        return asked
    return max(asked, (datetime.fromisoformat(content["rolled_back_at"]), "~"))


def _key(uri: str) -> str:
    return uri.removeprefix(f"s3://{BUCKET}/")


def _run_of(body: str) -> str:
    content = json.loads(body)
    return str(json.loads(content["Message"])["runId"] if "Message" in content else content["runId"])


def _written_by(key: str, body: bytes) -> str:
    return _table(body)[1][0] if key.endswith(".parquet") else str(parsed(body)["run_id"])

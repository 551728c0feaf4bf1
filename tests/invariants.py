"""The invariants of the worker: rules about published objects, events and messages, one function each.

docs/reliability.md explains the invariants. Each function raises an AssertionError if its invariant is
violated. The functions check a `Picture` (tests/picture.py): the objects, events and messages that exist at
one moment. The invariants in `ALWAYS` hold for every picture, those in `OVER_TIME` for an earlier and a later
picture, and those in `WHEN_IDLE` for a picture that was taken when the request queue was empty.
`tests/unit/test_invariants.py` has, for each invariant, a picture that violates it.
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

__all__ = ["Picture"]  # Callers use the invariants as `invariants.name`.

HEARTBEAT = "metric_run_heartbeat"


# Versions


def current_names_a_whole_committed_version(picture: Picture) -> None:
    for base, body in picture.currents():
        current = parsed(body)
        manifest = f"{base}{current['version_ts']}/manifest.json"
        copied = picture.objects.get(manifest)
        if "rolled_back_at" in current:
            current = {name: value for name, value in current.items() if not name.startswith("rolled_back_")}
            assert copied is not None, f"{base}current was rolled back to {manifest}, which does not exist"
            assert parsed(copied) == current, f"{base}current is not a copy of {manifest} after a rollback"
        else:
            assert copied == body, f"{base}current is not a copy of {manifest}"
        _is_whole(picture, base, current)
        marker = picture.marker(current["run_id"])
        assert marker, f"{base}current names run {current['run_id']}, which is not committed"
        assert marker["version_ts"] == current["version_ts"], (
            f"{base}current names {current['version_ts']}, but the marker names {marker['version_ts']}"
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
            assert manifest[name] == marker[name], f"{run}: manifest and marker differ in {name}"
        assert (marker["run_id"], marker["metric_code"]) == (run, metric), f"{run}: marker of another run"
        _is_whole(picture, base, manifest)


def current_never_goes_back(before: Picture, after: Picture) -> None:
    now = dict(after.currents())
    for base, body in before.currents():
        assert base in now, f"{base}current was deleted"
        assert _age(body) <= _age(now[base]), f"{base}current went from {_age(body)} to {_age(now[base])}"


def published_objects_never_change(before: Picture, after: Picture) -> None:
    """Assert that every marker, manifest of a version and data file still exists and has the same content.

    Each run therefore keeps its version. `current` is not checked.
    """
    for key, body in before.objects.items():
        if "/current/" not in key:
            assert key in after.objects, f"{key} was deleted"
            assert after.objects[key] == body, f"{key} was written again"


def current_is_the_newest_request_that_succeeded(picture: Picture) -> None:
    """Assert that no version with a published SUCCESS was requested later than the version that is current.

    A worker replaces `current` before it publishes the SUCCESS. After a rollback, the time of the rollback
    counts as the time at which the current version was requested.
    """
    currents = dict(picture.currents())
    for run, metric in picture.requested.items():
        done = picture.marker(run) if picture.completed(run) else None
        if done is not None:
            base = f"metrics/{metric}/"
            assert base in currents, f"{run} succeeded, but {base} has no current"
            age = datetime.fromisoformat(done["requested_at"]), done["version_ts"]
            assert age <= _age(currents[base]), f"{base}current is {_age(currents[base])}, but {run} is {age}"


# Events


def a_success_is_committed(picture: Picture) -> None:
    """Assert that every SUCCESS names the version in the run's marker, so that repeated events agree."""
    for run in picture.requested:
        for event in picture.completed(run):
            if event["status"] == "SUCCESS":
                marker = picture.marker(run)
                assert marker, f"SUCCESS of {run}, which is not committed"
                stated = event["versionTs"], _key(event["outputManifest"]), event["rowCount"]
                assert stated == (marker["version_ts"], marker["manifest"], marker["row_count"]), (
                    f"SUCCESS of {run} states {stated}, its marker {marker}"
                )


def a_run_has_one_outcome(picture: Picture) -> None:
    """Assert that all completed events of a run are equal, with two exceptions.

    The handler of the dead-letter queue may publish a FAILURE after another FAILURE, and a SUCCESS that is
    published again may have the additional field `error: null`.
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
    """Assert that an attempt publishes no event after its completed event, not even a heartbeat."""
    ended: set[tuple[str, str]] = set()
    for message in picture.messages:
        event = event_of(message)
        _, _, attempt, *_ = message["MessageDeduplicationId"].split(":")
        assert (event["runId"], attempt) not in ended, f"{event} follows completed of attempt {attempt}"
        if event["type"] == COMPLETED:
            ended.add((event["runId"], attempt))


def progress_never_falls(picture: Picture) -> None:
    last: dict[tuple[str, str], float] = {}
    for message in picture.messages:
        event = event_of(message)
        if event["type"] == HEARTBEAT:
            attempt = event["runId"], message["MessageDeduplicationId"].split(":")[2]
            assert 0 <= last.get(attempt, 0) <= event["progress"] <= 1, f"{event} after {last[attempt]}"
            last[attempt] = event["progress"]


def the_topic_drops_no_outcome(picture: Picture) -> None:
    """Assert that different completed events have different deduplication ids; SNS would drop duplicates."""
    first_with_id: dict[str, str] = {}
    for message in picture.messages:
        first = first_with_id.setdefault(message["MessageDeduplicationId"], message["Message"])
        assert COMPLETED not in first + message["Message"] or first == message["Message"], (
            f"SNS drops {message['Message']}: {first} has its deduplication id"
        )


# Messages


def a_deleted_message_left_an_outcome(picture: Picture) -> None:
    for run in picture.requested:
        assert run in picture.waiting or run in picture.dead_letters or picture.completed(run), (
            f"the message of {run} was deleted, but it has no completed event and is not a dead letter"
        )


def the_request_queue_is_empty(picture: Picture) -> None:
    assert not picture.waiting, f"still in the queue: {sorted(picture.waiting)}"


def after_a_failure_the_rest_of_its_group_is_untouched(
    records: Sequence[Json], failed: set[str], before: Picture, after: Picture
) -> None:
    """Assert that the messages after a failed one in its message group have failed too.

    The batch must not have published an event or an object of their runs, except of runs that have another
    message in the batch that does not follow a failed one.

    Args:
        records: the records of one batch.
        failed: the message ids that the function reported as failed.
        before: the state before the batch.
        after: the state after the batch.
    """
    failing: set[str] = set()
    seen: set[str] = set()
    untouched: set[str] = set()
    for record in records:
        group, run = record["attributes"]["MessageGroupId"], _run_of(record["body"])
        if group in failing:
            assert record["messageId"] in failed, f"{run} is done, but an earlier one in {group} failed"
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
    a_deleted_message_left_an_outcome,
)
OVER_TIME: Sequence[Callable[[Picture, Picture], None]] = (
    current_never_goes_back,
    published_objects_never_change,
)
WHEN_IDLE: Sequence[Callable[[Picture], None]] = (the_request_queue_is_empty,)


def check(picture: Picture, before: Picture | None = None) -> None:
    """Raise an AssertionError if a picture violates an invariant in `ALWAYS`.

    If `before`, an earlier picture, is given, check the invariants in `OVER_TIME` for both pictures as well.
    """
    for invariant in ALWAYS:
        invariant(picture)
    if before is not None:
        for invariant_over_time in OVER_TIME:
            invariant_over_time(before, picture)


def check_when_idle(picture: Picture) -> None:
    """Raise an AssertionError if a picture violates an invariant in `ALWAYS` or `WHEN_IDLE`.

    The request queue was empty when the picture was taken.
    """
    check(picture)
    for invariant in WHEN_IDLE:
        invariant(picture)


def _is_whole(picture: Picture, base: str, manifest: Json) -> None:
    """Assert that the data files of a version exist, and that their metadata agree with the manifest.

    The metadata are the run id, the metric code, the version and the row count.

    Args:
        picture: the state to check.
        base: the key prefix of the metric.
        manifest: the manifest of the version.
    """
    version = manifest["version_ts"]
    outputs = manifest["outputs"]
    assert outputs["data_prefix"] == f"{base}{version}/data/", f"{base}{version}: {outputs}"
    rows = 0
    for name in outputs["files"]:
        key = outputs["data_prefix"] + name
        assert key in picture.objects, f"{base}{version} has no {key}"
        row_count, origin = _table(picture.objects[key])
        stated = manifest["run_id"], manifest["metric_code"], version
        assert origin == stated, f"{key} is of {origin}, but its manifest is of {stated}"
        rows += row_count
    assert rows == manifest["row_count"], f"{base}{version} has {rows} rows, not {manifest['row_count']}"


@cache
def _table(body: bytes) -> tuple[int, tuple[str, ...]]:
    """Return (row count, origin) of a data file.

    The origin is (run id, metric code, version timestamp), from the metadata of the file.
    """
    metadata = pq.ParquetFile(io.BytesIO(body)).schema_arrow.metadata
    names = (b"run_id", b"metric_code", b"version_ts")
    return pq.ParquetFile(io.BytesIO(body)).read(use_threads=False).num_rows, tuple(
        metadata[name].decode() for name in names
    )


def _age(manifest: bytes) -> tuple[datetime, str]:
    """Return a sort key: the manifest with the largest key is that of the newest version.

    The key is (the later of the times of the request and of the rollback, version timestamp). After a
    rollback, the second element is "~", which is larger than every timestamp, so that the rollback is newer
    than a version that was requested at the same moment.
    """
    content = parsed(manifest)
    requested = datetime.fromisoformat(content["requested_at"]), content["version_ts"]
    if "rolled_back_at" not in content:
        return requested
    return max(requested, (datetime.fromisoformat(content["rolled_back_at"]), "~"))


def _key(uri: str) -> str:
    """Return the key in an S3 URI of the data bucket."""
    return uri.removeprefix(f"s3://{BUCKET}/")


def _run_of(body: str) -> str:
    content = json.loads(body)
    return str(json.loads(content["Message"])["runId"] if "Message" in content else content["runId"])


def _written_by(key: str, body: bytes) -> str:
    """Return the id of the run that wrote an object.

    Args:
        key: the key of a data file, a manifest or a marker.
        body: the content of the object.
    """
    return _table(body)[1][0] if key.endswith(".parquet") else str(parsed(body)["run_id"])

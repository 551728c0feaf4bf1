"""The functions that read a run's marker and that update `current` after the commit.

Both steps are idempotent, and every delivery of the run's message repeats them, including the delivery as a
dead letter. `current` always refers to a complete version, and a run never replaces it by the version of an
older request. A run is committed if the object at its marker's key is the run's own commit record and the
manifest of the version exists; any other object at that key is an `UnusableMarker`.
docs/decisions/0003-commit-record.md explains the protocol and the alternatives.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from metrics_worker.errors import (
    ObjectNotFound,
    ObjectTaken,
    OutputWriteError,
    StoreRefusal,
    StoreUnavailable,
    UnusableMarker,
    cause,
)
from metrics_worker.publication.records import Keys, Marker, Pointer, PredecessorMarker
from metrics_worker.request import Run
from metrics_worker.s3.bucket import Bucket, StoredObject

_LAST = "~"
"""A text that sorts after every version, so that a rollback wins over a request at the same time."""
MAX_SWAPS = 60
"""The number of attempts to update `current`. An attempt fails if another run updates `current` first."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A committed run.

    Attributes:
        marker: the run's commit record.
        manifest: the content of the version's manifest, if this attempt wrote it; otherwise None.
    """

    marker: Marker
    manifest: bytes | None = None


@dataclass(frozen=True, slots=True)
class RunState:
    """The state of the bucket when an attempt begins.

    Attributes:
        marker: the run's commit record; None if the run is not committed.
        current: the object `current`; None if it does not exist.
    """

    marker: Marker | None
    current: StoredObject | None


def read_state(bucket: Bucket, keys: Keys, run: Run) -> RunState:
    """Return the run's marker and `current`, which are read concurrently.

    Raises:
        OutputWriteError: S3 refused to read the marker or `current`.
        UnusableMarker: the object at the marker's key is not a commit record of the run.
        StoreUnavailable: S3 failed.
    """
    marker = keys.marker(run.run_id)
    with output_errors():
        found = bucket.find_many([marker, keys.current])
        return RunState(_read_marker(bucket, keys, run, found[marker]), found[keys.current])


def find_marker(bucket: Bucket, keys: Keys, run: Run) -> Marker | None:
    """Return the run's commit record, or None if the run is not committed.

    Raises:
        OutputWriteError: S3 refused to read the marker.
        UnusableMarker: the object at the marker's key is not a commit record of the run.
        StoreUnavailable: S3 failed.
    """
    with output_errors():
        return _read_marker(bucket, keys, run, bucket.find(keys.marker(run.run_id)))


def _read_marker(bucket: Bucket, keys: Keys, run: Run, found: StoredObject | None) -> Marker | None:
    if found is None:
        return None
    body = bytes(found.body)
    try:
        marker = Marker.model_validate_json(body)
    except ValidationError:
        if not _is_predecessors(body, run):
            raise UnusableMarker.at(found.key, "the marker can't be understood") from None
        return _marker_of_current(bucket, keys, run)
    if (marker.run_id, marker.metric_code) != (run.run_id, run.metric_code):
        raise UnusableMarker.at(
            found.key, f"the marker is of run {marker.run_id!r:.140} of {marker.metric_code!r:.140}"
        )
    if marker.manifest != keys.manifest(marker.version_ts):
        raise UnusableMarker.at(
            found.key, f"the marker names {marker.manifest!r:.300}, which is no version of the metric"
        )
    return marker


def _is_predecessors(body: bytes, run: Run) -> bool:
    try:
        return PredecessorMarker.model_validate_json(body).run_id == run.run_id
    except ValidationError:
        return False


def _marker_of_current(bucket: Bucket, keys: Keys, run: Run) -> Marker:
    """Return a commit record for a run of the previous worker, whose own marker contains only the run id.

    The fields of the record are read from `current`.

    Raises:
        UnusableMarker: `current` is not a copy of the manifest of the run's version.
    """
    current = bucket.find(keys.current)
    try:
        manifest = Pointer.model_validate_json(bytes(current.body) if current else b"")
        if manifest.run_id == run.run_id:
            return Marker(
                run_id=run.run_id,
                metric_code=run.metric_code,
                version_ts=manifest.version_ts,
                manifest=keys.manifest(manifest.version_ts),
                row_count=manifest.row_count,
                requested_at=manifest.requested_at or manifest.created_at,
                committed_at=manifest.created_at,
            )
    except ValidationError:
        pass
    raise UnusableMarker.at(
        keys.marker(run.run_id),
        "the worker before this one computed the run and left no more than its id, and"
        f" {keys.current} names no version of the run",
    )


def _manifest(bucket: Bucket, marker: Marker, key: str) -> bytes:
    """Return the bytes of the manifest of a committed version.

    Args:
        bucket: the data bucket.
        marker: the run's commit record.
        key: the key of the marker, for the error.

    Raises:
        UnusableMarker: the manifest does not exist, is not valid, or belongs to another run.
    """
    try:
        body = bytes(bucket.get(marker.manifest).body)
        if Pointer.model_validate_json(body).run_id == marker.run_id:
            return body
        problem = "is of another run"
    except ObjectNotFound:
        problem = "is not there"
    except ValidationError:
        problem = "can't be understood"
    raise UnusableMarker.at(key, f"the marker names {marker.manifest}, and that manifest {problem}")


def move_current(bucket: Bucket, keys: Keys, committed: Committed, state: RunState | None = None) -> bool:
    """Make `current` a copy of the committed version's manifest, unless `current` is of a newer request.

    Args:
        bucket: the data bucket.
        keys: the keys of the metric.
        committed: the committed run.
        state: the state with an earlier copy of `current`, which saves one request; None if there is none. If
            `current` has changed since, the conditional write fails, and `current` is read again.

    Returns:
        Whether `current` refers to the committed version at the end.

    Raises:
        OutputWriteError: S3 refused a request.
        UnusableMarker: the version's manifest does not exist, is not valid, or belongs to another run.
        StoreUnavailable: S3 failed, or other runs updated `current` at every attempt.
    """
    marker = committed.marker
    with output_errors():
        body = committed.manifest or _manifest(bucket, marker, keys.marker(marker.run_id))
        for _ in range(MAX_SWAPS):
            current = state.current if state else bucket.find(keys.current)
            state = None
            try:
                if current is None:
                    bucket.create(keys.current, body)
                elif age(current) < (_time(marker.requested_at), marker.version_ts):
                    bucket.swap(keys.current, body, etag=current.etag)
                else:
                    return bytes(current.body) == body or _rolled_back_to(current) == marker.version_ts
            except ObjectTaken:
                continue  # another run has updated `current` in the meantime: read `current` again
            return True
    raise StoreUnavailable(keys.current, "other runs kept moving it")


def age(current: StoredObject) -> tuple[datetime, str]:
    """Return the sort key (request time in UTC, version) of `current`.

    A run replaces `current` only if its own (request time, version) is larger. If `requested_at` is missing,
    as in manifests of the previous worker, `created_at` is used. After a rollback, the key consists of the
    time of the rollback and a text that sorts after every version. If `current` is not valid, the key is the
    smallest possible one.
    """
    try:
        body = Pointer.model_validate_json(bytes(current.body))
        requested = _time(body.requested_at or body.created_at), body.version_ts
        return max(requested, (_time(body.rolled_back_at), _LAST)) if body.rolled_back_at else requested
    except ValueError:
        return datetime.min.replace(tzinfo=UTC), ""


def version_of(current: StoredObject | None) -> str:
    """Return the version that `current` names; "" if `current` does not exist or is not valid."""
    try:
        return Pointer.model_validate_json(bytes(current.body) if current else b"").version_ts
    except ValueError:
        return ""


def _rolled_back_to(current: StoredObject) -> str | None:
    """Return the version that an operator chose in a rollback; None if a run updated `current` last."""
    try:
        body = Pointer.model_validate_json(bytes(current.body))
    except ValueError:
        return None
    return body.version_ts if body.rolled_back_at else None


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


@contextmanager
def output_errors() -> Iterator[None]:
    """Translate each StoreRefusal that is raised in the `with` block to an OutputWriteError."""
    try:
        yield
    except StoreRefusal as error:
        raise OutputWriteError(error.subject, error.problem) from cause(error)

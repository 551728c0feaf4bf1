"""What a committed run has left to be done: its marker read, and `current` moved.

Idempotent, and done again by every delivery of the run's message, the dead letter included. What always
holds: `current` names a whole version, and never that of an older request than before. The protocol, with
what was rejected, is in docs/decisions/0003-commit-record.md; what leads to the marker is in `publication`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from metrics_worker.contract import Run
from metrics_worker.errors import (
    CommittedRunError,
    ObjectTaken,
    OutputWriteError,
    StoreRefusal,
    StoreUnavailable,
)
from metrics_worker.records import Keys, Marker, Pointer
from metrics_worker.store import Bucket, StoredObject

_LAST = "~"
"""After every version: a request of the very moment of a rollback does not replace it."""
MAX_SWAPS = 60
"""How often other runs may move `current` between a look and a swap before this one is given back."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A run's marker, and its version's manifest where this attempt wrote it."""

    marker: Marker
    manifest: bytes | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stood when a run began: its marker, and the object that `current` was."""

    marker: Marker | None
    current: StoredObject | None


def look(bucket: Bucket, keys: Keys, run: Run) -> Standing:
    """How things stand, in the time of one request.

    Raises:
        OutputWriteError: the worker may not read it.
        CommittedRunError: the marker is there and can't be understood.
        StoreUnavailable: S3 failed.
    """
    marker = keys.marker(run.run_id)
    with output_errors():
        found = bucket.find_many([marker, keys.current])
    return Standing(_read_marker(found[marker]), found[keys.current])


def find_marker(bucket: Bucket, keys: Keys, run: Run) -> Marker | None:
    """The run's commit record, or None where it is not committed.

    Raises:
        OutputWriteError, CommittedRunError, StoreUnavailable: as with `look`.
    """
    with output_errors():
        return _read_marker(bucket.find(keys.marker(run.run_id)))


def _read_marker(found: StoredObject | None) -> Marker | None:
    if found is None:
        return None
    try:
        return Marker.model_validate_json(bytes(found.body))
    except ValidationError as error:
        raise CommittedRunError(found.key, "the marker can't be understood") from error


def move_current(bucket: Bucket, keys: Keys, committed: Committed, standing: Standing | None = None) -> bool:
    """Let `current` name the committed version, unless it names a newer request's; whether it does now.

    Args:
        bucket: where it is.
        keys: the metric's.
        committed: the run's marker, and its manifest where it is at hand.
        standing: what `current` was a while ago; if it has moved since, that is found out.

    Raises:
        OutputWriteError: S3 refused.
        StoreUnavailable: S3 failed, or others kept moving it.
    """
    marker = committed.marker
    with output_errors():
        body = committed.manifest or bytes(bucket.get(marker.manifest).body)
        for _ in range(MAX_SWAPS):
            current = standing.current if standing else bucket.find(keys.current)
            standing = None
            try:
                if current is None:
                    bucket.create(keys.current, body)
                elif age(current) < (_time(marker.requested_at), marker.version_ts):
                    bucket.swap(keys.current, body, current.etag)
                else:
                    return bytes(current.body) == body or _rolled_back_to(current) == marker.version_ts
            except ObjectTaken:
                continue  # another run moved it in between: look again
            return True
    raise StoreUnavailable(keys.current, "other runs kept moving it")


def age(current: StoredObject) -> tuple[datetime, str]:
    """Return when the version that `current` names was requested, and the version; the oldest if unknown.

    The predecessor's manifests have no `requested_at`: their `created_at` is taken for it. A version that an
    operator chose is as new as that decision: only a later request replaces it.
    """
    try:
        body = Pointer.model_validate_json(bytes(current.body))
        asked = _time(body.requested_at or body.created_at), body.version_ts
        return max(asked, (_time(body.rolled_back_at), _LAST)) if body.rolled_back_at else asked
    except ValueError:
        return datetime.min.replace(tzinfo=UTC), ""


def _rolled_back_to(current: StoredObject) -> str | None:
    """Return the version that an operator chose; None if a run moved `current`."""
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
    """What S3 refuses here is the output's."""
    try:
        yield
    except StoreRefusal as error:
        raise OutputWriteError(error.subject, error.problem) from error

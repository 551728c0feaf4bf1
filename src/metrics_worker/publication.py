"""Publication: a version's data and manifest, the marker that commits the run, and the pointer `current`.

Immutable objects first, the commit record, then the pointer; S3's conditional writes are the only lock and
nothing is ever deleted. What always holds: a marker names a whole version, a run has one marker for ever,
and `current` names the version of the newest request. A crash leaves at worst an unreferenced version.
The protocol, with what was rejected, is in docs/decisions/0003-commit-record.md.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from metrics_worker.contract import Run, iso
from metrics_worker.errors import (
    CommittedRunError,
    ManifestValidationError,
    ObjectTaken,
    OutputWriteError,
    StoreRefusal,
    StoreUnavailable,
)
from metrics_worker.records import DATA_FILE, InputSummary, Keys, Marker, OutputManifest, Outputs, Pointer
from metrics_worker.series import Series
from metrics_worker.store import Bucket, StoredObject

MAX_VERSION_TRIES = 60
"""Seconds after now that may be taken by other runs of the metric before this one is given back."""

_VERSION = "%Y-%m-%dT%H-%M-%S"


@dataclass(frozen=True, slots=True)
class Draft:
    """What a run has computed and is to publish."""

    run: Run
    keys: Keys
    series: Series
    expression: dict[str, Any]
    inputs: list[InputSummary]
    compression: str


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
    with _output():
        found = bucket.find_many([marker, keys.current])
    return Standing(_read_marker(found[marker]), found[keys.current])


def find_marker(bucket: Bucket, keys: Keys, run: Run) -> Marker | None:
    """The run's commit record, or None where it is not committed.

    Raises:
        OutputWriteError, CommittedRunError, StoreUnavailable: as with `look`.
    """
    with _output():
        return _read_marker(bucket.find(keys.marker(run.run_id)))


def _read_marker(found: StoredObject | None) -> Marker | None:
    if found is None:
        return None
    try:
        return Marker.model_validate_json(bytes(found.body))
    except ValidationError as error:
        raise CommittedRunError(found.key, "the marker can't be understood") from error


def commit(
    bucket: Bucket, draft: Draft, now: Callable[[], datetime], checkpoint: Callable[[], None]
) -> Committed:
    """Write the version and commit the run; or find that another attempt was faster.

    Args:
        bucket: where to.
        draft: what to publish.
        now: the clock, UTC.
        checkpoint: called before each write; what it raises ends the attempt, uncommitted.

    Raises:
        OutputWriteError: S3 refused a write.
        ManifestValidationError: what was written is not what was to be written.
        StoreUnavailable: S3 failed, or it can't be known whether a write landed.
    """
    with _output():
        version_ts, body = _write_data(bucket, draft, now(), checkpoint)
        manifest = _manifest(draft, version_ts, now())
        _validate(bucket, manifest, draft, body)
        checkpoint()
        _write_manifest(bucket, draft.keys.manifest(version_ts), manifest)
        marker = Marker(
            run_id=draft.run.run_id,
            metric_code=draft.run.metric_code,
            version_ts=version_ts,
            manifest=draft.keys.manifest(version_ts),
            row_count=manifest.row_count,
            requested_at=manifest.requested_at,
            committed_at=iso(now()),
        )
        checkpoint()
        try:
            bucket.create(draft.keys.marker(draft.run.run_id), marker.encode())
        except ObjectTaken:
            winner = find_marker(bucket, draft.keys, draft.run)
            if winner is None:
                raise
            return Committed(winner)
    return Committed(marker, manifest.encode())


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
    with _output():
        body = committed.manifest or bytes(bucket.get(marker.manifest).body)
        for _ in range(MAX_VERSION_TRIES):
            current = standing.current if standing else bucket.find(keys.current)
            standing = None
            try:
                if current is None:
                    bucket.create(keys.current, body)
                elif _age(current) < (_time(marker.requested_at), marker.version_ts):
                    bucket.swap(keys.current, body, current.etag)
                else:
                    return bytes(current.body) == body
            except ObjectTaken:
                continue  # another run moved it in between: look again
            return True
    raise StoreUnavailable(keys.current, "other runs kept moving it")


def _write_data(
    bucket: Bucket, draft: Draft, now: datetime, checkpoint: Callable[[], None]
) -> tuple[str, bytes]:
    """Write the data under the first free version from now on: whoever creates the object has the version."""
    for later in range(MAX_VERSION_TRIES):
        version_ts = (now + timedelta(seconds=later)).astimezone(UTC).strftime(_VERSION)
        body = _parquet(draft, version_ts)
        checkpoint()
        try:
            bucket.create(draft.keys.data(version_ts), body)
        except ObjectTaken:
            continue
        return version_ts, body
    raise StoreUnavailable(draft.keys.base, f"no free version within {MAX_VERSION_TRIES} s")


def _schema(draft: Draft, version_ts: str) -> pa.Schema:
    return pa.schema(
        [
            pa.field("obs_time", pa.timestamp("us", "UTC"), nullable=False),
            pa.field("value", pa.float64(), nullable=False),
        ],
        metadata={
            "run_id": draft.run.run_id,
            "metric_code": draft.run.metric_code,
            "version_ts": version_ts,
            "expression": json.dumps(draft.expression, separators=(",", ":")),
        },
    )


def _parquet(draft: Draft, version_ts: str) -> bytes:
    """The series as the bytes of `metrics.parquet`."""
    schema = _schema(draft, version_ts)
    columns = [pa.array(draft.series.times, schema.field(0).type), pa.array(draft.series.values)]
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_arrays(columns, schema=schema), sink, compression=draft.compression, version="2.6"
    )
    body: bytes = sink.getvalue().to_pybytes()
    return body


def _manifest(draft: Draft, version_ts: str, now: datetime) -> OutputManifest:
    return OutputManifest(
        run_id=draft.run.run_id,
        metric_code=draft.run.metric_code,
        version_ts=version_ts,
        created_at=iso(now),
        requested_at=iso(draft.run.requested_at, "milliseconds"),
        row_count=len(draft.series),
        outputs=Outputs(data_prefix=draft.keys.data_prefix(version_ts), files=[DATA_FILE]),
        expression=draft.expression,
        inputs=draft.inputs,
    )


def _validate(bucket: Bucket, manifest: OutputManifest, draft: Draft, body: bytes) -> None:
    """Read the data back as a reader would, and hold it against what was to be written."""
    key = manifest.outputs.data_prefix + manifest.outputs.files[0]
    try:
        found = bucket.get(key)
        if bytes(found.body) != body:
            raise ManifestValidationError(
                key, f"{found.size} bytes read back are not the {len(body)} written"
            )
        parquet = pq.ParquetFile(pa.BufferReader(pa.py_buffer(found.body)))
    except (StoreRefusal, pa.ArrowException, OSError) as error:
        raise ManifestValidationError(key, f"can't be read back: {error}") from error
    expected = _schema(draft, manifest.version_ts)
    if parquet.metadata.num_rows != manifest.row_count or not parquet.schema_arrow.equals(
        expected, check_metadata=True
    ):
        raise ManifestValidationError(key, f"{parquet.metadata.num_rows} rows of {parquet.schema_arrow}")


def _write_manifest(bucket: Bucket, key: str, manifest: OutputManifest) -> None:
    try:
        bucket.create(key, manifest.encode())
    except ObjectTaken as error:
        # Not by a run: whoever has the data has the version. The next attempt takes another one.
        raise StoreUnavailable(error.subject, error.problem) from error


def _age(current: StoredObject) -> tuple[datetime, str]:
    """When the version that `current` names was asked for, and its version; the oldest where it can't tell.

    Manifests of the worker before this one have no `requested_at`: their `created_at` stands for it.
    """
    try:
        body = Pointer.model_validate_json(bytes(current.body))
        return _time(body.requested_at or body.created_at), body.version_ts
    except ValueError:
        return datetime.min.replace(tzinfo=UTC), ""


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


@contextmanager
def _output() -> Iterator[None]:
    """What S3 refuses here is the output's."""
    try:
        yield
    except StoreRefusal as error:
        raise OutputWriteError(error.subject, error.problem) from error

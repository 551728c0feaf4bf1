"""Publication: a version's data and manifest, and the marker that commits the run.

Immutable objects first, then the commit record; S3's conditional writes are the only lock and nothing is ever
deleted. What always holds: a marker names a whole version, and a run has one marker for ever. A crash leaves
at worst an unreferenced version. What follows the marker is in `committed`.
The protocol, with what was rejected, is in docs/decisions/0003-commit-record.md.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metrics_worker.errors import ManifestValidationError, ObjectTaken, StoreRefusal, StoreUnavailable
from metrics_worker.publication.current import Committed, find_marker, output_errors
from metrics_worker.publication.records import DATA_FILE, InputSummary, Keys, Marker, OutputManifest, Outputs
from metrics_worker.request import Run, iso
from metrics_worker.s3.bucket import Bucket
from metrics_worker.series import Series

MAX_VERSION_TRIES = 60
"""Seconds after now that may be taken by other runs of the metric before this one is given back."""

ROW_GROUP = 1_048_576
"""Rows between two looks at the time: gzip, the slowest codec, takes 6 s for so many."""

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
    with output_errors():
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


def _write_data(
    bucket: Bucket, draft: Draft, now: datetime, checkpoint: Callable[[], None]
) -> tuple[str, bytes]:
    """Write the data under the first free version from now on: whoever creates the object has the version."""
    for later in range(MAX_VERSION_TRIES):
        version_ts = (now + timedelta(seconds=later)).astimezone(UTC).strftime(_VERSION)
        body = _parquet(draft, version_ts, checkpoint)
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


def _parquet(draft: Draft, version_ts: str, checkpoint: Callable[[], None]) -> bytes:
    """The series as the bytes of `metrics.parquet`."""
    schema = _schema(draft, version_ts)
    columns = [pa.array(draft.series.times, schema.field(0).type), pa.array(draft.series.values)]
    table = pa.Table.from_arrays(columns, schema=schema)
    sink = pa.BufferOutputStream()
    # Each time stands there once, and most values: dictionaries made the files larger, and Arrow's own
    # allocator kept the memory they took for each thread that had written one.
    options = {"compression": draft.compression, "version": "2.6", "use_dictionary": False}
    with pq.ParquetWriter(sink, schema, **options) as writer:
        for start in range(0, len(table) or 1, ROW_GROUP):
            checkpoint()
            writer.write_table(table.slice(start, ROW_GROUP))
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

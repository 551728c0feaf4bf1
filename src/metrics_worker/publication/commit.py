"""The commit of a run: the data and the manifest of a version, then the marker.

S3's conditional writes are the only lock, and nothing is deleted. Two properties always hold: a marker refers
to a complete version, and a run never has a second marker. If the worker crashes, the worst outcome is an
unreferenced version. The module `current` contains the steps after the marker.
docs/decisions/0003-commit-record.md explains the protocol and the alternatives.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import md5
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metrics_worker.errors import ManifestValidationError, ObjectTaken, StoreRefusal, StoreUnavailable
from metrics_worker.publication.current import Committed, find_marker, output_errors
from metrics_worker.publication.records import DATA_FILE, InputSummary, Keys, Marker, OutputManifest, Outputs
from metrics_worker.publication.versions import MAX_TRIES, versions_to_try
from metrics_worker.request import Run, iso
from metrics_worker.s3.bucket import Bucket
from metrics_worker.series import Series

ROW_GROUP = 1_048_576
"""The number of rows in a row group. The deadline is checked before each row group is written.

gzip, the slowest codec, needs 6 s for a row group.
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """The uncommitted result of a run, with the contents of the version's manifest.

    Attributes:
        run: the identity of the run.
        keys: the keys of the run's metric.
        series: the computed series.
        expression: the expression as JSON values.
        inputs: the counts of rows of each input series.
        compression: the codec of the Parquet file.
        newest: the newest known versions of the metric, in any order: the version in `current` and the last
            version that the process wrote. Empty texts are ignored.
    """

    run: Run
    keys: Keys
    series: Series
    expression: dict[str, Any]
    inputs: list[InputSummary]
    compression: str
    newest: tuple[str, ...] = ()


def commit(
    bucket: Bucket, draft: Draft, now: Callable[[], datetime], checkpoint: Callable[[], None]
) -> Committed:
    """Write a version and commit the run, unless another attempt commits the run first.

    Args:
        bucket: the data bucket.
        draft: the result of the run.
        now: a function that returns the time in UTC.
        checkpoint: a function that is called before each write. Its exceptions end the commit.

    Returns:
        The committed run, with the version of this attempt or of the attempt that committed first.

    Raises:
        OutputWriteError: S3 refused a write.
        ManifestValidationError: the written data differs from the computed data.
        StoreUnavailable: S3 failed, or it is unknown whether a write took effect.
    """
    with output_errors():
        version_ts = _write_data(bucket, draft, now(), checkpoint)
        manifest = _manifest(draft, version_ts, now())
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


def _write_data(bucket: Bucket, draft: Draft, now: datetime, checkpoint: Callable[[], None]) -> str:
    """Write the data file of the first free version, check the stored file, and return the version.

    A version is a time in UTC, in whole seconds. The run that creates the data file of a version owns the
    version. If a metric has many runs within a short time, the later runs get versions in the future.

    Args:
        bucket: the data bucket.
        draft: the result of the run.
        now: the time from which a free version is searched.
        checkpoint: a function that is called before each write and row group. Its exceptions end the commit.

    Raises:
        ManifestValidationError: the content of the data file differs from the draft.
        StoreUnavailable: no version is free within `MAX_TRIES` seconds.
    """
    for version_ts in versions_to_try(draft.newest, now):
        key, body = draft.keys.data(version_ts), _parquet(draft, version_ts, checkpoint)
        _check_content(key, body, draft, version_ts)
        checkpoint()
        try:
            etag = bucket.create(key, body)
        except ObjectTaken:
            continue
        _check_stored(bucket, key, body, etag)
        return version_ts
    raise StoreUnavailable(draft.keys.base, f"no free version within {MAX_TRIES} s")


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
    """Return the content of `metrics.parquet` of a version; `checkpoint` is called before each row group."""
    schema = _schema(draft, version_ts)
    columns = [pa.array(draft.series.times, schema.field(0).type), pa.array(draft.series.values)]
    table = pa.Table.from_arrays(columns, schema=schema)
    sink = pa.BufferOutputStream()
    # All times and most values are distinct, so dictionaries made the files larger. Arrow's own allocator
    # also kept the memory of dictionaries for each thread that had written a dictionary.
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


def _check_content(key: str, body: bytes, draft: Draft, version_ts: str) -> None:
    """Check that a data file has the row count and the schema of the draft, before the file is written to S3.

    Raises:
        ManifestValidationError: they differ, or the file cannot be read.
    """
    try:
        parquet = pq.ParquetFile(pa.BufferReader(body))
    except (pa.ArrowException, OSError) as error:
        raise ManifestValidationError(key, f"can't be read: {error}") from error
    rows, schema = parquet.metadata.num_rows, parquet.schema_arrow
    if rows != len(draft.series) or not schema.equals(_schema(draft, version_ts), check_metadata=True):
        raise ManifestValidationError(key, f"{rows} rows of {schema}")


def _check_stored(bucket: Bucket, key: str, body: bytes, etag: str) -> None:
    """Check that S3 has the bytes of the data file.

    The ETag in S3's answer is the MD5 of the bytes that S3 stored, unless the bucket encrypts with a KMS key
    or with a key of the client. In these cases, the file is read back.

    Raises:
        ManifestValidationError: S3 has other bytes, or the file cannot be read back.
    """
    if etag.strip('"') == md5(body, usedforsecurity=False).hexdigest():
        return
    try:
        found = bucket.get(key)
    except StoreRefusal as error:
        raise ManifestValidationError(key, f"can't be read back: {error}") from error
    if bytes(found.body) != body:
        raise ManifestValidationError(key, f"{found.size} bytes read back are not the {len(body)} written")


def _write_manifest(bucket: Bucket, key: str, manifest: OutputManifest) -> None:
    try:
        bucket.create(key, manifest.encode())
    except ObjectTaken as error:
        # No other run writes this key, because this run has created the data. The next attempt uses another
        # version.
        raise StoreUnavailable(error.subject, error.problem) from error

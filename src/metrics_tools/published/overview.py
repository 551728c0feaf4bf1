"""The overview of all published metrics of a location, for `metrics ls`.

The overview needs one listing, and for each metric one request for `current` and one for the data file. A
damaged object becomes the problem of its metric and does not affect the other metrics.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import batched
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metrics_tools.published.documents import Current, data_keys, json_object, parse_time
from metrics_worker.errors import InputReadError
from metrics_worker.names import is_id, metric_base
from metrics_worker.publication.records import VERSION, Keys
from metrics_worker.s3.bucket import Bucket, StoredObject

_TIME = "obs_time"
_AT_ONCE = 64
"""The number of data files in memory at one time. At most the last 4 MiB of each are read."""


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """A metric, with the version that `current` names.

    Attributes:
        metric_code: the metric code.
        version_ts: the version that readers use; None if `current` does not exist or is damaged.
        row_count: the number of rows, according to the manifest.
        last_observation: the time of the last row in microseconds since 1970; None if there is no row.
        requested_at: the time of the request in ISO 8601, according to the manifest.
        created_at: the time at which the version was created, according to the manifest.
        is_rolled_back: whether an operator chose the version by a rollback.
        problem: the fault in `current` or in the data file as text; an empty string if there is none.
    """

    metric_code: str
    version_ts: str | None = None
    row_count: int | None = None
    last_observation: int | None = None
    requested_at: datetime | None = None
    created_at: datetime | None = None
    is_rolled_back: bool = False
    problem: str = ""


def metric_codes(bucket: Bucket, prefix: str) -> list[str]:
    """Return the sorted codes of all metrics that have an object in the bucket.

    Args:
        bucket: the bucket.
        prefix: the key prefix of all metrics.

    Raises:
        UnusableKey: a listing contains a key that the S3 client cannot request.
        AccessDenied, StoreUnavailable: S3 refused a request, or failed.
    """
    names = (folder.removeprefix(prefix).rstrip("/") for folder in bucket.list_folders(prefix))
    return sorted(filter(is_id, names))


def summaries(bucket: Bucket, prefix: str) -> Iterator[MetricSummary]:
    """Yield a summary of each metric, sorted by code.

    Args:
        bucket: the bucket.
        prefix: the key prefix of all metrics.

    Raises:
        UnusableKey: a listing contains a key that the S3 client cannot request.
        AccessDenied, StoreUnavailable: S3 refused a request, or failed.
    """
    for codes in batched(metric_codes(bucket, prefix), _AT_ONCE, strict=False):
        keys = {code: Keys(metric_base(prefix, code)) for code in codes}
        found = bucket.find_many([one.current for one in keys.values()])
        documents = {code: json_object(found[one.current]) for code, one in keys.items()}
        data = {code: _data_key(document, keys[code]) for code, document in documents.items()}
        files = bucket.find_many([key for key in data.values() if key])
        for code, one in keys.items():
            yield _summary(code, found[one.current], data[code], files.get(data[code]))


def _data_key(manifest: dict[str, Any], keys: Keys) -> str:
    """Return the key of the last data file; "" if the version has no rows or no valid manifest."""
    try:
        return data_keys(manifest, keys)[-1] if manifest.get("row_count") else ""
    except InputReadError:
        return ""


def _summary(code: str, stored: StoredObject | None, key: str, file: StoredObject | None) -> MetricSummary:
    """Return the summary of a metric.

    Args:
        code: the metric code.
        stored: the object `current`; None if it does not exist.
        key: the key of the data file; "" if it is unknown, or if the version has no rows.
        file: the data file; None if it does not exist or was not read.
    """
    if stored is None:
        return MetricSummary(code, problem="current does not exist")
    current = Current.of(stored)
    rows = current.manifest.get("row_count")
    if not VERSION.fullmatch(current.version_ts) or type(rows) is not int:
        return MetricSummary(code, problem="current is damaged: it has no version_ts or no row_count")
    last, problem = None, ""
    if rows and not key:
        problem = "current is damaged: outputs names no data of the metric"
    elif key and file is None:
        problem = f"{key}: the data does not exist"
    elif file is not None:
        try:
            last = last_time(file)
        except (pa.ArrowException, OSError, ValueError) as error:
            problem = f"{key}: the data cannot be read: {str(error).partition('\n')[0]}"
    return MetricSummary(
        code,
        current.version_ts,
        rows,
        last,
        parse_time(current.manifest.get("requested_at")),
        parse_time(current.manifest.get("created_at")),
        current.rolled_back_at is not None,
        problem,
    )


def last_time(file: StoredObject) -> int | None:
    """Return the latest `obs_time` of a Parquet file in microseconds since 1970; None if there is none.

    The time is taken from the statistics in the footer. If a row group has no statistics, its column is read.

    Raises:
        OSError, ValueError, pyarrow.ArrowException: the file is damaged, or has no column `obs_time`.
    """
    parquet = pq.ParquetFile(pa.BufferReader(file.body))  # the last bytes of a file suffice for its footer
    kind = parquet.schema_arrow.field(_TIME).type if _TIME in parquet.schema_arrow.names else None
    if not pa.types.is_timestamp(kind):
        raise ValueError(f"no column {_TIME} with timestamps")
    place = parquet.schema_arrow.names.index(_TIME)
    times = []
    for index in range(parquet.metadata.num_row_groups):
        statistics = parquet.metadata.row_group(index).column(place).statistics
        if statistics is not None and statistics.has_min_max:
            times.append(_microseconds(pa.array([statistics.max_raw], pa.int64()).cast(kind)))
        elif len(file.body) == file.size:
            times.append(_microseconds(parquet.read_row_group(index, columns=[_TIME])[_TIME]))
    return max((time for one in times for time in one), default=None)


def _microseconds(column: Any) -> Sequence[int]:
    """Return a list with only the latest time of a column, in microseconds since 1970.

    The list is empty if the column contains only nulls or no rows, so that a caller can join the lists of
    several columns.

    Args:
        column: a pyarrow array of timestamps, in one or several chunks.
    """
    found = column.drop_null().cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())
    return [int(found.to_numpy(zero_copy_only=False).max())] if len(found) else []

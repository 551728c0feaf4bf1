"""Part files and dataset manifests in the layout of production: one part file for each series and month.

The demo dataset (`ecb`) and imported datasets (`importing`) are written by these functions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metrics_tools.formatting import iso_time
from metrics_worker.series import Series

_SCHEMA = pa.schema(
    {
        "obs_time": pa.timestamp("ns"),
        "internal_series_code": pa.string(),
        "value": pa.float64(),
        "unit": pa.string(),
        "frequency": pa.string(),
        "collection_date": pa.timestamp("ns"),
    }
)


@dataclass(frozen=True, slots=True)
class Description:
    """The values that all rows of a series have in common.

    Attributes:
        code: the series code.
        unit: the unit of the values; None if it is unknown.
        frequency: the frequency of the observations, such as `D` for daily; None if it is unknown.
        collected_at: the time (UTC) at which the observations were collected.
    """

    code: str
    unit: str | None
    frequency: str | None
    collected_at: datetime


@dataclass(frozen=True, slots=True)
class Extent:
    """The number of observations of a series, and its first and last time in microseconds since 1970."""

    observations: int
    first: int
    last: int

    @classmethod
    def of(cls, series: Series) -> "Extent":
        """Return the extent of a series with at least one observation."""
        return cls(len(series), int(series.times[0]), int(series.times[-1]))


def months(series: Series) -> Iterator[tuple[str, Series]]:
    """Yield the observations of each month (UTC), in ascending order.

    Yields:
        The folders of the month's part file, such as `year=2025/month=11`, and the observations of the month.
    """
    month = series.times.astype("datetime64[us]").astype("datetime64[M]")
    starts = np.flatnonzero(np.append(True, month[1:] != month[:-1])) if month.size else np.empty(0, np.intp)
    for start, end in zip(starts, [*starts[1:], month.size], strict=True):
        year, number = str(month[start]).rsplit("-", 1)
        yield f"year={year}/month={number}", Series(series.times[start:end], series.values[start:end])


def part_file(series: Series, described: Description) -> bytes:
    """Return the observations of a series as a Parquet file with one row group.

    Raises:
        pyarrow.ArrowInvalid: a time is before 1677 or after 2262, where nanoseconds overflow.
    """
    rows = len(series)
    collected = described.collected_at.replace(tzinfo=None)
    columns = [
        pa.array(series.times, pa.timestamp("us")).cast(pa.timestamp("ns")),
        pa.array([described.code] * rows, pa.string()),
        pa.array(series.values),
        pa.array([described.unit] * rows, pa.string()),
        pa.array([described.frequency] * rows, pa.string()),
        pa.array([collected] * rows, pa.timestamp("ns")),
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA), sink, compression="snappy")
    body: bytes = sink.getvalue().to_pybytes()
    return body


def dataset_manifest(
    dataset_id: str,
    *,
    version: str,
    collected_at: datetime,
    files: Sequence[str],
    extents: Mapping[str, Extent],
) -> dict[str, Any]:
    """Return the dataset manifest, with every field that the ingestor writes.

    Args:
        dataset_id: the id of the dataset.
        version: the version of the dataset.
        collected_at: the time (UTC) at which the observations were collected.
        files: the part files, as keys relative to the dataset's projections.
        extents: the extent of each series, by series code.
    """
    now = iso_time(collected_at)
    return {
        "version_id": version,
        "dataset_id": dataset_id,
        "created_at": now,
        "collection_date": now,
        "data_points_count": sum(one.observations for one in extents.values()),
        "series_count": len(extents),
        "series_codes": sorted(extents),
        "date_range": {
            "min_obs_time": iso_time(min(one.first for one in extents.values())),
            "max_obs_time": iso_time(max(one.last for one in extents.values())),
        },
        "parquet_files": list(files),
        "partitions": [f"{name.rpartition('/')[0]}/" for name in files],
        "partition_strategy": "series_year_month",
    }

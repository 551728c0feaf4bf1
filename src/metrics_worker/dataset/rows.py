"""The rows of a series in the tables of its part files, before they are cleaned.

Times of any unit and time zone become whole microseconds in UTC, rounded down. Values of any numeric type
become float64. Rows are converted one by one, so part files yield the same rows whether they are converted
together or separately. The module `snapshot` relies on this.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from metrics_worker.dataset.part_file import (
    CODE,
    TIME,
    VALUE,
    decimals_as_float64,
    read_errors,
    with_text_codes,
)
from metrics_worker.series import Cleaned, Times, Values, clean

type _Mask = NDArray[np.bool]
"""A boolean for each row."""

_CODES = pa.dictionary(pa.int32(), pa.string())
"""The type of series codes that were written with dictionary encoding, the default of most writers."""

_MICROSECONDS_PER_TICK = {"us": 1, "ms": 1000, "s": 1_000_000}


class Counts(NamedTuple):
    """The number of rows of a series in one part file.

    Attributes:
        complete: rows that have a time and a value.
        null: rows that lack a time or a value.
    """

    complete: int
    null: int


class Rows(NamedTuple):
    """The rows of a series in some part files.

    Attributes:
        times: the times of the rows that have a time and a value, as int64 microseconds since 1970-01-01 UTC,
            in the order of the part files and of their rows.
        values: the values of the same rows, which can be NaN or infinite.
        counts: the counts of each part file, in the same order.
    """

    times: Times
    values: Values
    counts: list[Counts]

    def clean(self) -> Cleaned:
        """Return the cleaned series, and the number of rows that were left out for each reason."""
        return clean(self.times, self.values, null=sum(each.null for each in self.counts))


def to_series(tables: Iterable[tuple[str, pa.Table]], code: str) -> Cleaned:
    """Return the cleaned series in the tables of its part files, and the counts of its rows.

    Args:
        tables: (key, table) in the order of the manifest.
        code: the series code. From a table with the code column, only the rows with this code are used.

    Raises:
        InputReadError: a time or value cannot be represented, or a code is not text.
    """
    return rows_of(tables, code).clean()


def rows_of(tables: Iterable[tuple[str, pa.Table]], code: str) -> Rows:
    """Return the rows of a series in the tables of its part files, before they are cleaned.

    Args:
        tables: (key, table) in the order of the manifest.
        code: the series code. From a table with the code column, only the rows with this code are used.

    Raises:
        InputReadError: a time or value cannot be represented, or a code is not text.
    """
    found = [Rows(np.empty(0, np.int64), np.empty(0), [])]
    for _, alike in groupby(tables, key=lambda keyed: keyed[1].schema):
        keyed = list(alike)
        try:
            found.append(_rows([table for _, table in keyed], code))
        except pa.ArrowException:
            for key, table in keyed:  # find the file with the bad row, to name it
                with read_errors(key, problem="a row is out of range"):
                    _rows([table], code)
            raise
    return Rows(
        np.concatenate([rows.times for rows in found]),
        np.concatenate([rows.values for rows in found]),
        [counts for rows in found for counts in rows.counts],
    )


def _rows(tables: Sequence[pa.Table], code: str) -> Rows:
    """Return the rows of one series in the tables of several part files, which have the same schema."""
    table = _combined(pa.concat_tables(tables))
    own = _is_of(with_text_codes(table), code)
    complete = own & table[TIME].is_valid().to_numpy() & table[VALUE].is_valid().to_numpy()
    lengths = [each.num_rows for each in tables]
    if complete.all():
        counts = [Counts(length, 0) for length in lengths]
    else:
        table = table.filter(pa.array(complete))
        counts = _counts(complete, own, lengths)
    return Rows(_microseconds(table[TIME]), _float64(table[VALUE]), counts)


def _combined(table: pa.Table) -> pa.Table:
    """Return the table with one chunk per column, because Arrow is slow for many chunks of few rows.

    A table with series codes of another type than `_CODES` is returned unchanged, because the dictionaries of
    its chunks cannot always be merged: indices of 8 bits, for example, can be too small for all codes.
    """
    if CODE in table.column_names and table.schema.field(CODE).type != _CODES:
        return table
    return table.combine_chunks()


def _is_of(table: pa.Table, code: str) -> _Mask:
    """Return for each row of a table whether the row belongs to a series.

    If the table has no code column, all rows belong to the series.
    """
    if CODE not in table.column_names:
        return np.ones(table.num_rows, dtype=np.bool)
    import pyarrow.compute as pc  # noqa: PLC0415 - 25 ms, which a cold start spends during its first requests

    found: _Mask = pc.is_in(table[CODE], pa.array([code], pa.string())).to_numpy()
    return found


def _counts(
    complete: _Mask,
    own: _Mask,
    lengths: Sequence[int],
) -> list[Counts]:
    """Return the numbers of complete and incomplete rows of a series in each part file.

    Args:
        complete: for each row of all part files, whether it belongs to the series and has a time and a value.
        own: for each row of all part files, whether it belongs to the series.
        lengths: the number of rows of each part file.
    """
    ends = np.cumsum([0, *lengths])
    completes, owns = (
        np.diff(np.concatenate(([0], np.cumsum(mask)))[ends]).tolist() for mask in (complete, own)
    )
    return [Counts(has, rows - has) for has, rows in zip(completes, owns, strict=True)]


def _microseconds(column: pa.ChunkedArray) -> Times:
    """Return a column of times without nulls as microseconds since 1970-01-01 UTC, rounded down.

    The time zone of a column is ignored, because it does not change the stored instants.

    Raises:
        pyarrow.ArrowInvalid: a time is out of the range of int64 microseconds.
    """
    kind = column.type
    if pa.types.is_null(kind):
        return np.empty(0, np.int64)
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("ms"))
        kind = column.type
    ticks: Times = column.cast(pa.int64()).to_numpy()
    if kind.unit == "ns":
        return ticks // 1000
    factor = _MICROSECONDS_PER_TICK[kind.unit]
    limit = np.iinfo(np.int64).max // factor
    if ticks.size and (ticks.max() > limit or ticks.min() < -limit):
        raise pa.ArrowInvalid("a time is out of the range of microseconds")
    return ticks * factor


def _float64(column: pa.ChunkedArray) -> Values:
    """Return a column of values without nulls as float64.

    Decimals, and integers beyond 2**53, are rounded to the nearest float64.
    """
    if pa.types.is_decimal(column.type):
        column = decimals_as_float64(column)
    elif not pa.types.is_float64(column.type):
        column = column.cast(pa.float64(), safe=False)
    values: Values = column.to_numpy()
    return values

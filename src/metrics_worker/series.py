"""Time series, the cleaning of input rows, and the alignment of several series.

A `Series` contains only defined values and distinct times: no NaN, no infinity, no duplicate time. Operations
keep this property by returning their result through `Series.where_finite`, which leaves undefined values out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

type Times = NDArray[np.int64]
"""Times in microseconds since 1970-01-01 UTC, shape (n,)."""
type Values = NDArray[np.float64]
"""Values as float64, shape (n,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A time series: strictly increasing times, each with one finite float64 value."""

    times: Times
    values: Values

    def __len__(self) -> int:
        return self.times.size

    @classmethod
    def where_finite(cls, times: Times, values: Values) -> Self:
        """Return a series of the given observations, and leave out those whose value is NaN or infinite.

        The times must be strictly increasing.
        """
        finite = np.isfinite(values)
        return cls(times, values) if finite.all() else cls(times[finite], values[finite])


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A series together with the counts of its input rows.

    Each input row is either an observation of the series or counted in one of the last four attributes.

    Attributes:
        series: the observations.
        rows: the number of all input rows.
        null: the number of rows without a value or without a time.
        nan: the number of rows whose value is NaN.
        infinite: the number of rows whose value is positive or negative infinity.
        duplicate: the number of rows that were replaced by a later row with the same time.
    """

    series: Series
    rows: int
    null: int
    nan: int
    infinite: int
    duplicate: int


def clean(times: Times, values: Values, *, null: int) -> Cleaned:
    """Return the series of the given rows, sorted by time, and the counts of the rows that were left out.

    If several rows have the same time, only the last of them is kept. The caller passes the rows in the order
    of the part files in the manifest, and within a part file in the order of its rows.

    Args:
        times: the time of each row; the times may be in any order.
        values: the value of each row; NaN and infinities are allowed.
        null: the number of rows that the caller left out because their value or time was null.
    """
    nan, infinite = np.isnan(values), np.isinf(values)
    dropped = nan | infinite
    rows = times.size + null
    if dropped.any():
        times, values = times[~dropped], values[~dropped]
    if not (times[1:] > times[:-1]).all():
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
        last = np.append(times[1:] != times[:-1], np.ones(min(1, times.size), dtype=bool))
        times, values = times[last], values[last]
    return Cleaned(
        Series(times, values),
        rows=rows,
        null=null,
        nan=int(nan.sum()),
        infinite=int(infinite.sum()),
        duplicate=dropped.size - int(dropped.sum()) - times.size,
    )


def common(left: Series, right: Series) -> tuple[Times, Values, Values]:
    """Return (times, values of `left`, values of `right`) for the times of which both have an observation."""
    if np.array_equal(left.times, right.times):
        return left.times, left.values, right.values
    both = np.concatenate((left.times, right.times))
    order = np.argsort(both, kind="stable")  # stable: of two equal times, the left series' comes first
    ordered = both[order]
    at = np.flatnonzero(ordered[1:] == ordered[:-1])
    return ordered[at], left.values[order[at]], right.values[order[at + 1] - left.times.size]


def union(operands: Sequence[Series]) -> tuple[Times, list[NDArray[np.intp]]]:
    """Return all times of the operands, and for each operand the positions of its times among them.

    The positions of an operand are an index array with one element for each observation of the operand.
    """
    times = np.concatenate([series.times for series in operands])
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    first = np.append(np.ones(min(1, times.size), dtype=bool), ordered[1:] != ordered[:-1])
    place = np.empty(times.size, dtype=np.intp)
    place[order] = np.cumsum(first) - 1
    ends = np.cumsum([len(series) for series in operands])
    return ordered[first], np.split(place, ends[:-1])

"""A series: a strictly increasing sequence of times, each with one finite float64; and how series align.

The algebra is of observations: what is not defined is not there. So every `Series` holds its promise (no
NaN, no infinity, no time twice), and an operation makes a new one by `Series.where_finite`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

type Times = NDArray[np.int64]
"""Microseconds since 1970 in UTC, shape (n,)."""
type Values = NDArray[np.float64]
"""Shape (n,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Observations: `times[i]` is strictly increasing, `values[i]` is finite."""

    times: Times
    values: Values

    def __len__(self) -> int:
        return self.times.size

    @classmethod
    def where_finite(cls, times: Times, values: Values) -> Self:
        """The observations of an operation's result: those that are defined and finite."""
        finite = np.isfinite(values)
        return cls(times, values) if finite.all() else cls(times[finite], values[finite])


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What became of a series' rows: each is an observation or counted under one reason.

    Attributes:
        rows: rows read.
        null: rows without a value, or without a time.
        nan: rows whose value is NaN.
        infinite: rows whose value is an infinity.
        duplicate: rows that a later row of the same time replaced.
    """

    series: Series
    rows: int
    null: int
    nan: int
    infinite: int
    duplicate: int


def clean(times: Times, values: Values, *, null: int) -> Cleaned:
    """Rows in the order of manifest and file, to a series: sorted, and of two rows of a time the later one.

    Args:
        times: of the rows, in any order.
        values: of the rows, NaN and infinities among them.
        null: rows that were left out before, for their value or time was null.
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
    """The times at which both have an observation, and each side's values there."""
    if np.array_equal(left.times, right.times):
        return left.times, left.values, right.values
    both = np.concatenate((left.times, right.times))
    order = np.argsort(both, kind="stable")  # of two equal times the left one comes first
    ordered = both[order]
    at = np.flatnonzero(ordered[1:] == ordered[:-1])
    return ordered[at], left.values[order[at]], right.values[order[at + 1] - left.times.size]


def union(operands: Sequence[Series]) -> tuple[Times, list[NDArray[np.intp]]]:
    """The times at which at least one has an observation, and where each operand's own stand in them."""
    times = np.concatenate([series.times for series in operands])
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    first = np.append(np.ones(min(1, times.size), dtype=bool), ordered[1:] != ordered[:-1])
    place = np.empty(times.size, dtype=np.intp)
    place[order] = np.cumsum(first) - 1
    ends = np.cumsum([len(series) for series in operands])
    return ordered[first], np.split(place, ends[:-1])

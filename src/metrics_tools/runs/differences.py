"""The differences between two series: observations that were added, are gone or have another value."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from metrics_worker.series import Series, Times, Values, common


class Change(NamedTuple):
    """A changed observation.

    Attributes:
        time: the time in microseconds since 1970, UTC.
        before: the value of the first series.
        after: the value of the second series.
        relative: the absolute difference divided by the larger absolute value, 0 to 2.
    """

    time: int
    before: float
    after: float
    relative: float


@dataclass(frozen=True, slots=True)
class Differences:
    """The differences between a first and a second series.

    Attributes:
        gone: the observations at times that only the first series has.
        added: the observations at times that only the second series has.
        both: the number of times that both series have.
        times: the times at which both series have an observation and the values differ, shape (n,).
        before: the values of the first series at these times, shape (n,).
        after: the values of the second series at these times, shape (n,).
    """

    gone: Series
    added: Series
    both: int
    times: Times
    before: Values
    after: Values

    @property
    def changed(self) -> Series:
        """Return the differences (second minus first value) at `times`, without those that are not finite."""
        with np.errstate(over="ignore"):
            return Series.where_finite(self.times, self.after - self.before)

    @property
    def any(self) -> bool:
        """Return whether an observation was added, is gone or has another value."""
        return bool(len(self.gone) or len(self.added) or self.times.size)

    def largest(self, few: int) -> list[Change]:
        """Return the `few` changed observations with the largest absolute differences, the largest first."""
        with np.errstate(over="ignore"):
            places = np.argsort(-np.abs(self.after - self.before), kind="stable")[:few]
        before, after = self.before[places], self.after[places]
        larger = np.maximum(np.abs(before), np.abs(after))
        relative = np.abs(after / larger - before / larger)
        columns = (column.tolist() for column in (self.times[places], before, after, relative))
        return [Change(*row) for row in zip(*columns, strict=True)]


def differences(first: Series, second: Series, tolerance: float = 0.0) -> Differences:
    """Return the differences between two series.

    Two values count as equal if their difference is at most `tolerance` times the larger absolute value.
    """
    times, before, after = common(first, second)
    with np.errstate(over="ignore"):
        limit = tolerance * np.maximum(np.abs(before), np.abs(after))
        differ = np.abs(after - before) > limit
    gone, added = _without(first, times), _without(second, times)
    return Differences(gone, added, times.size, times[differ], before[differ], after[differ])


def _without(series: Series, times: Times) -> Series:
    kept = ~np.isin(series.times, times, assume_unique=True)
    return Series(series.times[kept], series.values[kept])

"""What differs between two series: observations added, gone and changed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics_worker.series import Series, Times, Values, common


@dataclass(frozen=True, slots=True)
class Differences:
    """Of two series, the first and the second.

    Attributes:
        gone: observations at times that only the first has.
        added: observations at times that only the second has.
        both: how many times both have.
        times: of those, the ones whose values differ; shape (n,).
        before: the first's values there.
        after: the second's.
    """

    gone: Series
    added: Series
    both: int
    times: Times
    before: Values
    after: Values

    @property
    def changed(self) -> Series:
        """By how much the values differ: second less first, at the times where they do and it is finite."""
        with np.errstate(over="ignore"):
            return Series.where_finite(self.times, self.after - self.before)

    @property
    def relative(self) -> Values:
        """The absolute difference, relative to the larger of both values: up to 2, of opposite ones."""
        larger = np.maximum(np.abs(self.before), np.abs(self.after))
        return np.abs(self.after / larger - self.before / larger)

    @property
    def any(self) -> bool:
        """Whether anything differs."""
        return bool(len(self.gone) or len(self.added) or self.times.size)

    def largest(self, few: int) -> NDArray[np.intp]:
        """Where in `times` the largest absolute differences are, the largest first."""
        with np.errstate(over="ignore"):
            return np.argsort(-np.abs(self.after - self.before), kind="stable")[:few]


def differences(first: Series, second: Series, tolerance: float = 0.0) -> Differences:
    """Compare two series.

    Args:
        first: before.
        second: after.
        tolerance: values count as equal whose difference is at most so much of the larger of both (its size).
    """
    times, before, after = common(first, second)
    with np.errstate(over="ignore"):
        limit = tolerance * np.maximum(np.abs(before), np.abs(after))
        differ = np.abs(after - before) > limit
    return Differences(
        gone=_without(first, times),
        added=_without(second, times),
        both=times.size,
        times=times[differ],
        before=before[differ],
        after=after[differ],
    )


def _without(series: Series, times: Times) -> Series:
    kept = ~np.isin(series.times, times, assume_unique=True)
    return Series(series.times[kept], series.values[kept])

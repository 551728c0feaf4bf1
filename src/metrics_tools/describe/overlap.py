"""The overlap of two series: their observations, and common times, in the period that both cover."""

from dataclasses import dataclass

import numpy as np

from metrics_worker.series import Series, Times, common

_DAY = 86_400_000_000
"""A day in microseconds."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """The numbers of observations of two series between the later beginning and the earlier end.

    Observations outside this period are lost because one series is longer; losses within it are unexpected.

    Attributes:
        left: observations of the left series.
        right: observations of the right series.
        both: times at which both have an observation.
        days: UTC days on which both have an observation, at any time of day.
    """

    left: int
    right: int
    both: int
    days: int

    @classmethod
    def of(cls, left: Series, right: Series) -> "Overlap":
        """Return the overlap of two series."""
        if not (len(left) and len(right)):
            return cls(0, 0, 0, 0)
        begin, end = max(left.times[0], right.times[0]), min(left.times[-1], right.times[-1])
        ours, its = _within(left.times, begin, end), _within(right.times, begin, end)
        days = np.intersect1d(ours // _DAY, its // _DAY)
        return cls(ours.size, its.size, common(left, right)[0].size, days.size)


def _within(times: Times, begin: np.int64, end: np.int64) -> Times:
    return times[(times >= begin) & (times <= end)]

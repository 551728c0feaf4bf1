"""How far the observations of two series are at the same times, within the time that both cover."""

from dataclasses import dataclass

import numpy as np

from metrics_worker.series import Series, Times, common

_DAY = 86_400_000_000
"""In microseconds."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """The observations of two series between the later beginning and the earlier end.

    What lies outside is lost because one series is longer. What lies inside and is lost is a surprise.

    Attributes:
        left: observations of the left one there.
        right: observations of the right one there.
        both: times that both have.
        days: UTC days on which both have an observation, at whatever time.
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

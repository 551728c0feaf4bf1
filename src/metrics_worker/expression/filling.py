"""As-of join and interpolation: the values of one series at the times of another."""

import numpy as np
from numpy.typing import NDArray

from metrics_worker.series import Series, Times

_DAY = 86_400_000_000
"""One day in microseconds."""


def filled_from_previous(series: Series, times: Times, max_age_days: int | None) -> Series:
    """Return, at each time, the last value of the series at or before this time.

    Times before the first observation are left out.

    Args:
        series: the series.
        times: the times of the result, strictly increasing.
        max_age_days: the maximum age of a value, in days of 24 hours: a time is left out if its value would
            be older. None for no limit.
    """
    position = np.searchsorted(series.times, times, side="right") - 1
    found = position >= 0
    if max_age_days is not None:
        found[found] = _elapsed(series.times[position[found]], times[found]) <= max_age_days * _DAY
    return Series(times[found], series.values[position[found]])


def interpolated(series: Series, times: Times) -> Series:
    """Return a series at other times, by linear interpolation between the neighbouring observations.

    Times before the first and after the last observation are left out. At the time of an observation, the
    result is exactly the value of this observation.

    Args:
        series: the series.
        times: the times of the result, strictly increasing.
    """
    before = np.searchsorted(series.times, times, side="right") - 1
    after = np.searchsorted(series.times, times, side="left")
    inside = (before >= 0) & (after < len(series))
    times, before, after = times[inside], before[inside], after[inside]
    left, right = series.values[before], series.values[after]
    since, until = _elapsed(series.times[before], times), _elapsed(times, series.times[after])
    span = np.maximum(_elapsed(series.times[before], series.times[after]), 1).astype(np.float64)
    # Between two observations, the computed results of each formula never change direction. The difference of
    # two values of the same sign never overflows, nor does the sum of shares of values of different signs.
    with np.errstate(over="ignore"):
        steps = left + (right - left) * (since / span)
        shares = left * (until / span) + right * (since / span)
    between = np.where(np.signbit(left) == np.signbit(right), steps, shares)
    limited = np.where(between < np.minimum(left, right), np.minimum(left, right), between)
    limited = np.where(limited > np.maximum(left, right), np.maximum(left, right), limited)
    return Series(times, np.where(before == after, left, limited))


def _elapsed(earlier: Times, later: Times) -> NDArray[np.uint64]:
    """Return `later` - `earlier` in microseconds; correct also for differences beyond the largest int64."""
    return later.astype(np.uint64) - earlier.astype(np.uint64)

"""Operations on calendar periods and civil dates: cumulative results, indexes and resampling."""

from typing import assert_never

import numpy as np

from metrics_worker.civil_dates import Dates, civil_dates, midnights, period_ends, period_starts
from metrics_worker.expression.nodes import Cumulative, Rebase, Resample
from metrics_worker.kernels import cumulative, variable
from metrics_worker.kernels.variable import Positions
from metrics_worker.series import Series, Times, Values


def accumulated(node: Cumulative, series: Series) -> Series:
    """Return the sum, maximum or minimum of all observations from the beginning of the period to each one."""
    if node.reset is None:
        starts = np.zeros(min(1, len(series)), dtype=np.int64)
    else:
        starts = _first_positions(period_starts(civil_dates(series.times, node.tz), node.reset))
    match node.op:
        case "cumsum":
            values = cumulative.cumulative_sum(series.values, starts)
        case "cummax":
            values = cumulative.cumulative_max(series.values, starts)
        case "cummin":
            values = cumulative.cumulative_min(series.values, starts)
        case _:
            assert_never(node.op)
    return Series.where_finite(series.times, values)


def rebased(node: Rebase, series: Series) -> Series:
    """Return the series as an index: its values from a civil date on, relative to the first of these values.

    Each value is divided by the first value on or after the date, and multiplied by the base. If there is no
    such first value, or it is 0, the result is empty.
    """
    dates = civil_dates(series.times, node.tz)
    start = int((dates < np.datetime64(node.at, "D")).sum())
    with np.errstate(all="ignore"):
        values = series.values[start:] / series.values[start : start + 1] * node.base
    return Series.where_finite(series.times[start:], values)


def resampled(node: Resample, series: Series) -> Series:
    """Return one observation for each calendar period that has observations.

    The last period is left out unless `partial` is true: only a later observation shows that it has ended.
    """
    if not len(series):
        return series
    dates = civil_dates(series.times, node.tz)
    first = _first_positions(period_starts(dates, node.to))
    stop = np.append(first[1:], len(series))
    if not node.partial:
        first, stop = first[:-1], stop[:-1]
    values = _of_periods(node, series.values, first, stop)
    return Series.where_finite(_stamps(node, series.times, dates, first, stop), values)


def _first_positions(starts: Dates) -> Positions:
    """Return the position of the first observation of each period.

    Args:
        starts: the first day of the period of each observation.
    """
    is_first = np.ones(starts.size, dtype=bool)
    np.not_equal(starts[1:], starts[:-1], out=is_first[1:])
    return np.flatnonzero(is_first).astype(np.int64)


def _of_periods(node: Resample, values: Values, first: Positions, stop: Positions) -> Values:
    """Return one value for each period; period k has the observations first[k] to stop[k] - 1."""
    match node.how:
        case "last":
            return values[stop - 1]
        case "first":
            return values[first]
        case "mean":
            return variable.mean_between(values, first, stop)
        case "sum":
            return variable.sum_between(values, first, stop)
        case "min":
            return variable.min_between(values, first, stop)
        case "max":
            return variable.max_between(values, first, stop)
        case "count":
            return (stop - first).astype(np.float64)
        case _:
            assert_never(node.how)


def _stamps(
    node: Resample,
    times: Times,
    dates: Dates,
    first: Positions,
    stop: Positions,
) -> Times:
    """Return the time of the result of each period.

    Args:
        node: the node, which selects the last observation of the period, or its first or last civil day.
        times: the times of all observations.
        dates: the civil dates of all observations.
        first: the position of the first observation of each period.
        stop: the position after the last observation of each period.
    """
    match node.stamp:
        case "last":
            return times[stop - 1]
        case "start":
            return midnights(period_starts(dates[first], node.to), node.tz)
        case "end":
            return midnights(period_ends(dates[first], node.to), node.tz)
        case _:
            assert_never(node.stamp)

"""Operations on calendar periods and civil dates: cumulative results, indexes and resampling."""

from typing import assert_never

import numpy as np

from metrics_worker.civil_dates import (
    Dates,
    Period,
    civil_dates,
    dates_between_midnights,
    midnights,
    period_ends,
    period_starts,
)
from metrics_worker.expression.nodes import Cumulative, Rebase, Resample
from metrics_worker.kernels import cumulative, parts, variable
from metrics_worker.kernels.parts import Positions
from metrics_worker.series import Series, Times, Values


def accumulated(node: Cumulative, series: Series) -> Series:
    """Return for each observation the sum, maximum or minimum of its period's values up to its time.

    The period is the one that `node.reset` names, or without `reset` the whole series.
    """
    if node.reset is None or not len(series):
        starts = np.zeros(min(1, len(series)), dtype=np.int64)
    else:
        starts, _ = _first_of_periods(series.times, node.tz, node.reset)
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
    first, dates = _first_of_periods(series.times, node.tz, node.to)
    stop = np.append(first[1:], len(series))
    if not node.partial:
        first, stop, dates = first[:-1], stop[:-1], dates[:-1]
    if not len(first):
        return Series(series.times[:0], series.values[:0])
    values = _of_periods(node, series.values[: stop[-1]], first, stop)
    return Series.where_finite(_stamps(node, series.times, dates, stop), values)


def _first_of_periods(times: Times, tz: str, period: Period) -> tuple[Positions, Dates]:
    """Return (position of the first time, first date) of each period that contains times, as two arrays.

    Args:
        times: one time or more.
        tz: the time zone of the periods.
        period: the kind of period.
    """
    days = dates_between_midnights(times, tz)
    if days is None:
        starts, positions = np.unique(period_starts(civil_dates(times, tz), period), return_index=True)
        return positions.astype(np.int64), starts
    starts = period_starts(days, period)
    starts = starts[np.append(True, starts[1:] != starts[:-1])]
    positions = np.append(0, np.searchsorted(times, midnights(starts[1:], tz)))
    has_times = np.append(positions[1:], times.size) > positions
    return positions[has_times].astype(np.int64), starts[has_times]


def _of_periods(node: Resample, values: Values, first: Positions, stop: Positions) -> Values:
    """Return for each period its value as `node.how` defines it, such as the mean of its observations.

    Args:
        node: the resampling.
        values: the values of the observations of all periods.
        first: the position of the first observation of each period.
        stop: the position after the last observation of each period.
    """
    match node.how:
        case "last":
            return values[stop - 1]
        case "first":
            return values[first]
        case "mean":
            return variable.exact_means(parts.mean_of_parts(values, first), values, first, stop)
        case "sum":
            return parts.sum_of_parts(values, first)
        case "min":
            return parts.min_of_parts(values, first)
        case "max":
            return parts.max_of_parts(values, first)
        case "count":
            return (stop - first).astype(np.float64)
        case _:
            assert_never(node.how)


def _stamps(
    node: Resample,
    times: Times,
    dates: Dates,
    stop: Positions,
) -> Times:
    """Return the time of each period's result, as `node.stamp` defines it.

    It is the time of the last observation of the period, or midnight of the period's first or last civil
    date.

    Args:
        node: the resampling.
        times: the times of all observations.
        dates: the first date of each period.
        stop: the position after the last observation of each period.
    """
    match node.stamp:
        case "last":
            return times[stop - 1]
        case "start":
            return midnights(dates, node.tz)
        case "end":
            return midnights(period_ends(dates, node.to), node.tz)
        case _:
            assert_never(node.stamp)

"""Operations on windows: the bounds of each window, the kernel of each operation, and lagged values.

A window of observations has a fixed length, and a calendar window has a first observation that depends on the
civil dates of the series. Fixed windows use the kernels in `rolling`, `moments` and `order`; other windows
use the kernels in `variable` and `order`.
"""

from functools import partial
from typing import assert_never

import numpy as np

from metrics_worker.civil_dates import Dates, Unit, civil_dates, minus
from metrics_worker.expression.fields import PairOp
from metrics_worker.expression.nodes import Lag, Quantile, WindowOp
from metrics_worker.kernels import moments, order, rolling, variable
from metrics_worker.kernels.variable import Fixed, Kernel, Positions
from metrics_worker.series import Series, Times, Values, common

_ROUNDING = 4 * float(np.finfo(np.float64).eps)
"""The largest relative rounding error of an exponential average. The largest measured one is 2.4 eps."""
_BLOCK = 8192
"""The number of values that are compared with their averages at a time."""


def windowed(node: WindowOp | Quantile, series: Series) -> Series:
    """Return the results of a window operation, each at the time of the last observation of its window."""
    fixed, between = _kernels(node)
    if (unit := node.unit) != "observations":
        first, stop = _calendar_bounds(node, series.times, unit)
        values = between(series.values, first, stop)
        if node.op == "sma":
            values = variable.exact_means(values, series.values, first, stop)
        return Series.where_finite(series.times[stop - 1], values)
    least = node.window if node.min_periods is None else node.min_periods
    stop = np.arange(least, min(node.window, len(series) + 1), dtype=np.int64)
    values = fixed(series.values, node.window)
    if stop.size:
        incomplete = between(series.values, np.zeros_like(stop), stop)
        values = np.concatenate((incomplete, values))
    if node.op == "sma" and variable.has_equal_neighbours(series.values):
        stop = np.arange(least, len(series) + 1, dtype=np.int64)
        values = variable.exact_means(values, series.values, np.maximum(stop - node.window, 0), stop)
    return Series.where_finite(series.times[len(series) - values.size :], values)


def smoothed(series: Series, window: int) -> Series:
    """Return the exponential averages of a series.

    If an average differs from the value at its time by rounding only, it becomes this value. The averages of
    a constant series are then exactly constant, as with exact arithmetic.
    """
    averages = rolling.ema(series.values, window)
    # In blocks, because clearing the new memory of whole arrays would take longer than the computation.
    for start in range(0, len(series), _BLOCK):
        values, block = series.values[start : start + _BLOCK], averages[start : start + _BLOCK]
        with np.errstate(over="ignore"):
            distance = np.abs(block - values)
        np.copyto(block, values, where=distance <= np.abs(values) * _ROUNDING)
    return Series.where_finite(series.times, averages)


def _calendar_bounds(node: WindowOp | Quantile, times: Times, unit: Unit) -> tuple[Positions, Positions]:
    """Return (first, stop) of the calendar windows that have at least `min_periods` observations.

    Window k contains the observations first[k] to stop[k] - 1. At most one window ends at each observation.
    """
    dates = civil_dates(times, node.tz)
    first = _positions(dates, minus(dates, node.window, unit))
    stop = np.arange(1, times.size + 1, dtype=np.int64)
    if node.min_periods is None or node.min_periods <= 1:
        return first, stop
    enough = stop - first >= node.min_periods
    return first[enough], stop[enough]


def _positions(dates: Dates, targets: Dates) -> Positions:
    """Return, for each target date, the number of `dates` on or before it.

    Args:
        dates: the dates, which must not decrease.
        targets: the target dates, in any order.
    """
    # numpy searches integers faster than dates.
    return np.searchsorted(dates.view(np.int64), targets.view(np.int64), side="right").astype(np.int64)


def _kernels(node: WindowOp | Quantile) -> tuple[Fixed, Kernel]:
    """Return (kernel for windows of one length, kernel for windows of any length) of a window operation."""
    match node.op:
        case "sma":
            return rolling.rolling_mean, variable.mean_between
        case "sum":
            return rolling.rolling_sum, variable.sum_between
        case "max":
            return rolling.rolling_max, variable.max_between
        case "min":
            return rolling.rolling_min, variable.min_between
        case "std":
            return moments.rolling_std, variable.std_between
        case "var":
            return moments.rolling_var, variable.var_between
        case "zscore":
            return moments.rolling_zscore, variable.zscore_between
        case "median":
            return partial(order.rolling_quantile, q=0.5), partial(order.quantile_between, q=0.5)
        case "quantile":
            return partial(order.rolling_quantile, q=node.q), partial(order.quantile_between, q=node.q)
        case "rank":
            return order.rolling_rank, order.rank_between
        case "count":
            return _count, _count_between
        case _:
            assert_never(node.op)


def _count(values: Values, window: int) -> Values:
    return np.full(max(0, values.size - window + 1), float(window))


def _count_between(_: Values, first: Positions, stop: Positions) -> Values:
    return (stop - first).astype(np.float64)


def lagged(node: Lag, series: Series) -> Series:
    """Return for each observation the earlier value at the lag, or the change since that value.

    The operation `lag` returns the value; `diff`, `pct_change` and `log_change` return the change.
    Observations without such an earlier value are left out.
    """
    times, values, earlier = _with_earlier(node, series)
    # A result that is undefined or too large is not finite; where_finite() leaves it out.
    with np.errstate(all="ignore"):
        match node.op:
            case "lag":
                result = earlier
            case "diff":
                result = values - earlier
            case "pct_change":
                result = values / earlier - 1
            case "log_change":
                result = _log_of_ratio(values, earlier)
            case _:
                assert_never(node.op)
    return Series.where_finite(times, result)


def _with_earlier(node: Lag, series: Series) -> tuple[Times, Values, Values]:
    """Return (times, values, earlier values) of the observations that have an earlier value at the lag."""
    if (unit := node.unit) == "observations":
        earlier = rolling.lag(series.values, node.window)
        start = len(series) - earlier.size
        return series.times[start:], series.values[start:], earlier
    dates = civil_dates(series.times, node.tz)
    targets = minus(dates, node.window, unit)
    position = _positions(dates, targets) - 1
    found = position >= 0
    found[found] = dates[position[found]] >= targets[found] - np.timedelta64(node.max_age_days, "D")
    return series.times[found], series.values[found], series.values[position[found]]


def _log_of_ratio(values: Values, earlier: Values) -> Values:
    """Return the natural logarithm of values / earlier where both are positive, NaN elsewhere.

    The quotient of two float64 values can be out of range although its logarithm is not.
    """
    ratio = values / earlier
    in_range = (ratio > np.finfo(np.float64).tiny) & (ratio < np.inf)
    result = np.where(in_range, np.log(ratio), np.log(values) - np.log(earlier))
    return np.where((values > 0) & (earlier > 0), result, np.nan)


def paired(op: PairOp, left: Series, right: Series, window: int) -> Series:
    """Return a statistic of two series, such as their correlation, as a series.

    The result at a time is the statistic of the last `window` pairs of values whose times both series have.
    """
    times, a, b = common(left, right)
    match op:
        case "corr":
            values = moments.rolling_corr(a, b, window)
        case "cov":
            values = moments.rolling_cov(a, b, window)
        case "beta":
            values = moments.rolling_beta(a, b, window)
        case _:
            assert_never(op)
    return Series.where_finite(times[times.size - values.size :], values)

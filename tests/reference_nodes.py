"""The operations on one or two series for the slow reference implementation, computed value by value.

Civil dates come from `reference_civil_dates`, and the statistics of a window from `reference_windows`. The
operands and results are dicts from time to exact value (`Observations`).
"""

from collections.abc import Iterator
from datetime import date, timedelta
from fractions import Fraction
from functools import cache
from itertools import groupby
from zoneinfo import ZoneInfo

from metrics_worker.expression.nodes import (
    Clip,
    Cumulative,
    Fill,
    Lag,
    Pair,
    Quantile,
    Rebase,
    Resample,
    Round,
    Transform,
    WindowOp,
)
from tests import reference_civil_dates as civil
from tests import reference_windows as statistics
from tests.reference_bounds import (
    EPS,
    Bounded,
    Observations,
    Undecided,
    difference,
    exponential,
    logarithm,
    product,
    quotient,
    rounded,
    sign,
    square_root,
)

_DAY = 86_400_000_000
_PAIRS = {"corr": statistics.correlation, "cov": statistics.covariance, "beta": statistics.slope}


@cache
def _zone(name: str) -> ZoneInfo:
    return civil.zone(name)


def _dates(series: Observations, tz: str) -> list[date]:
    return civil.civil_dates(list(series), _zone(tz))


def _defined(results: Iterator[tuple[int, Bounded | None]]) -> Observations:
    return {time: found for time, found in results if found is not None}


def windowed(node: WindowOp | Quantile, series: Observations) -> Observations:
    """Return the statistic of the window of each observation.

    A time whose window has fewer observations than the node requires gets no observation.
    """
    statistic = statistics.quantile(node.q) if isinstance(node, Quantile) else statistics.STATISTICS[node.op]
    times, values = list(series), list(series.values())
    dates = _dates(series, node.tz)

    def window(last: int) -> list[Bounded]:
        if node.unit == "observations":
            return values[max(0, last + 1 - node.window) : last + 1]
        after = civil.minus(dates[last], node.window, node.unit)
        return [values[i] for i in range(last + 1) if dates[i] > after]

    least = node.min_periods or (node.window if node.unit == "observations" else 1)
    windows = ((times[last], window(last)) for last in range(len(times)))
    return _defined((time, statistic(found)) for time, found in windows if len(found) >= least)


def lagged(node: Lag, series: Observations) -> Observations:
    """Return the earlier value, or the change since the earlier value, for each observation.

    The node's lag determines the earlier value, and its operation the kind of change. Observations without an
    earlier value are left out.
    """
    times, values = list(series), list(series.values())
    dates = _dates(series, node.tz)

    def earlier(i: int) -> int | None:
        if node.unit == "observations":
            return i - node.window if i >= node.window else None
        target = civil.minus(dates[i], node.window, node.unit)
        found = [j for j in range(i) if dates[j] <= target]
        if not found or target - dates[found[-1]] > timedelta(days=node.max_age_days):
            return None
        return found[-1]

    pairs = ((i, earlier(i)) for i in range(len(times)))
    return _defined((times[i], _change(node.op, values[i], values[j])) for i, j in pairs if j is not None)


def _change(op: str, value: Bounded, earlier: Bounded) -> Bounded | None:
    if op == "lag":
        return earlier
    if op == "diff":
        return difference(value, earlier)
    if op == "pct_change":
        ratio = quotient(value, earlier)
        return None if ratio is None else difference(ratio, Bounded(Fraction(1)))
    if sign(value) <= 0 or sign(earlier) <= 0:
        return None
    relative = value.error / value.lowest + earlier.error / earlier.lowest
    found = logarithm(Bounded(value.value / earlier.value))
    return None if found is None else rounded(Bounded(found.value, 2 * relative + 4 * EPS), 16)


def transformed(node: Transform, series: Observations) -> Observations:
    """Return the result of the node's function, such as a logarithm, for the value of each observation."""
    functions = {
        "abs": lambda x: Bounded(abs(x.value), x.error),
        "neg": lambda x: Bounded(-x.value, x.error),
        "log": logarithm,
        "exp": exponential,
        "sqrt": square_root,
        "sign": lambda x: Bounded(Fraction(sign(x))),
    }
    return _defined((time, functions[node.op](value)) for time, value in series.items())


def clipped(node: Clip, series: Observations) -> Observations:
    """Return the observations, with the node's limit in place of each value beyond this limit."""

    def limited(value: Fraction) -> Fraction:
        value = value if node.lower is None else max(value, Fraction(node.lower))
        return value if node.upper is None else min(value, Fraction(node.upper))

    return {time: Bounded(limited(value), error) for time, (value, error) in series.items()}


def in_digits(node: Round, series: Observations) -> Observations:
    """Return each value rounded to the node's number of decimal places; halves are rounded to even."""

    def one(exact: Bounded) -> Bounded:
        low, high = (round(value, node.digits) for value in (exact.lowest, exact.highest))
        if low != high:
            raise Undecided
        return rounded(Bounded(low))

    return {time: one(exact) for time, exact in series.items()}


def accumulated(node: Cumulative, series: Observations) -> Observations:
    """Return, for each observation, the statistic of all observations of its period up to and including it.

    The node's `reset` names the period, and its operation the statistic. If the node has no `reset`, there is
    only one period, which contains all observations.
    """
    statistic = statistics.STATISTICS[node.op.removeprefix("cum")]
    dates = _dates(series, node.tz)
    starts = [civil.period_start(day, node.reset) if node.reset else date.min for day in dates]
    times, values = list(series), list(series.values())
    return _defined(
        (times[i], statistic([values[j] for j in range(i + 1) if starts[j] == starts[i]]))
        for i in range(len(times))
    )


def rebased(node: Rebase, series: Observations) -> Observations:
    """Return the observations from the date of the node on, as an index.

    Each value is divided by the first of these values and multiplied by the base of the node.
    """
    at = date.fromisoformat(node.at)
    later = [time for time, day in zip(series, _dates(series, node.tz), strict=True) if day >= at]
    ratios = _defined((time, quotient(series[time], series[later[0]])) for time in later)
    return {time: product(ratio, Bounded(Fraction(node.base))) for time, ratio in ratios.items()}


def resampled(node: Resample, series: Observations) -> Observations:
    """Return one observation for each period; the last period is omitted unless `node.partial` is true."""
    dates = dict(zip(series, _dates(series, node.tz), strict=True))
    groups = groupby(series, key=lambda time: civil.period_start(dates[time], node.to))
    periods = [(start, list(times)) for start, times in groups]
    found: Observations = {}
    for start, times in periods if node.partial else periods[:-1]:
        values = [series[time] for time in times]
        days = {"start": start, "end": civil.period_end(start, node.to)}
        stamp = civil.midnight(days[node.stamp], _zone(node.tz)) if node.stamp in days else times[-1]
        ends = {"last": values[-1], "first": values[0]}
        how = {"mean": "sma"}.get(node.how, node.how)
        found |= _defined(iter([(stamp, ends.get(how) or statistics.STATISTICS[how](values))]))
    return found


def filled(node: Fill, series: Observations, like: Observations) -> Observations:
    """Return the values of `series` at the times of `like`.

    The value at a time is that of the latest earlier or simultaneous observation, or lies on the straight
    line between two observations. The node's `method` selects one of these.
    """
    if node.method == "linear":
        return _defined((time, _on_line(series, time)) for time in like)

    def previous(time: int) -> Bounded | None:
        before = [each for each in series if each <= time]
        limit = node.max_age_days
        is_too_old = before and limit is not None and time - before[-1] > limit * _DAY
        return series[before[-1]] if before and not is_too_old else None

    return _defined((time, previous(time)) for time in like)


def _on_line(series: Observations, time: int) -> Bounded | None:
    if time in series:
        return series[time]
    before, after = [each for each in series if each < time], [each for each in series if each > time]
    if not before or not after:
        return None
    left, right = series[before[-1]], series[after[0]]
    share = Fraction(time - before[-1], after[0] - before[-1])
    value = (1 - share) * left.value + share * right.value
    size = (1 - share) * left.size + share * right.size
    return rounded(Bounded(value, max(left.error, right.error) + 4 * EPS * size), 4)


def paired(node: Pair, left: Observations, right: Observations) -> Observations:
    """Return the statistic of a window of two series, such as their correlation, for each common time.

    The window contains the observations at the common times up to this time.
    """
    times = [time for time in left if time in right]
    ends = range(node.window, len(times) + 1)

    def values(series: Observations, end: int) -> list[Bounded]:
        return [series[time] for time in times[end - node.window : end]]

    statistic = _PAIRS[node.op]
    return _defined((times[end - 1], statistic(values(left, end), values(right, end))) for end in ends)

"""An independent computation of a metric in plain Python, from the ECB's file, to check the worker's results.

The computation shares no code with the worker: it uses dictionaries by day, exact sums (`math.fsum`) and the
JSON of the request, and follows the definition of each operation without regard to speed. It supports only
the series of the ECB, which have one observation a day, and the operations that the requests in events/ use.
"""

import itertools
import math
import operator
from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from metrics_tools.ecb import Rates, currency_of

type Days = Mapping[date, float]
"""A series as day → value, in ascending order of days."""

TOLERANCE = 1e-9
"""The largest accepted difference, relative to values above 1 and absolute for smaller values.

A purely relative tolerance would be too strict: the difference of two similar means has few correct digits.
"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of a metric with its recomputation.

    Attributes:
        checked: the number of compared observations; 0 if there is a problem.
        largest: the largest difference, relative to values above 1 and absolute for smaller values.
        problem: a text about the first disagreement; None if all observations agree.
    """

    checked: int
    largest: float
    problem: str | None


def recompute(node: Mapping[str, Any], rates: Rates) -> Days:
    """Return the values of an expression by day.

    Args:
        node: the root node of a valid expression, as JSON values.
        rates: the ECB's rates by currency and day.

    Raises:
        KeyError: the expression contains an operation that the recomputation does not support, or a series
            that is not a series of the ECB.
    """
    if "operands" in node:
        return _composite(node["op"], [recompute(operand, rates) for operand in node["operands"]])
    if "left" in node:
        return _series_math(node, rates)
    if "series" in node:
        return _ONE_SERIES[node["op"]](node, recompute(node["series"], rates))
    code = node["series_code"] if "series_code" in node else node["seriesCode"]
    return rates[currency_of(code) or code]


def compare(*, found: Days, expected: Days) -> Comparison:
    """Compare the observations of a metric with recomputed observations.

    Args:
        found: the observations of the metric.
        expected: the recomputed observations.
    """
    if len(found) != len(expected):
        return Comparison(0, 0.0, f"{len(found):,} observations instead of {len(expected):,}")
    largest = 0.0
    for day, value in expected.items():
        if day not in found:
            return Comparison(0, 0.0, f"no observation on {day}")
        difference = abs(found[day] - value) / max(1.0, abs(value))
        if difference > TOLERANCE:
            return Comparison(0, difference, f"{found[day]!r} instead of {value!r} on {day}")
        largest = max(largest, difference)
    return Comparison(len(expected), largest, None)


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _zscore(values: list[float]) -> float:
    mean = _mean(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return (values[-1] - mean) / math.sqrt(squares / (len(values) - 1)) if squares else math.nan


_OPERATORS = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "ratio": operator.truediv,
}
_KERNELS: dict[str, Callable[[list[float]], float]] = {
    "sma": _mean,
    "avg": _mean,
    "mean": _mean,
    "sum": math.fsum,
    "max": max,
    "min": min,
    "zscore": _zscore,
}
_CHANGES: dict[str, Callable[[float, float], float]] = {
    "lag": lambda _, earlier: earlier,
    "diff": lambda value, earlier: value - earlier,
    "pct_change": lambda value, earlier: value / earlier - 1 if earlier else math.nan,
}
_MONTHS = {"months": 1, "quarters": 3, "years": 12}


def _series_math(node: Mapping[str, Any], rates: Rates) -> Days:
    op, scale = node["op"], node.get("scale", 1)
    left, right = _sides(node["left"], node["right"], rates)
    days = [day for day in left if day in right and not (op == "ratio" and right[day] == 0)]
    return _finite({day: _OPERATORS[op](left[day], right[day]) * scale for day in days})


def _sides(left: Mapping[str, Any], right: Mapping[str, Any], rates: Rates) -> tuple[Days, Days]:
    """Return the values of the left and of the right side of an operation, each by day.

    A constant has its value on each day on which the other side has one.

    Args:
        left: the node of the left side, as JSON values.
        right: the node of the right side, as JSON values.
        rates: the ECB's rates by currency and day.
    """
    if "const" in left:
        other = recompute(right, rates)
        return dict.fromkeys(other, left["const"]), other
    series = recompute(left, rates)
    return series, dict.fromkeys(series, right["const"]) if "const" in right else recompute(right, rates)


def _composite(op: str, operands: list[Days]) -> Days:
    days = sorted(set().union(*operands))
    return {day: _KERNELS[op]([operand[day] for operand in operands if day in operand]) for day in days}


def _ema(node: Mapping[str, Any], series: Days) -> Days:
    alpha = 2 / (node["window"] + 1)
    smooth = itertools.accumulate(series.values(), lambda last, value: alpha * value + (1 - alpha) * last)
    return dict(zip(series, smooth, strict=True))


def _window_op(node: Mapping[str, Any], series: Days) -> Days:
    op, window, unit = node["op"], node["window"], node.get("unit", "observations")
    days, values = list(series), list(series.values())
    dates = [_civil_date(day, node) for day in days]
    by_count = unit == "observations"
    needed = max(node.get("min_periods", window if by_count else 1), 2 if op == "zscore" else 1)
    found, first = {}, 0
    for last, day in enumerate(days):
        if by_count:
            first = max(0, last + 1 - window)
        else:
            before = _minus(dates[last], window, unit)
            first = next(i for i in range(first, last + 1) if dates[i] > before)
        if last + 1 - first >= needed:
            found[day] = _KERNELS[op](values[first : last + 1])
    return _finite(found)


def _lag(node: Mapping[str, Any], series: Days) -> Days:
    change, window, unit = _CHANGES[node["op"]], node["window"], node.get("unit", "observations")
    days = list(series)
    if unit == "observations":
        pairs = list(zip(days[window:], days, strict=False))
    else:
        by_date = {_civil_date(day, node): day for day in days}
        targets = [(day, _minus(_civil_date(day, node), window, unit)) for day in days]
        ages = [timedelta(days=age) for age in range(node.get("max_age_days", 7) + 1)]
        found = [(day, [target - age for age in ages if target - age in by_date]) for day, target in targets]
        pairs = [(day, by_date[dates[0]]) for day, dates in found if dates]
    return _finite({day: change(series[day], series[earlier]) for day, earlier in pairs})


def _rebase(node: Mapping[str, Any], series: Days) -> Days:
    at, base = date.fromisoformat(node["at"]), node.get("base", 100)
    days = [day for day in series if _civil_date(day, node) >= at]
    if not days or not series[days[0]]:
        return {}
    return _finite({day: series[day] / series[days[0]] * base for day in days})


def _resample(node: Mapping[str, Any], series: Days) -> Days:
    months = {"month": 1, "quarter": 3, "year": 12}[node["to"]]
    periods: dict[tuple[int, int], list[date]] = {}
    for day in series:
        civil = _civil_date(day, node)
        periods.setdefault((civil.year, (civil.month - 1) // months), []).append(day)
    complete = list(periods.values())[: None if node.get("partial") else -1]
    if node.get("stamp", "last") != "last":
        raise KeyError("stamp")
    return _finite({days[-1]: _KERNELS[node["how"]]([series[day] for day in days]) for days in complete})


_ONE_SERIES: dict[str, Callable[[Mapping[str, Any], Days], Days]] = {
    **dict.fromkeys(("sma", "sum", "max", "min", "zscore"), _window_op),
    **dict.fromkeys(_CHANGES, _lag),
    "ema": _ema,
    "rebase": _rebase,
    "resample": _resample,
}


def _finite(days: Days) -> Days:
    return {day: value for day, value in days.items() if math.isfinite(value)}


def _civil_date(day: date, node: Mapping[str, Any]) -> date:
    """Return the civil date of midnight UTC of a day, in the time zone of a node.

    Args:
        day: the day.
        node: the node as JSON values. Without `tz`, its time zone is UTC.
    """
    return datetime.combine(day, time(), UTC).astimezone(ZoneInfo(node.get("tz") or "UTC")).date()


def _minus(day: date, count: int, unit: str) -> date:
    """Return the date that is a number of calendar units before a date, such as 3 `months`.

    If the resulting month has no such day as the day of the month, the result is the last day of this month.
    """
    if unit in {"days", "weeks"}:
        return day - timedelta(**{unit: count})
    year, month = divmod(day.year * 12 + day.month - 1 - _MONTHS[unit] * count, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))

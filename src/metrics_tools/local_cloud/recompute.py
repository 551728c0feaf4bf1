"""An independent computation of a metric in plain Python, from the ECB's file, to check the worker's results.

The computation shares no code with the worker: it uses dictionaries by day, exact sums (`math.fsum`) and the
JSON of the request, and follows the definition of each operation without regard to speed. It supports only
the series of the ECB.
"""

import itertools
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

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
        largest: the largest difference, measured like `TOLERANCE`.
        problem: a text about the first disagreement; None if all observations agree.
    """

    checked: int
    largest: float
    problem: str | None


def recompute(node: Mapping[str, Any], rates: Rates) -> Days:
    """Return the observations of a valid expression, which is given as JSON values.

    Raises:
        KeyError: the expression contains a series that is not a series of the ECB.
    """
    if "operands" in node:
        return _composite(node["op"], [recompute(operand, rates) for operand in node["operands"]])
    if "left" in node:
        left, right = recompute(node["left"], rates), recompute(node["right"], rates)
        return _series_math(node["op"], node.get("scale", 1), left=left, right=right)
    if "window" in node:
        return _window_op(node["op"], recompute(node["series"], rates), node["window"])
    code = node["series_code"] if "series_code" in node else node["seriesCode"]
    return rates[currency_of(code) or code]


def compare(*, found: Days, expected: Days) -> Comparison:
    """Compare the observations of a metric (`found`) with recomputed observations (`expected`)."""
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


_OPERATORS = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "ratio": operator.truediv,
}
_KERNELS: dict[str, Callable[[list[float]], float]] = {
    "sma": _mean,
    "avg": _mean,
    "sum": math.fsum,
    "max": max,
    "min": min,
}


def _series_math(op: str, scale: float, *, left: Days, right: Days) -> Days:
    days = [day for day in left if day in right and not (op == "ratio" and right[day] == 0)]
    found = {day: _OPERATORS[op](left[day], right[day]) * scale for day in days}
    return {day: value for day, value in found.items() if math.isfinite(value)}


def _window_op(op: str, series: Days, window: int) -> Days:
    days, values = list(series), list(series.values())
    if op == "lag":
        return dict(zip(days[window:], values, strict=False))
    if op == "ema":
        alpha = 2 / (window + 1)
        smooth = itertools.accumulate(values, lambda last, value: alpha * value + (1 - alpha) * last)
        return dict(zip(days, smooth, strict=True))
    ends = range(window, len(values) + 1)
    return {days[end - 1]: _KERNELS[op](values[end - window : end]) for end in ends}


def _composite(op: str, operands: list[Days]) -> Days:
    days = sorted(set().union(*operands))
    return {day: _KERNELS[op]([operand[day] for operand in operands if day in operand]) for day in days}

"""The same metric in plain Python, straight from the ECB's file: an independent check of the numbers.

It shares no code with the worker: dictionaries of days, exact sums (`math.fsum`), and the request's own JSON.
It is slow and does as the algebra is written down. An expression over anything but the ECB's series can't be
checked here.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from metrics_tools.local_cloud.ecb import Rates, currency_of

type Days = dict[date, float]
"""Day → value, days ascending."""

TOLERANCE = 1e-9
"""Relative, and absolute below one: differences of moving means cancel most of their digits."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How a metric differs from its recomputation: nothing is wrong where `problem` is None."""

    checked: int
    largest: float
    problem: str | None


def recompute(node: Mapping[str, Any], rates: Rates) -> Days:
    """The expression's observations.

    Args:
        node: a valid expression, as JSON values.
        rates: the ECB's.

    Raises:
        KeyError: it names a series that is not the ECB's.
    """
    if "operands" in node:
        return _composite(node["op"], [recompute(operand, rates) for operand in node["operands"]])
    if "left" in node:
        left, right = recompute(node["left"], rates), recompute(node["right"], rates)
        return _math(node["op"], left, right, node.get("scale", 1))
    if "window" in node:
        return _window(node["op"], recompute(node["series"], rates), node["window"])
    code = node["series_code"] if "series_code" in node else node["seriesCode"]
    return rates[currency_of(code) or code]


def compare(found: Days, expected: Days) -> Difference:
    """Hold a metric's observations against the recomputed ones."""
    if len(found) != len(expected):
        return Difference(0, 0.0, f"{len(found):,} observations instead of {len(expected):,}")
    largest = 0.0
    for day, value in expected.items():
        if day not in found:
            return Difference(0, 0.0, f"no observation on {day}")
        difference = abs(found[day] - value) / max(1.0, abs(value))
        if difference > TOLERANCE:
            return Difference(0, difference, f"{found[day]!r} instead of {value!r} on {day}")
        largest = max(largest, difference)
    return Difference(len(expected), largest, None)


def _math(op: str, left: Days, right: Days, scale: float) -> Days:
    result = {}
    for day, a in left.items():
        b = right.get(day)
        if b is None or (op == "ratio" and b == 0):
            continue
        value = {"add": a + b, "subtract": a - b, "multiply": a * b, "ratio": a / (b or 1)}[op] * scale
        if math.isfinite(value):
            result[day] = value
    return result


def _window(op: str, series: Days, window: int) -> Days:
    days, values = list(series), list(series.values())
    if op == "lag":
        return dict(zip(days[window:], values, strict=False))
    if op == "ema":
        alpha = 2 / (window + 1)
        smooth: list[float] = []
        for value in values:
            smooth.append(alpha * value + (1 - alpha) * smooth[-1] if smooth else value)
        return dict(zip(days, smooth, strict=True))
    kernels: dict[str, Callable[[list[float]], float]] = {
        "sma": _mean,
        "sum": math.fsum,
        "max": max,
        "min": min,
    }
    return {days[end - 1]: kernels[op](values[end - window : end]) for end in range(window, len(values) + 1)}


def _composite(op: str, operands: list[Days]) -> Days:
    kernels: dict[str, Callable[[list[float]], float]] = {
        "avg": _mean,
        "sum": math.fsum,
        "max": max,
        "min": min,
    }
    days = sorted(set().union(*operands))
    return {day: kernels[op]([operand[day] for operand in operands if day in operand]) for day in days}


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)

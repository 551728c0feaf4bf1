"""A slow reference implementation of evaluation, written from the table of operations in docs/grammar.md.

A series is a dict from time to an exact fraction and an error bound: the largest difference that a float64
result may have from that fraction. The bounds are sums of the rounding errors that each operation may make,
so a comparison needs no arbitrary tolerance. If the exact value does not determine whether float64 has an
observation (for example because a divisor is zero only after rounding), `Undecided` is raised.
"""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple, assert_never

from metrics_worker.expression.grammar import children
from metrics_worker.expression.nodes import Composite, Node, SeriesMath, SeriesRef, WindowOp
from metrics_worker.series import Series

EPS = Fraction(1, 2**52)
UNIT = EPS / 2
"""The largest rounding error of one float64 operation, relative to the exact result."""
TINY = Fraction(1, 2**1074)
"""The smallest positive float64; the absolute rounding error of a subnormal result is at most this."""
LARGEST = Fraction(sys.float_info.max)
EMA_ROUNDINGS = 80
"""Roundings allowed in an exponential average: 33 for each of two products of 33 terms, and a reserve."""


class Undecided(Exception):
    """An exception: the exact values do not determine whether the float64 result has an observation."""


class Bounded(NamedTuple):
    """An exact value, and the largest error that a float64 result may have."""

    value: Fraction
    error: Fraction = Fraction(0)

    @property
    def size(self) -> Fraction:
        """Return the largest absolute value that the float64 result may have."""
        return abs(self.value) + self.error


type Observations = dict[int, Bounded]


def observations(series: Series) -> Observations:
    """Return the observations of a series with exact values and error bounds of zero."""
    return {
        time: Bounded(Fraction(value))
        for time, value in zip(series.times.tolist(), series.values.tolist(), strict=True)
    }


def evaluate(node: Node, inputs: Mapping[str, Observations]) -> Observations:
    """Return the exact observations of the series that the expression defines.

    Raises:
        Undecided: rounding may turn a divisor into zero, or a value may be too large for float64.
    """
    if isinstance(node, SeriesRef):
        return inputs[node.series_code]
    result = step(node, [evaluate(child, inputs) for child in children(node)])
    if any(found.size > LARGEST / 2 for found in result.values()):
        raise Undecided
    return result


def step(node: Node, operands: Sequence[Observations]) -> Observations:
    """Return the result of one operation on the observations of its operands."""
    match node:
        case SeriesRef():
            raise AssertionError("a series has no operands")
        case SeriesMath():
            left, right = operands
            both = sorted(left.keys() & right.keys())
            found = {time: _math(node, left[time], right[time]) for time in both}
            return {time: result for time, result in found.items() if result is not None}
        case WindowOp(op=op, window=window):
            (series,) = operands
            return _WINDOWED[op](series, window)
        case Composite(op=op):
            times = sorted(set().union(*operands))
            return {
                time: _COMPOSED[op]([series[time] for series in operands if time in series]) for time in times
            }
        case _:
            assert_never(node)


def _math(node: SeriesMath, left: Bounded, right: Bounded) -> Bounded | None:
    a, b = left.value, right.value
    match node.op:
        case "add":
            exact = Bounded(a + b, left.error + right.error)
        case "subtract":
            exact = Bounded(a - b, left.error + right.error)
        case "multiply":
            exact = Bounded(a * b, abs(a) * right.error + abs(b) * left.error + left.error * right.error)
        case "ratio":
            if right == Bounded(Fraction(0)):
                return None
            if abs(b) <= right.error:
                raise Undecided
            exact = Bounded(a / b, (left.error + abs(a / b) * right.error) / (abs(b) - right.error))
        case _:
            assert_never(node.op)
    if exact.size > LARGEST / 2:
        raise Undecided
    once = _rounded(exact)
    scale = Fraction(node.scale)
    return _rounded(Bounded(once.value * scale, once.error * abs(scale)))


def _rounded(exact: Bounded, roundings: Fraction | int = 1) -> Bounded:
    """Return the value with its error increased by the given number of float64 roundings.

    The fractions are shortened, which changes them by far less than one rounding.
    """
    error = exact.error + roundings * (UNIT * exact.size + TINY)
    return Bounded(_short(exact.value, 256), _short(error, 64) * (1 + Fraction(1, 2**40)))


def _short(value: Fraction, bits: int) -> Fraction:
    """Return the fraction rounded to at least this many binary digits, so that it stays short."""
    shift = bits + value.denominator.bit_length() - value.numerator.bit_length()
    if value.denominator.bit_length() + value.numerator.bit_length() < 4 * bits:
        return value
    return Fraction(round(value * Fraction(2) ** shift)) / Fraction(2) ** shift


def _windows(series: Observations, window: int) -> list[tuple[int, list[Bounded]]]:
    """Return (time, observations) for each complete window, where time is that of its last observation."""
    times, values = list(series), list(series.values())
    return [(times[i], values[i - window + 1 : i + 1]) for i in range(window - 1, len(times))]


def _total(values: Sequence[Bounded], roundings: Fraction | int) -> Bounded:
    size = sum((found.size for found in values), Fraction(0))
    error = sum((found.error for found in values), Fraction(0))
    return Bounded(sum((found.value for found in values), Fraction(0)), error + roundings * EPS * size)


def _mean(values: Sequence[Bounded], roundings: Fraction | int) -> Bounded:
    """Return the mean: the sum with this many roundings, divided by the number of values and rounded."""
    total = _total(values, roundings)
    return _rounded(Bounded(total.value / len(values), total.error / len(values)), 2)


def _sum_roundings(window: int) -> Fraction:
    """Return the error bound of a kernel's sum in units of eps * sum(abs(x)), as windows.py documents it."""
    return Fraction((window - 1).bit_length(), 2) + 1


def _sum(series: Observations, window: int) -> Observations:
    return {time: _total(values, _sum_roundings(window)) for time, values in _windows(series, window)}


def _sma(series: Observations, window: int) -> Observations:
    return {time: _mean(values, _sum_roundings(window)) for time, values in _windows(series, window)}


def _largest(values: Sequence[Bounded]) -> Bounded:
    """Return the largest value; its error is at most the largest error of any of the values."""
    return Bounded(max(found.value for found in values), max(found.error for found in values))


def _smallest(values: Sequence[Bounded]) -> Bounded:
    return Bounded(min(found.value for found in values), max(found.error for found in values))


def _max(series: Observations, window: int) -> Observations:
    return {time: _largest(values) for time, values in _windows(series, window)}


def _min(series: Observations, window: int) -> Observations:
    return {time: _smallest(values) for time, values in _windows(series, window)}


def _lag(series: Observations, window: int) -> Observations:
    return {time: values[0] for time, values in _windows(series, window + 1)}


def _ema(series: Observations, window: int) -> Observations:
    alpha = Fraction(2, window + 1)
    result: Observations = {}
    average = carried = largest = Fraction(0)
    for i, (time, found) in enumerate(series.items()):
        weight = Fraction(1) if i == 0 else alpha
        average = _short(weight * found.value + (1 - weight) * average, 256)
        carried = _short(weight * found.error + (1 - weight) * carried, 64)
        largest = max(largest, found.size)
        error = 2 * carried + (EMA_ROUNDINGS * (EPS * largest + TINY) if i else 0)
        result[time] = Bounded(average, error)
    return result


_WINDOWED: dict[str, Callable[[Observations, int], Observations]] = {
    "sma": _sma,
    "ema": _ema,
    "sum": _sum,
    "max": _max,
    "min": _min,
    "lag": _lag,
}
_COMPOSED: dict[str, Callable[[Sequence[Bounded]], Bounded]] = {
    "sum": lambda values: _total(values, len(values) - 1),
    "avg": lambda values: _mean(values, len(values) - 1),
    "max": _largest,
    "min": _smallest,
}


def assert_equal(result: Series, expected: Observations) -> None:
    """Assert that the result has the expected observations, each within its error bound.

    An observation that is too large for float64 must be missing; one that may or may not be too large, within
    its error, may be there or missing.
    """
    found = dict(zip(result.times.tolist(), result.values.tolist(), strict=True))
    assert list(found) == sorted(found)
    assert all(math.isfinite(value) for value in found.values())
    surely = {time for time, bounded in expected.items() if bounded.size <= LARGEST}
    perhaps = {t for t, bounded in expected.items() if abs(bounded.value) - bounded.error <= LARGEST}
    assert surely <= found.keys() <= perhaps
    for time, value in found.items():
        off = abs(Fraction(value) - expected[time].value)
        assert off <= expected[time].error, f"at {time}: the error of {value!r} is {float(off)}"

"""A slow reference implementation of evaluation, written from the table of operations in docs/grammar.md.

A series is a dict from time to an exact fraction and an error bound: the largest difference that a float64
result may have from that fraction. The bounds are sums of the rounding errors that each operation may make,
so a comparison needs no arbitrary tolerance. If the exact value does not determine whether float64 has an
observation (for example because a divisor is zero only after rounding), `Undecided` is raised.
"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import assert_never

from metrics_worker.expression.grammar import children
from metrics_worker.expression.nodes import (
    Clip,
    Composite,
    Constant,
    Cumulative,
    Ema,
    Fill,
    Lag,
    Node,
    Pair,
    Quantile,
    Rebase,
    Resample,
    Round,
    SeriesMath,
    SeriesRef,
    Transform,
    WindowOp,
)
from metrics_worker.series import Series
from tests import reference_nodes as nodes
from tests.reference_bounds import (
    EPS,
    LARGEST,
    TINY,
    Bounded,
    Observations,
    Undecided,
    decided,
    power,
    product,
    quotient,
    rounded,
    short,
)
from tests.reference_windows import largest, mean_of, smallest, total

EMA_ROUNDINGS = 80
"""Roundings allowed in an exponential average: 33 for each of two products of 33 terms, and a reserve."""


def observations(series: Series) -> Observations:
    """Return the observations of a series with exact values and error bounds of zero."""
    return {
        time: Bounded(Fraction(value))
        for time, value in zip(series.times.tolist(), series.values.tolist(), strict=True)
    }


def evaluate(node: Node, inputs: Mapping[str, Observations]) -> Observations:
    """Return the exact observations of the series that the expression defines.

    Raises:
        Undecided: rounding may decide whether there is an observation, or a value may be too large.
    """
    if isinstance(node, SeriesRef):
        return inputs[node.series_code]
    series = [evaluate(child, inputs) for child in children(node) if not isinstance(child, Constant)]
    result = step(node, series)
    if any(found.size > LARGEST / 2 for found in result.values()):
        raise Undecided
    return result


def step(node: Node, operands: Sequence[Observations]) -> Observations:
    """Return the exact result of one operation.

    Args:
        node: the node of the operation.
        operands: the observations of each operand that is not a constant, in the order of the node.
    """
    match node:
        case SeriesRef() | Constant():
            raise AssertionError("the node has no operands")
        case SeriesMath():
            left, right = _sides(node, operands)
            both = sorted(left.keys() & right.keys())
            found = {time: _math(node, left[time], right[time]) for time in both}
            return {time: result for time, result in found.items() if result is not None}
        case Pair():
            return nodes.paired(node, *operands)
        case Composite():
            return _composite(node, operands)
        case WindowOp() | Quantile():
            return nodes.windowed(node, *operands)
        case Ema(window=window):
            return _ema(operands[0], window)
        case Lag():
            return nodes.lagged(node, *operands)
        case Transform():
            return nodes.transformed(node, *operands)
        case Clip():
            return nodes.clipped(node, *operands)
        case Round():
            return nodes.in_digits(node, *operands)
        case Cumulative():
            return nodes.accumulated(node, *operands)
        case Rebase():
            return nodes.rebased(node, *operands)
        case Resample():
            return nodes.resampled(node, *operands)
        case Fill():
            return nodes.filled(node, *operands)
        case _:
            assert_never(node)


def _sides(node: SeriesMath, operands: Sequence[Observations]) -> tuple[Observations, Observations]:
    """Return the observations of the left and the right side of a node.

    A constant gets an observation at each time of the other side.

    Args:
        node: the node.
        operands: the observations of its sides, without those that are constants.
    """
    given = iter(operands)
    left = None if isinstance(node.left, Constant) else next(given)
    right = None if isinstance(node.right, Constant) else next(given)
    times = list(left or right or ())

    def constant(side: Node) -> Observations:
        assert isinstance(side, Constant)
        return dict.fromkeys(times, Bounded(Fraction(side.const)))

    return constant(node.left) if left is None else left, constant(node.right) if right is None else right


def _math(node: SeriesMath, left: Bounded, right: Bounded) -> Bounded | None:
    once: Bounded | None
    a, b = left.value, right.value
    match node.op:
        case "add":
            once = rounded(decided(Bounded(a + b, left.error + right.error)))
        case "subtract":
            once = rounded(decided(Bounded(a - b, left.error + right.error)))
        case "multiply":
            once = product(left, right)
        case "ratio":
            once = quotient(left, right)
        case "power":
            once = power(left, right)
        case _:
            assert_never(node.op)
    if once is None:
        return None
    scale = Fraction(node.scale)
    return rounded(Bounded(once.value * scale, once.error * abs(scale)))


def _composite(node: Composite, operands: Sequence[Observations]) -> Observations:
    times = sorted(set().union(*operands))
    constants = [Bounded(Fraction(each.const)) for each in node.operands if isinstance(each, Constant)]
    present = {time: [series[time] for series in operands if time in series] + constants for time in times}
    match node.op:
        case "sum":
            return {time: total(values, len(values) - 1) for time, values in present.items()}
        case "avg":
            return {time: mean_of(values, len(values) - 1) for time, values in present.items()}
        case "max":
            return {time: largest(values) for time, values in present.items()}
        case "min":
            return {time: smallest(values) for time, values in present.items()}
        case _:
            assert_never(node.op)


def _ema(series: Observations, window: int) -> Observations:
    alpha = Fraction(2, window + 1)
    result: Observations = {}
    average = carried = largest = Fraction(0)
    for i, (time, found) in enumerate(series.items()):
        weight = Fraction(1) if i == 0 else alpha
        average = short(weight * found.value + (1 - weight) * average, 256)
        carried = short(weight * found.error + (1 - weight) * carried, 64)
        largest = max(largest, found.size)
        error = 2 * carried + (EMA_ROUNDINGS * (EPS * largest + TINY) if i else 0)
        result[time] = Bounded(average, error)
    return result


def assert_equal(result: Series, expected: Observations) -> None:
    """Assert that the result has the expected observations, each within its error bound.

    An observation must be missing if its value is certainly too large for float64. If only its error bound
    makes the value too large, it may be missing or present.
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

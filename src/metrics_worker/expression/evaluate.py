"""Evaluation: `evaluate()` computes the series that an expression defines from its input series.

docs/grammar.md has a table of the operations. The module reads and writes no files. If an expression has no
value at any time, its result is an empty series and not an error.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import assert_never

import numpy as np

from metrics_worker.expression import nodes
from metrics_worker.expression.elementwise import clipped, rounded, transformed
from metrics_worker.expression.fields import CompositeOp, MathOp
from metrics_worker.expression.filling import filled_from_previous, interpolated
from metrics_worker.expression.periods import accumulated, rebased, resampled
from metrics_worker.expression.windows import lagged, paired, smoothed, windowed
from metrics_worker.series import Series, Times, Values, common, union

type _Places = slice | np.ndarray
"""The positions of an operand's observations in the result."""

_EXTREMES: tuple[CompositeOp, ...] = ("min", "max")
_HEADROOM = 10
"""If a sum overflows, its operands are divided by 2**10, which exceeds the maximum number of operands."""


def evaluate(
    node: nodes.Node, inputs: Mapping[str, Series], checkpoint: Callable[[], None] = lambda: None
) -> Series:
    """Return the series that the expression defines.

    Args:
        node: the expression.
        inputs: the series that the expression refers to, by series code.
        checkpoint: a function that is called before each node; its exceptions end the evaluation.
    """

    def of(operand: nodes.Node) -> Series:
        return evaluate(operand, inputs, checkpoint)

    checkpoint()
    match node:
        case nodes.SeriesRef(series_code=code):
            return inputs[code]
        case nodes.Constant():
            raise AssertionError("parse() accepts constants only as operands, which are not evaluated alone")
        case nodes.SeriesMath(op=op, left=left, right=right, scale=scale):
            return _math(op, *_both(left, right, of), scale=scale)
        case nodes.Pair(op=pair_op, left=left, right=right, window=window):
            return paired(pair_op, of(left), of(right), window)
        case nodes.Composite(op=op, operands=operands):
            return _composite(op, *_all(operands, of))
        case nodes.WindowOp() | nodes.Quantile():
            return windowed(node, of(node.series))
        case nodes.Ema(window=window):
            return smoothed(of(node.series), window)
        case nodes.Lag():
            return lagged(node, of(node.series))
        case nodes.Transform(op=op):
            return transformed(op, of(node.series))
        case nodes.Clip(lower=lower, upper=upper):
            return clipped(of(node.series), lower, upper)
        case nodes.Round(digits=digits):
            return rounded(of(node.series), digits)
        case nodes.Cumulative():
            return accumulated(node, of(node.series))
        case nodes.Rebase():
            return rebased(node, of(node.series))
        case nodes.Resample():
            return resampled(node, of(node.series))
        case nodes.Fill():
            return _fill(node, of(node.series), of(node.like).times)
        case _:
            assert_never(node)


def _both(
    left: nodes.Node, right: nodes.Node, of: Callable[[nodes.Node], Series]
) -> tuple[Times, Values, Values]:
    """Return (times, left values, right values) of the operands of series_math.

    The times are those that both operands have. A constant has its value at all times of the other operand.

    Args:
        left: the left operand.
        right: the right operand; at least one of the operands is not a constant.
        of: the function that evaluates a node.
    """
    if isinstance(left, nodes.Constant):
        series = of(right)
        return series.times, np.full(len(series), left.const), series.values
    if isinstance(right, nodes.Constant):
        series = of(left)
        return series.times, series.values, np.full(len(series), right.const)
    return common(of(left), of(right))


def _math(op: MathOp, times: Times, left: Values, right: Values, *, scale: float) -> Series:
    # An overflow or a division by zero gives a value that is not finite; where_finite() leaves it out.
    with np.errstate(all="ignore"):
        match op:
            case "add":
                values = left + right
            case "subtract":
                values = left - right
            case "multiply":
                values = left * right
            case "ratio":
                values = left / right
            case "power":
                values = np.power(left, right)
            case _:
                assert_never(op)
        return Series.where_finite(times, values * scale)


def _all(
    operands: Sequence[nodes.Node], of: Callable[[nodes.Node], Series]
) -> tuple[Times, list[Values], list[_Places]]:
    """Return the times of a composite, and for each operand its values and their positions in the times.

    The times are those at which at least one operand has an observation. A constant has its value at all of
    them.

    Args:
        operands: the operands, of which at least one is not a constant.
        of: the function that evaluates a node.

    Returns:
        (times, values of each operand, positions of each operand's values in the times).
    """
    series = [of(operand) for operand in operands if not isinstance(operand, nodes.Constant)]
    times, found = union(series)
    given = iter(zip(series, found, strict=True))
    values, places = list[Values](), list[_Places]()
    for operand in operands:
        if isinstance(operand, nodes.Constant):
            values.append(np.broadcast_to(operand.const, times.size))
            places.append(slice(None))
        else:
            one, place = next(given)
            values.append(one.values)
            places.append(place)
    return times, values, places


def _composite(
    op: CompositeOp, times: Times, operands: Sequence[Values], places: Sequence[_Places]
) -> Series:
    match op:
        case "max" | "min":
            pick, worst = (np.maximum, -np.inf) if op == "max" else (np.minimum, np.inf)
            values = np.full(times.size, worst)
            for given, place in zip(operands, places, strict=True):
                values[place] = pick(values[place], given)
        case "sum" | "avg":
            count = np.zeros(times.size)
            for place in places:
                count[place] += 1
            values = _total(operands, places, count if op == "avg" else np.ones(times.size))
        case _:
            assert_never(op)
    if op == "avg":  # by rounding, the average of equal values can differ from them
        low, high = (_composite(each, times, operands, places).values for each in _EXTREMES)
        values = np.where((low == high) & (values != low), low, values)
    return Series.where_finite(times, values)


def _fill(node: nodes.Fill, series: Series, times: Times) -> Series:
    if node.method == "linear":
        return interpolated(series, times)
    return filled_from_previous(series, times, node.max_age_days)


def _total(
    operands: Sequence[Values], places: Sequence[_Places], divisor: Values, smaller: int = 0
) -> Values:
    """Return, for each time of a composite, the sum of the operands' values divided by a divisor.

    A result is infinite only if the quotient itself exceeds the range of float64. If a sum overflows, the
    result is computed again from operands that are divided by 2**smaller.

    Args:
        operands: the values of each operand.
        places: for each operand, the positions of its values in the result.
        divisor: the divisor at each time of the result.
        smaller: the power of two by which the operands are divided; 0 in the first computation.
    """
    total = np.zeros(divisor.size)
    with np.errstate(over="ignore", invalid="ignore"):
        for values, place in zip(operands, places, strict=True):
            total[place] += np.ldexp(values, -smaller) if smaller else values
        result: Values = np.ldexp(total / divisor, smaller)
    lost = ~np.isfinite(result)
    if not smaller and lost.any():
        result[lost] = _total(operands, places, divisor, smaller=_HEADROOM)[lost]
    return result

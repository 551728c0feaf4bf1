"""Evaluation: `evaluate()` computes the series that an expression defines from its input series.

docs/grammar.md has a table of the operations. The module reads and writes no files. If an expression has no
value at any time, its result is an empty series and not an error.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, assert_never

import numpy as np

from metrics_worker.expression.grammar import Composite, Node, SeriesMath, SeriesRef, WindowOp
from metrics_worker.kernels import rolling
from metrics_worker.series import Series, Values, common, union

_HEADROOM = 10
"""If a sum overflows, its operands are divided by 2**10, which exceeds the maximum number of operands."""


def evaluate(
    node: Node, inputs: Mapping[str, Series], checkpoint: Callable[[], None] = lambda: None
) -> Series:
    """Return the series that the expression defines.

    Args:
        node: the expression.
        inputs: the series that the expression refers to, by series code.
        checkpoint: a function that is called before each node; its exceptions end the evaluation.
    """

    def of(operand: Node) -> Series:
        return evaluate(operand, inputs, checkpoint)

    checkpoint()
    match node:
        case SeriesRef(series_code=code):
            return inputs[code]
        case SeriesMath(op=op, left=left, right=right, scale=scale):
            return _math(op, of(left), of(right), scale)
        case WindowOp(op=op, series=series, window=window):
            return _window(op, of(series), window)
        case Composite(op=op, operands=operands):
            return _composite(op, [of(operand) for operand in operands])
        case _:
            assert_never(node)


def _math(
    op: Literal["add", "subtract", "multiply", "ratio"], left: Series, right: Series, scale: float
) -> Series:
    times, a, b = common(left, right)
    # An overflow or a division by zero gives a value that is not finite; where_finite() leaves it out.
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        match op:
            case "add":
                values = a + b
            case "subtract":
                values = a - b
            case "multiply":
                values = a * b
            case "ratio":
                values = a / b
            case _:
                assert_never(op)
        return Series.where_finite(times, values * scale)


def _window(op: Literal["sma", "ema", "sum", "max", "min", "lag"], series: Series, window: int) -> Series:
    match op:
        case "sma":
            values = rolling.rolling_mean(series.values, window)
        case "sum":
            values = rolling.rolling_sum(series.values, window)
        case "max":
            values = rolling.rolling_max(series.values, window)
        case "min":
            values = rolling.rolling_min(series.values, window)
        case "ema":
            values = rolling.ema(series.values, window)
        case "lag":
            values = rolling.lag(series.values, window)
        case _:
            assert_never(op)
    # The value of a window belongs to the time of the window's last observation.
    return Series.where_finite(series.times[len(series) - values.size :], values)


def _composite(op: Literal["sum", "avg", "max", "min"], operands: Sequence[Series]) -> Series:
    times, places = union(operands)
    match op:
        case "max" | "min":
            pick, worst = (np.maximum, -np.inf) if op == "max" else (np.minimum, np.inf)
            values = np.full(times.size, worst)
            for series, place in zip(operands, places, strict=True):
                values[place] = pick(values[place], series.values)
        case "sum" | "avg":
            count = np.zeros(times.size)
            for place in places:
                count[place] += 1
            values = _total(operands, places, count if op == "avg" else np.ones(times.size))
        case _:
            assert_never(op)
    return Series.where_finite(times, values)


def _total(
    operands: Sequence[Series], places: Sequence[np.ndarray], divisor: Values, smaller: int = 0
) -> Values:
    """Return, for each time, the sum of the operands divided by the divisor.

    A result is infinite only if the quotient itself exceeds the range of float64: a sum that overflows is
    computed again, and its operands are first divided by 2**smaller.

    Args:
        operands: the operands.
        places: for each operand, the positions of its observations in the result, as `union()` returns them.
        divisor: the divisor at each time of the result.
        smaller: the power of two by which the operands are divided; 0 in the first computation.
    """
    total = np.zeros(divisor.size)
    with np.errstate(over="ignore", invalid="ignore"):
        for series, place in zip(operands, places, strict=True):
            total[place] += np.ldexp(series.values, -smaller) if smaller else series.values
        result: Values = np.ldexp(total / divisor, smaller)
    lost = ~np.isfinite(result)
    if not smaller and lost.any():
        result[lost] = _total(operands, places, divisor, smaller=_HEADROOM)[lost]
    return result

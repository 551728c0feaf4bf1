"""An upper bound for the memory that an evaluation needs, computed before the evaluation starts.

The worker compares the bound with its memory limit. Tests compare it with the memory that numpy really
allocates: the bound must never be below that memory, and must not exceed it by far.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, assert_never

from metrics_worker.expression import nodes

OBSERVATION_BYTES = 16
"""Bytes of one observation: an int64 time and a float64 value."""
_MATH, _WINDOW, _COMPOSITE, _CALENDAR = 40, 48, 64, 120
"""Bytes of temporary arrays for each observation of the operands, by type of operation."""
_MOMENTS, _ORDER, _PAIR, _OTHER = 240, 352, 160, 96
"""Bytes of temporary arrays for each value of a block of windows, by type of kernel."""
_BLOCK_BYTES = (
    {"count": 0}
    | dict.fromkeys(("std", "var", "zscore"), _MOMENTS)
    | dict.fromkeys(("median", "quantile", "rank"), _ORDER)
)
_SORTED, _SORTED_SPANS = 32, 576
"""The longest windows whose quantiles come from sorted spans, and the bytes for each value of their block."""
_HEAPS = 64
"""Bytes that a moving median allocates for each value of a window. bottleneck allocates them, not numpy."""
_BLOCK = 8_192
"""The smallest number of windows in a block. A block has at least as many windows as a window has values."""
_WRITING = 64
"""Bytes for each observation of the result while its Parquet file is written and read back."""


def peak_bytes(node: nodes.Node, observations: Mapping[str, int]) -> int:
    """Return the peak memory, in bytes, of evaluating a node and writing its result.

    The memory of the input series is not included.

    Args:
        node: the expression.
        observations: the number of observations of each input series, by series code.
    """
    cost = _cost(node, observations, total=sum(observations.values()))
    return max(cost.peak, cost.most * (OBSERVATION_BYTES + _WRITING))


class _Cost(NamedTuple):
    """The cost of a node.

    Attributes:
        most: the largest possible number of observations of the result.
        stamps: the largest possible number of new times, which belong to no input series. Only resampling
            creates new times: the first or last day of each period.
        peak: the peak memory of the evaluation, in bytes.
    """

    most: int
    stamps: int
    peak: int


def _cost(node: nodes.Node, observations: Mapping[str, int], total: int) -> _Cost:
    """Return the cost of a node.

    Args:
        node: the node.
        observations: the number of observations of each input series, by series code.
        total: the sum of these numbers.
    """

    def of(operands: Sequence[nodes.Node], work: int) -> tuple[list[int], int, int]:
        return _held([_cost(operand, observations, total) for operand in operands], work)

    match node:
        case nodes.SeriesRef(series_code=code):
            return _Cost(observations[code], 0, 0)
        case nodes.Constant():
            return _Cost(0, 0, 0)
        case nodes.SeriesMath(left=left, right=right):
            counts, stamps, peak = of(_without_constants([left, right]), _MATH)
            return _Cost(min(counts), stamps, peak)
        case nodes.Pair(left=left, right=right, window=window):
            counts, stamps, peak = of([left, right], _MATH)
            work = sum(counts) * (OBSERVATION_BYTES + _MATH) + _values_of_block(min(counts), window) * _PAIR
            return _Cost(min(counts), stamps, max(peak, work))
        case nodes.Composite(operands=operands):
            counts, stamps, peak = of(_without_constants(operands), _COMPOSITE)
            return _Cost(min(sum(counts), total + stamps), stamps, peak)
        case nodes.Fill(series=series, like=like):
            (_, count), stamps, peak = of([series, like], _CALENDAR)
            return _Cost(count, stamps, peak)
        case nodes.Resample():
            (count,), stamps, peak = of([node.series], _CALENDAR)
            return _Cost(count, stamps + (count if node.stamp != "last" else 0), peak)
        case nodes.WindowOp() | nodes.Quantile():
            return _cost_of_windows(node, _cost(node.series, observations, total))
        case (
            nodes.Lag(op="lag", unit="observations")
            | nodes.Cumulative(op="cummax" | "cummin", reset=None)
            | nodes.Ema()
            | nodes.Transform()
            | nodes.Clip()
        ):
            (count,), stamps, peak = of([node.series], _WINDOW)
            return _Cost(count, stamps, peak)
        case nodes.Lag() | nodes.Round() | nodes.Cumulative() | nodes.Rebase():
            (count,), stamps, peak = of([node.series], _CALENDAR)
            return _Cost(count, stamps, peak)
        case _:
            assert_never(node)


def _cost_of_windows(node: nodes.WindowOp | nodes.Quantile, operand: _Cost) -> _Cost:
    """Return the cost of a window operation, given the cost of its operand.

    A calendar window can contain all observations.
    """
    values, size = operand.most, _BLOCK_BYTES.get(node.op, _OTHER)
    if node.unit == "observations":
        values = _values_of_block(values, node.window)
        if node.op == "quantile" and node.window <= _SORTED:
            size = _SORTED_SPANS
        elif node.op == "median" and node.min_periods is None:
            values, size = min(values, node.window), _HEAPS
    work = operand.most * (OBSERVATION_BYTES + _WINDOW) + values * size
    return _Cost(operand.most, operand.stamps, max(operand.peak, work))


def _values_of_block(count: int, window: int) -> int:
    """Return the largest number of values that the windows of one block can contain together.

    The kernels process the windows of a series in blocks, to limit the memory for intermediate results.

    Args:
        count: the number of observations of the series.
        window: the number of observations of a window.
    """
    return min(count, 2 * max(window, _BLOCK))


def _without_constants(operands: Sequence[nodes.Node]) -> list[nodes.Node]:
    return [operand for operand in operands if not isinstance(operand, nodes.Constant)]


def _held(operands: Sequence[_Cost], work: int) -> tuple[list[int], int, int]:
    """Return (counts, stamps, peak) of an operation whose operands are all in memory when it is computed.

    Args:
        operands: the costs of the operands, which are evaluated one after the other.
        work: the bytes that the operation itself needs for each observation of its operands.

    Returns:
        The largest possible number of observations of each operand, the sum of the operands' `stamps`, and
        the peak memory of evaluating the operands and the operation, in bytes.
    """
    held = peak = 0
    for operand in operands:
        peak = max(peak, held * OBSERVATION_BYTES + operand.peak)
        held += operand.most
    stamps = sum(operand.stamps for operand in operands)
    return [operand.most for operand in operands], stamps, max(peak, held * (OBSERVATION_BYTES + work))

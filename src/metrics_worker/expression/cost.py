"""An upper bound for the memory that an evaluation needs, computed before the evaluation starts.

The worker compares the bound with its memory limit. Tests compare it with the memory that numpy really
allocates: the bound must never be below that memory, and must not exceed it by far.
"""

from collections.abc import Mapping, Sequence
from typing import assert_never

from metrics_worker.expression.grammar import Composite, Node, SeriesMath, SeriesRef, WindowOp

OBSERVATION_BYTES = 16
"""Bytes of one observation: an int64 time and a float64 value."""
_MATH, _WINDOW, _COMPOSITE = 32, 48, 64
"""Bytes of temporary arrays for each observation of the operands, by node type."""
_WRITING = 64
"""Bytes for each observation of the result while its Parquet file is written and read back."""


def peak_bytes(node: Node, observations: Mapping[str, int]) -> int:
    """Return the peak memory, in bytes, of evaluating a node and writing its result.

    The memory of the input series is not included.

    Args:
        node: the expression.
        observations: the number of observations of each input series, by series code.
    """
    count, peak = _cost(node, observations, most=sum(observations.values()))
    return max(peak, count * (OBSERVATION_BYTES + _WRITING))


def _cost(node: Node, observations: Mapping[str, int], most: int) -> tuple[int, int]:
    """Return the largest possible number of observations of a node's result, and the peak memory in bytes.

    `most` is the number of observations of all input series together.
    """
    match node:
        case SeriesRef(series_code=code):
            return observations[code], 0
        case SeriesMath(left=left, right=right):
            counts, peak = _held([left, right], observations, most, _MATH)
            return min(counts), peak
        case WindowOp(series=series):
            (count,), peak = _held([series], observations, most, _WINDOW)
            return count, peak
        case Composite(operands=operands):
            counts, peak = _held(operands, observations, most, _COMPOSITE)
            return min(sum(counts), most), peak
        case _:
            assert_never(node)


def _held(
    operands: Sequence[Node], observations: Mapping[str, int], most: int, work: int
) -> tuple[list[int], int]:
    """Return the largest number of observations of each operand, and the operation's peak memory in bytes.

    The result of each operand stays in memory while the later operands are evaluated. `work` is the number of
    bytes that the operation itself needs for each observation of its operands.
    """
    counts: list[int] = []
    peak = 0
    for operand in operands:
        count, own = _cost(operand, observations, most)
        peak = max(peak, sum(counts) * OBSERVATION_BYTES + own)
        counts.append(count)
    return counts, max(peak, sum(counts) * (OBSERVATION_BYTES + work))

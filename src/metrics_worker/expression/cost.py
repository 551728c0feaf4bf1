"""What an evaluation costs, worked out before it: the most memory that it will hold at once.

An estimate from above, for a limit; that it is one, and not a wild one, is held by tests against what numpy
really takes.
"""

from collections.abc import Mapping, Sequence
from typing import assert_never

from metrics_worker.expression.grammar import Composite, Node, SeriesMath, SeriesRef, WindowOp

OBSERVATION_BYTES = 16
"""A time and a value."""
_MATH, _WINDOW, _COMPOSITE = 32, 48, 64
"""Bytes of work for each observation that goes in: alignment, results, what keeps only the finite ones."""
_WRITING = 64
"""For each observation of the result: the Parquet file, written and read back."""


def peak_bytes(node: Node, observations: Mapping[str, int]) -> int:
    """The most bytes that evaluating a node and writing its result hold at once, beside its inputs.

    Args:
        node: the expression.
        observations: how many each series has, by series code.
    """
    count, peak = _cost(node, observations, most=sum(observations.values()))
    return max(peak, count * (OBSERVATION_BYTES + _WRITING))


def _cost(node: Node, observations: Mapping[str, int], most: int) -> tuple[int, int]:
    """How many observations a node can have, and the bytes held at once on the way to them."""
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
    """The operands' observations; each operand's result is held while the next ones are evaluated."""
    counts: list[int] = []
    peak = 0
    for operand in operands:
        count, own = _cost(operand, observations, most)
        peak = max(peak, sum(counts) * OBSERVATION_BYTES + own)
        counts.append(count)
    return counts, max(peak, sum(counts) * (OBSERVATION_BYTES + work))

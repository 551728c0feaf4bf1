"""The texts of the expression tree: the name and the losses of each node."""

from typing import assert_never

from metrics_tools.describe.nodes import Lost, NodeView
from metrics_worker.expression.grammar import Composite, Node, SeriesMath, SeriesRef, WindowOp

_REASONS = {
    "warm_up": "before the window is full",
    "left_only": "only on the left",
    "right_only": "only on the right",
    "zero_divisor": "division by zero",
    "not_finite": "outside the float64 range",
}


def nodes_below(root: NodeView) -> list[NodeView]:
    """Return a node and all nodes below it."""
    return [root, *(view for operand in root.operands for view in nodes_below(operand))]


def most_observations(root: NodeView) -> int:
    """Return the largest number of observations of any node; 0 if the series were not read."""
    return max((view.counts.observations for view in nodes_below(root) if view.counts), default=0)


def name_of(node: Node) -> str:
    """Return a node in one or a few words, such as `sma 14`."""
    match node:
        case SeriesRef(series_code=code):
            return code
        case SeriesMath(op=op, scale=scale):
            return op if scale == 1 else f"{op} × {scale:g}"  # noqa: RUF001 - a multiplication sign
        case WindowOp(op=op, window=window):
            return f"{op} {window:,}"
        case Composite(op=op, operands=operands):
            return f"{op} of {len(operands)}"
        case _:
            assert_never(node)


def lost_in_words(lost: Lost) -> str:
    """Return a text with the number of times without an observation, which must not be 0, and the reasons."""
    found = [(number, text) for name, text in _REASONS.items() if (number := getattr(lost, name))]
    if len(found) == 1:
        return f"{lost.total:,} lost: {found[0][1]}"
    return f"{lost.total:,} lost: " + ", ".join(f"{n:,} {text}" for n, text in found)

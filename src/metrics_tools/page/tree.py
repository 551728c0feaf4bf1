"""The expression as a tree: the meaning, the observation count and the losses of each node."""

from collections.abc import Iterator
from html import escape
from typing import assert_never

from metrics_tools.describe.nodes import Counts, Lost, NodeView
from metrics_tools.formatting import count, shown_time
from metrics_worker.expression.grammar import Composite, Node, SeriesMath, SeriesRef, WindowOp

_REASONS = {
    "warm_up": "before the window is full",
    "left_only": "only on the left",
    "right_only": "only on the right",
    "zero_divisor": "division by zero",
    "not_finite": "outside the float64 range",
}


def tree(root: NodeView) -> str:
    """Return the nodes below a root as nested HTML lists."""
    most = max((view.counts.observations for view in _all(root) if view.counts), default=0)
    return f'<ul class="tree">{_item(root, most)}</ul>'


def size(root: NodeView) -> int:
    """Return the number of nodes of an expression."""
    return sum(1 for _ in _all(root))


def _all(view: NodeView) -> Iterator[NodeView]:
    yield view
    for operand in view.operands:
        yield from _all(operand)


def _item(view: NodeView, most: int) -> str:
    below = "".join(_item(operand, most) for operand in view.operands)
    place = view.path.rpartition(".")[2]
    place = "" if place not in {"left", "right"} else f'<span class="place">{place}</span> '
    step = "" if isinstance(view.node, SeriesRef) else f' <span class="soft">{escape(view.step)}</span>'
    return (
        f'<li><div class="node"><div class="what">{place}<code>{escape(_name(view.node))}</code>{step}</div>'
        f"{_counts(view.counts, most)}</div>{f'<ul>{below}</ul>' if below else ''}</li>"
    )


def _name(node: Node) -> str:
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


def _counts(counts: Counts | None, most: int) -> str:
    if counts is None:
        return ""
    share = counts.observations / most if most else 0
    notes = []
    if counts.first and counts.last:
        notes.append(f"{shown_time(counts.first)} to {shown_time(counts.last)}")
    if counts.of_some:
        notes.append(f"{counts.of_some:,} of them from only some operands")
    if lost := _lost(counts.lost):
        notes.append(f'<span class="lost">{lost}</span>')
    return (
        f'<div class="has"><span class="count">{count(counts.observations, "observation")}</span>'
        f'<span class="share" aria-hidden="true"><i style="width:{share:.1%}"></i></span>'
        f'<span class="soft notes">{"; ".join(notes)}</span></div>'
    )


def _lost(lost: Lost) -> str:
    """Return a text with the number of times without an observation and the reasons, or an empty text."""
    found = [(number, text) for name, text in _REASONS.items() if (number := getattr(lost, name))]
    if len(found) == 1:
        return f"{lost.total:,} lost: {found[0][1]}"
    return f"{lost.total:,} lost: " + ", ".join(f"{n:,} {text}" for n, text in found) if found else ""

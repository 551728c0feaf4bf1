"""Warnings about nodes that have no observations, or that lose most observations of an operand."""

from collections.abc import Iterator
from functools import reduce

from metrics_tools.describe.counts import Gaps, Overlap
from metrics_tools.describe.nodes import NodeView
from metrics_tools.formatting import count, shown_time
from metrics_tools.validate.common_times import how_to_meet, short_formula
from metrics_tools.validate.problems import Problem, warning
from metrics_worker.expression.nodes import (
    Composite,
    Constant,
    Ema,
    Fill,
    Lag,
    Node,
    Rebase,
    SeriesMath,
    WindowOp,
)
from metrics_worker.request import iso

_MORE_OFTEN = 3
"""The smallest ratio of observations at which the series of a fill is more frequent than its `like`."""
_LEAST_KEPT = 0.5
"""The smallest share (0-1) of its operand's observations that a node can keep without a warning.

For a series_math, the share of each side is computed separately, and only between the later beginning and the
earlier end of the two sides: a longer side is expected to lose the observations outside this period. One half
distinguishes a side of another frequency (with a monthly side, a daily side keeps one observation of twenty)
from a side with a gap.
"""


def warnings_about_counts(view: NodeView) -> Iterator[Problem]:
    """Yield warnings about nodes that have no observations, or that lose most observations of an operand.

    If a node has no observations, the nodes above it have none either, and only the lowest is reported.
    """
    series = [below for below in view.operands if not isinstance(below.node, Constant)]
    if all(below.counts and below.counts.observations for below in series):
        for text, hint in _losses(view):
            yield Problem(view.path, text, view.formula[:200], None, hint, "warning")
    if isinstance(view.node, Composite) and view.node.op == "sum" and view.counts and view.counts.gaps:
        yield _sum_of_some(view, view.node, view.counts.gaps)
    for below in view.operands:
        yield from warnings_about_counts(below)


def _sum_of_some(view: NodeView, node: Composite, gaps: Gaps) -> Problem:
    """Return the warning about a sum at whose times some operands have no observation."""
    text = (
        f"at {gaps.times:,} of {gaps.of:,} times in the period that all operands cover, it is the sum of "
        f"only some of them; the first is {shown_time(gaps.first)}"
    )
    strict = reduce(lambda left, right: SeriesMath(op="add", left=left, right=right), node.operands)
    written = short_formula(strict)
    hint = f"for a sum only at times at which all operands have a value, write {written}"
    return warning(view.path, text, hint=hint if written else None)


def _losses(view: NodeView) -> Iterator[tuple[str, str | None]]:
    """Yield each reason for which a node loses most observations of an operand, as (text, suggestion)."""
    counts = view.counts
    if counts is None:
        return
    overlap, lost = counts.overlap, counts.lost
    last = view.operands[0].counts.last if view.operands and view.operands[0].counts else None
    if not counts.observations:
        hint = _why_apart(view, overlap) if overlap and not overlap.both else None
        if isinstance(view.node, Rebase) and last and lost.before:
            hint = f"the last observation is at {iso(last)}: `at` must not be later"
        yield f"it has no observation: of {counts.times:,} times {', '.join(counts.losses)}", hint
        return
    if overlap is not None and overlap.both < _LEAST_KEPT * max(overlap.left, overlap.right):
        text = (
            f"both sides have an observation at {overlap.both:,} times only: it loses "
            f"{overlap.left - overlap.both:,} of {overlap.left:,} on the left and "
            f"{overlap.right - overlap.both:,} of {overlap.right:,} on the right in the time that both cover"
        )
        yield text, _why_apart(view, overlap)
    if isinstance(view.node, Fill):
        sizes = [operand.counts.observations for operand in view.operands if operand.counts]
        if sizes[0] >= _MORE_OFTEN * sizes[1]:
            text = f"it has only the {sizes[1]:,} times of `like`, and leaves out most of {sizes[0]:,} values"
            yield text, "fill makes a series more frequent, and resample less frequent"
    shorter, longer, older = _shorter(view.node), "a longer window has more", "max_age_days may be too small"
    met = overlap.both if overlap else counts.times
    for number, of, why, hint in (
        (lost.warm_up, counts.times, "to warm up: windows and lags count observations", shorter),
        (lost.too_few, counts.times, "since the window has too few observations there", longer),
        (lost.no_earlier, counts.times, "since nothing is so early", shorter),
        (lost.too_old, counts.times, "since the earlier value is too old there", older),
        (lost.undefined, met, "since the operation is not defined there", None),
        (lost.no_spread, met, "since all values of the window are equal there", None),
        (lost.zero_divisor, met, "since the divisor is 0 there", None),
        (lost.not_finite, met, "since the value is too large there", None),
    ):
        if of - number < _LEAST_KEPT * of:
            yield f"it loses {number:,} of {of:,} {why}", hint


def _shorter(node: Node) -> str | None:
    """Return the suggestion of a shorter window for a node; None if the node has no window of one series."""
    match node:
        case WindowOp(unit="observations") | Ema() | Lag(unit="observations"):
            return f"a window of {node.window:,} may be too long"
        case WindowOp() | Lag():
            return f"a window of {count(node.window, node.unit.removesuffix('s'))} may be too long"
    return None


def _why_apart(view: NodeView, overlap: Overlap) -> str:
    """Return a text with the reason why two operands have few times in common, and with the remedy.

    Args:
        view: the operation on the two operands.
        overlap: the numbers of observations of the two operands in the period that both cover.
    """
    if not (overlap.left and overlap.right):
        return "the two cover no time together: one ends before the other begins"
    if overlap.days > overlap.both and overlap.days >= _LEAST_KEPT * min(overlap.left, overlap.right):
        return (
            f"they have {overlap.days:,} days (UTC) in common, but at other times of day: "
            "have both produced at the same time of day"
        )
    return how_to_meet(view)

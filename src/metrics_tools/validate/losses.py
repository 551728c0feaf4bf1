"""Warnings about nodes that lose all observations of their operands, or most observations of one side."""

from collections.abc import Iterator

from metrics_tools.describe.nodes import Counts, NodeView, Overlap
from metrics_tools.validate.problems import Problem
from metrics_worker.expression.grammar import WindowOp

LEAST_KEPT = 0.5
"""The smallest share (0-1) of its operand's observations that a node can keep without a warning.

For a series_math, the share of each side is computed separately, and only between the later beginning and the
earlier end of the two sides: a longer side is expected to lose the observations outside this period. One half
distinguishes a side of another frequency (with a monthly side, a daily side keeps one observation of twenty)
from a side with a gap.
"""

_SAME_TIMES = (
    "an operation needs both sides at the same time, and nothing is filled or resampled: a window or a lag "
    "keeps the times of its series. Have one of them produced at the times of the other"
)


def warnings_about_counts(view: NodeView) -> Iterator[Problem]:
    """Yield warnings about the observations of an expression's nodes.

    If a node has no observations, the nodes above it have none either, and only the lowest is reported.
    """
    counts = view.counts
    if counts is not None and all(_has_some(below) for below in view.operands):
        if not counts.observations:
            why = ", ".join(counts.losses)
            text = f"it has no observation: of {counts.times:,} times {why}"
            apart = counts.overlap is not None and not counts.overlap.both
            yield _warning(view, text, _why_apart(counts.overlap) if apart and counts.overlap else None)
        else:
            yield from _mostly_lost(view, counts)
    for below in view.operands:
        yield from warnings_about_counts(below)


def _mostly_lost(view: NodeView, counts: Counts) -> Iterator[Problem]:
    """Yield a warning for each reason for which a node loses most observations of a side."""
    overlap, lost = counts.overlap, counts.lost
    if overlap is not None and overlap.both < LEAST_KEPT * max(overlap.left, overlap.right):
        text = (
            f"both sides have an observation at {overlap.both:,} times only: it loses "
            f"{_share(overlap.left - overlap.both, overlap.left)} on the left and "
            f"{_share(overlap.right - overlap.both, overlap.right)} on the right in the time that both cover"
        )
        yield _warning(view, text, _why_apart(overlap))
    met = overlap.both if overlap else counts.times
    for count, of, why, hint in (
        (lost.warm_up, counts.times, "to warm up: windows and lags count observations", _shorter(view)),
        (lost.zero_divisor, met, "since the right side is 0 there", None),
        (lost.not_finite, met, "since the value is too large there", None),
    ):
        if of - count < LEAST_KEPT * of:
            yield _warning(view, f"it loses {_share(count, of)} {why}", hint)


def _why_apart(overlap: Overlap) -> str:
    """Return a text that says why two sides have few times in common and what the author can do."""
    if not (overlap.left and overlap.right):
        return "the two cover no time together: one ends before the other begins"
    sparser = min(overlap.left, overlap.right)
    if overlap.days > overlap.both and overlap.days >= LEAST_KEPT * sparser:
        return (
            f"they have {overlap.days:,} days (UTC) in common, but at other times of day: "
            "have both produced at the same time of day"
        )
    return _SAME_TIMES


def _shorter(view: NodeView) -> str | None:
    return f"a window of {view.node.window:,} may be too long" if isinstance(view.node, WindowOp) else None


def _share(count: int, of: int) -> str:
    return f"{count:,} of {of:,}"


def _has_some(view: NodeView) -> bool:
    return view.counts is not None and view.counts.observations > 0


def _warning(view: NodeView, text: str, hint: str | None) -> Problem:
    return Problem(view.path, text, view.formula[:200], None, hint, "warning")

"""Suggestions for an operation whose two sides have few times in common, written as formulas."""

from datetime import timedelta
from typing import Literal

from metrics_tools.describe.formula import formula
from metrics_tools.describe.nodes import NodeView
from metrics_worker.expression.nodes import Constant, Fill, Node, Pair, Resample, SeriesMath

type _Period = Literal["week", "month", "quarter", "year"]
"""A period of `resample`."""
type _Stamp = Literal["start", "end"]

_PERIODS: tuple[_Period | Literal["day"], ...] = ("day", "week", "month", "quarter", "year")
"""The periods of which a series can have one observation each, the shortest first."""
_MOST_DAYS = (4, 20, 60, 180)
"""For each period but the last, the largest mean distance of the observations of such a series, in days."""
_LONGEST = 300
"""The most characters of a formula in a suggestion. The formula of a longer node is left out."""


def how_to_meet(view: NodeView) -> str:
    """Return the reason why two sides have few times in common, and formulas in which they have more.

    Args:
        view: an operation on two sides, with the counts of both sides.
    """
    node = view.node
    assert isinstance(node, SeriesMath | Pair)
    found = [_resample_in(side) for side in (node.left, node.right)]
    stamp: _Stamp = "end" if any(one and one.stamp == "end" for one in found) else "start"
    periods = [
        one.to if one else usual_period(below) for one, below in zip(found, view.operands, strict=True)
    ]
    longest = max(periods, key=_PERIODS.index)
    period: _Period = "week" if longest == "day" else longest
    left, right = (resampled(side, period, stamp) for side in (node.left, node.right))
    both = (
        f"resample both sides with the same period and the same stamp, start or end{_of(node, left, right)}"
    )
    if all(found):
        return f"resample dates a period by its last observation, which differs from series to series: {both}"
    reason = (
        "an operation needs both sides at the same time, and a window or a lag keeps the times of its series"
    )
    if periods[0] == periods[1] != "day":
        return f"{reason}: {both}"
    left, right = node.left, node.right
    if _PERIODS.index(periods[0]) > _PERIODS.index(periods[1]):
        left = Fill(op="fill", series=left, like=right, method="previous")
    else:
        right = Fill(op="fill", series=right, like=left, method="previous")
    filled = _of(node, left, right)
    return f"{reason}: use fill to bring one side onto the times of the other{filled}, or {both}"


def _of(node: SeriesMath | Pair, left: Node, right: Node) -> str:
    """Return the formula of an operation with other sides, in brackets; an empty text if it is too long."""
    text = short_formula(node.model_copy(update={"left": left, "right": right}))
    return f" (`{text}`)" if text else ""


def short_formula(node: Node) -> str | None:
    """Return the formula of a node for a suggestion; None if it is too long."""
    text = formula(node)
    return text if len(text) <= _LONGEST else None


def usual_period(view: NodeView) -> _Period | Literal["day"]:
    """Return the period, from day to year, of which a node has about one observation each."""
    counts = view.counts
    if counts is None or counts.first is None or counts.last is None or counts.observations == 1:
        return "day"
    distance = (counts.last - counts.first) / (counts.observations - 1)
    return _PERIODS[sum(distance > timedelta(days) for days in _MOST_DAYS)]


def _operand_name(node: Node) -> str | None:
    """Return the name of the field with the only series of a node; None for a node of several series.

    The operand `series` of a fill does not count, because a fill has the times of its other operand.
    """
    match node:
        case SeriesMath(left=Constant()):
            return "right"
        case SeriesMath(right=Constant()):
            return "left"
        case Fill():
            return None
    return "series" if "series" in type(node).model_fields else None


def _resample_in(node: Node) -> Resample | None:
    """Return the resample that determines the times of a node; None if there is none."""
    if isinstance(node, Resample):
        return node
    name = _operand_name(node)
    return _resample_in(getattr(node, name)) if name else None


def resampled(node: Node, period: _Period, stamp: _Stamp, *, partial: bool = False) -> Node:
    """Return a node with one observation for each period, whose time is the first or last day of the period.

    A resample to the same period in the node gets the stamp; any other node becomes the series of a new one.

    Args:
        node: the node.
        period: the period.
        stamp: the day of the period that is the time of the result.
        partial: whether a new resample has a result for the last, open period.
    """
    found = _resample_in(node)
    if found is None or found.to != period:
        return Resample(op="resample", series=node, to=period, how="last", stamp=stamp, partial=partial)
    if isinstance(node, Resample):
        return node.model_copy(update={"stamp": stamp})
    name = _operand_name(node)
    assert name is not None
    return node.model_copy(update={name: resampled(getattr(node, name), period, stamp, partial=partial)})

"""The observations and losses of a node: each time has an observation, or one reason why it has none."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from metrics_worker.expression.nodes import (
    Composite,
    Constant,
    Cumulative,
    Ema,
    Fill,
    Lag,
    Node,
    Pair,
    Quantile,
    Rebase,
    Round,
    SeriesMath,
    SeriesRef,
    Transform,
    WindowOp,
)
from metrics_worker.request import iso
from metrics_worker.series import Series, common, union

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000_000
"""In microseconds."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Times without an observation, by reason.

    Attributes:
        warm_up: the window or lag reaches back beyond the first observation.
        left_only: series_math: only the left side has an observation.
        right_only: only the right side has one.
        zero_divisor: ratio: the right side is zero.
        not_finite: the value is beyond what a float64 can hold.
    """

    warm_up: int = 0
    left_only: int = 0
    right_only: int = 0
    zero_divisor: int = 0
    not_finite: int = 0

    @property
    def total(self) -> int:
        """Return the number of all times without an observation."""
        return sum(asdict(self).values())


@dataclass(frozen=True, slots=True)
class Overlap:
    """The numbers of observations of two series between the later beginning and the earlier end.

    Observations outside this period are lost because one series is longer; losses within it are unexpected.

    Attributes:
        left: observations of the left series.
        right: observations of the right series.
        both: times at which both have an observation.
        days: UTC days on which both have an observation, at any time of day.
    """

    left: int
    right: int
    both: int
    days: int

    @classmethod
    def of(cls, left: Series, right: Series) -> "Overlap":
        """Return the overlap of two series."""
        if not (len(left) and len(right)):
            return cls(0, 0, 0, 0)
        begin, end = max(left.times[0], right.times[0]), min(left.times[-1], right.times[-1])
        ours, its = (one.times[(one.times >= begin) & (one.times <= end)] for one in (left, right))
        days = np.intersect1d(ours // _DAY, its // _DAY)
        return cls(ours.size, its.size, common(left, right)[0].size, days.size)


@dataclass(frozen=True, slots=True)
class Counts:
    """The observations and losses of a node. Always, `times == observations + lost.total`.

    Attributes:
        times: the number of times at which at least one operand has an observation; for a series, its own.
        observations: the number of the node's observations.
        lost: the times without an observation.
        of_all: composite: times at which all operands have an observation; None for other nodes.
        of_some: composite: times at which some have one and some have none; None for other nodes.
        first: the time of the first observation, UTC; None without observations.
        last: the time of the last observation.
        overlap: series_math: the overlap of its sides; None for other nodes.
    """

    times: int
    observations: int
    lost: Lost
    of_all: int | None
    of_some: int | None
    first: datetime | None
    last: datetime | None
    overlap: Overlap | None = None

    @property
    def losses(self) -> list[str]:
        """Return each loss in words, such as `29 to warm up`."""
        words = {
            "warm_up": "to warm up",
            "left_only": "on the left only",
            "right_only": "on the right only",
            "zero_divisor": "divided by zero",
            "not_finite": "too large",
        }
        return [f"{count:,} {words[why]}" for why, count in asdict(self.lost).items() if count]

    def to_json(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        times = {"first": self.first and iso(self.first), "last": self.last and iso(self.last)}
        return asdict(self) | times


def counts_of(node: Node, operands: list[Series], result: Series) -> Counts:
    """Return the counts of a node.

    Args:
        node: the node.
        operands: the results of its operands, without constants.
        result: the result of the node.
    """
    of_all = of_some = overlap = None
    kept = len(result)
    match node:
        case SeriesRef():
            times, lost = kept, Lost()
        case SeriesMath() if len(operands) == 1:
            times, lost = _math_with_constant(node, operands[0], kept)
        case SeriesMath(op=op):
            left, right = operands
            times, lost = _math(op, left, right, kept)
            overlap = Overlap.of(left, right)
        case Composite():
            union_times, places = union(operands)
            times = union_times.size
            of_all = int((np.bincount(np.concatenate(places)) == len(operands)).sum())
            of_some, lost = times - of_all, Lost(not_finite=times - kept)
        case _:
            times, lost = _other(node, operands, kept)
    return Counts(times, kept, lost, of_all, of_some, *_ends(result), overlap)


def _other(node: Node, operands: list[Series], kept: int) -> tuple[int, Lost]:
    """Return the number of times of any other node, and the times that it loses."""
    match node:
        case WindowOp() | Ema() | Lag():
            return _window(node, operands[0], kept)
        case Transform() | Round() | Cumulative():
            return len(operands[0]), Lost(not_finite=len(operands[0]) - kept)
        case Quantile() | Rebase():
            return len(operands[0]), Lost(warm_up=len(operands[0]) - kept)
        case Fill():
            return len(operands[1]), Lost(warm_up=len(operands[1]) - kept)
        case Pair():
            left, right = operands
            both = common(left, right)[0].size
            lost = Lost(warm_up=both - kept, left_only=len(left) - both, right_only=len(right) - both)
            return len(left) + len(right) - both, lost
        case _:
            return kept, Lost()


def _math(op: str, left: Series, right: Series, kept: int) -> tuple[int, Lost]:
    both, _, divisors = common(left, right)
    zero = int((divisors == 0).sum()) if op == "ratio" else 0
    lost = Lost(
        left_only=len(left) - both.size,
        right_only=len(right) - both.size,
        zero_divisor=zero,
        not_finite=both.size - zero - kept,
    )
    return len(left) + len(right) - both.size, lost


def _math_with_constant(node: SeriesMath, series: Series, kept: int) -> tuple[int, Lost]:
    zero = 0
    if node.op == "ratio":
        divisors = np.array(node.right.const) if isinstance(node.right, Constant) else series.values
        zero = int(np.broadcast_to(divisors == 0, len(series)).sum())
    return len(series), Lost(zero_divisor=zero, not_finite=len(series) - zero - kept)


def _window(node: WindowOp | Ema | Lag, series: Series, kept: int) -> tuple[int, Lost]:
    if isinstance(node, Ema):
        return len(series), Lost(not_finite=len(series) - kept)
    if node.unit != "observations":
        return len(series), Lost(warm_up=len(series) - kept)
    least = node.window if isinstance(node, Lag) else (node.min_periods or node.window) - 1
    warm_up = min(least, len(series))
    return len(series), Lost(warm_up=warm_up, not_finite=len(series) - warm_up - kept)


def _ends(result: Series) -> tuple[datetime | None, datetime | None]:
    """Return the times of the first and the last observation; None without observations."""
    first, last = (_moment(result.times[at]) if len(result) else None for at in (0, -1))
    return first, last


def _moment(microseconds: int) -> datetime | None:
    """Return the datetime of a time in microseconds since 1970, UTC; None after the year 9999."""
    try:
        return _EPOCH + timedelta(microseconds=int(microseconds))
    except OverflowError:
        return None

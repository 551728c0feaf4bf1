"""The observations and losses of a node: each time has an observation, or one reason why it has none."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from metrics_tools.describe.losses import REASONS, Lost, losses_of
from metrics_worker.expression.nodes import Composite, Node, Pair, SeriesMath
from metrics_worker.request import iso
from metrics_worker.series import Series, common, union

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000_000
"""In microseconds."""


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
        times: the number of times at which at least one operand has an observation; for a series, its own;
            for fill, the times of `like`.
        observations: the number of the node's observations.
        lost: the times without an observation.
        of_all: composite: times at which all operands have an observation; None for other nodes.
        of_some: composite: times at which some have one and some have none; None for other nodes.
        first: the time of the first observation, UTC; None without observations.
        last: the time of the last observation.
        overlap: series_math, pair: the overlap of its sides; None for other nodes.
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
        return [f"{count:,} {REASONS[why]}" for why, count in asdict(self.lost).items() if count]

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
    if isinstance(node, Composite):
        union_times, places = union(operands)
        of_all = int((np.bincount(np.concatenate(places)) == len(operands)).sum())
        of_some = union_times.size - of_all
    if isinstance(node, SeriesMath | Pair) and len(operands) > 1:
        overlap = Overlap.of(*operands)
    lost = losses_of(node, operands, result)
    return Counts(len(result) + lost.total, len(result), lost, of_all, of_some, *_ends(result), overlap)


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

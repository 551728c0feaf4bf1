"""The number of observations of each node of an expression, and of the times at which it lost an observation.

At each time at which an operand has an observation, the node has an observation too, or has lost it for one
reason.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics_tools.describe.losses import REASONS, Lost, losses_of
from metrics_tools.describe.missing_periods import MissingPeriods, missing_periods
from metrics_worker.expression.nodes import Composite, Node, Pair, SeriesMath
from metrics_worker.request import iso
from metrics_worker.series import Series, Times, common, union

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000_000
"""In microseconds."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """The numbers of observations of two series in the period that both series cover.

    The period is from the later of the two first observations to the earlier of the two last observations.
    Losses outside this period occur because one series is longer; losses within it are unexpected.

    Attributes:
        left: observations of the left series in the period.
        right: observations of the right series in the period.
        both: times at which both series have an observation.
        days: UTC days on which both series have an observation, at any time of day.
    """

    left: int
    right: int
    both: int
    days: int

    @classmethod
    def of(cls, left: Series, right: Series) -> "Overlap":
        """Return the overlap of two series, which consists of zeros if one of them is empty."""
        if not (len(left) and len(right)):
            return cls(0, 0, 0, 0)
        begin, end = max(left.times[0], right.times[0]), min(left.times[-1], right.times[-1])
        ours, its = (one.times[(one.times >= begin) & (one.times <= end)] for one in (left, right))
        days = np.intersect1d(ours // _DAY, its // _DAY)
        return cls(ours.size, its.size, common(left, right)[0].size, days.size)


@dataclass(frozen=True, slots=True)
class Gaps:
    """The times at which only some operands have an observation, in the period that all operands cover.

    Attributes:
        times: the number of these times.
        of: the number of times in the period at which at least one operand has an observation.
        first: the first of these times, in microseconds since 1970 UTC.
    """

    times: int
    of: int
    first: int

    @classmethod
    def of_series(
        cls, operands: list[Series], union_times: Times, operands_at: NDArray[np.int64]
    ) -> "Gaps | None":
        """Return the gaps of several series; None if there are none.

        Args:
            operands: the series.
            union_times: the times at which at least one of them has an observation, of shape (n,).
            operands_at: the number of series with an observation at each of these times, of shape (n,).
        """
        if not all(map(len, operands)):
            return None
        begin = max(one.times[0] for one in operands)
        end = min(one.times[-1] for one in operands)
        is_inside = (union_times >= begin) & (union_times <= end)
        gaps = union_times[is_inside & (operands_at < len(operands))]
        return cls(gaps.size, int(is_inside.sum()), int(gaps[0])) if gaps.size else None


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of a node's observations and losses. Always, `times == observations + lost.total`.

    Attributes:
        times: the number of times at which the node could have an observation: at which at least one operand
            has one. For a series, the number of its observations; for fill, that of its operand `like`.
        observations: the number of the node's observations.
        lost: the numbers of times without an observation, by reason.
        of_all: composite: times at which all operands have an observation; None for other nodes.
        of_some: composite: times at which only some operands have one; None for other nodes.
        first: the time of the first observation, UTC; None without observations.
        last: the time of the last observation, UTC; None without observations.
        overlap: series_math, pair: the overlap of the left and the right side; None for other nodes.
        missing: the missing periods that affect the results of a node that counts observations; None if there
            are none.
        gaps: composite: the times without some of the operands; None if there are none, and for other nodes.
    """

    times: int
    observations: int
    lost: Lost
    of_all: int | None
    of_some: int | None
    first: datetime | None
    last: datetime | None
    overlap: Overlap | None = None
    missing: MissingPeriods | None = None
    gaps: Gaps | None = None

    @property
    def losses(self) -> list[str]:
        """Return each loss in words, such as `29 to warm up`."""
        return [f"{count:,} {REASONS[why]}" for why, count in asdict(self.lost).items() if count]

    def to_json(self) -> dict[str, Any]:
        """Return the attributes by name as JSON values, with the times `first` and `last` in ISO 8601.

        `missing` and `gaps` are left out: warnings of the request describe them.
        """
        times = {"first": self.first and iso(self.first), "last": self.last and iso(self.last)}
        return {
            name: value for name, value in asdict(self).items() if name not in {"missing", "gaps"}
        } | times


def counts_of(node: Node, operands: list[Series], result: Series) -> Counts:
    """Return the counts of a node's observations and losses.

    Args:
        node: the node.
        operands: the series to which its operands evaluate, without constants.
        result: the series to which the node evaluates.
    """
    of_all = of_some = overlap = gaps = None
    if isinstance(node, Composite):
        union_times, places = union(operands)
        operands_at = np.bincount(np.concatenate(places))
        of_all = int((operands_at == len(operands)).sum())
        of_some = union_times.size - of_all
        gaps = Gaps.of_series(operands, union_times, operands_at)
    if isinstance(node, SeriesMath | Pair) and len(operands) > 1:
        overlap = Overlap.of(*operands)
    lost = losses_of(node, operands, result)
    missing = missing_periods(node, operands)
    times = len(result) + lost.total
    return Counts(times, len(result), lost, of_all, of_some, *_ends(result), overlap, missing, gaps)


def _ends(result: Series) -> tuple[datetime | None, datetime | None]:
    """Return the times of a series' first and last observation, or None twice if the series is empty."""
    first, last = (_moment(result.times[at]) if len(result) else None for at in (0, -1))
    return first, last


def _moment(microseconds: int) -> datetime | None:
    """Return microseconds since 1970 as a datetime in UTC, or None for a time after the year 9999."""
    try:
        return _EPOCH + timedelta(microseconds=int(microseconds))
    except OverflowError:
        return None

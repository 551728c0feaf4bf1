"""An expression as a tree for people: each node with its JSON path, formula, words and counts.

The times of a node are the times of its operands, each once. At each time the node has an observation or has
lost it for one reason, so observations and losses add up to the times. The worker's `evaluate()` computes the
observations of one node at a time from the results of its operands: each subtree is evaluated once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never, cast

import numpy as np
from pydantic import BaseModel

from metrics_tools.describe.words import formula, in_words, step_in_words
from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.grammar import (
    ROOT,
    Composite,
    Node,
    SeriesMath,
    SeriesRef,
    WindowOp,
    expression_type,
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


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node of an expression, for people.

    Attributes:
        path: its JSON path, as error messages show it: `expressionJson.left.operands[0]`.
        node: the node.
        kind: series, series_math, window_op or composite.
        formula: the node and its operands in one line.
        words: the node and its operands in plain words.
        step: what the node does to its operands, in words.
        counts: its observations and losses; None if its series were not read.
        operands: the views of its operands, in order.
    """

    path: str
    node: Node
    kind: str
    formula: str
    words: str
    step: str
    counts: Counts | None
    operands: tuple["NodeView", ...]

    def to_json(self) -> dict[str, Any]:
        """Return the node and its operands as JSON values."""
        names = ("path", "kind", "formula", "words", "step")
        return {name: getattr(self, name) for name in names} | {
            "counts": self.counts and self.counts.to_json(),
            "operands": [operand.to_json() for operand in self.operands],
        }


def outlined(node: Node, path: str = ROOT) -> NodeView:
    """Return the tree without counts, for which no series is needed."""
    return _view(node, path, None, [outlined(operand, at) for at, operand in _operands(node, path)])


def counted(node: Node, inputs: Mapping[str, Series]) -> NodeView:
    """Return the tree with counts; `inputs` has the series of the expression by series code."""
    return _counted(node, inputs, ROOT)[0]


def _counted(node: Node, inputs: Mapping[str, Series], path: str) -> tuple[NodeView, Series]:
    """Return the view of a node, and its result."""
    below = [_counted(operand, inputs, at) for at, operand in _operands(node, path)]
    operands = [series for _, series in below]
    if isinstance(node, SeriesRef):
        result = inputs[node.series_code]
    else:
        named = {str(i): operand for i, operand in enumerate(operands)}
        result = evaluate(_over_series(node, named), named)
    return _view(node, path, _counts(node, operands, result), [view for view, _ in below]), result


def _over_series(node: Node, codes: Iterable[str]) -> Node:
    """Return a copy of a node whose operands are series with these codes, in order."""
    series = (SeriesRef(series_code=code) for code in codes)
    fields = {
        name: tuple(next(series) for _ in value) if isinstance(value, tuple) else next(series)
        for name, value in node
        if isinstance(value, tuple | BaseModel)
    }
    return node.model_copy(update=fields)


def _counts(node: Node, operands: list[Series], result: Series) -> Counts:
    of_all = of_some = overlap = None
    kept = len(result)
    match node:
        case SeriesRef():
            times, lost = kept, Lost()
        case SeriesMath(op=op):
            left, right = operands
            overlap = Overlap.of(left, right)
            shared, _, divisors = common(left, right)
            both = shared.size
            zero = int((divisors == 0).sum()) if op == "ratio" else 0
            times = len(left) + len(right) - both
            lost = Lost(0, len(left) - both, len(right) - both, zero, both - zero - kept)
        case WindowOp(op=op, window=window):
            times = len(operands[0])
            warm_up = min({"ema": 0, "lag": window}.get(op, window - 1), times)
            lost = Lost(warm_up=warm_up, not_finite=times - warm_up - kept)
        case Composite():
            union_times, places = union(operands)
            times = union_times.size
            of_all = int((np.bincount(np.concatenate(places)) == len(operands)).sum())
            of_some, lost = times - of_all, Lost(not_finite=times - kept)
        case _:
            assert_never(node)
    first, last = (_moment(result.times[at]) if kept else None for at in (0, -1))
    return Counts(times, kept, lost, of_all, of_some, first, last, overlap)


def _view(node: Node, path: str, counts: Counts | None, operands: Sequence[NodeView]) -> NodeView:
    texts = formula(node), in_words(node), step_in_words(node)
    return NodeView(path, node, expression_type(node), *texts, counts, tuple(operands))


def _operands(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    """Yield the operands of a node, in the order of its fields, each with its JSON path."""
    for name, value in node:
        if isinstance(value, tuple):
            yield from ((f"{path}.{name}[{i}]", operand) for i, operand in enumerate(value))
        elif isinstance(value, BaseModel):
            yield f"{path}.{name}", cast("Node", value)


def _moment(microseconds: int) -> datetime | None:
    """Return the datetime of a time in microseconds since 1970, UTC; None after the year 9999."""
    try:
        return _EPOCH + timedelta(microseconds=int(microseconds))
    except OverflowError:
        return None

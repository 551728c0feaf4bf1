"""An expression as a tree for people: each node with its JSON path, formula, words and counts.

The times of a node are the times of its operands, each once. At each time the node has an observation or has
lost it for one reason, so observations and losses add up to the times. The worker's `evaluate()` is called
for each node with the results of the node's operands, so that no subtree is evaluated twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from metrics_tools.describe.counts import Counts, counts_of
from metrics_tools.describe.formula import formula
from metrics_tools.describe.words import in_words, step_in_words
from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.grammar import ROOT, expression_type, operands
from metrics_worker.expression.nodes import Constant, Node, SeriesRef
from metrics_worker.problem import Path, path_text
from metrics_worker.series import Series


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node of an expression, as it is shown to people.

    Attributes:
        path: the JSON path of the node, as error messages show it: `expressionJson.left.operands[0]`.
        node: the node.
        kind: series, series_math, window_op, composite or constant.
        formula: the node and its operands in one line.
        words: the node and its operands in plain words.
        step: what the node does to its operands, in words.
        counts: the counts of its observations and losses; None if its series were not read.
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
        """Return the attributes by name as JSON values, without `node`.

        Each operand is an object of the same form.
        """
        names = ("path", "kind", "formula", "words", "step")
        return {name: getattr(self, name) for name in names} | {
            "counts": self.counts and self.counts.to_json(),
            "operands": [operand.to_json() for operand in self.operands],
        }


def outlined(node: Node, path: str = ROOT) -> NodeView:
    """Return the tree of an expression without counts. No series is needed for it.

    Args:
        node: the root of the tree.
        path: the JSON path of the root.
    """
    views = [outlined(operand, _below(path, at)) for at, operand in operands(node)]
    return _view(node, path, None, views)


def counted(node: Node, inputs: Mapping[str, Series]) -> NodeView:
    """Return the tree of an expression with the counts of each node.

    Args:
        node: the root of the tree.
        inputs: the series to which the expression refers, by series code.
    """
    return _counted(node, inputs, ROOT)[0]


def _counted(node: Node, inputs: Mapping[str, Series], path: str) -> tuple[NodeView, Series]:
    """Return the view of a node with its counts, and the series to which the node evaluates.

    Args:
        node: the node.
        inputs: the series to which the expression refers, by series code.
        path: the JSON path of the node.
    """
    views, named = list[NodeView](), dict[str, Series]()
    for below, operand in operands(node):
        at = _below(path, below)
        if isinstance(operand, Constant):
            views.append(outlined(operand, at))
            continue
        view, series = _counted(operand, inputs, at)
        views.append(view)
        named[str(len(named))] = series
    if isinstance(node, SeriesRef):
        result = inputs[node.series_code]
    else:
        result = evaluate(_over_series(node, named), named)
    return _view(node, path, counts_of(node, list(named.values()), result), views), result


def _over_series(node: Node, codes: Iterable[str]) -> Node:
    """Return a copy of a node whose operands are references to series, so that it can be evaluated by itself.

    Args:
        node: the node. Operands that are constants remain.
        codes: the series codes for the operands that are not constants, in order.
    """
    left = iter(codes)

    def replaced(operand: Any) -> Any:
        return operand if isinstance(operand, Constant) else SeriesRef(series_code=next(left))

    fields = {
        name: tuple(map(replaced, value)) if isinstance(value, tuple) else replaced(value)
        for name, value in node
        if isinstance(value, tuple | BaseModel)
    }
    return node.model_copy(update=fields)


def _view(node: Node, path: str, counts: Counts | None, operands: Sequence[NodeView]) -> NodeView:
    texts = formula(node), in_words(node), step_in_words(node)
    return NodeView(path, node, expression_type(node), *texts, counts, tuple(operands))


def _below(path: str, below: Path) -> str:
    """Return the JSON path of an operand.

    Args:
        path: the JSON path of the node.
        below: the path from the node to the operand.
    """
    return f"{path}.{path_text(below)}"

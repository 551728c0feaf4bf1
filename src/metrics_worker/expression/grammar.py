"""The grammar of expressions: `parse()`, `check()`, `dump()`, and the traversal of nodes.

`parse()` checks everything: depth, number of nodes and all fields are within bounds, so later code does not
check them again. `parse()` raises an ExpressionError with the JSON path of the first invalid node; `check()`
returns every problem.
"""

from collections.abc import Iterator
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from metrics_worker.errors import ExpressionError
from metrics_worker.expression.fields import BaseNode
from metrics_worker.expression.nodes import Composite, Constant, Node, Pair, SeriesMath, SeriesRef
from metrics_worker.problem import Path, Problem, first_error, problems_of

MAX_DEPTH = 32
MAX_NODES = 512

ROOT = "expressionJson"
_OPERANDS = ("left", "right", "series", "like")
_NODE: TypeAdapter[Node] = TypeAdapter(Node)


def expression_type(node: Node) -> str:
    """Return the `expressionType` that a request with this root node must have, such as `series_math`.

    A constant, which cannot be a root node, has the type `constant`.
    """
    match node:
        case SeriesRef():
            return "series"
        case Constant():
            return "constant"
        case SeriesMath() | Pair():
            return "series_math"
        case Composite():
            return "composite"
        case _:
            return "window_op"


def parse(value: Any) -> Node:
    """Return the root node of the expression that a decoded JSON value describes.

    Raises:
        ExpressionError: the value is not a valid expression; the subject is the invalid node's JSON path.
    """
    node, problems = check(value)
    if node is None:
        raise first_error(problems)
    return node


def check(value: Any) -> tuple[Node | None, list[Problem]]:
    """Return (root node, no problems) for a valid expression in decoded JSON, else (None, every problem).

    Operands that are nested too deeply are not checked. If there are too many nodes, no node is checked.
    """
    problems = [] if _has_valid_size(value) else list(_size_problems(value))
    if any(problem.kind == "too_many_nodes" for problem in problems):
        return None, problems
    try:
        node = _NODE.validate_python(_pruned(value, MAX_DEPTH) if problems else value)
    except ValidationError as error:
        found = problems_of(error, (ROOT,), ExpressionError)
        return None, problems + [problem for problem in found if not _follows(problem)]
    if isinstance(node, Constant):
        text = "a constant cannot be the whole expression"
        problems.append(Problem((ROOT,), "constant_root", text, error=ExpressionError))
    return (None if problems else node), problems


def raw_operands(value: Any) -> Iterator[tuple[Path, Any]]:
    """Yield (path, operand) for each operand of a node in decoded JSON; the path is relative to the node."""
    if isinstance(value, dict):
        yield from (((field,), value[field]) for field in _OPERANDS if field in value)
        if isinstance(operands := value.get("operands"), list):
            yield from ((("operands", i), operand) for i, operand in enumerate(operands))


def dump(node: Node) -> dict[str, Any]:
    """Return the node as JSON values, such that `parse(dump(node)) == node`."""
    return node.model_dump(mode="json")


def operands(node: Node) -> Iterator[tuple[Path, Node]]:
    """Yield (path, operand) for each operand of a node, in the order of its fields.

    The path is a JSON path relative to the node, such as ("operands", 0).
    """
    for name, value in node:
        if isinstance(value, tuple):
            yield from (((name, i), operand) for i, operand in enumerate(value))
        elif isinstance(value, BaseNode):
            yield (name,), cast("Node", value)


def children(node: Node) -> tuple[Node, ...]:
    """Return the operands of a node, in the order of its fields."""
    return tuple(operand for _, operand in operands(node))


def series_codes(node: Node) -> tuple[str, ...]:
    """Return the distinct series codes in the expression, in the order of their first appearance."""

    def walk(node: Node) -> Iterator[str]:
        if isinstance(node, SeriesRef):
            yield node.series_code
        for child in children(node):
            yield from walk(child)

    return tuple(dict.fromkeys(walk(node)))


def _has_valid_size(value: Any) -> bool:
    """Return whether the depth and the number of nodes in decoded JSON are within bounds.

    This check is faster than `_size_problems()`, which is only called to describe the problems.
    """
    nodes, depth, level = 0, 0, [value]
    while level:
        nodes += len(level)
        depth += 1
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            return False
        nodes_of_level = [node for node in level if isinstance(node, dict)]
        level = [node[field] for node in nodes_of_level for field in _OPERANDS if field in node]
        lists = [node["operands"] for node in nodes_of_level if isinstance(node.get("operands"), list)]
        level.extend(operand for operands in lists for operand in operands)
    return True


def _size_problems(value: Any) -> Iterator[Problem]:
    """Yield a problem for each node that is nested too deeply, and one problem if there are too many nodes.

    The root has depth 1. This function is not recursive, because a value of any depth must not cause a
    RecursionError. Recursive functions must not be called for the value before its size is checked.
    """
    nodes = 0
    stack: list[tuple[Any, Path, int]] = [(value, (ROOT,), 1)]
    while stack:
        node, path, depth = stack.pop()
        nodes += 1
        if nodes > MAX_NODES:
            yield Problem((ROOT,), "too_many_nodes", f"more than {MAX_NODES} nodes", error=ExpressionError)
            return
        operands = [(operand, path + below, depth + 1) for below, operand in raw_operands(node)]
        if depth < MAX_DEPTH:
            stack.extend(operands)
        elif operands:
            text = f"nested more than {MAX_DEPTH} nodes deep"
            yield Problem(operands[-1][1], "too_deep", text, error=ExpressionError)


def _pruned(value: Any, levels: int) -> Any:
    """Return a copy of a node in which placeholders replace the nodes that are nested too deeply.

    Args:
        value: the node in decoded JSON.
        levels: the number of levels to keep, including that of the node itself. A reference to a series with
            an invented code replaces each node below these levels.
    """
    if levels == 0:
        return {"series_code": "pruned"}
    if not isinstance(value, dict):
        return value
    copy = dict(value)
    for path, operand in raw_operands(value):
        if len(path) == 1:
            copy[path[0]] = _pruned(operand, levels - 1)
    if isinstance(operands := value.get("operands"), list):
        copy["operands"] = [_pruned(operand, levels - 1) for operand in operands]
    return copy


def _follows(problem: Problem) -> bool:
    """Return whether a problem is only the consequence of other problems, which are reported anyway.

    If some operands of a composite are invalid, pydantic also reports that the composite has too few
    operands.
    """
    return problem.kind == "too_short" and isinstance(problem.found, list) and len(problem.found) > 1

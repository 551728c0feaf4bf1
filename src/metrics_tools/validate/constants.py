"""The value of a part of an expression that contains only constants, which the grammar does not compute."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from metrics_tools.describe.formula import number_text
from metrics_worker.problem import Path

_OF_TWO: Mapping[str, Callable[[float, float], float]] = {
    "add": lambda left, right: left + right,
    "subtract": lambda left, right: left - right,
    "multiply": lambda left, right: left * right,
    "ratio": lambda left, right: left / right,
    "power": math.pow,
}
_OF_ONE: Mapping[str, Callable[[float], float]] = {
    "abs": abs,
    "neg": lambda value: -value,
    "log": math.log,
    "exp": math.exp,
    "sqrt": math.sqrt,
}


def how_to_write_constant(event: Mapping[str, Any], path: Path) -> str | None:
    """Return a suggestion with the value of the largest part of an expression that has only constants.

    The result is None if no part around a path has a value, such as a window operation on a constant.

    Args:
        event: the request.
        path: the path of a constant in the request.
    """
    node: Any = event
    for part in path[:-1]:
        node = node[part]
        try:
            value = _value(node)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            continue
        return f"compute it: write {number_text(value)}" if math.isfinite(value) else None
    return None


def _value(node: Any) -> float:
    """Return the value of a node without series.

    Raises:
        LookupError: the node contains a series or another operation.
        TypeError: the node is not an object, or a constant is not a number.
        ArithmeticError, ValueError: the operation has no value.
    """
    if "const" in node:
        return float(node["const"])
    if "series" in node:
        return _OF_ONE[node["op"]](_value(node["series"]))
    operation = _OF_TWO[node["op"]]
    return operation(_value(node["left"]), _value(node["right"])) * float(node.get("scale", 1))

"""An expression as JSON values in their shortest form, as an author would write them."""

from typing import Any

from metrics_worker.expression.grammar import dump
from metrics_worker.expression.nodes import Node

_EXACT = 2.0**53
"""Whole numbers of at least this size keep their notation as floating point numbers."""


def expression_json(node: Node) -> Any:
    """Return a node as JSON values, without default values. Whole numbers have no fraction (14, not 14.0)."""
    return _shortest(dump(node))


def _shortest(value: Any) -> Any:
    match value:
        case dict():
            return {name: _shortest(field) for name, field in value.items() if (name, field) != ("scale", 1)}
        case list():
            return [_shortest(item) for item in value]
        case float() if value.is_integer() and abs(value) < _EXACT and repr(value) != "-0.0":
            return int(value)
    return value

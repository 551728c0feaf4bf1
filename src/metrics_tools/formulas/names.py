"""The operations of formulas: the kind of node that each becomes, and the order of its arguments."""

import json
import re
from collections.abc import Sequence
from typing import get_args

from metrics_tools.describe.formula import OPERANDS, PLAIN, SIGNS, formula
from metrics_tools.validate.near import did_you_mean, instead_of_operation
from metrics_worker.errors import ExpressionError
from metrics_worker.expression.grammar import parse
from metrics_worker.expression.nodes import NODES

CONST = "const"
"""The name of the operation that marks a number as a constant: const(3)."""
_KINDS: dict[str, list[str]] = {}
for _kind, _model in NODES.items():
    for _op in get_args(_model.model_fields["op"].annotation) if "op" in _model.model_fields else ():
        _KINDS.setdefault(_op, []).append(_kind)
_OF_SEVERAL = {"series_math", "pair", "composite", "fill"}
"""The kinds of node with two or more operands."""


def operations(operands: int) -> list[str]:
    """Return the names of the operations that can have this number of operands.

    A message about an unknown operation suggests one of them.
    """
    if operands == 0:
        return [CONST]
    return [op for op in _KINDS if (kind_of_call(op, operands) in _OF_SEVERAL) == (operands > 1)]


def kind_of_call(op: str, operands: int) -> str | None:
    """Return the kind of node, such as `composite`, that a call of an operation becomes.

    `sum`, `max` and `min` are composites with two or more operands, and window operations with one operand.

    Args:
        op: the name of the operation.
        operands: the number of its operands.

    Returns:
        The kind, or None if there is no operation with this name.
    """
    kinds = sorted(_KINDS.get(op, []), key=lambda kind: (kind == "composite") != (operands > 1))
    return next(iter(kinds), None)


def operand_names(kind: str) -> list[str]:
    """Return the names of the fields that contain an operand in a kind of node, such as `left` and `right`.

    The field `operands` of a composite, which contains a list, is not one of them.
    """
    return [name for name in NODES[kind].model_fields if name in OPERANDS and name not in {"op", "operands"}]


def positional(kind: str) -> Sequence[str]:
    """Return the names of the arguments that a formula writes without their names, in order.

    These are the operands, then options such as `window`.

    Args:
        kind: the kind of node, such as `lag`, which is not a composite.
    """
    fields = NODES[kind].model_fields
    return [*operand_names(kind), *(name for name in PLAIN if name in fields)]


def takes_scale(node: object) -> bool:
    """Return whether a formula may multiply this node by a number that becomes the field `scale` of the node.

    This is true for a sum, a difference, a product, a ratio or a power of two sides that has no scale yet.

    Args:
        node: the node as JSON values.
    """
    return isinstance(node, dict) and node.get("op") in SIGNS and "scale" not in node


def order_of_arguments(op: str, operands: int) -> str:
    """Return a suggestion for a call of an operation whose operands do not come first."""
    constant = "; a constant operand is written const(3)" if kind_of_call(op, 2) == "composite" else ""
    return f"as in {op}({', '.join('XY'[:operands])}, …){constant}"


def similar_operation(op: str, operands: int) -> str | None:
    """Return a suggestion for an author who wrote the name of an operation that does not exist.

    Args:
        op: the unknown name.
        operands: the number of operands that the author wrote.

    Returns:
        An operation with a similar name, or the formula for an operation of another tool; None if neither
        is found.
    """
    return did_you_mean(op, operations(operands)) or _instead(op)


def _instead(op: str) -> str | None:
    """Return a text that says how to write a formula for an operation that only other tools have.

    The result is None if the name `op` is not known or the grammar cannot express the operation.
    """
    text = instead_of_operation(op) or None
    written = text and re.search(r"\{.*\}", text)
    if not text or not written:
        return text
    try:
        node = parse(json.loads(re.sub(r"\bX\b", '{"series_code": "X"}', written[0])))
    except ExpressionError:  # a constant, which is not a whole expression
        return None
    return text.replace(written[0], formula(node))

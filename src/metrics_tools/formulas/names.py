"""The operations of formulas: the kind of node that each becomes, and the order of its arguments."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from metrics_tools.describe.formula import OPERANDS, PLAIN, SIGNS, formula
from metrics_tools.validate.contract import CHOICES
from metrics_tools.validate.near import did_you_mean
from metrics_tools.validate.other_tools import change_over_unit, instead_of_operation
from metrics_tools.validate.problems import quoted
from metrics_tools.validate.zones_and_dates import date_hint
from metrics_worker.errors import ExpressionError
from metrics_worker.expression.grammar import parse
from metrics_worker.expression.nodes import NODES, Node

CONST = "const"
"""The name of the operation that marks a number as a constant: const(3)."""
_KINDS: dict[str, list[str]] = {}
for _kind, _model in NODES.items():
    for _op in get_args(_model.model_fields["op"].annotation) if "op" in _model.model_fields else ():
        _KINDS.setdefault(_op, []).append(_kind)
_JSON_NODE = r"\{[^{}]*\}"
"""A pattern for a JSON object in a text, in which objects are nested at most five deep."""
for _ in range(4):
    _JSON_NODE = rf"\{{(?:[^{{}}]|{_JSON_NODE})*\}}"
_NUMBER = re.compile(r"[-−]?[0-9.]+([eE][-+]?[0-9]+)?")  # noqa: RUF001 - a minus as in print
_YEAR_OR_DATE = re.compile(r"(?:19|20)[0-9]{2}(-[0-9]{2}-[0-9]{2})?")
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


def option_with_name(kind: str, written: str) -> str:
    """Return a suggestion for an argument that must have a name, such as `write at=2015-01-01`.

    Args:
        kind: the kind of node, such as `rebase`.
        written: the argument, as the author wrote it.
    """
    fields = NODES[kind].model_fields
    names = [name for name in fields if name not in {*OPERANDS, *PLAIN}]
    names.sort(key=lambda name: not fields[name].is_required())
    text = written.strip("\"'")
    if "at" in names and (date := _YEAR_OR_DATE.fullmatch(text)) is not None:
        return f"write at={text}" if date[1] else f"write at={text}-01-01"
    meant = [name for name in names if _may_have(name, text)]
    if meant:
        return f"write the name of the option, as in {meant[0]}={written}"
    if not names:
        return "leave it out: there are no other options"
    return f"write the name of the option; the options with a name are {', '.join(names)}"


def value_error(name: str, written: str) -> tuple[str, str | None]:
    """Return (text, suggestion) for a value of an option that is no number, word, date or text in quotes.

    Args:
        name: the name of the option.
        written: the value, as the author wrote it.
    """
    if name == "at":
        return f"the value of {quoted(name)} is a date in the form YYYY-MM-DD", date_hint(written)
    text = f"the value of {quoted(name)} is a number, a word, a date, or a text in quotes"
    return text, f'put it in quotes: {name}="…"' if name == "tz" else None


def _may_have(option: str, text: str) -> bool:
    """Return whether a text can be the value of an option."""
    if option in CHOICES:
        return text in CHOICES[option].split(", ")
    match option:
        case "tz":
            return re.fullmatch(r"[A-Z]\w+/[\w/+-]+|UTC", text) is not None
        case "partial":
            return text in {"true", "false"}
        case "at":
            return False  # a date was found before
    return _NUMBER.fullmatch(text) is not None


def similar_operation(op: str, operands: int, operand: object = None) -> str | None:
    """Return a suggestion for an author who wrote the name of an operation that does not exist.

    Args:
        op: the unknown name.
        operands: the number of operands that the author wrote.
        operand: the only operand as JSON values; None if there are several.

    Returns:
        An operation with a similar name, or the formula for an operation of another tool; None if neither
        is found.
    """
    return did_you_mean(op, operations(operands)) or _instead(op, operand)


def _instead(op: str, operand: object) -> str | None:
    """Return a text that says how to write a formula for an operation that only other tools have.

    The result is None if the name `op` is not known or the grammar cannot express the operation.

    Args:
        op: the name of the operation in the other tool.
        operand: the operand as JSON values; None if it is not known. A resample replaces that of the text.
    """
    text = instead_of_operation(op)
    if not text:
        return None
    try:
        if (change := change_over_unit(op)) and isinstance(operand, dict) and operand.get("op") == "resample":
            return f"write {formula(_change_of_resampled(operand, change))}"
        return re.sub(_JSON_NODE, lambda found: formula(parse(_of_text(found[0]))), text)
    except ExpressionError:  # a constant, which is not a whole expression, or an operand that is not valid
        return None


def _of_text(node: str) -> Any:
    """Return a node of a suggestion as JSON values. In the text of the node, X represents any series."""
    return json.loads(re.sub(r"\bX\b", '{"series_code": "X"}', node))


def _change_of_resampled(operand: Mapping[str, Any], change: tuple[str, str]) -> Node:
    """Return the node of a change, given as (operation, unit), of a resampled series.

    Months, quarters and years get the dates of their first days, so that the earlier period is always found.
    """
    from metrics_worker.civil_dates import MONTHS  # noqa: PLC0415 - It imports numpy, which no other formula needs.

    op, unit = change
    if operand.get("to") not in MONTHS:
        return parse({"op": op, "series": operand, "window": 1, "unit": unit})
    dated = {**operand, "stamp": "start"}
    return parse({"op": op, "series": dated, "window": 1, "unit": unit, "max_age_days": 0})

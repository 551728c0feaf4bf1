"""Conversion of the problems that the worker's check finds into texts and suggestions for the author."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from metrics_tools.validate.constants import how_to_write_constant
from metrics_tools.validate.contract import (
    A_NODE,
    ALLOWED,
    CHOICES,
    FIELDS,
    NODE_FIELDS,
    OPERATIONS,
    PATHS,
    REQUIRED,
    expression_type_of,
)
from metrics_tools.validate.near import (
    did_you_mean,
    meant_names,
    near,
    renamed,
    same_meaning,
)
from metrics_tools.validate.other_tools import instead_of_field, instead_of_operation
from metrics_tools.validate.problems import MAX_SHOWN, Problem, a_or_an, path_text, quoted, shown
from metrics_tools.validate.zones_and_dates import date_hint, zone_hint
from metrics_worker.expression.fields import PairOp
from metrics_worker.expression.grammar import ROOT
from metrics_worker.expression.shapes import KIND_BY_OP, shape_of
from metrics_worker.names import MAX_ID
from metrics_worker.problem import Path
from metrics_worker.problem import Problem as Found
from metrics_worker.request import REQUESTED, V1

_ALL_OPERATIONS = "the operations are " + "; ".join(
    f"{', '.join(operations)} ({kind})" for kind, operations in OPERATIONS.items()
)
_TEXTS = {
    "model_type": "it should be an object",
    "dict_type": "it should be an object",
    "tuple_type": "it should be a list",
    "list_type": "it should be a list",
    "string_type": "it should be a text",
    "int_type": "it should be a whole number",
    "float_type": "it should be a number",
    "string_too_short": "it is empty",
    "string_unicode": "it contains half a character: a surrogate without its other half",
}
"""By pydantic's error type, the text that describes the problem."""
_HINTS = {"tz": zone_hint, "at": date_hint}
"""By field, the function that suggests a value for a text that is not valid."""
_PERCENT = 100
_NUMBER = re.compile(r"\s*-?\d+(\.\d+)?\s*", re.ASCII)


def worded(problem: Found, event: Mapping[str, Any], written: Path) -> Problem:
    """Return a problem of the worker's check with a text and a suggestion for the author.

    Args:
        problem: the problem that the worker's check found.
        event: the request that was checked, as JSON values.
        written: the path of the problem in the author's file, where names may be misspelled; the path in
            `problem` has the correct names.
    """
    name = next((part for part in reversed(problem.path) if isinstance(part, str)), "")
    if problem.path == ("body",):
        return Problem("", f"the request {problem.text}")
    if problem.kind == "missing" or (problem.kind == "identity" and name not in event):
        return _missing(problem, name, event, written)
    found = value_at(event, problem.path)
    if problem.node and (
        problem.kind == "extra_forbidden" or (problem.kind, name) == ("literal_error", "op")
    ):
        text, allowed, hint = _of_another_node(problem, str(written[-1]), found)
    elif problem.kind == "expression_type":
        text, allowed, hint = _expression_type(found, shape_of(event.get(ROOT)))
    elif value := how_to_write_constant(event, problem.path) if _is_constant(problem, found) else None:
        return Problem(path_text(written), problem.text, suggestion=value)
    else:
        text, allowed, hint = _wrong_value(problem, name, found)
    return Problem(path_text(written), text, shown(found), allowed, hint)


def _is_constant(problem: Found, found: Any) -> bool:
    """Return whether a problem is that a constant is not allowed in its place."""
    return problem.kind == "value_error" and isinstance(found, dict) and "const" in found


def value_at(event: Any, path: Iterable[str | int], default: Any = None) -> Any:
    """Return the value at a JSON path, or the default if the path does not exist."""
    for part in path:
        try:
            event = event[part]
        except (LookupError, TypeError):
            return default
    return event


def _missing(problem: Found, name: str, event: Mapping[str, Any], written: Path) -> Problem:
    kind = problem.node
    whose = a_or_an(kind) if kind else "a dataset" if name in PATHS else path_text(written[:-1])
    allowed = ALLOWED.get(name)
    if kind and name == "op":
        allowed = ", ".join(OPERATIONS[expression_type_of(kind)])
    instead = next(iter(renamed(value_at(event, problem.path[:-1], {}), [name])), None)
    hint = f"there is {quoted(instead)}: did you mean `{name}`?" if instead else None
    return Problem(path_text(written), f"{whose or 'a request'} needs `{name}`", None, allowed, hint)


def usable_id(found: Any) -> str:
    """Return a valid id that is similar to a text: hyphens replace the characters that an id cannot contain.

    The result is an empty string if no valid id remains or the value is not a text.
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", found).strip("-._")[:MAX_ID] if isinstance(found, str) else ""


def _expression_type(says: Any, shape: str | None) -> tuple[str, str | None, str | None]:
    """Return (text, allowed values, suggestion) for a wrong `expressionType`.

    Args:
        says: the value of `expressionType` in the request.
        shape: the expression type of the root node, by its fields; None if the fields do not show it.
    """
    if says not in {"series", "series_math", "window_op", "composite"}:
        return "there is no such type", ALLOWED["expressionType"], shape and f"this expression is a `{shape}`"
    return f"it says {says}, but the expression is a {shape}", str(shape), f"write `{shape}`"


def _of_another_node(problem: Found, name: str, found: Any) -> tuple[str, str | None, str | None]:
    """Return (text, allowed values, suggestion) for a field or an operation that does not belong to its node.

    Args:
        problem: the problem that the worker's check found: a field that this kind of node does not have,
            or an operation in `op` that does not exist.
        name: the name of the field, as the author wrote it.
        found: the value of the field; for `op`, the operation.
    """
    kind = problem.node or ""
    if problem.kind == "extra_forbidden":
        text = f"{a_or_an(kind)} has no field {quoted(name)}"
        return text, ", ".join(FIELDS[kind]), _instead_of_field(kind, name)
    is_short = isinstance(found, str) and len(found) <= MAX_SHOWN
    shape = expression_type_of(kind)
    hint = _instead_of_operation(shape, found) if is_short else None
    return f"{shown(found)} is not an operation of {a_or_an(shape)}", ", ".join(OPERATIONS[shape]), hint


def _wrong_value(problem: Found, name: str, found: Any) -> tuple[str, str | None, str | None]:
    """Return (text, allowed values, suggestion) for a wrong value of a field.

    Args:
        problem: the problem that the worker's check found.
        name: the name of the field.
        found: the value of the field.
    """
    text, allowed, hint = problem.text, ALLOWED.get(name), None
    match problem.kind:
        case "node_shape":
            text, allowed, hint = "not a valid node", A_NODE, _instead_of_node(found)
        case "series_twice":
            allowed, hint = ALLOWED["inputs"], "keep one of them"
        case "too_deep" | "too_many_nodes":
            allowed = None
        case "identity" if name == "type":
            text, hint = "not a valid type", did_you_mean(str(found), [REQUESTED])
        case "identity":
            usable = usable_id(found)
            text, hint = f"not a valid {name}", f"`{usable}` would do" if usable else None
        case "base_path":
            hint = f"write s3://bucket/{text.split('/', 3)[3]}"
        case "key" if found.startswith("s3://"):
            hint = "write the key alone, or with the address of the data bucket before it"
        case _ if name in CHOICES or name in _HINTS or name == "q":
            text, hint = _wrong_option(problem, name, found)
        case _:
            text, hint = _wrong_type(problem, found)
    return text, allowed, hint


def _wrong_option(problem: Found, name: str, found: Any) -> tuple[str, str | None]:
    """Return (text, suggestion) for a wrong value of an option.

    An option is a field with a fixed list of values, a time zone, a date, or the share `q` of a quantile.

    Args:
        problem: the problem that the worker's check found.
        name: the name of the option.
        found: the value of the option.
    """
    match problem.kind:
        case "literal_error" if isinstance(found, str):
            return f"not a valid {name}", did_you_mean(found, CHOICES[name].split(", "))
        case "string_type" if name == "at":
            return "a date is a text such as 2015-01-01", date_hint(str(found))
        case "value_error" if isinstance(found, str) and name in _HINTS:
            return problem.text, _HINTS[name](found)
        case "less_than_equal" if name == "q" and found <= _PERCENT:
            return _wrong_type(problem, found)[0], f"q is not in percent: write {found / _PERCENT:g}"
    return _wrong_type(problem, found)


def _wrong_type(problem: Found, found: Any) -> tuple[str, str | None]:
    """Return (text, suggestion) for a value that pydantic rejects.

    Args:
        problem: the problem that the worker's check found.
        found: the value.
    """
    match problem.kind:
        case "too_short":
            return f"{'one operand is' if found else 'no operands are'} too few", None
        case "int_type" | "float_type" if isinstance(found, str) and _NUMBER.fullmatch(found):
            return "a number in quotes is a text", f"write {found.strip()} without the quotes"
        case "literal_error" if isinstance(found, str):
            return "there is no such schema", f"did you mean `{V1}`?" if found.startswith("metrics") else None
        case "int_type" if isinstance(found, float):
            return "it should be a whole number", None
    text = problem.text.replace("Input should be", "it should be").replace("String should", "it should")
    return _TEXTS.get(problem.kind, text), None


def _instead_of_field(kind: str, name: str) -> str | None:
    """Return a suggestion for a field that a kind of node does not have; None if no other field is likely."""
    if name == "scale":
        return "only series_math has a scale: give it to a series_math above or below"
    if name == "seriesCode" and kind == "series":
        return "the node has a series_code too: keep one of them"
    if name == "window":
        return "only 1 is accepted here, and has no effect: leave it out"
    return instead_of_field(name) or did_you_mean(name, FIELDS[kind])


def _instead_of_operation(shape: str, found: str) -> str:
    """Return a suggestion for an operation that an expression type does not have.

    The suggestion is found by the meaning of the operation's name in other tools, or by its spelling.

    Args:
        shape: the expression type, such as `window_op`.
        found: the operation that the author wrote.
    """
    allowed, instead = OPERATIONS[shape], instead_of_operation(found)
    home = next((other for other, operations in OPERATIONS.items() if found in operations), None)
    meant = same_meaning(found, allowed) or (near(found, allowed) if instead is None else None)
    if meant is not None:
        return f"did you mean `{meant}`?" + (
            f" `{found}` is of {home}, with {_sides(home, found)}" if home else ""
        )
    if home is not None:
        return f"`{found}` needs {_sides(home, found)}"
    for other in ("series_math", "composite", "window_op") if instead is None else ():
        if (meant := near(found, OPERATIONS[other])) is not None:
            return f"did you mean `{meant}`? It needs {_sides(other, meant)}"
    return f"there is no {quoted(found)}: {instead or _ALL_OPERATIONS}"


def _sides(shape: str, op: str) -> str:
    """Return the names of the fields that contain the operands of an operation, such as `left and right`.

    Args:
        shape: the expression type, such as `window_op`.
        op: the operation.
    """
    kind = "pair" if op in get_args(PairOp) else KIND_BY_OP[op] if shape == "window_op" else shape
    *others, last = [field for field in REQUIRED[kind] if field != "op"]
    return f"{', '.join(others)} and {last}" if others else last


def _instead_of_node(found: Any) -> str | None:
    """Return a text that says how to write the node that was probably meant; None if that is not known.

    Args:
        found: the value, as JSON values, in the place of the node.
    """
    match found:
        case str() if found.strip():
            return f'a series is written {{"series_code": {shown(found)}}}'
        case bool():
            return None
        case int() | float():
            return f'a constant is written {{"const": {shown(found)}}}'
        case list():
            return 'several nodes are the operands of one: {"op": "avg", "operands": […]}'
        case dict() if names := renamed(found, NODE_FIELDS):
            return meant_names(names)
        case _:
            return None

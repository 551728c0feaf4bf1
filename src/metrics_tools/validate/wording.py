"""Conversion of the problems that the worker's check finds into texts and suggestions for the author."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from metrics_tools.validate.contract import A_NODE, ALLOWED, FIELDS, NODE_FIELDS, OPERATIONS, PATHS
from metrics_tools.validate.near import did_you_mean, near
from metrics_tools.validate.problems import MAX_SHOWN, Problem, path_text, quoted, shown
from metrics_tools.validate.spelling import a_or_an, meant_names, renamed
from metrics_tools.validate.vocabulary import instead_of_field, instead_of_operation, same_operation
from metrics_worker.expression.grammar import ROOT, raw_type
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


def worded(problem: Found, event: Mapping[str, Any], written: Path) -> Problem:
    """Return a problem of the worker's check with a text and a suggestion for the author.

    Args:
        problem: the problem that the worker's check found.
        event: the request that was checked.
        written: the path of the problem in the author's file, where names may be misspelled.
    """
    found, name = value_at(event, problem.path), _field(problem.path)
    if problem.kind == "missing" or (problem.kind == "identity" and name not in event):
        return _missing(problem, event, written)
    if problem.kind == "extra_forbidden":
        return _unknown_field(written, problem.node or "", found)
    if problem.path == ("body",):
        return Problem("", f"the request {problem.text}")
    allowed, text, hint = _described(problem, name, found, raw_type(event.get(ROOT)))
    return Problem(path_text(written), text, shown(found), allowed, hint)


def _described(problem: Found, name: str, found: Any, root: str | None) -> tuple[str | None, str, str | None]:
    """Return the allowed values, the text and a suggestion for a value that is not valid.

    Args:
        problem: the problem that the worker's check found.
        name: the last field name in the path of the problem.
        found: the value at the path.
        root: the node type of the expression; None if the expression has the shape of no node.
    """
    text, hint = problem.text, None
    match problem.kind:
        case "literal_error" if name == "op":
            return _operation(problem.node or "", found)
        case "expression_type":
            return _expression_type(found, root)
        case "node_shape":
            return A_NODE, "not a valid node", _instead_of_node(found)
        case "series_twice":
            return ALLOWED["inputs"], text, "keep one of them"
        case "too_deep" | "too_many_nodes":
            return None, text, None
        case "identity":
            text, hint = f"not a valid {name}", _usable(name, found)
        case "base_path":
            hint = f"write s3://bucket/{text.split('/', 3)[3]}"
        case "key" if found.startswith("s3://"):
            hint = "write the key alone, or with the address of the data bucket before it"
        case _:
            text, hint = _wrong_value(problem, found)
    return ALLOWED.get(name), text, hint


def value_at(event: Any, path: Iterable[str | int], default: Any = None) -> Any:
    """Return the value at a JSON path, or the default if the path does not exist."""
    for part in path:
        try:
            event = event[part]
        except (LookupError, TypeError):
            return default
    return event


def _field(path: Path) -> str:
    """Return the last field name in a path; an empty text if the path has none."""
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def _missing(problem: Found, event: Mapping[str, Any], written: Path) -> Problem:
    name, kind = _field(problem.path), problem.node
    whose = a_or_an(kind) if kind else "a dataset" if name in PATHS else path_text(written[:-1])
    allowed = ", ".join(OPERATIONS[kind]) if kind and name == "op" else ALLOWED.get(name)
    instead = next(iter(renamed(value_at(event, problem.path[:-1], {}), [name])), None)
    hint = f"there is {quoted(instead)}: did you mean `{name}`?" if instead else None
    return Problem(path_text(written), f"{whose or 'a request'} needs `{name}`", None, allowed, hint)


def _usable(name: str, found: Any) -> str | None:
    """Return a suggestion for an unusable type, run id or metric code."""
    if name == "type":
        return did_you_mean(found, [REQUESTED]) if isinstance(found, str) else None
    usable = usable_id(found)
    return f"`{usable}` would do" if usable else None


def usable_id(found: Any) -> str:
    """Return a text as an id, with hyphens in place of other characters; empty if no valid id remains."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", found).strip("-._")[:MAX_ID] if isinstance(found, str) else ""


def _expression_type(says: Any, shape: str | None) -> tuple[str, str, str | None]:
    """Return the allowed values, the text and a suggestion for an `expressionType`."""
    if says not in FIELDS:
        return ALLOWED["expressionType"], "there is no such type", shape and f"this expression is a `{shape}`"
    return str(shape), f"it says {says}, but the expression is a {shape}", f"write `{shape}`"


def _wrong_value(problem: Found, found: Any) -> tuple[str, str | None]:
    """Return a text that describes the problem of a value, and a suggestion or None."""
    match problem.kind:
        case "too_short":
            return f"{'one operand is' if found else 'no operands are'} too few", None
        case "int_type" | "float_type" if isinstance(found, str) and _is_number(found):
            return "a number in quotes is a text", f"write {found.strip()} without the quotes"
        case "literal_error" if isinstance(found, str):
            return "there is no such schema", f"did you mean `{V1}`?" if found.startswith("metrics") else None
        case "int_type" if isinstance(found, float):
            return "windows count whole observations", None
    text = problem.text.replace("Input should be", "it should be").replace("String should", "it should")
    return _TEXTS.get(problem.kind, text), None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*-?\d+(\.\d+)?\s*", text, re.ASCII) is not None


def _unknown_field(written: Path, kind: str, found: Any) -> Problem:
    """Return the problem of a field that a node type does not have."""
    name = str(written[-1])
    hint = instead_of_field(name) or did_you_mean(name, FIELDS[kind])
    if name == "scale":
        hint = "only series_math has a scale: give it to a series_math above or below"
    if name == "seriesCode" and kind == "series":
        hint = "the node has a series_code too: keep one of them"
    text = f"{a_or_an(kind)} has no field {quoted(name)}"
    return Problem(path_text(written), text, shown(found), ", ".join(FIELDS[kind]), hint)


def _operation(kind: str, found: Any) -> tuple[str, str, str | None]:
    """Return the allowed values, the text and a suggestion for an operation of another node type."""
    is_short = isinstance(found, str) and len(found) <= MAX_SHOWN
    hint = _instead_of_operation(kind, found) if is_short else None
    return ", ".join(OPERATIONS[kind]), f"{shown(found)} is not an operation of {a_or_an(kind)}", hint


def _instead_of_operation(kind: str, found: str) -> str:
    """Return a suggestion for a name that is no operation of a node type, by its meaning or its spelling."""
    allowed = OPERATIONS[kind]
    home = next((other for other, operations in OPERATIONS.items() if found in operations), None)
    instead = instead_of_operation(found)
    meant = same_operation(found, allowed) or (near(found, allowed) if instead is None else None)
    if meant is not None:
        also = f" `{found}` is of {home}, with {_sides(home)}" if home else ""
        return f"did you mean `{meant}`?{also}"
    if home is not None:
        return f"`{found}` needs {_sides(home)}"
    if instead is not None:
        return f"there is no {quoted(found)}: {instead or _ALL_OPERATIONS}"
    for other in ("series_math", "composite", "window_op"):
        if (meant := near(found, OPERATIONS[other])) is not None:
            return f"did you mean `{meant}`? It needs {_sides(other)}"
    return f"there is no {quoted(found)}: {_ALL_OPERATIONS}"


def _sides(kind: str) -> str:
    """Return the names of the fields that a node has in addition to its operation."""
    return " and ".join(field for field in FIELDS[kind] if field not in {"op", "scale"})


def _instead_of_node(found: Any) -> str | None:
    """Return how to write the node that was probably meant; None if that is not known."""
    match found:
        case str() if found.strip():
            return f'a series is written {{"series_code": {shown(found)}}}'
        case bool():
            return None
        case int() | float() | {"const": _} | {"constant": _}:
            return instead_of_field("const")
        case list():
            return 'several nodes are the operands of one: {"op": "avg", "operands": […]}'
        case dict() if names := renamed(found, NODE_FIELDS):
            return meant_names(names)
        case _:
            return None

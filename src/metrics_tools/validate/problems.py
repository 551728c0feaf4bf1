"""What is wrong with a request, for its author: where, what was found, what is allowed, what was meant.

What is wrong is found by the worker alone (see `checking`); here its findings are put into an author's words.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from pydantic import BaseModel

from metrics_tools.validate.near import did_you_mean, near
from metrics_tools.validate.vocabulary import instead_of_field, instead_of_operation, same_operation
from metrics_worker.expression.grammar import (
    MAX_SERIES_CODE,
    MAX_WINDOW,
    ROOT,
    Composite,
    SeriesMath,
    SeriesRef,
    WindowOp,
)
from metrics_worker.names import ID_RULE
from metrics_worker.request import REQUESTED, V1

MAX_SHOWN = 80

type Part = str | int
type Path = tuple[Part, ...]
"""Where a value stands in the request: names and places in lists."""

KINDS: dict[str, type[BaseModel]] = {
    "series": SeriesRef,
    "series_math": SeriesMath,
    "window_op": WindowOp,
    "composite": Composite,
}
TAGS = {f"<{kind}>": kind for kind in KINDS}
"""The names by which pydantic's locations tell the kinds of nodes apart."""
OPERATIONS: dict[str, tuple[str, ...]] = {
    kind: get_args(model.model_fields["op"].annotation) for kind, model in KINDS.items() if kind != "series"
}
_ALL_OPERATIONS = "the operations are " + "; ".join(
    f"{', '.join(operations)} ({kind})" for kind, operations in OPERATIONS.items()
)
FIELDS = {kind: tuple(model.model_fields) for kind, model in KINDS.items()}
NODE_FIELDS = dict.fromkeys([*FIELDS["series"], "seriesCode", *sum(FIELDS.values(), ())])

_A_NODE = "a node: series_code; or op, left, right; or op, series, window; or op, operands"
_CODE = f"1 to {MAX_SERIES_CODE} characters, without '/', control characters and blanks around it"
_KEY = "a key in the data bucket: relative, no empty part, no '..'; under datasets/"
ALLOWED: Mapping[str, str] = {
    "schema": f"{V1}, or no schema at all",
    "type": REQUESTED,
    "runId": ID_RULE,
    "metricCode": ID_RULE,
    "expressionType": "series, series_math, window_op or composite, as the shape of expressionJson says",
    ROOT: _A_NODE,
    "inputs": "a list of {datasetId, seriesCode}, each series once",
    "datasetId": "the id of a dataset in catalog.datasets",
    "seriesCode": _CODE,
    "series_code": _CODE,
    "catalog": "an object with datasets",
    "datasets": "an object: each dataset's manifestPath and projectionsPath, by its id",
    "manifestPath": _KEY,
    "projectionsPath": _KEY,
    "output": "an object with basePath",
    "basePath": "s3://bucket/metrics/{metricCode}/; the word bucket stands for the data bucket",
    "left": _A_NODE,
    "right": _A_NODE,
    "series": _A_NODE,
    "operands": "a list of two or more nodes",
    "window": f"a whole number of observations, 1 to {MAX_WINDOW:,}",
    "scale": "a finite number; 1 where it is left out",
}
"""What may stand in a field, by its name."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong, or in a warning: that is probably not meant.

    Attributes:
        path: where, as error messages have it: `expressionJson.left.operands[0]`; empty for the whole file.
        text: what is wrong.
        found: what stands there, as JSON, shortened; None where nothing does.
        allowed: what may stand there.
        suggestion: what was perhaps meant, or what to do.
    """

    path: str
    text: str
    found: str | None = None
    allowed: str | None = None
    suggestion: str | None = None
    severity: Literal["error", "warning"] = "error"

    def __post_init__(self) -> None:
        for name in ("path", "text", "found", "allowed", "suggestion"):
            if (said := getattr(self, name)) is not None:
                object.__setattr__(self, name, printable(said))

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def path_text(path: Iterable[Part]) -> str:
    """A path as error messages have it."""
    text = ""
    for part in path:
        name = part if isinstance(part, int) or len(part) <= MAX_SHOWN else part[: MAX_SHOWN - 1] + "…"
        text += f"[{name}]" if isinstance(name, int) else f".{name}" if text else name
    return text


def quoted(name: str) -> str:
    """A name as it stands in a sentence."""
    return f"`{name}`" if len(name) <= MAX_SHOWN else f"`{name[: MAX_SHOWN - 1]}…`"


def printable(text: str) -> str:
    """The text, with an escape in place of all that would not print or would turn a terminal around."""
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def path_of(text: str) -> Path:
    """The path that a message names; it must lead through fields that the contract knows."""
    return tuple(int(at) if at else name for name, at in re.findall(r"([^.\[\]]+)|\[(\d+)\]", text))


def shown(value: Any) -> str:
    """A value as JSON, shortened, without anything that would not print."""
    match value:
        case dict() | list() if value:
            text = f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value):,}"
        case str():
            text = json.dumps(value[: MAX_SHOWN + 1], ensure_ascii=False)
        case _:
            text = json.dumps(value)
    text = printable(text)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def told(error: Mapping[str, Any], path: Path, written: Path, kind: str | None) -> Problem:
    """One of pydantic's findings.

    Args:
        error: of `ValidationError.errors()`.
        path: where, without tags.
        written: the same, as it stands in the file.
        kind: of the node that it is about or in; None outside the expression.
    """
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    found, where = error["input"], path_text(written)
    match error["type"]:
        case "missing":
            needs = f"{a_or_an(kind) if kind else path_text(written[:-1]) or 'a request'} needs `{name}`"
            allowed = ", ".join(OPERATIONS[kind]) if kind and name == "op" else ALLOWED.get(name)
            return Problem(where, needs, None, allowed)
        case "extra_forbidden":
            return _extra(where, name, kind or "", found)
        case "literal_error" if name == "op":
            return _operation(where, kind or "", found)
        case "node_shape":
            return Problem(where, "this is no node", shown(found), _A_NODE, _instead_of_node(found))
        case _:
            text, hint = _wrong_value(error, found)
            return Problem(where, text, shown(found), ALLOWED.get(name), hint)


def _wrong_value(error: Mapping[str, Any], found: Any) -> tuple[str, str | None]:
    """What is wrong with a value, and a hint: in words that don't speak of Python."""
    match error["type"]:
        case "too_short":
            return f"{'one operand is' if found else 'no operands are'} too few", None
        case "int_type" | "float_type" if isinstance(found, str) and _is_number(found):
            return "a number in quotes is a text", f"write {found.strip()} without the quotes"
        case "literal_error" if isinstance(found, str):
            return "there is no such schema", f"did you mean `{V1}`?" if found.startswith("metrics") else None
        case "int_type" if isinstance(found, float):
            return "windows count whole observations", None
    text = str(error["msg"]).removeprefix("Value error, ")
    text = text.replace("Input should be", "it should be").replace("String should", "it should")
    return _IN_WORDS.get(error["type"], text), None


_IN_WORDS = {
    "model_type": "it should be an object",
    "dict_type": "it should be an object",
    "tuple_type": "it should be a list",
    "list_type": "it should be a list",
    "string_type": "it should be a text",
    "int_type": "it should be a whole number",
    "float_type": "it should be a number",
    "string_too_short": "it is empty",
    "string_unicode": "half a character stands in it: a surrogate without its other half",
}


def a_or_an(noun: str) -> str:
    """The noun with its article."""
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def _extra(where: str, name: str, kind: str, found: Any) -> Problem:
    """A field that the node doesn't have."""
    hint = instead_of_field(name) or did_you_mean(name, FIELDS[kind])
    if name == "scale":
        hint = "only series_math has a scale: give it to a series_math above or below"
    if name == "seriesCode" and kind == "series":
        hint = "series_code stands there too: keep one of them"
    text = f"{a_or_an(kind)} has no field {quoted(name)}"
    return Problem(where, text, shown(found), ", ".join(FIELDS[kind]), hint)


def _operation(where: str, kind: str, found: Any) -> Problem:
    """An operation that the node's family doesn't have."""
    hint = _instead_of_operation(kind, found) if isinstance(found, str) and len(found) <= MAX_SHOWN else None
    text = f"{shown(found)} is no operation of {a_or_an(kind)}"
    return Problem(where, text, shown(found), ", ".join(OPERATIONS[kind]), hint)


def _instead_of_operation(kind: str, found: str) -> str:
    """Return what to write: by the meaning of the name first, by its spelling last."""
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
    for other in sorted(OPERATIONS, key=["series_math", "composite", "window_op"].index):
        operations = OPERATIONS[other]
        if (meant := near(found, operations)) is not None:
            return f"did you mean `{meant}`? It needs {_sides(other)}"
    return f"there is no {quoted(found)}: {_ALL_OPERATIONS}"


def _sides(kind: str) -> str:
    """Return the fields of a node besides its operation."""
    return " and ".join(field for field in FIELDS[kind] if field not in {"op", "scale"})


def _instead_of_node(found: Any) -> str | None:
    """Return how to write what was probably meant as a node."""
    match found:
        case str() if found.strip():
            return f'a series is written {{"series_code": {shown(found)}}}'
        case bool():
            return None
        case int() | float() | {"const": _} | {"constant": _}:
            return instead_of_field("const")
        case list():
            return 'several nodes are the operands of one: {"op": "avg", "operands": […]}'
        case dict():
            meant = {name: near(name, NODE_FIELDS) for name in found if name not in NODE_FIELDS}
            said = [f"`{field}` for {quoted(name)}" for name, field in meant.items() if field]
            return f"did you mean {' and '.join(said)}?" if said else None
        case _:
            return None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*-?\d+(\.\d+)?\s*", text, re.ASCII) is not None

"""The grammar of expressions: frozen nodes, `parse()` and `series_codes()`.

The type of a node is recognised by its fields, not by `op`, because `sum`, `max` and `min` are both window
operations and composites. `parse()` checks everything: depth, number of nodes, windows and scales are within
bounds, so later code does not check them again. `parse()` raises an ExpressionError with the JSON path of the
first invalid node; `check()` returns every problem.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from metrics_worker.errors import ExpressionError
from metrics_worker.problem import Path, Problem, first_error, problems_of

MAX_DEPTH = 32
MAX_NODES = 512
MAX_WINDOW = 1_000_000
"""The longest window, in observations. (A window longer than its series gives an empty result anyway.)"""
MAX_SERIES_CODE = 256

ROOT = "expressionJson"


def _whole(value: Any) -> Any:
    """Return an int for a float without a fraction (14 for 14.0, as in JSON Schema), or else the value.

    pydantic's validation of the field then rejects a number such as 14.5.
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _one_segment(code: str) -> str:
    """Return the series code unchanged if it can be one path segment of a key (`CODE/year=…`).

    Raises:
        ValueError: the code is '.' or '..', contains '/' or a control character, or has spaces around it.
    """
    if code in {".", ".."} or "/" in code or not code.isprintable() or code != code.strip():
        raise ValueError("a series code has no '/', no control characters and no blanks around it")
    return code


def _finite_scale(value: Any) -> Any:
    """Return 1.0 for a null scale, any other scale unchanged.

    Raises:
        ValueError: an integer of 2**1023 or more, which pydantic could convert to infinity.
    """
    if value is None:
        return 1.0
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**1023:
        raise ValueError("the scale is too large")
    return value


SeriesCode = Annotated[str, Field(min_length=1, max_length=MAX_SERIES_CODE), AfterValidator(_one_segment)]
Window = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=MAX_WINDOW)]
Scale = Annotated[float, BeforeValidator(_finite_scale), Field(allow_inf_nan=False)]


class _Node(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _unit_scale(cls, value: Any) -> Any:
        """Return the node without a `scale` of 1 or null, which the control plane adds to all node types."""
        if isinstance(value, dict) and "scale" in value and "scale" not in cls.model_fields:
            scale = value["scale"]
            if scale is None or (isinstance(scale, int | float) and scale is not True and scale == 1):
                return {name: field for name, field in value.items() if name != "scale"}
        return value


class SeriesRef(_Node):
    """A reference to one input series: `{"series_code": "X"}`."""

    series_code: SeriesCode = Field(validation_alias=AliasChoices("series_code", "seriesCode"))


class SeriesMath(_Node):
    """An arithmetic operation on the values of two series at the same time.

    For example `{"op": "ratio", "left": node, "right": node, "scale": 1}`.
    """

    op: Literal["add", "subtract", "multiply", "ratio"]
    left: "Node"
    right: "Node"
    scale: Scale = 1.0


class WindowOp(_Node):
    """An operation on the last `window` observations: `{"op": "sma", "series": node, "window": 14}`."""

    op: Literal["sma", "ema", "sum", "max", "min", "lag"]
    series: "Node"
    window: Window


class Composite(_Node):
    """An operation on all operands that have an observation at a time.

    For example `{"op": "avg", "operands": [node, node]}`.
    """

    op: Literal["sum", "avg", "max", "min"]
    operands: Annotated[tuple["Node", ...], Field(min_length=2, strict=False)]


_TAGS: dict[type[_Node], str] = {
    SeriesRef: "<series>",
    SeriesMath: "<series_math>",
    WindowOp: "<window_op>",
    Composite: "<composite>",
}
"""The tag of each node type. The angle brackets distinguish a tag from a field name in an error's path."""

_OPERANDS = ("left", "right", "series")
_SHAPES = {
    "series_code": "<series>",
    "seriesCode": "<series>",
    "left": "<series_math>",
    "right": "<series_math>",
    "operands": "<composite>",
    "series": "<window_op>",
    "window": "<window_op>",
}


def _shape(value: Any) -> str | None:
    if isinstance(value, dict):
        return next((tag for field, tag in _SHAPES.items() if field in value), None)
    return _TAGS.get(type(value))


type Node = Annotated[
    Annotated[SeriesRef, Tag("<series>")]
    | Annotated[SeriesMath, Tag("<series_math>")]
    | Annotated[WindowOp, Tag("<window_op>")]
    | Annotated[Composite, Tag("<composite>")],
    Discriminator(
        _shape,
        custom_error_type="node_shape",
        custom_error_message=(
            "not a node: give series_code; or op, left, right; or op, series, window; or op, operands"
        ),
    ),
]

_NODE: TypeAdapter["Node"] = TypeAdapter(Node)


def expression_type(node: "Node") -> str:
    """Return the `expressionType` that a request with this root node must have, such as `series_math`."""
    return _TAGS[type(node)].strip("<>")


def parse(value: Any) -> "Node":
    """Return the root node of the expression that a decoded JSON value describes.

    Raises:
        ExpressionError: the value is not a valid expression; the subject is the invalid node's JSON path.
    """
    node, problems = check(value)
    if node is None:
        raise first_error(problems)
    return node


def check(value: Any) -> "tuple[Node | None, list[Problem]]":
    """Return the root node of an expression in decoded JSON and no problems, or None and every problem.

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
    return (None if problems else node), problems


def raw_operands(value: Any) -> Iterator[tuple[Path, Any]]:
    """Yield (JSON path below the node, operand) for each operand of a node in decoded JSON."""
    if isinstance(value, dict):
        yield from (((field,), value[field]) for field in _OPERANDS if field in value)
        if isinstance(operands := value.get("operands"), list):
            yield from ((("operands", i), operand) for i, operand in enumerate(operands))


def raw_type(value: Any) -> str | None:
    """Return the type of a node in decoded JSON, such as `series_math`; None if no field identifies it."""
    tag = _shape(value)
    return None if tag is None else tag.strip("<>")


def dump(node: "Node") -> dict[str, Any]:
    """Return the node as JSON values, such that `parse(dump(node)) == node`."""
    return node.model_dump(mode="json")


def children(node: "Node") -> tuple["Node", ...]:
    """Return the operands of a node, in the order of the node's fields."""
    match node:
        case SeriesRef():
            return ()
        case SeriesMath(left=left, right=right):
            return (left, right)
        case WindowOp(series=series):
            return (series,)
        case Composite(operands=operands):
            return operands


def series_codes(node: "Node") -> tuple[str, ...]:
    """Return the distinct series codes in the expression, in the order of their first appearance."""

    def walk(node: "Node") -> Iterator[str]:
        if isinstance(node, SeriesRef):
            yield node.series_code
        for child in children(node):
            yield from walk(child)

    return tuple(dict.fromkeys(walk(node)))


def _has_valid_size(value: Any) -> bool:
    """Return whether `_size_problems()` would find no problem in a value; for a valid value, it is faster."""
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
    """Yield a problem for each node whose operands are too deep, and one if there are too many nodes.

    The root has depth 1. Recursive functions on the value are safe only after this function, which is not.
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
    """Return a copy of a node with this many levels, including its own; a series replaces deeper nodes."""
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
    """Return whether a "too few operands" problem only follows from operands that are invalid themselves."""
    return problem.kind == "too_short" and isinstance(problem.found, list) and len(problem.found) > 1

"""Recognition of the type of a node in decoded JSON by the node's fields and operation."""

from typing import Any, get_args

from metrics_worker.expression.fields import CumulativeOp, LagOp, PairOp, RollingOp, TransformOp

KIND_BY_OP: dict[str, str] = (
    dict.fromkeys(get_args(RollingOp), "window_op")
    | dict.fromkeys(get_args(LagOp), "lag")
    | dict.fromkeys(get_args(TransformOp), "transform")
    | dict.fromkeys(get_args(CumulativeOp), "cumulative")
    | {op: op for op in ("ema", "quantile", "clip", "round", "rebase", "resample", "fill")}
)
"""The kind of node of each operation on one series."""
_SHAPES = {
    "series_code": "series",
    "seriesCode": "series",
    "left": "series_math",
    "right": "series_math",
    "operands": "composite",
    "series": "window_op",
    "window": "window_op",
    "like": "window_op",
    "const": "constant",
}
"""The expression type of a node that has a field, in the order of precedence of the fields."""


def shape_of(value: Any) -> str | None:
    """Return the expression type of a node in decoded JSON, such as `window_op`, by the names of its fields.

    The result is None if the value has none of the fields that identify a type. A constant, which cannot be a
    whole expression, has the type `constant`.
    """
    if isinstance(value, dict):
        return next((shape for field, shape in _SHAPES.items() if field in value), None)
    return None


def kind_of(value: Any) -> str | None:
    """Return the kind of a node in decoded JSON, such as `lag`; None if its fields identify no type.

    A kind is more exact than an expression type: the type `window_op` includes the kinds `lag`, `ema` and
    others. If the operation is unknown or missing, the result is the expression type.
    """
    shape, op = shape_of(value), value.get("op") if isinstance(value, dict) else None
    if shape == "series_math" and op in get_args(PairOp):
        return "pair"
    return KIND_BY_OP.get(op, shape) if shape == "window_op" and isinstance(op, str) else shape

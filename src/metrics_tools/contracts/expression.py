"""The schemas of expressions: in requests, and in the manifests that the worker writes.

A schema cannot express these rules: nodes nest to a depth of at most 32, with at most 512 nodes; a series
code has only printable characters (the schema rejects only control characters); and a scale that is written
as an integer is below 2**1023. Rules that concern several fields of a node are not expressed either: see
docs/contracts/README.md.
"""

import sys
from typing import get_args

from pydantic import BaseModel

from metrics_tools.contracts.node_examples import EXAMPLES
from metrics_tools.contracts.patterns import LINE, whole
from metrics_tools.contracts.schema import Meanings, Schema, described, model
from metrics_worker.expression.grammar import MAX_DEPTH, MAX_NODES
from metrics_worker.expression.nodes import NODES

NODE = {"$ref": "#/$defs/node"}
OPERAND = {"$ref": "#/$defs/operand"}
TYPES: dict[str, Schema] = {
    "series": {"not": {"type": "object", "required": ["op"]}},
    "series_math": {"type": "object", "required": ["left"]},
    "composite": {"type": "object", "required": ["operands"]},
    "window_op": {"type": "object", "required": ["series"]},
}
"""For each `expressionType`, a schema that only root nodes of this type match, if they are valid."""

SERIES_CODE = described(
    "The code of a series, which is also the name of a folder in the dataset. It has only printable"
    " characters, no '/', and no spaces at its beginning or end.",
    pattern=whole(LINE.replace("[^", "[^/")),
    **{"not": {"pattern": r"^ | $|^\.{1,2}$"}},
)
_OP = (
    "The operation. `sum`, `max` and `min` are both window operations and composites: the other fields of the"
    " node decide which is meant."
)
_UNUSED_SCALE = described(
    "This node type has no scale: 1 and null are accepted and ignored, any other value is an error.",
    enum=[1, None],
)
_SERIES = described("The series of the operation.", **NODE)
_WINDOW = (
    "The length of the window in units, by default in observations, not days. The window includes the current"
    " observation. The length is an integer, but may be written as 14.0."
)
_UNIT = "The unit of `window`; observations if it is missing."
_ZONE = (
    "The IANA name of the time zone that determines the civil date of each observation; UTC if it is missing."
    " It is allowed only if the operation depends on civil dates."
)
_MIN_PERIODS = (
    "The smallest number of observations of a window with a result. If it is missing, it is the window for"
    " observations and 1 for calendar units (2 for std, var and zscore)."
)
_NUMBER = {"type": "number", "minimum": -sys.float_info.max, "maximum": sys.float_info.max}
_MEANINGS: dict[str, Meanings] = {
    "series": {"series_code": SERIES_CODE},
    "constant": {"const": "The value at every time at which the other operands have an observation."},
    "pair": {
        "op": "The statistic, with n - 1 as its divisor: correlation, covariance, or covariance / variance of"
        " the right operand.",
        "left": described("The left operand.", **NODE),
        "right": described("The right operand.", **NODE),
        "window": "The number of common times.",
    },
    "series_math": {
        "op": described(
            "The operation on the left and the right value of each time at which both have an observation."
            " Results that are not finite, and ratios by zero, are left out."
        ),
        "left": described("The left operand; not both operands can be constants.", **OPERAND),
        "right": described("The right operand.", **OPERAND),
        "scale": described(
            "The factor by which each result is multiplied; 1 if it is missing or null.",
            anyOf=[
                _NUMBER,
                {"type": "null"},
            ],
            default=1,
        ),
    },
    "window_op": {
        "op": _OP,
        "series": _SERIES,
        "window": _WINDOW,
        "unit": _UNIT,
        "tz": _ZONE,
        "min_periods": _MIN_PERIODS,
    },
    "quantile": {
        "op": "The operation: a quantile by linear interpolation.",
        "series": _SERIES,
        "window": _WINDOW,
        "unit": _UNIT,
        "tz": _ZONE,
        "min_periods": _MIN_PERIODS,
        "q": "The share of the observations that are at most the quantile; 0.5 is the median.",
    },
    "ema": {
        "op": "The operation: an exponential average.",
        "series": _SERIES,
        "window": "The average gives the newest observation the weight 2 / (window + 1).",
    },
    "lag": {
        "op": "The operation: the earlier value y, or the change x - y, x / y - 1 or ln(x / y).",
        "series": _SERIES,
        "window": "The distance to the earlier observation, in units.",
        "unit": _UNIT,
        "tz": _ZONE,
        "max_age_days": "For a calendar unit: the largest age of the earlier value, in days.",
    },
    "transform": {"op": "The function of each value.", "series": _SERIES},
    "clip": {
        "op": "The operation: a limit on each value.",
        "series": _SERIES,
        "lower": "The smallest value of the result; `lower`, `upper` or both are given.",
        "upper": "The largest value of the result, which is not less than `lower`.",
    },
    "round": {
        "op": "The operation: each value rounded half to even.",
        "series": _SERIES,
        "digits": "The number of decimal places.",
    },
    "cumulative": {
        "op": "The operation on all observations so far.",
        "series": _SERIES,
        "reset": "The period at whose beginning the operation begins again; never if it is missing.",
        "tz": _ZONE,
    },
    "rebase": {
        "op": "The operation: an index that has the value `base` at the date `at`.",
        "series": _SERIES,
        "at": described(
            "The date at which the index begins; if it has no observation, the next one is used.",
            format="date",
            pattern=whole("[0-9]{4}-[0-9]{2}-[0-9]{2}"),
        ),
        "base": "The value of the index at its beginning; 100 if it is missing.",
        "tz": _ZONE,
    },
    "resample": {
        "op": "The operation: one observation for each period.",
        "series": _SERIES,
        "to": "The period.",
        "how": "The value of a period: one of its observations, or a statistic of all of them.",
        "stamp": "The time of a result: that of the last observation (`last`, the default), or midnight at"
        " the beginning of the first or last day of the period.",
        "partial": "Whether the last period, which may be incomplete, has a result too; false by default.",
        "tz": _ZONE,
    },
    "fill": {
        "op": "The operation: the values of `series` at the times of `like`.",
        "series": _SERIES,
        "like": described("The series with the times of the result.", **NODE),
        "method": "The last observation at or before each time, or a line between both neighbours.",
        "max_age_days": "For `previous`: the largest age of an observation, in days of 24 hours.",
    },
    "composite": {
        "op": _OP,
        "operands": "Two or more nodes; at each time, those with an observation are used.",
    },
}
_TEXT = {
    "series": "The observations of one input series.",
    "series_math": "An operation on the values of two series at the same time.",
    "constant": "A number as an operand of series_math or of a composite.",
    "pair": "A statistic of two series over their last common times.",
    "window_op": "An operation on the observations of a window that ends at each observation.",
    "quantile": "A quantile of the observations of a window that ends at each observation.",
    "ema": "An exponential average of all observations so far.",
    "lag": "The value at an earlier time, or the change from this value.",
    "transform": "A function of each value; values for which it is undefined are left out.",
    "clip": "A limit on each value.",
    "round": "Each value, rounded to a number of decimal places.",
    "cumulative": "The sum, maximum or minimum of all observations so far.",
    "rebase": "A series divided by its value at a date, times `base`.",
    "resample": "One observation for each week, month, quarter or year.",
    "fill": "The values of a series at the times of another series.",
    "composite": "An operation on all operands that have an observation at a time.",
}
_NODE_TEXT = (
    f"A node; its fields decide its type. Nodes nest to a depth of at most {MAX_DEPTH}, with at most"
    f" {MAX_NODES} nodes, which a schema cannot express. Unknown fields are errors."
)


def request_definitions() -> dict[str, Schema]:
    """Return the JSON Schema `$defs` for expressions in requests: `node`, and one for each kind of node."""
    shapes = _shapes()
    series, code = shapes["series"], shapes["series"]["properties"]["series_code"]
    text = "The series code under the name that the control plane uses."
    series["properties"]["seriesCode"] = code | described(text)
    del series["required"]
    series["oneOf"] = [{"required": ["series_code"]}, {"required": ["seriesCode"]}]
    for name, kind in NODES.items():
        _accept_ignored(shapes[name], kind)
        shapes[name]["examples"] = EXAMPLES[name]
    limits = {name: {"not": {"type": "null"}} for name in ("lower", "upper")}
    shapes["clip"]["anyOf"] = [
        {"properties": {name: limit}, "required": [name]} for name, limit in limits.items()
    ]
    return shapes


def _accept_ignored(shape: Schema, kind: type[BaseModel]) -> None:
    """Extend the schema of a kind of node, so that it accepts the values that the worker ignores.

    These values are null in an optional field, and a `scale` or `window` of 1 where the kind has no such
    field.

    Args:
        shape: the schema of the kind of node, which is changed in place.
        kind: the worker's model of the kind of node.
    """
    fields = shape["properties"]
    for name in fields.keys() - {*shape.get("required", ()), "series_code", "seriesCode", "scale"}:
        text = fields[name].pop("description")
        fields[name] = described(text, anyOf=[_without_null(fields[name]), {"type": "null"}])
    if "scale" not in fields:
        fields["scale"] = _UNUSED_SCALE
    if "series" in kind.model_fields and "window" not in fields:
        fields["window"] = described("This node type has no window: 1 is accepted and ignored.", enum=[1])


def _without_null(schema: Schema) -> Schema:
    """Return the schema of an optional field, changed so that null is not allowed.

    The schema of a field that does not allow null is returned unchanged.
    """
    kept = [branch for branch in schema.get("anyOf", []) if branch != {"type": "null"}]
    if len(kept) != 1:
        return schema
    return {**kept[0], **{name: value for name, value in schema.items() if name != "anyOf"}}


def manifest_definitions() -> dict[str, Schema]:
    """Return the JSON Schema `$defs` for expressions in manifests: `node`, and one for each kind of node.

    These schemas are stricter than those for requests: a series is always named by the field `series_code`,
    `scale` is required in `series_math`, and no field is null.
    """
    shapes = _shapes()
    for name in NODES:
        fields = shapes[name]["properties"]
        shapes[name]["properties"] = {field: _without_null(schema) for field, schema in fields.items()}
    math = shapes["series_math"]
    math["properties"]["scale"] = described("The factor by which each result is multiplied.", **_NUMBER)
    math["required"].append("scale")
    shapes["clip"]["anyOf"] = [{"required": [name]} for name in ("lower", "upper")]
    return shapes


def _shapes() -> dict[str, Schema]:
    shapes = {
        "node": {"description": _NODE_TEXT, **_one_of([name for name in NODES if name != "constant"])},
        "operand": {"description": "A node or a constant.", **_one_of(list(NODES))},
    }
    for name, kind in NODES.items():
        shapes[name] = {"title": name} | model(kind, _MEANINGS[name], _TEXT[name])
    shapes["composite"]["properties"]["operands"]["items"] = OPERAND
    return shapes


def _one_of(kinds: list[str]) -> Schema:
    """Return a schema that accepts nodes of the given kinds, and checks a node only against its own kind.

    With `oneOf`, a validator would check the operands of a node once for each kind, and the time would grow
    exponentially with the depth of the expression.
    """
    marks = [_mark(name) for name in kinds]
    rules = [
        {"if": mark, "then": {"$ref": f"#/$defs/{name}"}} for mark, name in zip(marks, kinds, strict=True)
    ]
    return {"anyOf": marks, "allOf": rules}


def _mark(name: str) -> Schema:
    """Return a schema that identifies the nodes of one kind by their fields and their operation.

    Every valid node of the kind matches the schema, and no valid node of another kind does. The operands of
    the node are not checked.

    Args:
        name: the kind of node, such as `lag` or `series_math`.
    """
    if name == "series":
        return {"type": "object", "anyOf": [{"required": ["series_code"]}, {"required": ["seriesCode"]}]}
    if name == "constant":
        return {"type": "object", "required": ["const"]}
    fields = NODES[name].model_fields
    operand = next(field for field in ("left", "operands", "series") if field in fields)
    operation = described("An operation of this kind.", enum=list(get_args(fields["op"].annotation)))
    return {"type": "object", "required": ["op", operand], "properties": {"op": operation}}

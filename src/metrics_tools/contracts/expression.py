"""The schemas of expressions: in requests, and in the manifests that the worker writes.

A schema cannot express these rules: nodes nest to a depth of at most 32, with at most 512 nodes; a series
code has only printable characters (the schema rejects only control characters); and a scale that is written
as an integer is below 2**1023.
"""

import sys

from metrics_tools.contracts.patterns import LINE, whole
from metrics_tools.contracts.schema import Meanings, Schema, described, model
from metrics_tools.validate.contract import NODES
from metrics_worker.expression.grammar import MAX_DEPTH, MAX_NODES

NODE = {"$ref": "#/$defs/node"}

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
_MEANINGS: dict[str, Meanings] = {
    "series": {"series_code": SERIES_CODE},
    "series_math": {
        "op": described(
            "The operation on the left and the right value of each time at which both have an observation."
            " Results that are not finite, and ratios by zero, are left out."
        ),
        "left": described("The left operand.", **NODE),
        "right": described("The right operand.", **NODE),
        "scale": described(
            "The factor by which each result is multiplied; 1 if it is missing or null.",
            anyOf=[
                {"type": "number", "minimum": -sys.float_info.max, "maximum": sys.float_info.max},
                {"type": "null"},
            ],
            default=1,
        ),
    },
    "window_op": {
        "op": _OP,
        "series": described("The series over which the window moves.", **NODE),
        "window": described(
            "A number of observations, not of days: the length of the window, which includes the current"
            " observation; for lag, the distance to the earlier observation. It is an integer, but may be"
            " written as 14.0."
        ),
    },
    "composite": {
        "op": _OP,
        "operands": "Two or more nodes; at each time, those with an observation are used.",
    },
}
_TEXT = {
    "series": "The observations of one input series.",
    "series_math": "An operation on the values of two series at the same time.",
    "window_op": (
        "An operation on the last `window` observations of a series, or (lag) the value `window` observations"
        " earlier."
    ),
    "composite": "An operation on all operands that have an observation at a time.",
}
_NODE_TEXT = (
    f"A node; its fields decide its type. Nodes nest to a depth of at most {MAX_DEPTH}, with at most"
    f" {MAX_NODES} nodes, which a schema cannot express. Unknown fields are errors."
)


def request_definitions() -> dict[str, Schema]:
    """Return the JSON Schema `$defs` for expressions in requests: `node`, and one for each node type."""
    shapes = _shapes()
    series, code = shapes["series"], shapes["series"]["properties"]["series_code"]
    text = "The series code under the name that the control plane uses."
    series["properties"]["seriesCode"] = code | described(text)
    del series["required"]
    series["oneOf"] = [{"required": ["series_code"]}, {"required": ["seriesCode"]}]
    for name in NODES.keys() - {"series_math"}:
        shapes[name]["properties"]["scale"] = _UNUSED_SCALE
    return shapes


def manifest_definitions() -> dict[str, Schema]:
    """Return the JSON Schema `$defs` for expressions in manifests: `node`, and one for each node type.

    Other than in a request, `series_code` has only one spelling, and `scale` is required in `series_math`.
    """
    shapes = _shapes()
    math = shapes["series_math"]
    math["properties"]["scale"] = described(
        "The factor by which each result is multiplied.", **math["properties"]["scale"]["anyOf"][0]
    )
    math["required"].append("scale")
    return shapes


def _shapes() -> dict[str, Schema]:
    shapes: dict[str, Schema] = {
        "node": {"description": _NODE_TEXT, "oneOf": [{"$ref": f"#/$defs/{name}"} for name in NODES]}
    }
    for name, kind in NODES.items():
        shapes[name] = {"title": name} | model(kind, _MEANINGS[name], _TEXT[name])
    shapes["composite"]["properties"]["operands"]["items"] = NODE
    return shapes

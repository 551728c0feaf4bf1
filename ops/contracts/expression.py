"""The schema of an expression: as the worker takes it, and as it writes it down.

What no schema can say: at most 32 nodes deep and 512 in all; a series code has no character that can't be
printed (the schema refuses control characters alone); a scale written as a whole number is below 2**1023.
"""

import sys

from pydantic import BaseModel

from metrics_worker.expression.grammar import (
    MAX_DEPTH,
    MAX_NODES,
    MAX_SERIES_CODE,
    MAX_WINDOW,
    Composite,
    Node,
    SeriesMath,
    SeriesRef,
    WindowOp,
)
from ops.contracts.patterns import LINE, whole
from ops.contracts.schema import Schema, definitions, model, said

NODE = {"$ref": "#/$defs/node"}
SHAPES: dict[str, type[BaseModel]] = {
    "series": SeriesRef,
    "series_math": SeriesMath,
    "window_op": WindowOp,
    "composite": Composite,
}
"""By `expressionType`."""

SERIES_CODE = said(
    "The code of a series: a folder's name in the dataset. No '/', nothing that can't be printed, no"
    " blanks around.",
    pattern=whole(LINE.replace("[^", "[^/")),
    **{"not": {"pattern": r"^ | $|^\.{1,2}$"}},
)
_OP = (
    "The operation. `sum`, `max` and `min` stand in two families: the shape tells which is meant, not the op."
)
_IDLE_SCALE = said(
    "Without meaning here: 1 (or null) is taken and dropped, anything else refused.", enum=[1, None]
)
_MEANINGS: dict[str, dict[str, Schema]] = {
    "series": {"series_code": SERIES_CODE},
    "series_math": {
        "op": said(
            "left op right, time by time, where both have an observation. A ratio by zero, and what is not"
            " finite, is left out."
        ),
        "left": said("The left operand.", **NODE),
        "right": said("The right operand.", **NODE),
        "scale": said(
            "What each result is multiplied by. 1 where it is left out or null.",
            anyOf=[
                {"type": "number", "minimum": -sys.float_info.max, "maximum": sys.float_info.max},
                {"type": "null"},
            ],
            default=1,
        ),
    },
    "window_op": {
        "op": said(_OP),
        "series": said("What the window moves over.", **NODE),
        "window": said(
            "Observations, not days: of the window, this one included; of lag, how far back. A whole"
            " number, however it is written: 14.0 is 14."
        ),
    },
    "composite": {
        "op": said(_OP),
        "operands": said("Two or more: at each time, those that have an observation count."),
    },
}
_TEXT = {
    "series": "The observations of one input series.",
    "series_math": "Two series, time by time.",
    "window_op": "Over the last `window` observations of a series, or (lag) the value so many ago.",
    "composite": "Over those operands that have an observation at a time.",
}
_NODE_TEXT = (
    f"A node, told apart by its shape. Nodes nest: at most {MAX_DEPTH} deep and {MAX_NODES} in all, which a"
    " schema can't say. Unknown fields are refused."
)


def taken() -> dict[str, Schema]:
    """The `$defs` of an expression in a request: `node`, and one for each shape."""
    shapes = _shapes()
    series, code = shapes["series"], shapes["series"]["properties"]["series_code"]
    series["properties"]["seriesCode"] = said("The same under the name that the control plane gives it.") | {
        name: rule for name, rule in code.items() if name != "description"
    }
    del series["required"]
    series["oneOf"] = [{"required": ["series_code"]}, {"required": ["seriesCode"]}]
    for name in SHAPES.keys() - {"series_math"}:
        shapes[name]["properties"]["scale"] = _IDLE_SCALE
    return shapes


def written() -> dict[str, Schema]:
    """The `$defs` of an expression in a manifest: each field under one name, and no scale left out."""
    shapes = _shapes()
    math = shapes["series_math"]
    math["properties"]["scale"] = said(
        "What each result is multiplied by.", **math["properties"]["scale"]["anyOf"][0]
    )
    math["required"].append("scale")
    return shapes


def _shapes() -> dict[str, Schema]:
    given = definitions(Node)
    assert {branch["$ref"].rpartition("/")[2] for branch in given["Node"]["oneOf"]} == {
        kind.__name__ for kind in SHAPES.values()
    }
    shapes: dict[str, Schema] = {
        "node": {"description": _NODE_TEXT, "oneOf": [{"$ref": f"#/$defs/{name}"} for name in SHAPES]}
    }
    for name, kind in SHAPES.items():
        shape = model(kind, _MEANINGS[name])
        if name == "composite":
            shape["properties"]["operands"]["items"] = NODE
        shapes[name] = {"title": name, "description": _TEXT[name], **shape}
    assert shapes["window_op"]["properties"]["window"]["maximum"] == MAX_WINDOW
    assert shapes["series"]["properties"]["series_code"]["maxLength"] == MAX_SERIES_CODE
    return shapes

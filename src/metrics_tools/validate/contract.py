"""The fields of a request and of its nodes, from the worker's models, and their allowed values."""

from typing import Literal, get_args, get_origin

from metrics_worker.expression.fields import (
    MAX_AGE_DAYS,
    MAX_SERIES_CODE,
    MAX_WINDOW,
    CompositeOp,
    MathOp,
    PairOp,
)
from metrics_worker.expression.grammar import ROOT
from metrics_worker.expression.nodes import NODES
from metrics_worker.expression.shapes import KIND_BY_OP
from metrics_worker.names import ID_RULE
from metrics_worker.request import REQUESTED, V1

FIELDS = {kind: tuple(model.model_fields) for kind, model in NODES.items()}
OPERATIONS: dict[str, tuple[str, ...]] = {
    "series_math": (*get_args(MathOp), *get_args(PairOp)),
    "window_op": tuple(KIND_BY_OP),
    "composite": get_args(CompositeOp),
}
"""The operations of each expression type."""
REQUIRED = {
    kind: tuple(name for name, field in NODES[kind].model_fields.items() if field.is_required())
    for kind in FIELDS
    if "op" in FIELDS[kind]
}
"""The required fields of each node type that is recognised even if one of these fields is missing."""
NODE_FIELDS = tuple(dict.fromkeys([*FIELDS["series"], "seriesCode", *sum(FIELDS.values(), ())]))

REQUEST_FIELDS = ("type", "runId", "metricCode", "expressionType", ROOT, "catalog", "output")
"""The required fields of a request."""
OPTIONAL_FIELDS = ("schema", "inputs")
PATHS = ("manifestPath", "projectionsPath")
"""The required fields of a dataset in the catalog."""


def expression_type_of(kind: str) -> str:
    """Return the expression type of a kind of node: `series_math` for `pair`, `window_op` for `lag`."""
    if kind == "pair":
        return "series_math"
    return "window_op" if "series" in FIELDS[kind] else kind


CHOICES = {
    name: ", ".join(get_args(choice))
    for model in NODES.values()
    for name, field in model.model_fields.items()
    for choice in [field.annotation, *get_args(field.annotation)]
    if get_origin(choice) is Literal and name != "op"
}
"""By option, its allowed values, separated by commas."""
A_NODE = "a node: series_code; or op, left, right; or op, series, window; or op, operands"
_CODE = f"1 to {MAX_SERIES_CODE} characters, without '/', control characters and blanks around it"
_KEY = "a key in the data bucket: relative, no empty part, no '..'; under datasets/"
ALLOWED = {
    "schema": f"{V1}, or no schema at all",
    "type": REQUESTED,
    "runId": ID_RULE,
    "metricCode": ID_RULE,
    "expressionType": "series, series_math, window_op or composite, as the shape of expressionJson says",
    ROOT: A_NODE,
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
    "left": A_NODE,
    "right": A_NODE,
    "series": A_NODE,
    "operands": "a list of two or more nodes",
    "window": f"a whole number of observations, or of the calendar units in `unit`, 1 to {MAX_WINDOW:,}",
    "min_periods": f"a whole number of observations, 1 to {MAX_WINDOW:,}",
    "max_age_days": f"a whole number of days, 0 to {MAX_AGE_DAYS:,}",
    "tz": "the IANA name of a time zone, such as America/Argentina/Buenos_Aires; UTC if the field is missing",
    "at": "a date in the form YYYY-MM-DD",
    "q": "a number from 0 to 1; 0.5 is the median",
    "digits": "a whole number of decimal places, 0 to 15",
    "lower": "a finite number",
    "upper": "a finite number, not less than lower",
    "base": "a finite number; 100 if the field is missing",
    "const": "a finite number",
    "like": A_NODE,
    **CHOICES,
    "scale": "a finite number; 1 if the field is missing",
}
"""By field name, a description of the values that are allowed in the field."""

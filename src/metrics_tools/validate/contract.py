"""The fields of a request and of its nodes, from the worker's models, and their allowed values."""

from typing import get_args

from metrics_worker.expression.fields import MAX_SERIES_CODE, MAX_WINDOW
from metrics_worker.expression.grammar import ROOT
from metrics_worker.expression.nodes import NODES
from metrics_worker.names import ID_RULE
from metrics_worker.request import REQUESTED, V1

FIELDS = {kind: tuple(model.model_fields) for kind, model in NODES.items()}
OPERATIONS: dict[str, tuple[str, ...]] = {
    kind: get_args(NODES[kind].model_fields["op"].annotation) for kind in FIELDS if "op" in FIELDS[kind]
}
REQUIRED = {
    kind: tuple(name for name, field in NODES[kind].model_fields.items() if field.is_required())
    for kind in OPERATIONS
}
"""The required fields of each node type that is recognised even if one of these fields is missing."""
NODE_FIELDS = tuple(dict.fromkeys([*FIELDS["series"], "seriesCode", *sum(FIELDS.values(), ())]))

REQUEST_FIELDS = ("type", "runId", "metricCode", "expressionType", ROOT, "catalog", "output")
"""The required fields of a request."""
OPTIONAL_FIELDS = ("schema", "inputs")
PATHS = ("manifestPath", "projectionsPath")
"""The required fields of a dataset in the catalog."""

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
    "window": f"a whole number of observations, 1 to {MAX_WINDOW:,}",
    "scale": "a finite number; 1 if the field is missing",
}
"""By field name, a description of the values that are allowed in the field."""

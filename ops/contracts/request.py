"""The schema of `metric_run_requested`: the model of the request, and what the worker checks by hand.

What no schema can say stands in docs/contracts/README.md, and in tests/contract/test_schema_agreement.py.
"""

from metrics_worker import contract
from metrics_worker.contract import REQUESTED, V1, Bounds
from metrics_worker.names import ID_RULE, MAX_ID, MAX_KEY_BYTES
from metrics_worker.settings import MAX_PREFIX
from ops.contracts import patterns
from ops.contracts.expression import SHAPES, taken
from ops.contracts.patterns import ADDRESS, BUCKET, FOLDERS, ID, KEY, whole
from ops.contracts.schema import Schema, document, fields, model, said

_DEFAULTS = Bounds("", "metrics/", "datasets/")
_KEY_RULE = (
    "A key in the data bucket, relative, without '.', '..' or an empty part, under the datasets prefix"
    " (`datasets/`) or the metrics prefix; `s3://<data bucket>/` may go before it. 1,024 bytes of UTF-8 at"
    " most."
)
RUN_ID = said(f"The run: unique for a request. {ID_RULE}.", type="string", pattern=whole(ID))
METRIC_CODE = said(f"The metric. {ID_RULE}.", type="string", pattern=whole(ID))
ANY_CODE = said(
    "The metric, as the request named it. If that was no code that the worker takes, a printable form of it:"
    " not empty, in UTF-16 at most 128 units, `null` if it was missing.",
    type="string",
    pattern=whole(patterns.LINE),
    minLength=1,
    maxLength=MAX_ID,
)

_PATHS = {
    "manifestPath": said(
        f"The dataset's manifest. {_KEY_RULE}",
        pattern=whole(f"(?:{ADDRESS})?{KEY}"),
        maxLength=MAX_KEY_BYTES + patterns.LONGEST_ADDRESS,
    ),
    "projectionsPath": said(
        f"What the manifest's `parquet_files` are relative to. {_KEY_RULE} A '/' may end it.",
        pattern=whole(f"(?:{ADDRESS})?{KEY}/?"),
        maxLength=MAX_KEY_BYTES + patterns.LONGEST_ADDRESS + 1,
    ),
}
_INPUT = {
    "datasetId": said("A dataset of the catalog."),
    "seriesCode": said("A series of it: the expression's own name for it, 1-256 characters."),
}
_FIELDS = {
    "schema": said(
        f"`{V1}` asks for the v1 form of the events; null or left out, for the plain form.",
        enum=[V1, None],
    ),
    "expressionType": said(
        "The shape of expressionJson, with which it must agree.",
        enum=["series_math", "window_op", "composite", "series"],
    ),
    "expressionJson": said("What is to be computed.", **{"$ref": "#/$defs/node"}),
    "inputs": said(
        "Which dataset a series is in, each series once. One that is left out is looked for in the whole"
        " catalog; one that the expression does not name is not read. At most as many as WORKER_MAX_INPUTS"
        f" says ({_DEFAULTS.max_inputs})."
    ),
    "catalog": said("Where the datasets are."),
    "output": said("Where the version goes."),
}
_DATASETS = said(
    "By their id. At most as many as WORKER_MAX_INPUTS says. The worker looks at those alone that it"
    " reads: the schema asks of each what the worker asks of these.",
    additionalProperties={"$ref": "#/$defs/dataset"},
)
_BASE_PATH = said(
    "s3://<bucket>/<metrics prefix><metricCode>/: the data bucket, or the literal `bucket` in its place; the"
    " deployment's metrics prefix (`metrics/`); the code of this request. A '/' may end it.",
    pattern=whole(f"s3://{BUCKET}/{FOLDERS}{ID}/?"),
    maxLength=patterns.LONGEST_ADDRESS + MAX_PREFIX + MAX_ID + len("/"),
)


def requested() -> Schema:
    """The request, as the body of a message or in the notification that carries it."""
    body = fields(contract._Body, _FIELDS)  # noqa: SLF001 - it is this model's contract
    properties, required = body["properties"], body["required"]
    properties["inputs"] = said(
        properties["inputs"]["description"],
        anyOf=[{"type": "array", "items": {"$ref": "#/$defs/input"}}, {"type": "null"}],
    )
    properties["catalog"] |= {"$ref": "#/$defs/catalog"}
    properties["output"] |= {"$ref": "#/$defs/output"}
    who = {"type": said("The kind of event.", const=REQUESTED), "runId": RUN_ID, "metricCode": METRIC_CODE}
    return document(
        "metric_run_requested",
        "Run requested",
        "What the control plane asks: compute this metric, and publish it as a new version. Unknown fields"
        " are ignored; but an event with a text `Message`, sent raw, would be taken for a notification. At"
        f" most as large as WORKER_MAX_BODY_BYTES says ({_DEFAULTS.max_body_bytes:,} bytes).",
        {
            "type": "object",
            "properties": {"schema": properties.pop("schema"), **who, **properties},
            "required": [*who, *required],
            "allOf": [_agrees(name) for name in SHAPES],
            "$defs": {
                "input": _part(contract._Input, _INPUT, "In which dataset a series is."),  # noqa: SLF001
                "catalog": _part(contract._Catalog, {"datasets": _DATASETS}, "The datasets."),  # noqa: SLF001
                "dataset": _part(contract._DatasetPaths, _PATHS, "Where a dataset is."),  # noqa: SLF001
                "output": _part(contract._Output, {"basePath": _BASE_PATH}, "Where to."),  # noqa: SLF001
                **taken(),
            },
        },
    )


def _part(kind: type[contract._Asked], meanings: dict[str, Schema], description: str) -> Schema:
    return {"description": description, **model(kind, meanings)}


def _agrees(shape: str) -> Schema:
    """The expression has the shape that `expressionType` says."""
    says = {"properties": {"expressionType": {"const": shape}}, "required": ["expressionType"]}
    return {"if": says, "then": {"properties": {"expressionJson": {"$ref": f"#/$defs/{shape}"}}}}

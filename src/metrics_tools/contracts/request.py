"""The schema of `metric_run_requested`, from the request's model and the rules outside the model.

docs/contracts/README.md lists the rules that a schema cannot express. tests/contract/test_schema_agreement.py
checks that this list is complete.
"""

from metrics_tools.contracts import patterns
from metrics_tools.contracts.expression import NODE, TYPES, request_definitions
from metrics_tools.contracts.patterns import ADDRESS, BUCKET, FOLDERS, ID, KEY, whole
from metrics_tools.contracts.schema import Schema, described, document, fields, model
from metrics_worker import request_check
from metrics_worker.names import ID_RULE, MAX_ID, MAX_KEY_BYTES
from metrics_worker.request import REQUESTED, V1
from metrics_worker.request_check import Bounds
from metrics_worker.settings import MAX_PREFIX

_DEFAULTS = Bounds("", "metrics/", "datasets/")
_KEY_RULE = (
    "It is a relative key in the data bucket under the datasets prefix (`datasets/`) or the metrics prefix,"
    " without the segments '.' and '..' and without empty segments, of at most 1,024 bytes in UTF-8. It may"
    " be preceded by `s3://<data bucket>/`."
)
RUN_ID = described(f"The run id, unique for each request: {ID_RULE}.", type="string", pattern=whole(ID))
METRIC_CODE = described(f"The metric code: {ID_RULE}.", type="string", pattern=whole(ID))
ANY_CODE = described(
    "The metric code as in the request. If the worker does not accept that code, this is a printable form of"
    " it: not empty, at most 128 UTF-16 code units, `null` if it was missing.",
    type="string",
    pattern=whole(patterns.LINE),
    minLength=1,
    maxLength=MAX_ID,
)

_PATHS = {
    "manifestPath": described(
        f"The key of the dataset manifest. {_KEY_RULE}",
        pattern=whole(f"(?:{ADDRESS})?{KEY}"),
        maxLength=MAX_KEY_BYTES + patterns.LONGEST_ADDRESS,
    ),
    "projectionsPath": described(
        f"The prefix to which the `parquet_files` of the manifest are relative. {_KEY_RULE} It may end in"
        " '/'.",
        pattern=whole(f"(?:{ADDRESS})?{KEY}/?"),
        maxLength=MAX_KEY_BYTES + patterns.LONGEST_ADDRESS + 1,
    ),
}
_INPUT = {
    "datasetId": "The id of a dataset in the catalog.",
    "seriesCode": "The code of a series in that dataset, as in the expression, 1-256 characters.",
}
_FIELDS = {
    "schema": described(
        f"The form of the status events: `{V1}` for the v1 form; null or missing for the plain form.",
        enum=[V1, None],
    ),
    "expressionType": described(
        "The type of the root node; it must agree with the fields of `expressionJson`.",
        enum=["series_math", "window_op", "composite", "series"],
    ),
    "expressionJson": described("The expression to compute.", **NODE),
    "inputs": described(
        "The dataset of each series; each series is listed at most once. The worker looks for a series that"
        " is not listed in all datasets of the catalog, and does not read a series that the expression does"
        f" not contain. At most WORKER_MAX_INPUTS entries ({_DEFAULTS.max_inputs} by default).",
        anyOf=[{"type": "array", "items": {"$ref": "#/$defs/input"}}, {"type": "null"}],
    ),
    "catalog": described("The locations of the datasets.", **{"$ref": "#/$defs/catalog"}),
    "output": described("The location of the versions of the metric.", **{"$ref": "#/$defs/output"}),
}
_DATASETS = described(
    "The datasets by their id, at most WORKER_MAX_INPUTS. The schema applies the rules to every dataset; the"
    " worker applies them only to the datasets that it reads.",
    additionalProperties={"$ref": "#/$defs/dataset"},
)
_BASE_PATH = described(
    "The address s3://<bucket>/<metrics prefix><metricCode>/. The bucket is the data bucket or the literal"
    " placeholder `bucket`. The metrics prefix is that of the deployment (`metrics/` by default), and the"
    " code is that of this request. The '/' at the end may be missing.",
    pattern=whole(f"s3://{BUCKET}/{FOLDERS}{ID}/?"),
    maxLength=patterns.LONGEST_ADDRESS + MAX_PREFIX + MAX_ID + len("/"),
)


def requested() -> Schema:
    """Return the schema document of a request: a message body, or the `Message` of an SNS notification."""
    body = fields(request_check._Body, _FIELDS)  # noqa: SLF001 - the schema describes this model
    properties = body["properties"]
    kind = described("The type of the event.", const=REQUESTED)
    identity = {"type": kind, "runId": RUN_ID, "metricCode": METRIC_CODE}
    body = {
        "properties": {"schema": properties.pop("schema"), **identity, **properties},
        "required": [*identity, *body["required"]],
        "allOf": [_agrees(*item) for item in TYPES.items()],
        "$defs": {
            "input": model(request_check._Input, _INPUT, "The dataset of one series."),  # noqa: SLF001 - as above
            "catalog": model(request_check._Catalog, {"datasets": _DATASETS}, "The catalog of datasets."),  # noqa: SLF001
            "dataset": model(request_check._DatasetPaths, _PATHS, "The location of a dataset."),  # noqa: SLF001
            "output": model(request_check._Output, {"basePath": _BASE_PATH}, "The output location."),  # noqa: SLF001
            **request_definitions(),
        },
    }
    return document(
        "metric_run_requested",
        body,
        title="Run requested",
        description="The control plane's request to compute a metric and to publish it as a new version."
        " Unknown fields are ignored, with one exception: with raw message delivery, an event with a string"
        " field `Message` would be taken for an SNS notification. The message body may have at most"
        f" WORKER_MAX_BODY_BYTES bytes ({_DEFAULTS.max_body_bytes:,} by default).",
    )


def _agrees(expression_type: str, root: Schema) -> Schema:
    """Return a JSON Schema rule by which the root node of a request must agree with its `expressionType`.

    Args:
        expression_type: the value of `expressionType` for which the rule applies.
        root: the schema that the root node must then match.
    """
    condition = {"properties": {"expressionType": {"const": expression_type}}, "required": ["expressionType"]}
    return {"if": condition, "then": {"properties": {"expressionJson": root}}}

"""The schemas of the JSON documents in the bucket: manifests, the marker and stored dead letters."""

from typing import get_args

from metrics_tools.contracts.expression import NODE, manifest_definitions
from metrics_tools.contracts.patterns import KEY, TIME_MS, VERSION, whole
from metrics_tools.contracts.request import ANY_CODE, METRIC_CODE, RUN_ID
from metrics_tools.contracts.schema import NEXT, Meanings, Schema, described, document, fields, model, moment
from metrics_worker.dataset import manifest
from metrics_worker.names import MAX_KEY_BYTES
from metrics_worker.publication.dead_letter import DeadLetter, Outcome
from metrics_worker.publication.records import InputSummary, Marker, OutputManifest, Outputs

_RUN = RUN_ID | described("The run that wrote the version.")
_VERSION = described(
    "The version: a time in UTC, unique for each metric. As texts, versions sort by time.",
    pattern=whole(VERSION),
)
_REQUESTED_AT = moment(
    "The time of the control plane's request",
    more=" The version of the newest request is current.",
    pattern=TIME_MS,
)
_ROWS = described("The number of observations, which are the rows of the data file.", minimum=0)
_COUNTS = {
    "part_files": "The number of part files that were read.",
    "rows": "The number of rows of the series in these part files.",
    "observations": "The number of observations: all rows except those in the four counts below.",
    "null": "The number of rows without a value.",
    "nan": "The number of rows whose value is NaN.",
    "infinite": "The number of rows whose value is infinite.",
    "duplicate": "The number of rows that were replaced by a later row with the same time.",
}
_INPUT: Meanings = {
    "dataset_id": "The id of the dataset in the catalog of the request.",
    "dataset_version": "The `version_id` of the dataset manifest; null if it has none.",
    "series_code": "The series code.",
    **{name: described(text, minimum=0) for name, text in _COUNTS.items()},
}
_OUTPUTS = {
    "data_prefix": described(
        "The prefix of the data files: a key prefix in the data bucket that ends in '/'.",
        pattern=whole(KEY + "/"),
    ),
    "files": described(
        "The names of the data files below the prefix. There is one, `metrics.parquet`.", minItems=1
    ),
}
_MANIFEST: Meanings = {
    "run_id": _RUN,
    "metric_code": METRIC_CODE,
    "version_ts": _VERSION,
    "created_at": moment("The time at which the version was created"),
    "requested_at": _REQUESTED_AT,
    "row_count": _ROWS,
    "outputs": described("The location of the data.", **{"$ref": "#/$defs/outputs"}),
    "expression": described("The expression that was computed.", **NODE),
    "inputs": "The input series, with the counts of their rows.",
}
_ROLLED_BACK = " Only in `current`, after a rollback."
_ROLLBACK = {
    "rolled_back_at": moment(
        "The time at which an operator chose the version", more=_ROLLED_BACK, pattern=TIME_MS, type="string"
    ),
    "rolled_back_from": described(
        f"The version that was current before the rollback; null if there was none.{_ROLLED_BACK}",
        type=["string", "null"],
        pattern=whole(VERSION),
    ),
}
_MARKER = {
    "run_id": _RUN,
    "metric_code": METRIC_CODE,
    "version_ts": _VERSION,
    "manifest": described("The key of the version's manifest in the data bucket.", pattern=whole(KEY)),
    "row_count": _ROWS,
    "requested_at": _REQUESTED_AT,
    "committed_at": moment("The time at which the run was committed"),
}
_DEAD_LETTER: Meanings = {
    "message_id": "The SQS message id, from which the name of this document is made.",
    "outcome": described(
        "The outcome of the run: SUCCESS if it had been committed, FAILURE if it was given up, UNANSWERABLE"
        " if the message has no usable run to report on.",
        enum=list(get_args(Outcome.__value__)),
        type="string",
    ),
    "why": "The reason in words; for a FAILURE, the error in the published event.",
    "run_id": described(
        "The run id. It is missing if the message has no usable run id.", pattern=RUN_ID["pattern"]
    ),
    "metric_code": ANY_CODE | described(f"{ANY_CODE['description']} It is missing if `run_id` is missing."),
    "kept_at": moment("The time at which the dead letter was stored"),
    "attributes": described(
        "The attributes of the message as SQS delivers them; times are texts in milliseconds since 1970."
    ),
    "body": "The body of the message, unchanged.",
}

_IGNORED = "The worker ignores this field: it may be missing, null or of any type."
_DATASET = {
    "parquet_files": described(
        "The part files, as keys relative to `projectionsPath`. Their order matters: of two rows with the"
        " same time, the later one wins. The files of a series are those whose path has its code as a whole"
        " folder name (`CODE/`, `series=CODE/`, `internal_series_code=CODE/`); if there is none, all files."
    ),
    "series_codes": described(
        "The codes of the series in the dataset. If the field is present, it must contain every requested"
        " series."
    ),
    "version_id": described(
        "The version of the dataset. The worker copies it, as text, into the manifests of metrics that it"
        " computes from the dataset."
    ),
}
_DATASET_MORE = {
    "dataset_id": "The id of the dataset.",
    "created_at": "The time at which the version was created (ISO 8601).",
    "collection_date": "The time at which the observations were collected (ISO 8601).",
    "data_points_count": "The number of observations of all series.",
    "series_count": "The number of series.",
    "date_range": "The first and the last time of all series, `min_obs_time` and `max_obs_time` (ISO 8601).",
    "partitions": "The folders of the part files.",
    "partition_strategy": "The layout of the part files, such as `series_year_month`.",
}


def dataset_manifest() -> Schema:
    """Return the schema document of a dataset manifest, with the rules that the worker checks."""
    body = fields(manifest._ManifestBody, _DATASET)  # noqa: SLF001 - the schema describes this model
    body["properties"]["parquet_files"]["items"] |= {"pattern": whole(KEY), "maxLength": MAX_KEY_BYTES}
    body["properties"] |= {name: described(f"{text} {_IGNORED}") for name, text in _DATASET_MORE.items()}
    return document(
        "dataset_manifest",
        body,
        title="Dataset manifest",
        description="The list of the part files and the series of a dataset version, written by the ingestor."
        " Only `parquet_files` is required. The document may have at most WORKER_MAX_MANIFEST_BYTES bytes"
        " (32 MiB by default).",
    )


def output_manifest() -> Schema:
    """Return the schema document of a version's manifest, which is also the schema of `current`."""
    body = fields(OutputManifest, _MANIFEST)
    body["properties"]["inputs"]["items"] = {"$ref": "#/$defs/input"}
    body["properties"] |= _ROLLBACK
    body["$defs"] = {
        "outputs": model(Outputs, _OUTPUTS, "The location of the data files."),
        "input": model(InputSummary, _INPUT, "An input series with the counts of its rows."),
        **manifest_definitions(),
    }
    return document(
        "output_manifest",
        body,
        title="Manifest of a version",
        description="The object {base}{version_ts}/manifest.json, which never changes."
        " {base}current/manifest.json is a copy of the manifest of the newest request's version or, after a"
        " rollback, of the version that an operator chose, with two more fields. Manifests by older versions"
        f" of the worker have no `requested_at`, `expression` and `inputs`. {NEXT}",
    )


def run_marker() -> Schema:
    """Return the schema document of a run's marker, which is the commit record of the run."""
    return document(
        "run_marker",
        fields(Marker, _MARKER),
        title="Commit record of a run",
        description="The object {base}runs/{runId}.ok. If it exists, the run is committed, and this never"
        f" changes. It holds everything that is needed to publish the SUCCESS of the run again. {NEXT}",
    )


def dead_letter() -> Schema:
    """Return the schema document of a stored dead letter."""
    return document(
        "dead_letter",
        fields(DeadLetter, _DEAD_LETTER) | {"dependentRequired": {"run_id": ["metric_code"]}},
        title="Dead letter",
        description="The object {metrics prefix}_dead-letters/{YYYY-MM-DD}/{messageId}.json: a message from"
        f" the dead-letter queue, unchanged, and the outcome of its run. {NEXT}",
    )

"""The schemas of the JSON documents in the bucket: manifests, the marker, and kept dead letters."""

from pydantic import BaseModel

from metrics_worker import manifest
from metrics_worker.names import MAX_KEY_BYTES
from metrics_worker.records import InputSummary, Marker, OutputManifest, Outputs
from ops.contracts.expression import written
from ops.contracts.patterns import KEY, TIME, TIME_MS, VERSION, whole
from ops.contracts.request import ANY_CODE, METRIC_CODE, RUN_ID
from ops.contracts.schema import Schema, document, fields, model, said

_MADE = "Fields may be added: ignore those that you don't know."
_RUN = said("The run that made it.", **{k: v for k, v in RUN_ID.items() if k != "description"})
_VERSION = said("The version: UTC, unique for a metric; as text they sort by time.", pattern=whole(VERSION))
_REQUESTED_AT = said(
    "When the control plane asked: UTC, in milliseconds. It decides which version is current.",
    format="date-time",
    pattern=whole(TIME_MS),
)
_ROWS = said("Observations: rows of the data file.", minimum=0)


def _moment(text: str) -> Schema:
    return said(f"{text}: UTC, to the second.", format="date-time", pattern=whole(TIME))


def _count(text: str) -> Schema:
    return said(text, minimum=0)


_INPUT = {
    "dataset_id": said("The dataset, by its id in the request's catalog."),
    "dataset_version": said("`version_id` of its manifest; null where that has none."),
    "series_code": said("The series."),
    "part_files": _count("Part files that were read."),
    "rows": _count("Rows that they had of the series."),
    "observations": _count("Rows that are observations: what is left after the four below."),
    "null": _count("Rows without a value."),
    "nan": _count("Rows whose value is not a number."),
    "infinite": _count("Rows whose value is infinite."),
    "duplicate": _count("Rows of a time that a later row has too: that one counts."),
}
_OUTPUTS = {
    "data_prefix": said(
        "The data files' prefix: a key in the data bucket that ends in '/'.", pattern=whole(KEY + "/")
    ),
    "files": said("Their names under it. There is one, `metrics.parquet`.", minItems=1),
}
_MANIFEST = {
    "run_id": _RUN,
    "metric_code": METRIC_CODE,
    "version_ts": _VERSION,
    "created_at": _moment("When the version was made"),
    "requested_at": _REQUESTED_AT,
    "row_count": _ROWS,
    "outputs": said("The data.", **{"$ref": "#/$defs/outputs"}),
    "expression": said("What was computed.", **{"$ref": "#/$defs/node"}),
    "inputs": said("What was read, a line a series."),
}
_ROLLBACK = {
    "rolled_back_at": said(
        "Only in `current`, after a rollback: when an operator chose the version. UTC, in milliseconds.",
        type="string",
        format="date-time",
        pattern=whole(TIME_MS),
    ),
    "rolled_back_from": said(
        "Only in `current`, after a rollback: the version that was current before; null if there was none.",
        type=["string", "null"],
        pattern=whole(VERSION),
    ),
}
_MARKER = {
    "run_id": _RUN,
    "metric_code": METRIC_CODE,
    "version_ts": _VERSION,
    "manifest": said("The version's manifest: a key in the data bucket.", pattern=whole(KEY)),
    "row_count": _ROWS,
    "requested_at": _REQUESTED_AT,
    "committed_at": _moment("When the run was committed"),
}


class _DeadLetter(BaseModel):
    """What `dead_letters.keep` writes. It has no model in the worker, which never reads it."""

    message_id: str
    outcome: str
    why: str
    run_id: str = ""
    metric_code: str = ""
    kept_at: str
    attributes: dict[str, str]
    body: str


_DEAD_LETTER = {
    "message_id": said("SQS's id of the message: the name of this document."),
    "outcome": said(
        "What became of the run: committed after all, given up, or nobody could be answered.",
        enum=["SUCCESS", "FAILURE", "UNANSWERABLE"],
        type="string",
    ),
    "why": said("Why, in words; of a FAILURE the error that was announced."),
    "run_id": said("The run. Left out where the message has no usable one.", pattern=RUN_ID["pattern"]),
    "metric_code": ANY_CODE | said(ANY_CODE["description"] + " Left out with the run."),
    "kept_at": _moment("When it was kept"),
    "attributes": said(
        "The message's attributes, as SQS gives them: times in milliseconds since 1970, as text."
    ),
    "body": said("The message's body, to the last character."),
}

_IGNORED = "The worker doesn't look at it: it may be missing, null or anything."
_DATASET = {
    "parquet_files": said(
        "The part files, as keys relative to the projections, in order: of two rows of one time the later"
        " counts. A series' files are those whose path has its code as a whole folder (`CODE/`,"
        " `series=CODE/`, `internal_series_code=CODE/`); where there is none, all of them.",
    ),
    "series_codes": said(
        "The series of the dataset. Where it is there, it must name every series that is asked for."
    ),
    "version_id": said(
        "The version. It is written, as text, into the manifests of what is computed from it."
    ),
}
_DATASET_MORE = {
    "dataset_id": "The dataset's id.",
    "created_at": "When the version was made (ISO 8601).",
    "collection_date": "When the observations were collected (ISO 8601).",
    "data_points_count": "Observations of all series.",
    "series_count": "Series.",
    "date_range": "`min_obs_time` and `max_obs_time` of all series (ISO 8601).",
    "partitions": "The folders of the part files.",
    "partition_strategy": "How the files are laid out, such as `series_year_month`.",
}


def dataset_manifest() -> Schema:
    """What the ingestor writes, as far as the worker asks for it."""
    body = fields(manifest._ManifestBody, _DATASET)  # noqa: SLF001 - it is this model's contract
    files = body["properties"]["parquet_files"]
    files["items"] |= {"pattern": whole(KEY), "maxLength": MAX_KEY_BYTES}
    more = {name: said(f"{text} {_IGNORED}") for name, text in _DATASET_MORE.items()}
    return document(
        "dataset_manifest",
        "Dataset manifest",
        "What the ingestor writes of a dataset: which part files there are, and whose they are. Only"
        " `parquet_files` is needed. At most as large as WORKER_MAX_MANIFEST_BYTES says (32 MiB).",
        {"type": "object", "properties": body["properties"] | more, "required": body["required"]},
    )


def output_manifest() -> Schema:
    """A version's manifest, and `current`."""
    body = fields(OutputManifest, _MANIFEST)
    body["properties"]["inputs"]["items"] = {"$ref": "#/$defs/input"}
    body["properties"] |= _ROLLBACK
    defs = {
        "outputs": {"description": "Where the data is.", **model(Outputs, _OUTPUTS)},
        "input": {
            "description": "A series as it was read, and what became of its rows.",
            **model(InputSummary, _INPUT),
        },
        **written(),
    }
    return document(
        "output_manifest",
        "Manifest of a version",
        "{base}{version_ts}/manifest.json, which never changes; {base}current/manifest.json is a copy of"
        " the one whose request is the newest, or after a rollback of the one that an operator chose, with"
        " two more fields. Versions of the worker before this one have no"
        f" `requested_at`, `expression` and `inputs`. {_MADE}",
        {"type": "object", **body, "$defs": defs},
    )


def run_marker() -> Schema:
    """A run's commit record."""
    return document(
        "run_marker",
        "Commit record of a run",
        "{base}runs/{runId}.ok: where it is, the run is committed, once and for ever, and this is all that"
        f" is needed to announce it again. {_MADE}",
        {"type": "object", **fields(Marker, _MARKER)},
    )


def dead_letter() -> Schema:
    """A kept dead letter."""
    return document(
        "dead_letter",
        "Dead letter",
        "{metrics prefix}_dead-letters/{YYYY-MM-DD}/{messageId}.json: a message that was given up, as it"
        f" came, and what became of its run. {_MADE}",
        {
            "type": "object",
            **fields(_DeadLetter, _DEAD_LETTER),
            "dependentRequired": {"run_id": ["metric_code"]},
        },
    )

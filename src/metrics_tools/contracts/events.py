"""The schemas of the status events, in the plain and the v1 form.

An event leaves out the fields that it does not have. Only one field can be null: the `error` of a SUCCESS
that may follow a FAILURE.
"""

from collections.abc import Iterator

from metrics_tools.contracts.patterns import ADDRESS, KEY, LINE, TIME, VERSION, whole
from metrics_tools.contracts.request import ANY_CODE, METRIC_CODE, RUN_ID
from metrics_tools.contracts.schema import Schema, described, document, fields, model, without_null
from metrics_worker import errors
from metrics_worker.messaging.status_events import (
    MAX_ERROR,
    RunCompleted,
    RunHeartbeat,
    RunStarted,
    WireError,
)
from metrics_worker.request import MAX_MANIFEST_URI, V1

_SUCCESS = ("versionTs", "outputManifest", "rowCount")
_FAILURE = ("error",)
_NEXT = "Later versions may add fields: ignore fields that you do not know."


def codes() -> list[str]:
    """Return the codes of all errors that a FAILURE can have, sorted."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return sorted({kind.code for kind in kinds if issubclass(kind, errors.PermanentError)})


_SCHEMA = described(f"`{V1}`: the event has the v1 form, as requested.", const=V1)
_KIND = "The kind of event."
_STARTED = {
    "schema": _SCHEMA,
    "type": described(_KIND, const="metric_run_started"),
    "runId": RUN_ID,
    "startedAt": described(
        "The start of the run, in UTC, to the second.", format="date-time", pattern=whole(TIME)
    ),
}
_HEARTBEAT = {
    "schema": _SCHEMA,
    "type": described(_KIND, const="metric_run_heartbeat"),
    "runId": RUN_ID,
    "progress": described("The progress of the run, 0 to 1. It never falls within an attempt."),
    "ts": described("The time of the event, in UTC, to the second.", format="date-time", pattern=whole(TIME)),
}
_ERROR = described(
    "The problem and the object at fault (the series, the key or the JSON path), in one line of at most 1,000"
    " UTF-16 code units.",
    pattern=whole(LINE),
    maxLength=MAX_ERROR,
)
_COMPLETED = {
    "schema": _SCHEMA,
    "type": described(_KIND, const="metric_run_completed"),
    "runId": RUN_ID,
    "metricCode": METRIC_CODE,
    "status": described("The outcome of the run."),
    "versionTs": described("The version: a time in UTC, unique for each metric.", pattern=whole(VERSION)),
    "outputManifest": described("The location of the version's manifest."),
    "rowCount": described(
        "The number of observations in the version; 0 if the expression has no value at any time."
    ),
    "error": described("The error that made the run fail."),
}


def published() -> dict[str, Schema]:
    """Return the schema of each event in each form, by the name of the schema."""
    made = [event for v1 in (False, True) for event in _events(v1=v1)]
    return dict(sorted(made))


def _events(*, v1: bool) -> Iterator[tuple[str, Schema]]:
    yield _event("started", "Run started", "The run has begun.", fields(RunStarted, _STARTED), v1=v1)
    yield _event(
        "heartbeat", "Run in progress", "The run is in progress.", fields(RunHeartbeat, _HEARTBEAT), v1=v1
    )
    succeeded = "The run is committed and its version can be read."
    yield _event("completed.success", "Run succeeded", succeeded, _success(v1=v1), v1=v1)
    failed = (
        "The run ended without a version. If an operator sends the request back to the queue, the run may"
        " still succeed; a SUCCESS then follows."
    )
    yield _event("completed.failure", "Run failed", failed, _failure(v1=v1), v1=v1)


def _event(kind: str, title: str, text: str, body: Schema, *, v1: bool) -> tuple[str, Schema]:
    """Return the name and the schema of an event in one form. The plain form has no field `schema`."""
    properties, required = dict(body["properties"]), ["type", *body["required"]]
    other: Schema = {}
    if v1:
        required.insert(0, "schema")
    else:
        del properties["schema"]
        other = {"not": {"required": ["schema"]}}
    form = "v1" if v1 else "plain"
    name = f"metric_run_{kind}.{form}"
    whole_body = {"type": "object", "properties": properties, "required": required, **other}
    return name, document(name, f"{title} ({form} form)", f"{text} {_NEXT}", whole_body)


def _success(*, v1: bool) -> Schema:
    address = ADDRESS if v1 else ""
    kind = "an s3:// address" if v1 else "a key in the data bucket"
    manifest = described(
        f"The location of the version's manifest: {kind}.",
        type="string",
        pattern=whole(address + KEY),
        maxLength=MAX_MANIFEST_URI,
    )
    found = _completed("SUCCESS", {"outputManifest": manifest}, without=_FAILURE)
    found["properties"]["error"] = described(
        "Always null. It is present only if a FAILURE of the same run may have been published before, and"
        " clears the error of that FAILURE.",
        type="null",
    )
    return found


def _failure(*, v1: bool) -> Schema:
    if v1:
        meanings = {"code": described("The error code.", enum=codes(), type="string"), "message": _ERROR}
        error = described("The error that made the run fail.", **model(WireError, meanings))
    else:
        pattern = f"(?:{'|'.join(codes())}): {LINE}"
        error = {**_ERROR, "type": "string", "pattern": whole(pattern)}
        error["description"] = f"The error code, a colon and a message. {error['description']}"
    return _completed("FAILURE", {"error": error, "metricCode": ANY_CODE}, without=_SUCCESS)


def _completed(status: str, more: dict[str, Schema], without: tuple[str, ...]) -> Schema:
    """Return the fields of a completed event with this status.

    All fields of this outcome are required; the fields of the other outcome (`without`) are left out.
    """
    body = fields(RunCompleted, _COMPLETED)
    properties = {name: field for name, field in body["properties"].items() if name not in without}
    properties["status"] = described("The outcome of the run.", const=status)
    properties |= {name: meaning for name, meaning in more.items() if name in properties}
    own = [name for name in (*_SUCCESS, *_FAILURE) if name in properties]
    for name in own:
        properties[name] = more.get(name) or without_null(properties[name])
    return {"properties": properties, "required": [*body["required"], *own]}

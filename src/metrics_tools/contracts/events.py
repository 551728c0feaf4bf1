"""The schemas of the status events, in the plain and the v1 form.

A field without a value is left out of an event. Only one field can be null: the `error` of a SUCCESS that may
follow a FAILURE.
"""

from collections.abc import Iterator

from metrics_tools.contracts import schema
from metrics_tools.contracts.patterns import ADDRESS, KEY, LINE, VERSION, whole
from metrics_tools.contracts.request import ANY_CODE, METRIC_CODE, RUN_ID
from metrics_tools.contracts.schema import NEXT, Meanings, Schema, described, fields, moment
from metrics_worker import errors
from metrics_worker.messaging.status_events import (
    MAX_ERROR,
    RunCompleted,
    RunHeartbeat,
    RunStarted,
    WireError,
)
from metrics_worker.request import MAX_MANIFEST_URI, V1

_SUCCEEDED = "The run is committed and its version can be read."
_FAILED = (
    "The run ended without a version. If an operator sends the request back to the queue, the run may still"
    " succeed; a SUCCESS then follows."
)
_SUCCESS = ("versionTs", "outputManifest", "rowCount")
_FAILURE = ("error",)


def codes() -> list[str]:
    """Return the wire codes of all permanent errors, sorted: the error codes that a FAILURE can contain."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return sorted({kind.code for kind in kinds if issubclass(kind, errors.PermanentError)})


def _common(kind: str) -> dict[str, Schema | str]:
    """Return by name the schemas of the fields `schema`, `type` and `runId` of one type of status event.

    Only events in the v1 form have the field `schema`.

    Args:
        kind: started, heartbeat or completed; the field `type` of the event is `metric_run_{kind}`.
    """
    return {
        "schema": described(f"`{V1}`: the event has the v1 form, as requested.", const=V1),
        "type": described("The kind of event.", const=f"metric_run_{kind}"),
        "runId": RUN_ID,
    }


_STARTED = _common("started") | {"startedAt": moment("The start of the run")}
_HEARTBEAT = _common("heartbeat") | {
    "progress": "The progress of the run, 0 to 1. It never falls within an attempt.",
    "ts": moment("The time of the event"),
}
_ERROR = described(
    "The problem and the object at fault (the series, the key or the JSON path), in one line of at most 1,000"
    " UTF-16 code units.",
    pattern=whole(LINE),
    maxLength=MAX_ERROR,
)
_COMPLETED = _common("completed") | {
    "metricCode": METRIC_CODE,
    "status": "The outcome of the run.",
    "versionTs": described("The version: a time in UTC, unique for each metric.", pattern=whole(VERSION)),
    "outputManifest": "The location of the version's manifest.",
    "rowCount": "The number of observations in the version; 0 if the expression has no value at any time.",
    "error": "The error that made the run fail.",
}


def published() -> dict[str, Schema]:
    """Return the schema document of each status event in each form, by schema name."""
    return dict(sorted(event for v1 in (False, True) for event in _events(v1=v1)))


def _events(*, v1: bool) -> Iterator[tuple[str, Schema]]:
    form = "v1" if v1 else "plain"
    for kind, state, text, body in (
        ("started", "started", "The run has begun.", fields(RunStarted, _STARTED)),
        ("heartbeat", "in progress", "The run is in progress.", fields(RunHeartbeat, _HEARTBEAT)),
        ("completed.success", "succeeded", _SUCCEEDED, _success(v1=v1)),
        ("completed.failure", "failed", _FAILED, _failure(v1=v1)),
    ):
        name, title = f"metric_run_{kind}.{form}", f"Run {state} ({form} form)"
        yield name, schema.document(name, _in_form(body, v1=v1), title=title, description=f"{text} {NEXT}")


def _in_form(body: Schema, *, v1: bool) -> Schema:
    """Return the JSON Schema keywords for the fields of a status event in one of its two forms.

    Args:
        body: the JSON Schema keywords `properties` and `required` for the fields of the event in the v1 form.
            `required` lacks `schema` and `type`, which this function adds.
        v1: whether the form is v1, in which `schema` is required; the plain form must not have this field.
    """
    properties, required = dict(body["properties"]), ["type", *body["required"]]
    if v1:
        return {"properties": properties, "required": ["schema", *required]}
    del properties["schema"]
    return {"properties": properties, "required": required, "not": {"required": ["schema"]}}


def _success(*, v1: bool) -> Schema:
    kind = "an s3:// address" if v1 else "a key in the data bucket"
    manifest = described(
        f"The location of the version's manifest: {kind}.",
        type="string",
        pattern=whole((ADDRESS if v1 else "") + KEY),
        maxLength=MAX_MANIFEST_URI,
    )
    found = _completed("SUCCESS", {"outputManifest": manifest}, own=_SUCCESS)
    found["properties"]["error"] = described(
        "Always null. It is present only if a FAILURE of the same run may have been published before, and"
        " clears the error of that FAILURE.",
        type="null",
    )
    return found


def _failure(*, v1: bool) -> Schema:
    if v1:
        meanings: Meanings = {
            "code": described("The error code.", enum=codes(), type="string"),
            "message": _ERROR,
        }
        error = schema.model(WireError, meanings, "The error that made the run fail.")
    else:
        pattern = f"(?:{'|'.join(codes())}): {LINE}"
        error = {**_ERROR, "type": "string", "pattern": whole(pattern)}
        error["description"] = f"The error code, a colon and a message. {error['description']}"
    return _completed("FAILURE", {"error": error, "metricCode": ANY_CODE}, own=_FAILURE)


def _completed(status: str, more: dict[str, Schema], *, own: tuple[str, ...]) -> Schema:
    """Return the `properties` and `required` of the schema of a completed event with a given status.

    Args:
        status: the status: SUCCESS or FAILURE.
        more: by field name, the schemas that replace the model's, for fields that differ between the two
            forms.
        own: the names of the fields that only events with this status have.
    """
    body = fields(RunCompleted, _COMPLETED)
    other = {*_SUCCESS, *_FAILURE} - {*own}
    properties = {name: field for name, field in body["properties"].items() if name not in other}
    properties |= {"status": described("The outcome of the run.", const=status), **more}
    for name in own:
        # None in the model means that the field is left out of the document.
        found = properties[name]
        properties[name] = more.get(name) or {**found.pop("anyOf")[0], **found}
    return {"properties": properties, "required": [*body["required"], *own]}

"""The schemas of the status events, in both forms.

Fields that an event doesn't have are left out. One null exists: the `error` of a SUCCESS that may follow a
FAILURE.
"""

from collections.abc import Iterator

from metrics_worker import errors
from metrics_worker.contract import MAX_MANIFEST_URI, V1
from metrics_worker.events import MAX_ERROR, RunCompleted, RunHeartbeat, RunStarted, WireError
from ops.contracts.patterns import ADDRESS, KEY, LINE, TIME, VERSION, whole
from ops.contracts.request import ANY_CODE, METRIC_CODE, RUN_ID
from ops.contracts.schema import Schema, absent, document, fields, model, said

_SUCCESS = ("versionTs", "outputManifest", "rowCount")
_FAILURE = ("error",)
_NEXT = "Fields may be added: ignore those that you don't know."


def codes() -> list[str]:
    """The codes of all errors that are announced."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return sorted({kind.code for kind in kinds if issubclass(kind, errors.PermanentError)})


_SCHEMA = said(f"`{V1}`: the event has the v1 form, as the request asked.", const=V1)
_KIND = "The kind of event."
_STARTED = {
    "schema": _SCHEMA,
    "type": said(_KIND, const="metric_run_started"),
    "runId": RUN_ID,
    "startedAt": said("When the run began: UTC, to the second.", format="date-time", pattern=whole(TIME)),
}
_HEARTBEAT = {
    "schema": _SCHEMA,
    "type": said(_KIND, const="metric_run_heartbeat"),
    "runId": RUN_ID,
    "progress": said("How far the run has come, 0 to 1. Within an attempt it never falls."),
    "ts": said("When this was so: UTC, to the second.", format="date-time", pattern=whole(TIME)),
}
_ERROR = said(
    "What is wrong and where (the series, the key, the JSON path), in one line. In UTF-16 at most 1,000"
    " units.",
    pattern=whole(LINE),
    maxLength=MAX_ERROR,
)
_COMPLETED = {
    "schema": _SCHEMA,
    "type": said(_KIND, const="metric_run_completed"),
    "runId": RUN_ID,
    "metricCode": METRIC_CODE,
    "status": said("How the run ended."),
    "versionTs": said("The version: UTC, unique for a metric.", pattern=whole(VERSION)),
    "outputManifest": said("Where the version's manifest is."),
    "rowCount": said("Observations in the version. 0 where the expression is defined nowhere."),
    "error": said("Why the run failed."),
}


def published() -> dict[str, Schema]:
    """Each event in each form, by name."""
    made = [event for v1 in (False, True) for event in _events(v1=v1)]
    return dict(sorted(made))


def _events(*, v1: bool) -> Iterator[tuple[str, Schema]]:
    yield _event("started", "Run started", "The run has begun.", fields(RunStarted, _STARTED), v1=v1)
    yield _event("heartbeat", "Run is alive", "The run goes on.", fields(RunHeartbeat, _HEARTBEAT), v1=v1)
    succeeded = "The run is committed, and its version can be read."
    yield _event("completed.success", "Run succeeded", succeeded, _success(v1=v1), v1=v1)
    failed = (
        "The run ended without a version. Sent back by hand, it may still succeed: a SUCCESS then follows."
    )
    yield _event("completed.failure", "Run failed", failed, _failure(v1=v1), v1=v1)


def _event(kind: str, title: str, text: str, body: Schema, *, v1: bool) -> tuple[str, Schema]:
    """The event in one form, and its name. In the plain form there is no `schema`."""
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
    what = "An s3:// address" if v1 else "A key in the data bucket"
    manifest = said(
        f"The version's manifest. {what}.",
        type="string",
        pattern=whole(address + KEY),
        maxLength=MAX_MANIFEST_URI,
    )
    found = _completed("SUCCESS", {"outputManifest": manifest}, without=_FAILURE)
    found["properties"]["error"] = said(
        "Null. Present only if a FAILURE of the same run may have been announced before: it clears that"
        " error.",
        type="null",
    )
    return found


def _failure(*, v1: bool) -> Schema:
    if v1:
        meanings = {"code": said("For programs.", enum=codes(), type="string"), "message": _ERROR}
        error = said("Why the run failed.", **model(WireError, meanings))
    else:
        pattern = f"(?:{'|'.join(codes())}): {LINE}"
        error = {**_ERROR, "type": "string", "pattern": whole(pattern)}
        error["description"] = "The error's code, a colon, and: " + error["description"]
    return _completed("FAILURE", {"error": error, "metricCode": ANY_CODE}, without=_SUCCESS)


def _completed(status: str, more: dict[str, Schema], without: tuple[str, ...]) -> Schema:
    """The event of that ending: what belongs to the other is not there, and nothing of its own is missing."""
    body = fields(RunCompleted, _COMPLETED)
    properties = {name: field for name, field in body["properties"].items() if name not in without}
    properties["status"] = said("How the run ended.", const=status)
    properties |= {name: meaning for name, meaning in more.items() if name in properties}
    own = [name for name in (*_SUCCESS, *_FAILURE) if name in properties]
    for name in own:
        properties[name] = more.get(name) or absent(properties[name])
    return {"properties": properties, "required": [*body["required"], *own]}

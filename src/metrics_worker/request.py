"""The request of the control plane: the identity of a run, and the expression that the run computes.

A message is parsed in two steps, because a problem of the second step can be reported to the control plane:
`open_record()` returns the identity (a `Run`), and `RunRequest.parse()` returns the whole request. All later
modules use these values instead of decoded JSON. The replies are in `messaging.status_events`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self

from metrics_worker.errors import ConfigError, UnanswerableError
from metrics_worker.expression.nodes import Node
from metrics_worker.names import ID_RULE, MAX_ID, is_id, printable
from metrics_worker.problem import Problem, first_error, path_text
from metrics_worker.request_check import Bounds, Dataset, check_request

V1 = "metrics.run.v1"
REQUESTED = "metric_run_requested"
MAX_MANIFEST_URI = 500
"""The maximum number of characters of a manifest's URI in a completed event."""
MAX_DIGITS = 1000
"""A JSON number of at least this many characters is decoded as a float."""
REDRIVEN = "redriven"
"""The message attribute of a request that an operator sent again. Its FAILURE may have been published."""


@dataclass(frozen=True, slots=True)
class Run:
    """The identity of a run. It suffices to report the outcome, even if the rest of the request is not valid.

    Attributes:
        run_id: a unique id of the request: 1-128 of the characters `A-Za-z0-9._-`, so it can be a part of
            keys.
        metric_code: the code of the metric, with the same rule unless `has_usable_code` is false.
        v1: whether the request has the field `schema`, so that the status events have the v1 form.
        requested_at: the time of the control plane's request, UTC.
        event: the decoded event, for `RunRequest.parse`.
        body_bytes: the size of the message's body in bytes.
        has_usable_code: whether `metric_code` can be a part of keys. If not, `metric_code` is the request's
            value in a form for status events: printable, not empty, at most 128 UTF-16 code units.
        resent_ms: the time, in milliseconds since 1970, at which an operator sent the request again (with
            `metrics redrive` or `metrics send --keep-run-id`); 0 for a request of the control plane.
    """

    run_id: str
    metric_code: str
    v1: bool
    requested_at: datetime
    event: dict[str, Any]
    body_bytes: int = 0
    has_usable_code: bool = True
    resent_ms: int = 0


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A valid request: an expression over series, and the datasets that hold the series.

    Attributes:
        run: the identity of the run.
        expression: the expression to compute.
        declared: series code → dataset id, for the series in both the expression and the request's `inputs`.
        datasets: dataset id → dataset, for the datasets that the run reads: the datasets of `declared`, or
            the whole catalog if a series of the expression is missing from the request's `inputs`.
    """

    run: Run
    expression: Node
    declared: dict[str, str]
    datasets: dict[str, Dataset]

    @classmethod
    def parse(cls, run: Run, bounds: Bounds) -> Self:
        """Return the request that `run.event` contains, or raise the error of its first problem.

        Args:
            run: the ids of the run and the decoded event, as `open_record()` returns them.
            bounds: the limits of the request.

        Raises:
            ExpressionError: the expression is not valid, or `expressionType` disagrees with it.
            ConfigError: another part of the request is not valid. The `subject` of the error is the JSON path
                of that part.
        """
        check_code(run)
        checked = check_request(run.event, run.metric_code, run.body_bytes, bounds)
        if checked.problems or checked.expression is None:
            raise first_error(checked.problems)
        return cls(run, checked.expression, checked.named(), checked.datasets)


@dataclass(frozen=True, slots=True)
class Envelope:
    """The parsed body of a message, which is an event or an SNS notification that contains an event.

    Attributes:
        message: the JSON text of the event: the notification's `Message`, or the body itself.
        published_at: the notification's `Timestamp`, UTC; None if there is no notification or no usable time.
        raw_event: the decoded event of a body without a notification; None for a notification.
        is_redriven: whether the notification has the message attribute `redriven`.
    """

    message: str
    published_at: datetime | None
    raw_event: dict[str, Any] | None
    is_redriven: bool = False

    def event(self) -> dict[str, Any]:
        """Return the decoded event.

        Raises:
            UnanswerableError: the notification's `Message` is not a JSON object.
        """
        return _json_object(self.message, "body.Message") if self.raw_event is None else self.raw_event


def unwrap_envelope(body: str) -> Envelope:
    """Return the parsed body of a message.

    A JSON object with a string field `Message` is an SNS notification; any other JSON object is an event.

    Raises:
        UnanswerableError: the body is not a JSON object.
    """
    decoded = _json_object(body, "body")
    if isinstance(message := decoded.get("Message"), str):
        attributes = decoded.get("MessageAttributes")
        is_redriven = isinstance(attributes, dict) and REDRIVEN in attributes
        return Envelope(message, _iso_time(decoded.get("Timestamp")), None, is_redriven)
    return Envelope(body, None, decoded)


def open_record(body: str, sent_timestamp: str | None, *, is_redriven: bool = False) -> Run:
    """Return the identity of the run that a message requests.

    Args:
        body: the body of the message: the event, or an SNS notification that holds the event.
        sent_timestamp: the message's `SentTimestamp`, milliseconds since 1970, or None. The time of the
            request is the notification's `Timestamp`; if that is missing or not valid, `sent_timestamp`; and
            if both are missing or not valid, the current time.
        is_redriven: whether the message has the message attribute `redriven`. If the request was sent to a
            topic, the attribute is in the notification instead, where this function finds it.

    Raises:
        UnanswerableError: the body is not JSON, the event has another type, or its runId is not usable.
    """
    envelope = unwrap_envelope(body)
    event = envelope.event()
    sent_at = _milliseconds(sent_timestamp) or datetime.now(UTC)
    problems = [problem for problem in identity_problems(event) if problem.error is UnanswerableError]
    if problems:
        raise UnanswerableError(path_text(problems[0].path), problems[0].text)
    code = event.get("metricCode")
    shown = printable(_shown(code), MAX_ID)
    return Run(
        run_id=event["runId"],
        metric_code=shown if shown.strip() else "-",
        v1=event.get("schema") == V1,
        requested_at=envelope.published_at or sent_at,
        event=event,
        body_bytes=len(body.encode(errors="replace")),
        has_usable_code=is_id(code),
        resent_ms=int(sent_at.timestamp() * 1000) if is_redriven or envelope.is_redriven else 0,
    )


def identity_problems(event: dict[str, Any]) -> Iterator[Problem]:
    """Yield the problems of an event's `type`, `runId` and `metricCode`.

    The error class of a problem is UnanswerableError for `type` and `runId`, which are needed to report an
    outcome, and ConfigError for `metricCode`.
    """
    if event.get("type") != REQUESTED:
        text = f"expected {REQUESTED!r}, found {event.get('type')!r:.80}"
        yield Problem(("type",), "identity", text, error=UnanswerableError)
    for name, error in (("runId", UnanswerableError), ("metricCode", ConfigError)):
        if not is_id(event.get(name)):
            found = f"found {_shown(event[name])!r:.200}" if name in event else "no such field"
            yield Problem((name,), "identity", f"expected {ID_RULE}, {found}", error=error)


def check_code(run: Run) -> None:
    """Raise ConfigError if the metric code of the run cannot be a part of S3 keys."""
    for problem in () if run.has_usable_code else identity_problems(run.event):
        if problem.error is ConfigError:
            raise ConfigError(path_text(problem.path), problem.text)


def iso(time: datetime, timespec: Literal["seconds", "milliseconds"] = "seconds") -> str:
    """Return a time in UTC as text in ISO 8601, such as `2026-01-31T09:30:00Z`."""
    return time.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def _json_object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_int=whole_number)
    except (ValueError, RecursionError) as error:
        raise UnanswerableError(where, f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise UnanswerableError(where, f"expected a JSON object, found {type(value).__name__}")
    return value


def whole_number(text: str) -> int | float:
    """Return a JSON integer as an int, or as a float if its text has `MAX_DIGITS` characters or more.

    Python cannot parse an int of more than 4,300 digits, but such a number is valid JSON.
    """
    return int(text) if len(text) < MAX_DIGITS else float(text)


def _iso_time(value: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _milliseconds(value: str | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(value or "") / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _shown(value: Any) -> str:
    """Return a JSON value as text for messages.

    A string is unchanged, other scalars are shown as JSON, and containers as "an object" or "an array".
    """
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    return json.dumps(value)

"""The wire, inwards: what the control plane asks.

A record's body is opened in two steps, because an error in the second can be answered and one in the
first can't: `open_record()` finds out who asks (a `Run`), `RunRequest.parse()` what is asked. Inside the
worker there are only these values, no dicts. What is answered stands in `events`.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from metrics_worker.errors import ConfigError, ExpressionError, UnanswerableError, first_problem
from metrics_worker.expression.grammar import MAX_SERIES_CODE, Node, expression_type, parse, series_codes
from metrics_worker.names import ID_RULE, MAX_ID, is_id, is_key, metric_base, printable

V1 = "metrics.run.v1"
REQUESTED = "metric_run_requested"
PLACEHOLDER_BUCKET = "bucket"
"""What the control plane writes for the configured bucket in `output.basePath`."""
MAX_MANIFEST_URI = 500
MAX_DIGITS = 1000
REDRIVEN = "redriven"
"""The message attribute of a request that `make redrive` sent back: an earlier FAILURE was announced."""


@dataclass(frozen=True, slots=True)
class Run:
    """The identity of a run: enough to answer it, whatever else is wrong with the request.

    Attributes:
        run_id: unique for a request; 1-128 of `A-Za-z0-9._-`, and so a part of keys.
        metric_code: the metric; the same alphabet, unless `has_usable_code` is false.
        v1: whether the answers take the v1 form.
        requested_at: when the control plane asked, UTC.
        event: the parsed event, for `RunRequest.parse`.
        body_bytes: the size of the record's body.
        has_usable_code: whether `metric_code` may become a part of keys. If not, it is the request's value in
            a form that an event can carry: printable, not empty, at most 128 UTF-16 units.
    """

    run_id: str
    metric_code: str
    v1: bool
    requested_at: datetime
    event: dict[str, Any]
    body_bytes: int = 0
    has_usable_code: bool = True


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a request may read and write: the data bucket, and prefixes that end in a slash; and its size."""

    bucket: str
    metrics_prefix: str
    datasets_prefix: str
    max_body_bytes: int = 1_048_576
    max_inputs: int = 512


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset of the request's catalog: keys in the data bucket, checked."""

    dataset_id: str
    manifest_key: str
    projections_prefix: str


class _Asked(BaseModel):
    """A part of the request. Unknown fields are ignored, as the contract has it."""

    model_config = ConfigDict(alias_generator=to_camel, strict=True, frozen=True)


class _Input(_Asked):
    dataset_id: str = Field(min_length=1)
    series_code: str = Field(min_length=1, max_length=MAX_SERIES_CODE)


class _DatasetPaths(_Asked):
    manifest_path: str
    projections_path: str


class _Catalog(_Asked):
    datasets: dict[str, Any]  # each is checked when it is read: a request may list many and need one


class _Output(_Asked):
    base_path: str


class _Body(_Asked):
    schema_: Literal["metrics.run.v1"] | None = Field(None, alias="schema")
    expression_type: str
    expression_json: Any
    inputs: list[_Input] | None = None
    catalog: _Catalog
    output: _Output


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The whole request: an expression over series, and the datasets that hold them.

    Attributes:
        run: the run's identity.
        expression: valid by construction.
        declared: series code → dataset id, for the series that `inputs` names.
    """

    run: Run
    expression: Node
    declared: dict[str, str]
    bounds: Bounds
    catalog: dict[str, Any]

    @classmethod
    def parse(cls, run: Run, bounds: Bounds) -> Self:
        """Read the rest of the event.

        Raises:
            ExpressionError: the expression is not valid, or `expressionType` disagrees with it.
            ConfigError: anything else is not valid; the subject is the field's JSON path.
        """
        check_code(run)
        _check_size("body", run.body_bytes, bounds.max_body_bytes, "WORKER_MAX_BODY_BYTES")
        try:
            body = _Body.model_validate(run.event)
        except ValidationError as error:
            path, problem = first_problem(error.errors(include_url=False), "")
            kind = ExpressionError if path.startswith("expression") else ConfigError
            raise kind(path, problem) from None
        expression = parse(body.expression_json)
        if body.expression_type != (shape := expression_type(expression)):
            raise ExpressionError(
                "expressionType", f"says {body.expression_type!r:.80}, but expressionJson is a {shape}"
            )
        for field, items in (("inputs", body.inputs or ()), ("catalog.datasets", body.catalog.datasets)):
            _check_size(field, len(items), bounds.max_inputs, "WORKER_MAX_INPUTS")
        named = set(series_codes(expression))
        declared: dict[str, str] = {}
        for i, item in enumerate(body.inputs or ()):
            if item.series_code in declared:
                raise ConfigError(f"inputs[{i}].seriesCode", f"{item.series_code!r} stands there twice")
            declared[item.series_code] = item.dataset_id
        _check_base(run, body.output.base_path, bounds)
        return cls(
            run=run,
            expression=expression,
            declared={code: dataset for code, dataset in declared.items() if code in named},
            bounds=bounds,
            catalog=body.catalog.datasets,
        )

    def dataset(self, dataset_id: str) -> Dataset:
        """A dataset of the catalog, its paths checked.

        Raises:
            ConfigError: it is not in the catalog, or a path of it is no key under the prefixes.
        """
        path = f"catalog.datasets.{dataset_id}"
        if dataset_id not in self.catalog:
            raise ConfigError(path, "an input is said to be in this dataset, but it is not in the catalog")
        try:
            paths = _DatasetPaths.model_validate(self.catalog[dataset_id])
        except ValidationError as error:
            raise ConfigError(*first_problem(error.errors(include_url=False), path)) from None
        return Dataset(
            dataset_id,
            _key(paths.manifest_path, f"{path}.manifestPath", self.bounds),
            _key(paths.projections_path.removesuffix("/"), f"{path}.projectionsPath", self.bounds, "/"),
        )


@dataclass(frozen=True, slots=True)
class Envelope:
    """The body of a message, opened: an SNS notification around an event, or the event alone.

    Attributes:
        message: the JSON text of the event: the notification's `Message`, or the body itself.
        published_at: the notification's `Timestamp`, UTC; None if there is no notification or no usable time.
        raw_event: the decoded event of a body without a notification; None for a notification.
    """

    message: str
    published_at: datetime | None
    raw_event: dict[str, Any] | None

    def event(self) -> dict[str, Any]:
        """Return the decoded event.

        Raises:
            UnanswerableError: the notification's `Message` is not a JSON object.
        """
        return _json_object(self.message, "body.Message") if self.raw_event is None else self.raw_event


def unwrap_envelope(body: str) -> Envelope:
    """Open the body of a message: any JSON object with a string `Message` is an SNS notification.

    Raises:
        UnanswerableError: the body is not a JSON object.
    """
    decoded = _json_object(body, "body")
    if isinstance(message := decoded.get("Message"), str):
        return Envelope(message, _iso_time(decoded.get("Timestamp")), None)
    return Envelope(body, None, decoded)


def open_record(body: str, sent_timestamp: str | None) -> Run:
    """Return the run's identity from an SQS record's body: the event, or an SNS notification that holds it.

    Args:
        body: the record's body.
        sent_timestamp: the record's `SentTimestamp`, milliseconds since 1970. The time of an SNS notification
            goes before it, and where there is neither the run was asked for now.

    Raises:
        UnanswerableError: not JSON, another type of event, or no usable runId.
    """
    envelope = unwrap_envelope(body)
    event = envelope.event()
    requested_at = envelope.published_at or _milliseconds(sent_timestamp) or datetime.now(UTC)
    if event.get("type") != REQUESTED:
        raise UnanswerableError("type", f"expected {REQUESTED!r}, found {event.get('type')!r:.80}")
    run_id, code = event.get("runId"), event.get("metricCode")
    if not is_id(run_id):
        raise UnanswerableError("runId", f"expected {ID_RULE}, found {_shown(run_id)!r:.200}")
    shown = printable(_shown(code), MAX_ID)
    return Run(
        run_id,
        shown if shown.strip() else "-",
        event.get("schema") == V1,
        requested_at,
        event,
        len(body.encode(errors="replace")),
        is_id(code),
    )


def check_code(run: Run) -> None:
    """Raise ConfigError unless the metric's code may become a part of keys."""
    if not run.has_usable_code:
        missing = "metricCode" not in run.event
        found = "no such field" if missing else f"found {_shown(run.event['metricCode'])!r:.200}"
        raise ConfigError("metricCode", f"expected {ID_RULE}, {found}")


def iso(time: datetime, timespec: Literal["seconds", "milliseconds"] = "seconds") -> str:
    """A UTC time in ISO 8601 with `Z`."""
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
    """A whole number. One of more digits than Python takes becomes a float: refused, but not as no JSON."""
    return int(text) if len(text) < MAX_DIGITS else float(text)


def _check_size(field: str, size: int, limit: int, setting: str) -> None:
    if size > limit:
        raise ConfigError(field, f"has a size of {size:,}, at most {limit:,} is allowed ({setting})")


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


def _key(path: str, where: str, bounds: Bounds, ending: str = "") -> str:
    """A key that the request names, with an ending, checked against what may be read."""
    key = path.removeprefix(f"s3://{bounds.bucket}/")
    if not is_key(key):
        raise ConfigError(where, f"expected a relative key without empty parts or '..', found {path!r:.200}")
    if not (key + ending).startswith((bounds.datasets_prefix, bounds.metrics_prefix)):
        raise ConfigError(
            where,
            f"expected a key under {bounds.datasets_prefix} or {bounds.metrics_prefix}, found {path!r:.200}",
        )
    return key + ending


def _shown(value: Any) -> str:
    """Return a string as it is, another scalar as JSON, and of anything else its JSON type."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    return json.dumps(value)


def _check_base(run: Run, base_path: str, bounds: Bounds) -> None:
    """Raise ConfigError unless `output.basePath` is the metric's own prefix in the data bucket."""
    base = metric_base(bounds.metrics_prefix, run.metric_code)
    accepted = (f"s3://{bucket}/{base}" for bucket in (bounds.bucket, PLACEHOLDER_BUCKET))
    if f"{base_path.removesuffix('/')}/" not in accepted:
        raise ConfigError(
            "output.basePath", f"expected s3://{bounds.bucket}/{base}, found {base_path!r:.200}"
        )

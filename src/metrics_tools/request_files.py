"""The requests in files, such as those of events/.

A file contains an event as Lambda passes it to the function (`Records` of SQS messages, whose `body` is an
SNS notification or a request), a request as the control plane writes it, or only an expression over the
series of the ECB, for which a request is created here.

A request may have fields that the worker ignores: `description` and `unit` are shown to users. The run of a
file whose name begins with `fails-` must fail, with the error code in the field `expectedError`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from metrics_worker.errors import ExpressionError, UnanswerableError
from metrics_worker.expression.grammar import ROOT, Node, expression_type, parse, series_codes
from metrics_worker.request import REQUESTED, unwrap_envelope
from metrics_worker.request_check import PLACEHOLDER_BUCKET

FIRST = "run.json"
FAILS = "fails-"
_NODE_FIELDS = {"op", "series_code", "seriesCode"}


class EventFileError(Exception):
    """A file contains no request that can be sent; the text names the file and the expected content."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A request from a file.

    Attributes:
        path: the file.
        message: the JSON text of the request, which is published as it is.
        request: the request as JSON values.
    """

    path: Path
    message: str
    request: dict[str, Any]

    @property
    def run_id(self) -> str:
        """Return the id of the requested run."""
        return str(self.request["runId"])

    @property
    def metric_code(self) -> str:
        """Return the code of the requested metric."""
        return str(self.request["metricCode"])

    @property
    def title(self) -> str:
        """Return the `description` of the metric, or its code if there is none."""
        return str(self.request.get("description", self.metric_code))

    @property
    def unit(self) -> str:
        """Return the unit of the values, or an empty text."""
        return str(self.request.get("unit", ""))

    @property
    def expected_error(self) -> str | None:
        """Return the error code with which the run must fail, or None if it must succeed."""
        return str(self.request.get("expectedError", "")) if self.path.name.startswith(FAILS) else None

    @property
    def expression(self) -> Node | None:
        """Return the expression, or None if it is not valid."""
        try:
            return parse(self.request.get(ROOT))
        except ExpressionError:
            return None

    @property
    def dataset_ids(self) -> set[str]:
        """Return the ids of the datasets in the catalog, even if the catalog is not valid."""
        match self.request.get("catalog"):
            case {"datasets": dict(datasets)}:
                return set(datasets)
        return set()

    @property
    def currencies(self) -> set[str]:
        """Return the currencies of all ECB series in the request, even if its expression is not valid."""
        from metrics_tools.ecb import currencies_in  # noqa: PLC0415 - half a second, only for valid files

        return currencies_in(json.dumps(self.request))


def all_samples(folder: Path) -> list[Path]:
    """Return the paths of the files in a folder: `run.json` first, files whose runs must fail last."""
    return sorted(
        folder.glob("*.json"), key=lambda path: (path.name.startswith(FAILS), path.name != FIRST, path.name)
    )


def read_samples(paths: Sequence[Path]) -> list[Sample]:
    """Return all requests of these files.

    Raises:
        EventFileError: a file cannot be read or contains no request, or two requests have the same run id.
    """
    samples: list[Sample] = []
    for path in paths:
        try:
            samples += samples_in(path, path.read_bytes())
        except OSError as error:
            raise EventFileError(f"{path}: {error.strerror}.") from error
    return _distinct(samples)


def samples_in(path: Path, raw: bytes) -> list[Sample]:
    """Return all requests in the content of a file.

    Raises:
        EventFileError: the file contains no request, or two requests have the same run id.
    """
    event = _json_object(path, raw, "it")
    if "Records" in event:
        records = event["Records"]
        if not isinstance(records, list) or not records:
            raise _not_an_event(path, "its Records are empty")
        return _distinct([_sample(path, _message(path, record)) for record in records])
    if event.keys() & _NODE_FIELDS and not event.keys() & {"type", ROOT}:
        return [_sample_of_expression(path, event)]
    if event.get("type") != REQUESTED:
        raise _not_an_event(path, f"it has no Records, and its type is not {REQUESTED}")
    return [_sample(path, json.dumps(event))]


def metric_code_of(path: Path) -> str:
    """Return the metric code for an expression: the name of its file, with hyphens for other characters."""
    stem = "" if str(path) == "-" else path.stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).lstrip("._-")[:128] or "metric"


def _distinct(samples: list[Sample]) -> list[Sample]:
    run_ids = [sample.run_id for sample in samples]
    for sample in samples:
        if run_ids.count(sample.run_id) > 1:
            raise EventFileError(f"{sample.path}: more than one sample has the runId {sample.run_id}.")
    return samples


def _sample_of_expression(path: Path, expression: dict[str, Any]) -> Sample:
    """Return a request for an expression over the ECB's series; the file name gives the metric code.

    Raises:
        EventFileError: the expression is not valid.
    """
    try:
        node = parse(expression)
    except ExpressionError as error:
        raise EventFileError(
            f"{path}: the expression is not valid: {error}. `metrics validate {path}` says more."
        ) from error
    from metrics_tools import ecb  # noqa: PLC0415 - half a second, only for valid files

    code = metric_code_of(path)
    manifest = ecb.manifest_key(ecb.version_of(ecb.read_rates()))
    request = request_around(
        expression,
        metric_code=code,
        prefix="metrics/",
        homes=dict.fromkeys(series_codes(node), ecb.DATASET_ID),
        datasets={ecb.DATASET_ID: (manifest, ecb.PROJECTIONS)},
    )
    return Sample(path, json.dumps(request), request)


def request_around(
    expression: Any,
    *,
    metric_code: str,
    prefix: str,
    homes: Mapping[str, str],
    datasets: Mapping[str, tuple[str, str]],
) -> dict[str, Any]:
    """Return a request with a new run id for an expression. The expression is not checked.

    Args:
        expression: the expression as JSON values.
        metric_code: the code of the metric.
        prefix: the key prefix of all metrics.
        homes: by series code, the id of the dataset that contains the series.
        datasets: by dataset id, the key of the manifest and the prefix of the part files.
    """
    try:
        kind = expression_type(parse(expression))
    except ExpressionError:
        kind = "series"
    return {
        "type": REQUESTED,
        "runId": str(uuid4()),
        "metricCode": metric_code,
        "expressionType": kind,
        ROOT: expression,
        "inputs": [{"datasetId": home, "seriesCode": code} for code, home in homes.items()],
        "catalog": {
            "datasets": {
                id_: {"manifestPath": manifest, "projectionsPath": projections}
                for id_, (manifest, projections) in datasets.items()
            }
        },
        "output": {"basePath": f"s3://{PLACEHOLDER_BUCKET}/{prefix}{metric_code}/"},
    }


def _message(path: Path, record: Any) -> str:
    """Return the request in a record: the `Message` of the SNS notification in its body, or the body.

    Raises:
        EventFileError: the record has no body, or the body is not a JSON object.
    """
    body = record.get("body") if isinstance(record, dict) else None
    if not isinstance(body, str):
        raise _not_an_event(path, "one of its records has no body")
    try:
        return unwrap_envelope(body).message
    except UnanswerableError as error:
        raise _not_an_event(path, "the body of a record is not a JSON object") from error


def _sample(path: Path, message: str) -> Sample:
    request = _json_object(path, message, "its request")
    for name in ("runId", "metricCode"):
        if not isinstance(request.get(name), str) or not request[name]:
            raise _not_an_event(path, f"its request has no {name}")
    return Sample(path, message, request)


def _json_object(path: Path, text: str | bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text.decode() if isinstance(text, bytes) else text)
    except (ValueError, RecursionError) as error:
        raise _not_an_event(path, f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise _not_an_event(path, f"{what} is not a JSON object")
    return value


def _not_an_event(path: Path, reason: str) -> EventFileError:
    return EventFileError(
        f"{path}: not an event: {reason}. Expected an SQS event with Records, as in events/{FIRST}, a bare "
        f"{REQUESTED}, as in docs/five-minutes.md, or only an expression."
    )

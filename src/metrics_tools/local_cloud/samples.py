"""The sample requests: the files of events/.

Each file is the event that Lambda hands to the function: `Records` of SQS, whose `body` is an SNS
notification, whose `Message` is the control plane's request. So `sam local invoke -e events/x.json` takes the
same files. A bare request, as the control plane writes it, is taken too, and so is a bare expression over the
dataset of the local run: the request around it is made here.

A request may say more than the contract has, since the worker ignores what it doesn't know: `description` and
`unit` are shown. A file whose name begins with `fails-` must end in a FAILURE, with the code that its request
gives as `expectedError`.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from metrics_tools.local_cloud.errors import EventFileError
from metrics_worker.errors import ExpressionError
from metrics_worker.expression.grammar import ROOT, Node, expression_type, parse, series_codes
from metrics_worker.request import PLACEHOLDER_BUCKET, REQUESTED

FIRST = "run.json"
FAILS = "fails-"
_NODE_FIELDS = {"op", "series_code", "seriesCode"}


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample request.

    Attributes:
        path: its file.
        message: the request, as text: what is published.
        request: the same, parsed.
    """

    path: Path
    message: str
    request: dict[str, Any]

    @property
    def run_id(self) -> str:
        """The run it asks for."""
        return str(self.request["runId"])

    @property
    def metric_code(self) -> str:
        """The metric it asks for."""
        return str(self.request["metricCode"])

    @property
    def title(self) -> str:
        """What it is, in words: the request's `description`, a field that the worker ignores."""
        return str(self.request.get("description", self.metric_code))

    @property
    def unit(self) -> str:
        """What the values are counted in; empty where the request doesn't say."""
        return str(self.request.get("unit", ""))

    @property
    def expected_error(self) -> str | None:
        """The code that the run must fail with, or None where it must succeed."""
        if not self.path.name.startswith(FAILS):
            return None
        return str(self.request.get("expectedError", ""))

    @property
    def expression(self) -> Node | None:
        """The expression, or None where it is not a valid one."""
        try:
            return parse(self.request.get("expressionJson"))
        except ExpressionError:
            return None

    @property
    def currencies(self) -> set[str]:
        """The currencies whose series it names, existing or not, its expression valid or not."""
        from metrics_tools.local_cloud.ecb import currency_of  # noqa: PLC0415 - half a second, and not for a file that is refused

        found: set[str] = set()
        rest = [self.request.get("expressionJson"), self.request.get("inputs")]
        while rest:
            match rest.pop():
                case list(items):
                    rest.extend(items)
                case dict(fields):
                    codes = (fields.get(name) for name in ("series_code", "seriesCode"))
                    found |= {currency for code in codes if (currency := currency_of(str(code)))}
                    rest.extend(fields.values())
        return found


def read_samples(paths: Sequence[Path]) -> list[Sample]:
    """The requests of these files; of a file with several records, all.

    Raises:
        EventFileError: a file can't be read or is no event, or two requests have one run id.
    """
    samples = [sample for path in paths for sample in samples_in(path, _bytes_of(path))]
    return _distinct(samples)


def _distinct(samples: list[Sample]) -> list[Sample]:
    run_ids = [sample.run_id for sample in samples]
    for sample in samples:
        if run_ids.count(sample.run_id) > 1:
            raise EventFileError(f"{sample.path}: runId {sample.run_id} stands in more than one sample.")
    return samples


def all_samples(folder: Path) -> list[Path]:
    """The files of events/: `run.json` first, those that must fail last."""
    return sorted(
        folder.glob("*.json"), key=lambda path: (path.name.startswith(FAILS), path.name != FIRST, path.name)
    )


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EventFileError(f"{path}: {error.strerror}.") from error


def samples_in(path: Path, raw: bytes) -> list[Sample]:
    """Return the requests of a file that has been read; of a file with several records, all.

    Raises:
        EventFileError: it is not an event, or two requests have one run id.
    """
    try:
        event = json.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise _no_event(path, f"it is no JSON: {error}") from error
    if not isinstance(event, dict):
        raise _no_event(path, "it is no JSON object")
    if "Records" not in event:
        if event.keys() & _NODE_FIELDS and not event.keys() & {"type", ROOT}:
            return [_around(path, event)]
        if event.get("type") != REQUESTED:
            raise _no_event(path, f"it has no Records, and its type is not {REQUESTED}")
        return [_sample(path, json.dumps(event))]
    records = event["Records"]
    if not isinstance(records, list) or not records:
        raise _no_event(path, "its Records hold nothing")
    return _distinct([_sample(path, _message(path, record)) for record in records])


def _around(path: Path, expression: dict[str, Any]) -> Sample:
    """Return a request for a bare expression over the ECB's series; the metric is called as the file."""
    try:
        node = parse(expression)
    except ExpressionError as error:
        raise EventFileError(
            f"{path}: the expression is not valid: {error}. `.venv/bin/metrics validate {path}` says more."
        ) from error
    from metrics_tools.local_cloud import ecb  # noqa: PLC0415 - half a second, and not for a file that is refused

    code = metric_code_of(path)
    dataset = {"manifestPath": ecb.manifest_key(ecb.version_of(ecb.read_rates()))}
    request = {
        "type": REQUESTED,
        "runId": str(uuid4()),
        "metricCode": code,
        "expressionType": expression_type(node),
        ROOT: expression,
        "inputs": [{"datasetId": ecb.DATASET_ID, "seriesCode": series} for series in series_codes(node)],
        "catalog": {"datasets": {ecb.DATASET_ID: dataset | {"projectionsPath": ecb.PROJECTIONS}}},
        "output": {"basePath": f"s3://{PLACEHOLDER_BUCKET}/metrics/{code}/"},
    }
    return Sample(path, json.dumps(request), request)


def metric_code_of(path: Path) -> str:
    """Return the code of the metric of a bare expression: the file's name, where a code allows it."""
    stem = "" if str(path) == "-" else path.stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).lstrip("._-")[:128] or "metric"


def _message(path: Path, record: Any) -> str:
    """The request in a record's body: an SNS notification's Message, or the body itself."""
    body = record.get("body") if isinstance(record, dict) else None
    if not isinstance(body, str):
        raise _no_event(path, "a record of it has no body")
    try:
        notification = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _no_event(path, f"a record's body is no JSON: {error}") from error
    message = notification.get("Message") if isinstance(notification, dict) else None
    return message if isinstance(message, str) else body


def _sample(path: Path, message: str) -> Sample:
    try:
        request = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise _no_event(path, f"its request is no JSON: {error}") from error
    if not isinstance(request, dict):
        raise _no_event(path, "its request is no JSON object")
    for name in ("runId", "metricCode"):
        if not isinstance(request.get(name), str) or not request[name]:
            raise _no_event(path, f"its request has no {name}")
    return Sample(path, message, request)


def _no_event(path: Path, why: str) -> EventFileError:
    return EventFileError(
        f"{path}: not an event: {why}. Expected is an SQS event with Records, as events/{FIRST}, a bare "
        f"{REQUESTED}, as in docs/five-minutes.md, or an expression alone."
    )

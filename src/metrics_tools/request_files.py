"""The requests in files, such as the files of the folder events/.

A file contains one of these:

    an event, as Lambda passes it to the function, with requests or SNS notifications of requests
    a request, as the control plane writes it
    an expression over the series of the demo dataset, in JSON or as a formula

If a file contains only an expression, this module creates a request for it.

A request may have fields that the worker ignores: `description` and `unit` are shown to users. The run of a
file whose name begins with `fails-` must fail with the error code in the field `expectedError`.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from metrics_tools.file_contents import (
    ARGUMENT,
    Asked,
    asked_in,
    is_formula_argument,
    of_formula,
    pointed_out,
)
from metrics_worker.errors import ExpressionError, UnanswerableError
from metrics_worker.expression.grammar import ROOT, expression_type, parse, series_codes
from metrics_worker.expression.nodes import Node
from metrics_worker.request import REQUESTED, unwrap_envelope
from metrics_worker.request_check import PLACEHOLDER_BUCKET, Dataset

FIRST = "run.json"
FAILS = "fails-"
_ENDINGS = (".json", ".txt", ".formula")
"""The endings of file names that are not part of the metric code of an expression in the file."""


class EventFileError(Exception):
    """The error if a file contains no request that can be sent.

    The text of the error names the file and the expected content.
    """


@dataclass(frozen=True, slots=True)
class Sample:
    """A request from a file.

    Attributes:
        path: the file.
        message: the JSON text of the request, which is sent without changes.
        request: the request as JSON values.
        asked: the bare expression for which the request was made; None if the file contains the request.
        manifests: the keys of the manifests in which the series of a bare expression were looked up; empty
            for the newest manifest of each dataset.
    """

    path: Path
    message: str
    request: dict[str, Any]
    asked: Asked | None = None
    manifests: tuple[str, ...] = ()

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
        """Return the `description` of the metric, or the metric code if the request has no description."""
        return str(self.request.get("description", self.metric_code))

    @property
    def unit(self) -> str:
        """Return the unit of the metric's values, or an empty string if the request has none."""
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
    """Return the JSON files in a folder: `run.json` first, and files whose runs must fail last."""
    return sorted(
        folder.glob("*.json"), key=lambda path: (path.name.startswith(FAILS), path.name != FIRST, path.name)
    )


def read_samples(paths: Sequence[str | Path]) -> list[Sample]:
    """Return all requests of these files. A formula in place of a path becomes a new request.

    Raises:
        EventFileError: a file cannot be read or contains no request, or two requests have the same run id.
    """
    samples: list[Sample] = []
    for given in map(str, paths):
        try:
            samples += samples_of(Path(given), asked_in(given, Path(given).read_bytes()))
        except OSError as error:
            if not is_formula_argument(given):
                raise EventFileError(f"{given}: {error.strerror}.") from error
            samples += samples_of(Path(ARGUMENT), [of_formula(given, file=ARGUMENT)])
    return _distinct(samples)


def samples_of(path: Path, found: Iterable[Asked]) -> list[Sample]:
    """Return the requests in a file. A bare expression becomes a new request.

    Args:
        path: the file.
        found: the requests and bare expressions in the file, as `file_contents.asked_in` finds them.

    Raises:
        EventFileError: one of them cannot be parsed or sent, or two requests have the same run id.
    """
    return _distinct([_sample(path, asked) for asked in found])


def metric_code_of(path: Path) -> str:
    """Return a metric code for an expression in a file: the name of the file without its extension.

    Only the extensions in `_ENDINGS` are removed, because metric codes contain dots: `fx.usd`, `fx.gbp.json`.
    Hyphens replace characters that a metric code cannot contain. If nothing remains, the code is `metric`.
    """
    name = "" if str(path) == "-" else path.stem if path.suffix in _ENDINGS else path.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip("._-")[:128] or "metric"


def _distinct(samples: list[Sample]) -> list[Sample]:
    run_ids = [sample.run_id for sample in samples]
    for sample in samples:
        if run_ids.count(sample.run_id) > 1:
            raise EventFileError(f"{sample.path}: more than one sample has the runId {sample.run_id}.")
    return samples


def _sample(path: Path, asked: Asked) -> Sample:
    """Return a request that was found in a file, or a new request for a bare expression.

    Raises:
        EventFileError: the request is not valid JSON, has another type, or has no run id or metric code.
    """
    for problem in asked.problems:
        if asked.formula is not None:
            raise EventFileError(f"{path}: {pointed_out(asked.formula, problem)}")
        hint = f" ({problem.suggestion})" if problem.suggestion else ""
        reasons = {"": f"it is {problem.text}{hint}", "Records": "its Records are empty"}
        raise _not_an_event(path, reasons.get(problem.path, "one of its records has no body"))
    if asked.is_expression:
        return _sample_of_expression(path, asked)
    try:
        envelope = unwrap_envelope(asked.body)
    except UnanswerableError as error:
        what = "it" if asked.record is None else "the body of a record"
        raise _not_an_event(path, f"{what} is not a JSON object") from error
    try:
        request = envelope.event()
    except UnanswerableError as error:
        text = error.problem.removeprefix("not JSON: ")
        raise _not_an_event(path, f"its request is not JSON: {text}") from error
    if asked.record is None and request.get("type") != REQUESTED:
        raise _not_an_event(path, f"it has no Records, and its type is not {REQUESTED}")
    for name in ("runId", "metricCode"):
        if not isinstance(request.get(name), str) or not request[name]:
            raise _not_an_event(path, f"its request has no {name}")
    return Sample(path, envelope.message, request)


def _sample_of_expression(path: Path, asked: Asked) -> Sample:
    """Return a request for an expression over series of the demo dataset. Its metric code is the file's name.

    Raises:
        EventFileError: the expression is not valid.
    """
    expression = json.loads(asked.body)
    try:
        node = parse(expression)
    except ExpressionError as error:
        raise EventFileError(
            f"{path}: the expression is not valid: {error}. `metrics validate {asked.as_argument}` says more."
        ) from error
    from metrics_tools import ecb  # noqa: PLC0415 - half a second, only for valid files

    code = metric_code_of(path)
    manifest = ecb.manifest_key(ecb.version_of(ecb.read_rates()))
    request = request_around(
        expression,
        metric_code=code,
        prefix="metrics/",
        homes=dict.fromkeys(series_codes(node), ecb.DATASET_ID),
        datasets=[Dataset(ecb.DATASET_ID, manifest, ecb.PROJECTIONS)],
    )
    return Sample(path, json.dumps(request), request)


def request_around(
    expression: Any,
    *,
    metric_code: str,
    prefix: str,
    homes: Mapping[str, str],
    datasets: Iterable[Dataset],
) -> dict[str, Any]:
    """Return a request with a new run id for an expression. The expression is not checked.

    Args:
        expression: the expression as JSON values.
        metric_code: the code of the metric.
        prefix: the key prefix of all metrics, such as `metrics/`.
        homes: by series code, the id of the dataset that contains the series.
        datasets: the datasets of the request's catalog.
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
                one.dataset_id: {"manifestPath": one.manifest_key, "projectionsPath": one.projections_prefix}
                for one in datasets
            }
        },
        "output": {"basePath": f"s3://{PLACEHOLDER_BUCKET}/{prefix}{metric_code}/"},
    }


def _not_an_event(path: Path, reason: str) -> EventFileError:
    return EventFileError(
        f"{path}: not an event: {reason}. Expected an SQS event with Records, as in events/{FIRST}, a bare "
        f"{REQUESTED}, as in docs/five-minutes.md, or only an expression."
    )

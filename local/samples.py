"""The sample requests: the files of events/.

Each file is the event that Lambda hands to the function: `Records` of SQS, whose `body` is an SNS
notification, whose `Message` is the control plane's request. So `sam local invoke -e events/x.json` takes the
same files. A bare request, as the control plane writes it, is taken too.

A request may say more than the contract has, since the worker ignores what it doesn't know: `description` and
`unit` are shown. A file whose name begins with `fails-` must end in a FAILURE, with the code that its request
gives as `expectedError`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.cloud import LocalError
from local.ecb import currency_of
from metrics_worker.contract import REQUESTED
from metrics_worker.errors import ExpressionError
from metrics_worker.expression.grammar import Node, parse, series_codes

FIRST = "run.json"
FAILS = "fails-"


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
        """The currencies whose series it names, existing or not."""
        expression = self.expression
        found = (currency_of(code) for code in (series_codes(expression) if expression else ()))
        return {currency for currency in found if currency}


def read_samples(paths: Sequence[Path]) -> list[Sample]:
    """The requests of these files; of a file with several records, all.

    Raises:
        LocalError: a file can't be read or is no event, or two requests have one run id.
    """
    samples = [sample for path in paths for sample in _read(path)]
    run_ids = [sample.run_id for sample in samples]
    for sample in samples:
        if run_ids.count(sample.run_id) > 1:
            raise LocalError(f"{sample.path}: runId {sample.run_id} stands in more than one sample.")
    return samples


def all_samples(folder: Path) -> list[Path]:
    """The files of events/: `run.json` first, those that must fail last."""
    return sorted(
        folder.glob("*.json"), key=lambda path: (path.name.startswith(FAILS), path.name != FIRST, path.name)
    )


def _read(path: Path) -> list[Sample]:
    try:
        event = json.loads(path.read_text(encoding="utf-8"))
        if event.get("type") == REQUESTED:
            messages = [json.dumps(event)]
        else:
            bodies = [json.loads(record["body"]) for record in event["Records"]]
            messages = [body["Message"] if "Message" in body else json.dumps(body) for body in bodies]
        requests = [json.loads(message) for message in messages]
        samples = [
            Sample(path, message, request) for message, request in zip(messages, requests, strict=True)
        ]
        for sample in samples:
            _ = sample.run_id, sample.metric_code
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LocalError(
            f"{path}: not an event: expected Records whose body holds a metric_run_requested with runId and "
            f"metricCode, as in events/{FIRST} ({type(error).__name__}: {error})."
        ) from error
    return samples

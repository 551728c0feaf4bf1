"""The validation of a request: its fields, its meaning and its inputs, with every problem at once."""

from dataclasses import dataclass, field

from metrics_tools.describe.nodes import NodeView, counted, outlined
from metrics_tools.validate.draft import Draft
from metrics_tools.validate.json_text import load
from metrics_tools.validate.likely_mistakes import (
    warnings_about_base_dates,
    warnings_about_missing_periods,
    warnings_about_request,
    warnings_about_zones,
)
from metrics_tools.validate.losses import warnings_about_counts
from metrics_tools.validate.problems import Problem, shown
from metrics_tools.validate.reading import Inputs, Reader
from metrics_worker.errors import UnanswerableError
from metrics_worker.expression.grammar import ROOT
from metrics_worker.request import RunRequest, unwrap_envelope
from metrics_worker.request_check import Bounds


@dataclass(frozen=True, slots=True)
class Validated:
    """The result of a validation.

    Attributes:
        problems: errors and warnings. There is an error if and only if the worker would refuse the run.
        metric_code: the metric code in the request; None if it is missing or not text.
        request: the request; None if the worker would refuse the run.
        view: the tree of the expression, with counts if all of its series were read; None if the expression
            is not valid.
        inputs: the inputs of the request; empty if the request was validated without a reader.
    """

    problems: tuple[Problem, ...]
    metric_code: str | None = None
    request: RunRequest | None = None
    view: NodeView | None = None
    inputs: Inputs = field(default_factory=Inputs)

    @property
    def errors(self) -> int:
        """Return the number of errors."""
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def warnings(self) -> int:
        """Return the number of warnings."""
        return len(self.problems) - self.errors


def validate(body: str, bounds: Bounds, reader: Reader | None = None, *, whole: bool = True) -> Validated:
    """Validate a request.

    Args:
        body: the request as JSON text, alone or in an SNS notification.
        bounds: the limits of a request.
        reader: the reader of the inputs; None to validate the request without its inputs.
        whole: whether the author wrote the whole request. If false, the author wrote only the expression, and
            problems that other fields cause are left out.

    Raises:
        StoreUnavailable: the inputs cannot be read, because S3 failed or did not answer.
    """
    try:
        loaded = load(unwrap_envelope(body).message)
    except UnanswerableError:
        loaded = load(body)
    event = loaded.value
    if not loaded.is_json:
        return Validated(loaded.problems)
    if not isinstance(event, dict):
        return Validated((Problem("", "a request is a JSON object", shown(event)),))
    draft = Draft(event, len(body.encode(errors="replace")), bounds, whole=whole)
    distinct: dict[tuple[str, str], Problem] = {}
    for problem in draft.problems():
        distinct.setdefault((problem.path, problem.text), problem)
    problems = [*loaded.problems, *distinct.values()]
    if whole or reader is not None:
        problems += draft.dataset_problems()
    is_valid = not any(found.path.startswith(ROOT) and found.severity == "error" for found in problems)
    expression = draft.checked.expression if is_valid else None
    view = outlined(expression) if expression else None
    if view is not None:
        problems += warnings_about_request(draft, view)
    inputs = reader.read(draft) if reader is not None else Inputs()
    problems += inputs.problems
    if expression and reader is not None and inputs.has_all(draft.checked.codes):
        series = {code: found.cleaned.series for code, found in inputs.series.items()}
        view = counted(expression, series)
        problems += [
            *warnings_about_zones(view, series),
            *warnings_about_counts(view),
            *warnings_about_missing_periods(view),
            *warnings_about_base_dates(view),
        ]
    if not whole:
        problems = [found for found in problems if found.path != "expressionType"]
    is_refused = any(problem.severity == "error" for problem in problems)
    code = event.get("metricCode")
    request = None if is_refused else draft.request()
    return Validated(tuple(problems), code if isinstance(code, str) else None, request, view, inputs)

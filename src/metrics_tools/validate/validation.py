"""A request, validated: schema, then meaning, then inputs; every problem at once."""

from dataclasses import dataclass, field

from metrics_tools.describe.nodes import NodeView, outlined
from metrics_tools.validate.catalogued import check_datasets
from metrics_tools.validate.checking import check_request
from metrics_tools.validate.losses import doubts_about_counts
from metrics_tools.validate.meaning import doubts_about_request
from metrics_tools.validate.problems import Problem
from metrics_tools.validate.reading import Inputs, Reader, counted_inputs
from metrics_worker.expression.grammar import ROOT, series_codes
from metrics_worker.request import Bounds, RunRequest


@dataclass(frozen=True, slots=True)
class Validated:
    """What is known of a request.

    Attributes:
        problems: errors and warnings. There is an error where the worker would refuse the run, and else none.
        metric_code: what it asks for; None where that can't be told.
        request: what the worker makes of it; None where it refuses it.
        view: its expression, with counts where all of its series were read; None where it is not valid.
        inputs: what was read.
    """

    problems: tuple[Problem, ...]
    metric_code: str | None = None
    request: RunRequest | None = None
    view: NodeView | None = None
    inputs: Inputs = field(default_factory=Inputs)

    @property
    def errors(self) -> int:
        """How many of the problems are errors."""
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def warnings(self) -> int:
        """How many are warnings."""
        return len(self.problems) - self.errors


def validate(body: str, bounds: Bounds, reader: Reader | None = None, *, whole: bool = True) -> Validated:
    """Validate a request, or the notification that carries one.

    Args:
        body: of the message, as it would stand on the queue.
        bounds: where a request may lead.
        reader: reads its inputs; without one they are not looked at.
        whole: without it only the expression is validated; the rest was put around it and says nothing.

    Raises:
        StoreUnavailable: its inputs could not be looked at.
    """
    checked = check_request(body, bounds)
    problems, mended = list(checked.problems), checked.mended
    code = checked.event.get("metricCode")
    if mended is None:
        return Validated(tuple(problems), code if isinstance(code, str) else None)
    is_valid = not any(found.path.startswith(ROOT) and found.severity == "error" for found in problems)
    faults, datasets = check_datasets(mended)
    if whole or reader is not None:
        problems += faults
    if is_valid:
        problems += doubts_about_request(mended)
    inputs = reader.read(mended, datasets) if reader is not None else Inputs()
    problems += inputs.problems
    view = outlined(mended.expression) if is_valid else None
    if (
        view
        and reader
        and not any(problem.severity == "error" for problem in inputs.problems)
        and inputs.series.keys() == set(series_codes(mended.expression))
    ):
        view = counted_inputs(mended, inputs.series)
        problems += doubts_about_counts(view)
    if not whole:
        problems = [found for found in problems if found.path != "expressionType"]
    refused = any(problem.severity == "error" for problem in problems)
    return Validated(tuple(problems), mended.run.metric_code, None if refused else mended, view, inputs)

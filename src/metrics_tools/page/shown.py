"""The values of a run that the page shows. The page omits the parts for which a value is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from metrics_tools.describe.nodes import NodeView, counted, outlined
from metrics_tools.published.status_event import StatusEvent
from metrics_worker.expression.grammar import series_codes
from metrics_worker.expression.nodes import Node
from metrics_worker.observability.traffic import Trace
from metrics_worker.series import Series


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """A status event of a run, as the page shows it.

    Attributes:
        at: the time of the event, in UTC.
        type: the type of the event, such as `metric_run_started`.
        detail: the rest of its content in a few words, such as the progress or the error.
    """

    at: datetime
    type: str
    detail: str = ""

    @classmethod
    def of(cls, at: datetime, event: Mapping[str, Any]) -> Self:
        """Return an event, in the plain or the v1 form, as the page shows it.

        Args:
            at: the time of the event, in UTC.
            event: the event as JSON values.
        """
        found = StatusEvent(at, event)
        return cls(at, found.type, ", ".join(filter(None, (found.status, found.detail))))


@dataclass(frozen=True, slots=True)
class Source:
    """The source of the data that the page names: a name, a link and an optional note."""

    name: str
    url: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class ShownRun:
    """The values that the page shows of one run.

    Attributes:
        metric_code: the metric code of the run.
        run_id: the id of the run.
        title: a short description of the metric; if it is empty, the page shows the metric code.
        unit: the unit of the metric's values.
        status: SUCCESS, FAILURE, or None if the run has no outcome.
        is_right: whether the outcome is the expected one; an expected failure is not shown as an alarm.
        error: the error of a failed run, `CODE: message`.
        complaints: differences from the expected outcome, one line each.
        expression: the expression tree, with counts if its series were read; None if it is not valid.
        inputs: the input series by series code, in the order of the expression.
        metric: the observations of the metric; None if the run published none.
        facts: further facts, as (name, text).
        keys: the keys of the objects that the run wrote.
        trace: the requests and stages of the run.
        events: the status events in the order of publication.
        manifest: the manifest of the version, as JSON values.
    """

    metric_code: str
    run_id: str
    title: str = ""
    unit: str = ""
    status: str | None = None
    is_right: bool = True
    error: str = ""
    complaints: Sequence[str] = ()
    expression: NodeView | None = None
    inputs: Mapping[str, Series] = field(default_factory=dict)
    metric: Series | None = None
    facts: Sequence[tuple[str, str]] = ()
    keys: Sequence[str] = ()
    trace: Trace | None = None
    events: Sequence[ShownEvent] = ()
    manifest: Mapping[str, Any] | None = None

    @property
    def heading(self) -> str:
        """Return the title of the run, or its metric code if it has no title."""
        return self.title or self.metric_code

    @property
    def has_own_error(self) -> bool:
        """Return whether the run has an error whose text none of the `complaints` contains."""
        return bool(self.error) and not any(self.error in text for text in self.complaints)

    @property
    def has_chart(self) -> bool:
        """Return whether the metric or any of its inputs has an observation that a chart can show."""
        return any(series is not None and len(series) for series in (self.metric, *self.inputs.values()))


def expression_view(expression: Node | None, inputs: Mapping[str, Series]) -> NodeView | None:
    """Return the tree of an expression, with observation counts if `inputs` has all of its series.

    Args:
        expression: the expression, or None if it is not valid; then there is no tree.
        inputs: the input series by series code.
    """
    if expression is None:
        return None
    has_all = inputs.keys() >= set(series_codes(expression))
    return counted(expression, inputs) if has_all else outlined(expression)

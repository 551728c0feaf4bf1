"""What the page shows of a run: plain values. What is not known is left out, and not shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from explain.nodes import NodeView
from metrics_worker.series import Series
from metrics_worker.traffic import Trace


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """A status event.

    Attributes:
        at: UTC.
        type: metric_run_started, for instance.
        detail: what else it says, in a few words.
    """

    at: datetime
    type: str
    detail: str = ""

    @classmethod
    def of(cls, at: datetime, event: Mapping[str, Any]) -> Self:
        """The event as it went out, in either form."""
        detail = ""
        if "progress" in event:
            detail = f"{event['progress']:.0%}"
        elif event.get("status") == "SUCCESS":
            detail = f"SUCCESS, {event['rowCount']:,} rows, version {event['versionTs']}"
        elif "status" in event:
            error = event.get("error")
            text = f"{error['code']}: {error['message']}" if isinstance(error, Mapping) else str(error)
            detail = f"{event['status']}, {text}"
        return cls(at, str(event.get("type", "")), detail)


@dataclass(frozen=True, slots=True)
class Source:
    """Who is to be named for the data."""

    name: str
    url: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class ShownRun:
    """A run.

    Attributes:
        metric_code: of the metric.
        run_id: of the run.
        title: what the metric is, in words; empty: its code.
        unit: what its values are counted in.
        status: SUCCESS, FAILURE, or None where there is no outcome.
        is_right: whether it ended as it should; a failure that was expected is no alarm.
        error: why it failed, `CODE: message`.
        complaints: what is not as it should be, a line each.
        expression: the tree, with counts where its series were read; None: it is not a valid expression.
        inputs: what the metric is computed from, by series code, in the order of the expression.
        metric: its observations; None where there is none.
        facts: further things to be listed, name and text.
        keys: the objects that it left.
        trace: its requests and stages.
        events: in order.
        manifest: of its version, as JSON values.
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
        """What it is called."""
        return self.title or self.metric_code

    @property
    def has_chart(self) -> bool:
        """Whether there is anything to be drawn."""
        return any(series is not None and len(series) for series in (self.metric, *self.inputs.values()))

"""Status events of runs, parsed from the messages that the control plane receives."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from metrics_tools.console import print_line
from metrics_tools.formatting import count
from metrics_worker.errors import UnanswerableError
from metrics_worker.request import unwrap_envelope

STARTED, HEARTBEAT, COMPLETED = "metric_run_started", "metric_run_heartbeat", "metric_run_completed"


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """A status event that was received, in the plain or in the v1 form.

    Attributes:
        at: the time, in UTC, at which the topic received the event; if unknown, the time of parsing.
        event: the event as JSON values.
    """

    at: datetime
    event: Mapping[str, Any]

    @property
    def type(self) -> str:
        """Return the type of the event, such as `metric_run_started`; empty if it has none."""
        return str(self.event.get("type", ""))

    @property
    def run_id(self) -> str:
        """Return the id of the run that the event is about; empty if it has none."""
        return str(self.event.get("runId", ""))

    @property
    def status(self) -> str | None:
        """Return the status of a completed event, SUCCESS or FAILURE; None for other events."""
        return str(self.event.get("status")) if self.type == COMPLETED else None

    @property
    def detail(self) -> str:
        """Return, as text, the details of the event that depend on its type and status.

        They are the progress of a heartbeat in percent, the number of rows and the version of a SUCCESS, and
        the error of a FAILURE. The text is empty for other events.
        """
        match self.event:
            case {"progress": int() | float() as share}:
                return f"{share:.0%}"
            case {"status": "SUCCESS", **fields}:
                rows, version = fields.get("rowCount"), fields.get("versionTs", "?")
                return f"{count(rows, 'row') if isinstance(rows, int) else 'committed'}, version {version}"
            case {"error": {"code": code, "message": message}}:
                return f"{code}: {message}"
            case {"error": str(error)}:
                return error
        return ""


def parse_status_event(body: str) -> StatusEvent | None:
    """Return the status event in the body of a message, which may be an SNS notification.

    Returns:
        The event, or None if the body is not a status event with a run id.
    """
    try:
        envelope = unwrap_envelope(body)
        event = envelope.event()
    except UnanswerableError:
        return None
    return StatusEvent(envelope.published_at or datetime.now(UTC), event) if event.get("runId") else None


def print_event(event: StatusEvent, *, time: str, metric_code: str) -> None:
    """Print a status event in one line: the formatted time, type, run, and the progress or the outcome."""
    kind, run = event.type.removeprefix("metric_run_"), f"{metric_code} {event.run_id[:8]}"
    completed = "green" if event.status == "SUCCESS" else "red"
    styles = {STARTED: "cyan", HEARTBEAT: "dim", COMPLETED: completed}
    parts = filter(None, (time, f"{kind:9}", run, event.status, event.detail))
    print_line("  ".join(parts), styles.get(event.type, ""))

"""Functions that read the worker's log: the reasons for returned messages, and the trace of each run."""

from collections import Counter
from pathlib import Path
from typing import Any

from metrics_tools.published.run_log import json_lines
from metrics_worker.observability.traffic import Timed, Trace

_RETURNED = "message given back"
_CLOSED = "metric_run_closed"


def returned_messages(log: Path) -> list[str]:
    """Return a line of text for each message that the worker returned to the queue, and each reason for it.

    The lines are in the order of the log. If a message was returned several times for one reason, its line
    contains the number of times.
    """
    found = Counter(
        (str(line.get("message_id")), str(line.get("reason")))
        for line in json_lines(log)
        if line.get("message") == _RETURNED
    )
    return [
        f"message {message_id} returned to the queue{f' {times} times' if times > 1 else ''}: {reason}"
        for (message_id, reason), times in found.items()
    ]


def traces(log: Path) -> dict[str, Trace]:
    """Return the trace of each run's last attempt, by run id.

    The worker logs traces only at log level DEBUG. For a log without traces, the result is empty.
    """
    return {
        str(line.get("run_id")): _trace(line["trace"])
        for line in json_lines(log)
        if line.get("event_type") == _CLOSED and "trace" in line
    }


def _trace(line: dict[str, Any]) -> Trace:
    """Return the trace of a run from the JSON values of a log line.

    The times of the log line are in milliseconds, those of the trace in seconds.
    """
    return Trace(
        began=0.0,
        began_at=line["began_at"],
        requests=[
            Timed(operation, key, start / 1000, length / 1000, size, problem)
            for operation, key, start, length, size, problem in line["requests"]
        ],
        stages=[(name, start / 1000, length / 1000) for name, start, length in line["stages"]],
        left_out=line["left_out"],
    )

"""Facts that only the worker's log contains: why messages went back to the queue, and each run's trace."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from metrics_worker.observability.traffic import Timed, Trace

_RETURNED = "message given back"
_CLOSED = "metric_run_closed"


def returned_messages(log: Path) -> list[str]:
    """Return a line for each message and reason, in the order of the log, with the number if above 1."""
    found = Counter(
        (str(line.get("message_id")), str(line.get("reason")))
        for line in _lines(log)
        if line.get("message") == _RETURNED
    )
    return [
        f"message {message_id} returned to the queue{f' {times} times' if times > 1 else ''}: {reason}"
        for (message_id, reason), times in found.items()
    ]


def traces(log: Path) -> dict[str, Trace]:
    """Return the trace of each run's last attempt by run id, if the worker logged it (at DEBUG)."""
    return {
        str(line.get("run_id")): _trace(line["trace"])
        for line in _lines(log)
        if line.get("event_type") == _CLOSED and "trace" in line
    }


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines that are JSON objects. The lines of the Lambda runtime are not."""
    for text in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line


def _trace(line: dict[str, Any]) -> Trace:
    """Return the trace that `Trace.line()` turned into JSON values, with times in milliseconds."""
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

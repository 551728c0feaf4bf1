"""What only the worker's log says: why a message was given back, and each run's requests with their times."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from metrics_worker.observability.traffic import Timed, Trace

_GIVEN_BACK = "message given back"
_CLOSED = "metric_run_closed"


def given_back(log: Path) -> list[str]:
    """A line for each message and reason, in the order of the log; how often, where it was more than once."""
    found = Counter[tuple[str, str]]()
    for line in _lines(log):
        if line.get("message") == _GIVEN_BACK:
            found[str(line.get("message_id")), str(line.get("reason"))] += 1
    return [
        f"message {message_id} given back{f' {times} times' if times > 1 else ''}: {reason}"
        for (message_id, reason), times in found.items()
    ]


def traces(log: Path) -> dict[str, Trace]:
    """Run id → the trace of its last attempt, of the runs that were closed at DEBUG."""
    return {
        str(line.get("run_id")): _trace(line["trace"])
        for line in _lines(log)
        if line.get("event_type") == _CLOSED and "trace" in line
    }


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    """The lines that are JSON objects: Lambda's own are not."""
    for text in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line


def _trace(line: dict[str, Any]) -> Trace:
    """A trace from `Trace.line()`."""
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

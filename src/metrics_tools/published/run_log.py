"""The log lines of a run, from CloudWatch Logs Insights or from the log files of a local run."""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

WORKER_LOG, DEAD_LETTER_LOG = "worker.log", "dead-letters.log"
"""The names of the two log files of a local run: that of the worker and that of the dead-letter function."""
_FIELDS = (
    "message", "attempt", "outcome", "error_code", "error", "version_ts", "seconds", "reason", "cause",
    "comes_back", "why",
)  # fmt: skip
"""The fields of a log line in the results, in addition to its time `@timestamp`."""
QUERY = f"""fields @timestamp, {", ".join(_FIELDS)}
| filter run_id = "{{run_id}}"
| sort @timestamp asc
| limit 200"""
_WAITING = {"Scheduled", "Running", "Unknown"}
_POLL_SECONDS, _TRIES = 0.5, 120


class LogQueryError(Exception):
    """The error if a query of the log failed or took too long. The text is the reason."""


def log_lines(
    client: Any,
    groups: Sequence[str],
    run_id: str,
    *,
    between: tuple[datetime, datetime],
    pause: Callable[[float], None] = time.sleep,
) -> list[dict[str, str]]:
    """Return the log lines of a run, oldest first: for each line, its fields that have a value.

    Args:
        client: a boto3 client of CloudWatch Logs.
        groups: the names of the log groups.
        run_id: the run id, which must be a valid id.
        between: the first and the last time of the lines.
        pause: waits for a number of seconds before the result is requested again.

    Raises:
        LogQueryError: the query failed, or took longer than a minute.
        botocore.exceptions.ClientError: AWS refused a request.
    """
    first, last = (int(one.timestamp()) for one in between)
    started = client.start_query(
        logGroupNames=list(groups),
        startTime=first,
        endTime=last,
        queryString=QUERY.format(run_id=run_id),
    )
    for _ in range(_TRIES):
        answer = client.get_query_results(queryId=started["queryId"])
        if answer["status"] == "Complete":
            lines = [{field["field"]: field["value"] for field in line} for line in answer["results"]]
            return [{name: value for name, value in one.items() if name != "@ptr"} for one in lines]
        if answer["status"] not in _WAITING:
            raise LogQueryError(f"the query ended with the status {answer['status']}")
        pause(_POLL_SECONDS)
    raise LogQueryError(f"the query took longer than {_TRIES * _POLL_SECONDS:.0f} s")


def local_log_lines(logs: Sequence[Path], beginning: str) -> dict[str, list[dict[str, str]]]:
    """Return the log lines of local runs by run id, oldest first. Fields without a value are left out.

    Args:
        logs: the log files of the worker and the dead-letter function.
        beginning: the first characters of the run ids.
    """
    found = defaultdict[str, list[dict[str, str]]](list)
    lines = [line for log in logs for line in json_lines(log)]
    for line in sorted(lines, key=lambda line: str(line.get("timestamp"))):
        run_id = str(line.get("run_id") or "")
        if run_id and run_id.startswith(beginning):
            fields = {name: str(line[name]) for name in _FIELDS if line.get(name) not in (None, "")}
            found[run_id].append({"@timestamp": str(line.get("timestamp")), **fields})
    return dict(found)


def json_lines(log: Path) -> Iterator[dict[str, Any]]:
    """Yield each line of a log file that contains a JSON object, as a dict. Other lines are skipped."""
    for text in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line

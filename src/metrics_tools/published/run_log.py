"""The log lines of a run, from CloudWatch Logs Insights."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

QUERY = """fields @timestamp, message, attempt, outcome, error_code, error, version_ts, seconds, reason, cause
| fields comes_back, why
| filter run_id = "{run_id}"
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

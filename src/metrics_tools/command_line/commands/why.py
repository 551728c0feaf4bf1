"""`metrics why`: report what became of a run."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote
from typing import Annotated, Any
from uuid import UUID

import typer

from metrics_tools import console
from metrics_tools.buckets.places import Place, metrics_prefix
from metrics_tools.command_line.aws import aws_client
from metrics_tools.command_line.options import BucketOption, FolderOption, JsonOption
from metrics_tools.command_line.published_metric import published_place
from metrics_tools.console import WRONG, emit, impossible
from metrics_tools.published.run_log import (
    DEAD_LETTER_LOG,
    WORKER_LOG,
    LogQueryError,
    local_log_lines,
    log_lines,
)
from metrics_tools.published.run_traces import RunTraces, find_traces, run_ids_with
from metrics_worker.names import ID_RULE, is_id

_NO_TRACE = (
    "Nothing in the bucket names the run. Either it failed with a permanent error, which only the log and "
    "the control plane have; or its message waits in the queue; or an attempt is in progress; or the worker "
    "never received it."
)
_NO_LOG = (
    "the log: give --stack STACK or --log-group NAME; that of a local run, out/worker.log, is read with "
    "--folder out/s3"
)
_MOST_NAMED = 5
"""The most run ids that an error lists."""
_NAMED = ("attempt", "outcome", "error_code", "seconds")
_DETAILS = ("error", "reason", "cause", "comes_back", "why")
"""The fields of a log line that are printed with their names, and those whose first line is printed."""
_REFUSED = {
    "AccessDeniedException": "your credentials do not permit logs:StartQuery and logs:GetQueryResults"
}


@dataclass(slots=True)
class _Seen:
    """The log lines of a run that the command has found, and the log groups that it could not read.

    Attributes:
        lines: the log lines, oldest first, each as a dict of its fields.
        unseen: texts that each name what could not be read and why.
    """

    lines: list[dict[str, str]] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


def why(
    run_id: Annotated[
        str, typer.Argument(metavar="RUN_ID", help="The run id, as in the request, or its first characters.")
    ],
    *,
    bucket: BucketOption = None,
    folder: FolderOption = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="CODE", help="Look only in the folder of this metric.")
    ] = None,
    stack: Annotated[
        str | None, typer.Option("--stack", help="Search the log groups of this stack: /aws/lambda/STACK…")
    ] = None,
    log_group: Annotated[
        list[str] | None, typer.Option("--log-group", help="Search this log group; may be repeated.")
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, help="The number of days of the log to search.")] = 30,
    as_json: JsonOption = False,
) -> None:
    """Report what became of a run: its marker, version, dead letter and log lines.

    Without --metric, the marker is looked up in the folder of every metric,
    which costs one request for each. All dead letters are read. With --stack
    or --log-group, the log lines of the run are queried from CloudWatch Logs
    Insights with your credentials. With --folder out/s3, the copy of a local
    run, they are read from out/worker.log. The report names the sources that
    the command could not read, and the next step. The command changes nothing.

    The first characters of a run id are enough if only one id begins with
    them. To find it, the command lists the markers of every metric.

    Exit: 0 the run is committed, 1 it is not, or its objects are damaged,
    2 the command could not complete.

    [bold]Examples[/bold]

      metrics why 550e8400-e29b-41d4-a716-446655440000 --bucket my-data

      metrics why 550e8400-e29b-41d4-a716-446655440000 --bucket my-data --stack metrics-worker-prod

      metrics why c49069ad --folder out/s3
    """
    for option, given in (("RUN_ID", run_id), ("--metric", metric)):
        if given is not None and not is_id(given):
            raise impossible(f"{option} {given!r}: expected {ID_RULE}.")
    of_stack = [f"/aws/lambda/{stack}", f"/aws/lambda/{stack}-dead-letters"] if stack else []
    groups = [*(log_group or ()), *of_stack]
    logs = _local_logs(folder) if folder and not groups else []
    logged = local_log_lines(logs, run_id)
    with published_place(bucket=bucket, folder=folder) as place:
        traces = find_traces(place.bucket, metrics_prefix(), run_id, metric)
        if all(one.is_empty for one in traces) and not _is_uuid(run_id):
            known = run_ids_with(place.bucket, metrics_prefix(), beginning=run_id, code=metric)
            run_id = _completed(run_id, known.union(logged))
            traces = find_traces(place.bucket, metrics_prefix(), run_id, metric)
    seen = _Seen(logged.get(run_id, [])) if logs else _log(run_id, groups, days)
    seen.unseen.append("the messages in the queues, which cannot be read without receiving them")
    steps = _steps(traces, seen, place)
    if as_json:
        runs = [_document(one) for one in traces]
        found = {"runs": runs, "log": seen.lines, "not_seen": seen.unseen, "next": steps}
        emit({"place": place.label, "run_id": run_id, **found})
    else:
        _print(run_id, traces, seen, place)
        for step in steps:
            console.print_line(f"Next: {step}")
    if not any(one.marker and not one.problem for one in traces):
        raise typer.Exit(WRONG)


def _is_uuid(run_id: str) -> bool:
    """Return whether a run id is a complete UUID, which is never the beginning of another run id."""
    with suppress(ValueError):
        return str(UUID(run_id)) == run_id.lower()
    return False


def _completed(beginning: str, known: set[str]) -> str:
    """Return the run id that begins with the given characters; the characters if no known run id does.

    If several run ids begin with them, and none of these equals them, the command ends with an error.

    Args:
        beginning: the first characters of a run id.
        known: the run ids that begin with these characters.
    """
    if beginning in known or not known:
        return beginning
    if len(known) > 1:
        named = ", ".join(sorted(known)[:_MOST_NAMED]) + (", …" if len(known) > _MOST_NAMED else "")
        raise impossible(f"{len(known):,} run ids begin with {beginning!r}: {named}. Give more characters.")
    return next(iter(known))


def _local_logs(folder: Path) -> list[Path]:
    """Return the readable log files of the local run that has written a folder; none for other folders."""
    logs = [folder.resolve().parent / name for name in (WORKER_LOG, DEAD_LETTER_LOG)]
    return [log for log in logs if log.is_file() and os.access(log, os.R_OK)]


def _log(run_id: str, groups: Sequence[str], days: int) -> _Seen:
    """Return the log lines of a run or, in `unseen`, the reason why they cannot be read.

    Args:
        run_id: the id of the run.
        groups: the names of the log groups to search. If empty, the reason is that the options are missing.
        days: the number of days to search, up to now.
    """
    if not groups:
        return _Seen(unseen=[_NO_LOG])
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - half a second, for the log only

    now = datetime.now(UTC)
    try:
        client = aws_client("logs", None)
        return _Seen(log_lines(client, groups, run_id, between=(now - timedelta(days=days), now)))
    except ClientError as error:
        answer = error.response.get("Error", {})
        code = str(answer.get("Code"))
        reason = _REFUSED.get(code, f"{code}: {answer.get('Message')}")
    except (BotoCoreError, LogQueryError) as error:
        reason = str(error)
    return _Seen(unseen=[f"the log ({', '.join(groups)}): {reason}"])


def _steps(traces: Sequence[RunTraces], seen: _Seen, place: Place) -> list[str]:
    """Return sentences that say what the operator should do about a run; empty if the run is committed.

    Args:
        traces: the objects that the run left in the location, one entry for each metric with such objects.
        seen: the log lines of the run.
        place: the location, which the commands in the sentences name.
    """
    last = seen.lines[-1] if seen.lines else {}
    steps = []
    for one in traces:
        if one.problem:
            steps.append(
                "See docs/operating.md, An unusable marker; `metrics doctor` checks the whole metric."
            )
        elif one.marker is None and one.letters:
            steps.append(_after_dead_letter(one, place))
    if steps or any(one.marker for one in traces):
        return steps
    if last.get("outcome") == "FAILURE":
        return [
            "Correct the cause that the error names, then let the control plane request the metric again."
        ]
    if last.get("outcome") == "RETURNED" or "comes_back" in last:
        return ["Wait: the message is redelivered. After five attempts, it becomes a dead letter."]
    return ["Look at the log (--stack), and at the queue: docs/operating.md, A stuck group."]


def _after_dead_letter(one: RunTraces, place: Place) -> str:
    """Return a sentence that says what the operator should do about a dead letter of an uncommitted run."""
    key, letter = one.letters[-1]
    if not one.has_valid_code:
        return (
            f"Correct the metric code {one.code!r} in the control plane, and request the metric again: "
            f"expected {ID_RULE}. Do not send the message back, which fails each time."
        )
    if letter.outcome == "UNANSWERABLE":
        return "Do not send the message back: it is not a run request, and becomes a dead letter again."
    name = place.label.removeprefix("s3://")
    where = f"--folder {quote(name)}" if name == place.label else f"--bucket {name}"
    command = f"metrics redrive {where} --queue-url URL {quote(key)}"
    return f"Correct the cause, then send the message back: {command}"


def _print(run_id: str, traces: Sequence[RunTraces], seen: _Seen, place: Place) -> None:
    console.print_line(f"Run {run_id} at {place.label}", "bold")
    for one in traces:
        _print_traces(one)
    if all(one.is_empty for one in traces):
        console.print_line(_NO_TRACE, "yellow")
    for line in seen.lines:
        named = [f"{name} {line[name]}" for name in _NAMED if name in line]
        details = [line[name].partition("\n")[0] for name in _DETAILS if name in line]
        text = ", ".join((line.get("message", ""), *named, *details))
        console.print_line(f"  log          {line.get('@timestamp', '')} {text}")
    for what in seen.unseen:
        console.print_line(f"  not seen     {what}", "dim")


def _print_traces(one: RunTraces) -> None:
    console.print_line(f"  metric       {one.code}")
    current = one.metric.current
    if one.problem:
        console.print_line(f"  damaged      {one.problem}", "red")
    if one.marker is not None:
        marker = one.marker
        rows = f"{marker.row_count:,} rows"
        times = f"requested {marker.requested_at}, committed {marker.committed_at}"
        console.print_line(f"  committed    version {marker.version_ts}, {rows}, {times}", "green")
        other = f"no: it names version {current.version_ts}" if current else "no: it does not exist"
        console.print_line(f"  current      {'yes: readers use this version' if one.is_current else other}")
    elif not one.problem:
        console.print_line("  committed    no: there is no marker", "yellow")
    for version in one.uncommitted:
        what = "an attempt was killed or lost a race, or is in progress; readers do not see it"
        console.print_line(f"  uncommitted  version {version}: {what}")
    for key, letter in one.letters:
        console.print_line(f"  dead letter  {letter.outcome} at {letter.kept_at}: {letter.why}")
        console.print_line(f"               {key}", "dim")


def _document(one: RunTraces) -> dict[str, Any]:
    return {
        "metric_code": one.code,
        "committed": one.marker is not None,
        "marker": one.marker.model_dump() if one.marker else None,
        "current": one.is_current,
        "current_version": one.metric.current.version_ts if one.metric.current else None,
        "problem": one.problem or None,
        "uncommitted_versions": list(one.uncommitted),
        "dead_letters": [
            {"key": key, "outcome": letter.outcome, "why": letter.why, "kept_at": letter.kept_at}
            for key, letter in one.letters
        ],
    }

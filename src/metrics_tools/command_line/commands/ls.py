"""`metrics ls`: list the published metrics of a bucket or folder."""

from datetime import UTC, datetime
from typing import Any

import typer

from metrics_tools import console
from metrics_tools.buckets.places import metrics_prefix
from metrics_tools.command_line.options import BucketOption, FolderOption, JsonOption
from metrics_tools.command_line.published_metric import published_place
from metrics_tools.console import WRONG, emit
from metrics_tools.formatting import age, count, iso_time, shown_time
from metrics_tools.published.overview import MetricSummary, summaries
from metrics_worker.request import iso


def ls(*, bucket: BucketOption = None, folder: FolderOption = None, as_json: JsonOption = False) -> None:
    """List the published metrics, each with the version that readers use.

    Each metric has the rows of its version, the time of its last
    observation, and the age of the version since it was created. A metric
    whose current or data file is damaged is listed with the fault. The
    command makes one listing, and two requests for each metric.

    Exit: 0 listed, 1 a metric is damaged, 2 the command could not
    complete.

    [bold]Examples[/bold]

      metrics ls --bucket my-data

      metrics ls --folder data --json
    """
    with published_place(bucket=bucket, folder=folder) as place:
        found = list(summaries(place.bucket, metrics_prefix()))
    now = datetime.now(UTC)
    if as_json:
        emit({"place": place.label, "metrics": [_document(one, now) for one in found]})
    elif not found:
        hint = "`metrics run FILE --publish` publishes one."
        console.print_line(f"No metric is published under {metrics_prefix()} at {place.label}. {hint}")
    else:
        _print(found, now, place.label)
    if any(one.problem for one in found):
        raise typer.Exit(WRONG)


def _print(found: list[MetricSummary], now: datetime, label: str) -> None:
    console.print_line(f"{count(len(found), 'metric')} at {label}", "bold")
    columns = ("metric", "version", "last observation")
    table = console.new_table(*columns, numbers=("rows", "age"), more=("note",))
    for one in found:
        last = "-" if one.last_observation is None else shown_time(one.last_observation)
        rows = "-" if one.row_count is None else f"{one.row_count:,}"
        old = "-" if one.created_at is None else age((now - one.created_at).total_seconds())
        note = one.problem or ("rolled back" if one.is_rolled_back else "")
        style = "red" if one.problem else ""
        console.add_row(table, one.metric_code, one.version_ts or "-", last, rows, old, note, style=style)
    console.print_table(table)


def _document(one: MetricSummary, now: datetime) -> dict[str, Any]:
    seconds = None if one.created_at is None else round((now - one.created_at).total_seconds(), 3)
    return {
        "metric_code": one.metric_code,
        "version_ts": one.version_ts,
        "row_count": one.row_count,
        "last_observation": None if one.last_observation is None else iso_time(one.last_observation),
        "requested_at": iso(one.requested_at, "milliseconds") if one.requested_at else None,
        "created_at": iso(one.created_at) if one.created_at else None,
        "age_seconds": seconds,
        "rolled_back": one.is_rolled_back,
        "problem": one.problem or None,
    }

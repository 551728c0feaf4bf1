"""`metrics doctor`: whether what is published of a metric is what was promised."""

from typing import Annotated

import typer

from metrics_tools import console
from metrics_tools.buckets.places import BucketOption, FolderOption, metrics_prefix
from metrics_tools.command_line.published_metric import CodeArgument, no_such_metric, published_place
from metrics_tools.console import WRONG, JsonOption, emit, impossible
from metrics_tools.formatting import count
from metrics_tools.published.findings import Finding, Metric, all_findings, graves, look_at
from metrics_tools.published.omitted import omitted_files
from metrics_tools.published.versions import keys_of
from metrics_tools.runs.computing import settings_for
from metrics_worker.errors import MetricsWorkerError


def doctor(
    code: CodeArgument,
    *,
    bucket: BucketOption = None,
    folder: FolderOption = None,
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="Newest committed versions whose data is read; 0 for all.")
    ] = 100,
    as_json: JsonOption = False,
) -> None:
    """Check a metric: markers, manifests, data, current, and the dead letters kept of it.

    It also says whether the datasets' newest manifests list all part files of
    the series that current was computed from.

    Each finding says what to do. Versions that no marker names are only a
    note: no reader sees them, and nothing is ever deleted. Reads only.

    Exit: 0 healthy, 1 something is wrong, 2 impossible, or there is no such
    metric.

    [bold]Examples[/bold]

      metrics doctor fx.usd_per_brl --bucket my-data

      metrics doctor fx.usd_per_brl --folder data --json
    """
    place, prefix = published_place(bucket, folder), metrics_prefix()
    keys = keys_of(code, prefix)
    try:
        metric = look_at(place.bucket, keys)
        findings = list(all_findings(place.bucket, metric, code, prefix, limit))
        findings += omitted_files(place.bucket, metric, settings_for(place.bucket.name))
        if not (metric.versions or metric.markers or metric.broken or metric.current or findings):
            raise no_such_metric(code, place)
    except MetricsWorkerError as error:
        raise impossible(f"{place.label}: {error}") from error
    read = min(limit or len(metric.committed), len(metric.committed))
    if as_json:
        emit(
            {
                "place": place.label,
                "metric_code": code,
                "healthy": not graves(findings),
                "versions": len(metric.versions),
                "committed": len(metric.committed),
                "data_read": read,
                "findings": [
                    {"grade": found.grade, "where": found.where, "what": found.what, "do": found.do}
                    for found in findings
                ],
            }
        )
    else:
        _tell(f"{code} at {place.label}", metric, findings, read)
    if graves(findings):
        raise typer.Exit(WRONG)


def _tell(title: str, metric: Metric, findings: list[Finding], read: int) -> None:
    console.print_line(title, "bold")
    console.print_line(
        f"{count(len(metric.versions), 'version')}, {len(metric.committed):,} committed, "
        f"the data of {read:,} read"
    )
    for found in findings:
        is_grave = found.grade == "finding"
        console.print_line(f"{'✗' if is_grave else '·'} {found.where}", "red" if is_grave else "dim")
        console.print_line(f"  {found.what}")
        console.print_line(f"  {found.do}", "dim")
    bad = len(graves(findings))
    if bad:
        console.print_line(f"{count(bad, 'finding')}", "red")
    else:
        notes = len(findings)
        console.print_line(f"Healthy{f', {count(notes, "note")}' if notes else ''}", "green")

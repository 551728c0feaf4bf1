"""`metrics doctor`: check the published objects of a metric."""

from dataclasses import asdict
from typing import Annotated

import typer

from metrics_tools import console
from metrics_tools.buckets.places import metrics_prefix
from metrics_tools.command_line.options import BucketOption, CodeArgument, FolderOption, JsonOption
from metrics_tools.command_line.published_metric import no_such_metric, published_metric
from metrics_tools.console import WRONG, emit
from metrics_tools.formatting import count
from metrics_tools.published.findings import Finding, check_metric
from metrics_tools.published.inputs import check_inputs
from metrics_tools.published.metric import read_metric
from metrics_tools.runs.computing import settings_for


def doctor(
    code: CodeArgument,
    *,
    bucket: BucketOption = None,
    folder: FolderOption = None,
    limit: Annotated[
        int, typer.Option("--limit", min=0, help="The number of versions whose data is read; 0 for all.")
    ] = 100,
    as_json: JsonOption = False,
) -> None:
    """Check that the published objects of a metric are complete and consistent.

    The objects are markers, manifests, data, current and dead letters. The
    command also checks the series from which the current version was
    computed: whether the newest dataset manifests list all of their part
    files, and whether their snapshots have the rows of the part files. For
    the second check, all part files of a series with a snapshot are read.

    Each finding says what to do. A version without a marker is only a note,
    because readers do not see it; `metrics prune` can delete it. The doctor
    itself changes and deletes nothing.

    Exit: 0 healthy, 1 something is wrong, 2 there is no such metric, or the
    command could not complete.

    [bold]Examples[/bold]

      metrics doctor fx.usd_per_brl --bucket my-data

      metrics doctor fx.usd_per_brl --folder data --json
    """
    with published_metric(code, bucket=bucket, folder=folder) as (place, keys):
        metric = read_metric(place.bucket, keys)
        findings = list(check_metric(place.bucket, metric, prefix=metrics_prefix(), limit=limit))
        findings += check_inputs(place.bucket, metric, settings_for(place.bucket.name))
        if not (metric.versions or metric.markers or metric.unreadable or metric.current or findings):
            raise no_such_metric(code, place)
    problems = [finding for finding in findings if finding.is_problem]
    committed = len(metric.committed)
    read = min(limit or committed, committed)
    if as_json:
        emit(
            {
                "place": place.label,
                "metric_code": code,
                "healthy": not problems,
                "versions": len(metric.versions),
                "committed": committed,
                "data_read": read,
                "findings": [asdict(finding) for finding in findings],
            }
        )
    else:
        versions = f"{count(len(metric.versions), 'version')}, {committed:,} committed"
        console.print_line(f"{code} at {place.label}", "bold")
        console.print_line(f"{versions}, the data of {read:,} read")
        _print_findings(findings)
        notes = f", {count(len(findings), 'note')}" if findings else ""
        console.print_line(
            *(count(len(problems), "finding"), "red") if problems else (f"Healthy{notes}", "green")
        )
    if problems:
        raise typer.Exit(WRONG)


def _print_findings(findings: list[Finding]) -> None:
    for finding in findings:
        mark, style = ("✗", "red") if finding.is_problem else ("·", "dim")
        console.print_line(f"{mark} {finding.where}", style)
        console.print_line(f"  {finding.what}")
        console.print_line(f"  {finding.do}", "dim")

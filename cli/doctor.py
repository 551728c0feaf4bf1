"""`metrics doctor`: whether what is published of a metric is what was promised."""

from typing import Annotated

import typer

from cli import tell
from cli.computing import settings_for
from cli.console import WRONG, JsonOption, emit, impossible
from cli.findings import Finding, Metric, all_findings, graves, look_at
from cli.history import CodeArgument, no_such_metric, published_place
from cli.omitted import omitted_files
from cli.places import BucketOption, FolderOption, metrics_prefix
from cli.published import keys_of
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
    tell.line(title, "bold")
    tell.line(
        f"{tell.count(len(metric.versions), 'version')}, {len(metric.committed):,} committed, "
        f"the data of {read:,} read"
    )
    for found in findings:
        is_grave = found.grade == "finding"
        tell.line(f"{'✗' if is_grave else '·'} {found.where}", "red" if is_grave else "dim")
        tell.line(f"  {found.what}")
        tell.line(f"  {found.do}", "dim")
    bad = len(graves(findings))
    if bad:
        tell.line(f"{tell.count(bad, 'finding')}", "red")
    else:
        notes = len(findings)
        tell.line(f"Healthy{f', {tell.count(notes, "note")}' if notes else ''}", "green")

"""`metrics history`: list the versions of a metric, from their manifests and markers."""

from typing import Annotated, Any

import typer

from metrics_tools import console
from metrics_tools.command_line.options import BucketOption, CodeArgument, FolderOption, JsonOption
from metrics_tools.command_line.published_metric import no_such_metric, published_metric
from metrics_tools.console import emit
from metrics_tools.formatting import count
from metrics_tools.published.metric import Metric, read_versions, version_names
from metrics_worker.request import iso

_WIDE = 140
"""The width of a terminal, in characters, that shows a version in one line."""


def history(
    code: CodeArgument,
    *,
    bucket: BucketOption = None,
    folder: FolderOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The number of versions to show.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the versions of a metric, newest first.

    Each version is shown with its request time, its datasets and its state.
    A version is committed if the marker of its run names it. Any other
    version belongs to a run that is in progress, or to an attempt that was
    killed or that lost a race against another attempt of its run.
    The command makes one listing, and two small requests for each version
    that it shows.

    Exit: 0 listed, 2 there is no such metric, or the command could not
    complete.

    [bold]Examples[/bold]

      metrics history fx.usd_per_brl --bucket my-data

      metrics history fx.usd_per_brl --folder data --limit 5 --json
    """
    with published_metric(code, bucket=bucket, folder=folder) as (place, keys):
        names = version_names(place.bucket, keys)
        if not names:
            raise no_such_metric(code, place)
        shown = read_versions(place.bucket, keys, names[:limit])
    if as_json:
        versions = [_document(shown, name) for name in shown.versions]
        counts = {"versions_in_all": len(names), "versions": versions}
        emit({"place": place.label, "metric_code": code, **counts})
        return
    console.print_line(f"{code} at {place.label}: {count(len(names), 'version')}", "bold")
    _print_versions(shown)
    if len(names) > limit:
        console.print_line(f"… and {len(names) - limit:,} older (--limit)", "dim")


def _print_versions(metric: Metric) -> None:
    """Print the versions in `metric.versions`. `metric` must already contain their manifests and markers.

    They are printed as a table if the terminal is wide enough, otherwise with two lines for each version.
    """
    is_wide = console.is_wide(_WIDE)
    columns = ("version", "state", "requested", "created")
    table = console.new_table(*columns, numbers=("rows",), more=("datasets", "run"))
    for version in metric.versions:
        names = ("requested_at", "created_at", "row_count", "run_id")
        requested, created, rows, run = (_field(metric.manifest(version), name) for name in names)
        state, datasets = _state(metric, version), _datasets(metric.manifest(version))
        is_current, is_committed = metric.is_current(version), metric.is_committed(version)
        style = "dim" if not is_committed else "bold" if is_current else ""
        if is_wide:
            console.add_row(table, version, state, requested, created, rows, datasets, run, style=style)
            continue
        console.print_line(f"{version}  {state}, {rows} rows, requested {requested}", style)
        console.print_line(f"  run {run}, created {created}, from {datasets}", "dim")
    if is_wide:
        console.print_table(table)


def _field(manifest: dict[str, Any], name: str) -> str:
    value = manifest.get(name)
    return f"{value:,}" if isinstance(value, int) else "-" if value is None else str(value)


def _datasets(manifest: dict[str, Any]) -> str:
    """Return the datasets that a version's manifest names, as text such as `fx v20261030, macro v00000007`.

    The result is `-` if the manifest names no dataset.
    """
    inputs = manifest.get("inputs")
    named = [item for item in inputs if isinstance(item, dict)] if isinstance(inputs, list) else []
    pairs = (f"{item.get('dataset_id', '?')} {item.get('dataset_version') or ''}".rstrip() for item in named)
    return ", ".join(dict.fromkeys(pairs)) or "-"


def _state(metric: Metric, version: str) -> str:
    is_committed = metric.is_committed(version)
    if is_committed and metric.is_current(version):
        return "current (rolled back)" if metric.current and metric.current.rolled_back_at else "current"
    return metric.problem(version) or ("committed" if is_committed else "not committed")


def _document(metric: Metric, version: str) -> dict[str, Any]:
    manifest, is_current = metric.manifest(version), metric.is_current(version)
    chosen_at = metric.current.rolled_back_at if metric.current and is_current else None
    return {
        "version_ts": version,
        "manifest": metric.keys.manifest(version),
        "committed": metric.is_committed(version),
        "current": is_current,
        "rolled_back_at": iso(chosen_at, "milliseconds") if chosen_at else None,
        "problem": metric.problem(version) or None,
        **{name: manifest.get(name) for name in ("run_id", "requested_at", "created_at", "row_count")},
        "datasets": _datasets(manifest),
    }

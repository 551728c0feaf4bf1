"""`metrics history`: the versions of a metric, as their manifests and markers have them."""

from typing import Annotated, Any

import typer

from metrics_tools import console
from metrics_tools.buckets.places import BucketOption, FolderOption, metrics_prefix
from metrics_tools.command_line.published_metric import CodeArgument, no_such_metric, published_place
from metrics_tools.console import JsonOption, emit, impossible
from metrics_tools.formatting import count
from metrics_tools.published.versions import Entry, entries, keys_of, version_names
from metrics_worker.errors import MetricsWorkerError
from metrics_worker.publication.records import Keys

_WIDE = 140
"""Columns of a terminal that has room for a version in a line."""


def history(
    code: CodeArgument,
    *,
    bucket: BucketOption = None,
    folder: FolderOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The newest versions to show.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the versions of a metric, newest first: when asked for, from what, which is current.

    A version is committed where its run's marker names it; any other is
    left from a run that died, lost a race, or is still under way. Costs a
    listing, and two small requests for each version that is shown.

    Exit: 0 listed, 2 impossible, or there is no such metric.

    [bold]Examples[/bold]

      metrics history fx.usd_per_brl --bucket my-data

      metrics history fx.usd_per_brl --folder data --limit 5 --json
    """
    place = published_place(bucket, folder)
    keys = keys_of(code, metrics_prefix())
    try:
        names = version_names(place.bucket, keys)
        if not names:
            raise no_such_metric(code, place)
        shown = entries(place.bucket, keys, names[:limit])
    except MetricsWorkerError as error:
        raise impossible(f"{place.label}: {error}") from error
    if as_json:
        emit(
            {
                "place": place.label,
                "metric_code": code,
                "versions_in_all": len(names),
                "versions": [_document(entry, keys) for entry in shown],
            }
        )
        return
    console.print_line(f"{code} at {place.label}: {count(len(names), 'version')}", "bold")
    _tell(shown)
    if len(names) > len(shown):
        console.print_line(f"… and {len(names) - len(shown):,} older (--limit)", "dim")


def _field(entry: Entry, name: str) -> str:
    value = (entry.manifest or {}).get(name)
    return "-" if value is None else str(value)


def _datasets(entry: Entry) -> str:
    """The datasets that a version was read from, with their versions."""
    inputs = (entry.manifest or {}).get("inputs")
    named = [item for item in inputs if isinstance(item, dict)] if isinstance(inputs, list) else []
    pairs = (f"{item.get('dataset_id', '?')} {item.get('dataset_version') or ''}".rstrip() for item in named)
    return ", ".join(dict.fromkeys(pairs)) or "-"


def _state(entry: Entry) -> str:
    if entry.is_current and entry.committed:
        return "current (rolled back)" if entry.rolled_back_at else "current"
    return entry.problem or ("committed" if entry.committed else "not committed")


def _rows(entry: Entry) -> str:
    rows = (entry.manifest or {}).get("row_count")
    return f"{rows:,}" if isinstance(rows, int) else _field(entry, "row_count")


def _style(entry: Entry) -> str:
    return "dim" if not entry.committed else "bold" if entry.is_current else ""


def _tell(shown: list[Entry]) -> None:
    """A line for each version where there is room for it, or else two."""
    if not console.is_wide(_WIDE):
        for entry in shown:
            rows, asked = _rows(entry), _field(entry, "requested_at")
            console.print_line(
                f"{entry.version_ts}  {_state(entry)}, {rows} rows, asked for {asked}", _style(entry)
            )
            run, created = _field(entry, "run_id"), _field(entry, "created_at")
            console.print_line(f"  run {run}, created {created}, from {_datasets(entry)}", "dim")
        return
    table = console.new_table(
        "version", "is", "asked for", "created", numbers=("rows",), more=("datasets", "run")
    )
    for entry in shown:
        fields = _field(entry, "requested_at"), _field(entry, "created_at"), _rows(entry)
        cells = entry.version_ts, _state(entry), *fields, _datasets(entry), _field(entry, "run_id")
        console.add_row(table, *cells, style=_style(entry))
    console.print_table(table)


def _document(entry: Entry, keys: Keys) -> dict[str, Any]:
    manifest = entry.manifest or {}
    return {
        "version_ts": entry.version_ts,
        "manifest": keys.manifest(entry.version_ts),
        "committed": entry.committed,
        "current": entry.is_current,
        "rolled_back_at": entry.rolled_back_at,
        "problem": entry.problem or None,
        **{name: manifest.get(name) for name in ("run_id", "requested_at", "created_at", "row_count")},
        "datasets": _datasets(entry),
    }

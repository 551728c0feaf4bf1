"""`metrics series`: list the series of a dataset, or the datasets of a location."""

from difflib import get_close_matches
from typing import Annotated, Any

import typer

from metrics_tools import console
from metrics_tools.buckets.places import Place
from metrics_tools.command_line.options import BucketOption, DemoOption, FolderOption, JsonOption
from metrics_tools.command_line.published_metric import published_place
from metrics_tools.console import WRONG, emit, impossible
from metrics_tools.formatting import count, iso_time, shown_time
from metrics_tools.published.dataset_series import (
    SeriesSummary,
    newest_manifest,
    read_summaries,
    series_of_dataset,
)
from metrics_tools.runs.computing import settings_for
from metrics_tools.validate.discovery import newest
from metrics_worker.settings import Settings

_MOST_NAMED = 20
"""The most datasets that an error names."""


def series(
    dataset: Annotated[
        str | None,
        typer.Argument(metavar="DATASET", help="The id of the dataset; without it, all datasets are listed."),
    ] = None,
    *,
    bucket: BucketOption = None,
    folder: FolderOption = None,
    demo: DemoOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the series of a dataset, with their part files, observations and rows.

    Without DATASET, the command lists the datasets of the location, each
    with its newest version and the number of series in its manifest.

    The newest version of the dataset is read as the worker reads it, with
    WORKER_SERIES_FILES from the environment. A series with a snapshot costs
    two requests, and one for each part file that changed since the
    snapshot. Without a snapshot, each part
    file costs one request: 275 for a series of 23 years. A series that
    cannot be read is listed with the error.

    Exit: 0 listed, 1 a series or a manifest cannot be read, 2 there is no
    such dataset, or the command could not complete.

    [bold]Examples[/bold]

      metrics series --bucket my-data

      metrics series fx --bucket my-data

      metrics series ecb_fx --demo --json
    """
    with published_place(bucket=bucket, folder=folder, demo=demo) as place:
        settings = settings_for(place.bucket.name)
        if dataset is None:
            _list_datasets(place, settings, as_json=as_json)
            return
        manifest = newest_manifest(place.bucket, settings, dataset)
        if manifest is None:
            raise _no_such_dataset(dataset, place, settings)
        codes = series_of_dataset(place.bucket, manifest, settings)
        found = list(read_summaries(place.bucket, manifest, codes, settings))
    version = manifest.version_id
    if as_json:
        described = [_document(one) for one in found]
        emit({"place": place.label, "dataset": dataset, "version": version, "series": described})
    else:
        title = f"{dataset} {version or ''}".rstrip()
        console.print_line(f"{title} at {place.label}: {count(len(found), 'series', 'series')}", "bold")
        _print(found)
    if any(one.problem for one in found):
        raise typer.Exit(WRONG)


def _list_datasets(place: Place, settings: Settings, *, as_json: bool) -> None:
    """Print the datasets of a location, each with its newest version and its number of series.

    If there is none, or if a manifest cannot be read, the command ends with an error.
    """
    found = newest(place.bucket, settings.datasets_prefix)
    if not found.datasets:
        raise impossible(f"{place.label}: there is no {settings.datasets_prefix}*/versions/*/manifest.json.")
    rows = []
    for name, dataset in sorted(found.datasets.items()):
        manifest = found.manifests.get(name)
        codes = manifest.series_codes if manifest else None
        folder = dataset.manifest_key.split("/")[-2]
        rows.append(
            {
                "dataset": name,
                "version": (manifest.version_id if manifest else None) or folder,
                "series": None if codes is None else len(codes),
                "manifest": dataset.manifest_key,
                "problem": None if manifest else "the manifest cannot be read",
            }
        )
    if as_json:
        emit({"place": place.label, "datasets": rows})
    else:
        table = console.new_table("dataset", "version", numbers=("series",), more=("note",))
        for row in rows:
            number = "-" if row["series"] is None else f"{row['series']:,}"
            console.add_row(
                table, str(row["dataset"]), str(row["version"]), number, str(row["problem"] or "")
            )
        console.print_line(f"{count(len(rows), 'dataset')} at {place.label}", "bold")
        console.print_table(table)
    if len(found.manifests) < len(rows):
        raise typer.Exit(WRONG)


def _no_such_dataset(dataset: str, place: Place, settings: Settings) -> typer.Exit:
    prefix = settings.datasets_prefix
    ids = [name.removeprefix(prefix).rstrip("/") for name in place.bucket.list_folders(prefix)]
    alike = get_close_matches(dataset, ids, 3, 0.5)
    named = [*alike, *(name for name in sorted(ids) if name not in alike)]
    more = f" and {len(ids) - _MOST_NAMED:,} more" if len(ids) > _MOST_NAMED else ""
    hint = f" There is {', '.join(named[:_MOST_NAMED])}{more}." if ids else " There is no dataset."
    return impossible(f"{prefix}{dataset}/versions/ has no manifest at {place.label}.{hint}")


def _print(found: list[SeriesSummary]) -> None:
    table = console.new_table(
        "series", "first", "last", numbers=("files", "rows", "observations"), more=("note",)
    )
    for one in found:
        if one.found is None:
            console.add_row(table, one.code, "-", "-", "-", "-", "-", one.problem, style="red")
            continue
        cleaned = one.found.cleaned
        times, left_out = cleaned.series.times, cleaned.rows - len(cleaned.series)
        first, last = shown_time(int(times[0])), shown_time(int(times[-1]))
        numbers = (f"{n:,}" for n in (one.found.part_files, cleaned.rows, times.size))
        note = f"{count(left_out, 'row')} left out" if left_out else ""
        console.add_row(table, one.code, first, last, *numbers, note)
    console.print_table(table)


def _document(one: SeriesSummary) -> dict[str, Any]:
    if one.found is None:
        return {"series_code": one.code, "problem": one.problem}
    cleaned = one.found.cleaned
    times = cleaned.series.times
    return {
        "series_code": one.code,
        "part_files": one.found.part_files,
        "part_files_read": one.found.part_files_read,
        "first_observation": iso_time(int(times[0])),
        "last_observation": iso_time(int(times[-1])),
        "rows": cleaned.rows,
        "observations": len(cleaned.series),
        **{name: getattr(cleaned, name) for name in ("null", "nan", "infinite", "duplicate")},
        "problem": None,
    }

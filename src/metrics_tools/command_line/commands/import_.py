"""`metrics import`: import a series from a file into a dataset.

The names of the module and its function end in `_`, because `import` is a keyword of Python.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from metrics_tools import console
from metrics_tools.command_line.options import BucketOption, FolderOption, JsonOption
from metrics_tools.command_line.published_metric import published_place
from metrics_tools.console import emit, impossible
from metrics_tools.describe.formula import formula
from metrics_tools.formatting import count, iso_time, shown_time
from metrics_tools.importing.dataset import (
    ForeignDatasetError,
    ImportedSeries,
    import_series,
    other_datasets,
)
from metrics_tools.importing.observations import Observations, read_observations
from metrics_tools.importing.table import FileRefusedError
from metrics_tools.part_files import Description, Extent
from metrics_tools.runs.computing import settings_for
from metrics_worker.expression.nodes import SeriesRef, WindowOp
from metrics_worker.names import ID_RULE, is_id

_WINDOW = 3


def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A CSV file with a header, or a Parquet file.")
    ],
    *,
    dataset: Annotated[str, typer.Option("--dataset", help="The id of the dataset; it may be new.")],
    series: Annotated[str, typer.Option("--series", help="The code of the series in expressions.")],
    bucket: BucketOption = None,
    folder: FolderOption = None,
    time: Annotated[
        str | None,
        typer.Option("--time", help="The column with the times. Default: the only one with dates."),
    ] = None,
    value: Annotated[
        str | None,
        typer.Option("--value", help="The column with the values. Default: the only other one with numbers."),
    ] = None,
    unit: Annotated[str | None, typer.Option("--unit", help="The unit of the values, such as USD.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Import a series from a CSV file into a dataset of your own.

    The file needs a header, a column of times and a column of numbers. If
    several columns have times or numbers, --time and --value are required. A
    time is a date or time in ISO 8601 (without a zone in UTC), or a month or
    quarter such as 2025-01 or 2025-Q1, which means its first day. A row with
    an empty cell in one of the two columns is skipped.

    The command writes one part file for each month, and then a new version
    of the dataset, which also has all other imported series. Importing a
    series again replaces it. Nothing is deleted. A dataset that another
    program writes is never changed.

    Exit: 0 imported, 2 the command could not complete.

    [bold]Examples[/bold]

      metrics import prices.csv --dataset my_data --series PRICES --folder data

      metrics import cpi.csv --dataset macro --series CPI --value index --bucket my-data
    """
    for option, given in (("--dataset", dataset), ("--series", series)):
        if not is_id(given):
            raise impossible(f"{option} {given!r}: expected {ID_RULE}.")
    try:
        found = read_observations(file, time=time, value=value)
        if folder is not None and bucket is None:
            folder.mkdir(parents=True, exist_ok=True)
    except FileRefusedError as error:
        raise impossible(f"{error} Nothing was written.") from error
    except OSError as error:
        raise impossible(f"{folder}: {error.strerror}.") from error
    now = datetime.now(UTC).replace(microsecond=0)
    with published_place(bucket=bucket, folder=folder) as place:
        settings = settings_for(place.bucket.name)
        base = f"{settings.datasets_prefix}{dataset}/"
        described = Description(series, unit, None, now)
        try:
            done = import_series(
                place.bucket, base, found.cleaned.series, described, now=lambda: datetime.now(UTC)
            )
        except ForeignDatasetError as error:
            hint = "Choose another --dataset. Nothing was written."
            raise impossible(f"{place.label}: {error}. {hint}") from error
        also_in = other_datasets(place.bucket, settings.datasets_prefix, done)
    if as_json:
        emit({"place": place.label, **_document(found, done), "also_in": also_in})
        return
    _print(found, done, place.label)
    if done.replaced and settings.series_files == "listing":
        note = "WORKER_SERIES_FILES=listing: observations that only the earlier import had are still read."
        console.print_line(note, "yellow")
    if also_in:
        _print_ambiguous_code(done, also_in)
        return
    where = f"--bucket {bucket}" if bucket else f"--folder {quote(str(folder))}"
    mean = formula(WindowOp(op="sma", series=SeriesRef(series_code=series), window=_WINDOW))
    console.print_line(f"Next, compute a metric, such as the mean of {_WINDOW} observations:", "dim")
    console.print_line(f"  metrics run {quote(mean)} {where}")


def _document(found: Observations, done: ImportedSeries) -> dict[str, Any]:
    """Return the result of an import in the form that `metrics import --json` prints.

    The result contains the fields of `done`, the names of the two columns that were read, the number of the
    line with these names, the number of observations, their first and last time, and the counts of skipped
    rows by reason.
    """
    extent = Extent.of(found.cleaned.series)
    return {
        **asdict(done),
        "time_column": found.time_column,
        "value_column": found.value_column,
        "header_line": found.header_line,
        "observations": extent.observations,
        "first": iso_time(extent.first),
        "last": iso_time(extent.last),
        **{name: getattr(found.cleaned, name) for name in ("rows", "null", "nan", "infinite", "duplicate")},
    }


def _print(found: Observations, done: ImportedSeries, label: str) -> None:
    """Print the imported series, the columns it was read from, and the number of skipped rows.

    Args:
        found: the observations in the file.
        done: the result of the import.
        label: the name of the location.
    """
    extent = Extent.of(found.cleaned.series)
    console.print_line(
        f"{done.series_code} at {label}: {count(extent.observations, 'observation')}, "
        f"{shown_time(extent.first)} to {shown_time(extent.last)}, in {count(done.part_files, 'part file')}",
        "green",
    )
    times, values = (name or "without a name" for name in (found.time_column, found.value_column))
    console.print_line(f"times from column {times}, values from column {values}")
    if found.header_line > 1:
        console.print_line(f"header in line {found.header_line}; the lines above it are left out", "yellow")
    if found.cleaned.null:
        console.print_line(f"{count(found.cleaned.null, 'row')} without a time or a value left out")
    if found.cleaned.duplicate:
        replaced = count(found.cleaned.duplicate, "row")
        console.print_line(f"{replaced} left out, because a later row has the same time", "yellow")
    if done.replaced:
        before = done.replaced
        console.print_line(
            f"replaces {count(before.observations, 'observation')}, {shown_time(before.first)} to "
            f"{shown_time(before.last)}; {count(done.part_files_written, 'part file')} changed"
        )
    console.print_line(
        f"dataset {done.dataset}, version {done.version}: {count(done.series, 'series', 'series')}"
    )


def _print_ambiguous_code(done: ImportedSeries, also_in: list[str]) -> None:
    """Print a warning about a series code that other datasets have, too.

    Args:
        done: the result of the import.
        also_in: the ids of the other datasets.
    """
    code = done.series_code
    problem = f"{code} is also in {', '.join(also_in)}: a formula with {code} ends with an error"
    remedy = f"To undo the import, delete {done.manifest}, and use another --series."
    console.print_line(f"{problem}. {remedy}", "yellow")

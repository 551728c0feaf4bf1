"""`metrics compare`: the differences between two versions, requests or Parquet files."""

import math
from typing import Annotated, Any

import typer
from rich.table import Table

from metrics_tools import console
from metrics_tools.buckets.places import open_place
from metrics_tools.command_line.options import BucketOption, DemoOption, FolderOption, JsonOption, PlotOption
from metrics_tools.console import WRONG, emit, impossible
from metrics_tools.formatting import count, iso_time, shown_time
from metrics_tools.runs import plots, tables
from metrics_tools.runs.comparing import (
    Differences,
    Side,
    differences,
    is_version,
    read_side,
    requests_in,
)
from metrics_tools.runs.samples import demo_for


def compare(
    first: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="Before: CODE@VERSION, CODE@current, a file with a request, a formula, or a Parquet file.",
        ),
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="After: one of the same kinds.")],
    *,
    bucket: BucketOption = None,
    folder: FolderOption = None,
    demo: DemoOption = False,
    tolerance: Annotated[
        float,
        typer.Option("--tolerance", min=0, help="Largest relative difference of equal values; 0 is exact."),
    ] = 0.0,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Number of rows to show of each kind.")] = 5,
    plot: PlotOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare two versions of a metric, or a request that is computed now with a version.

    Show which rows only B has (added), only A has (gone) and both have
    with different values (changed), and the largest differences. Each side
    is a published version (as `metrics history` lists them), a file with a
    request or a formula, which is computed and not published, or a Parquet
    file with the columns obs_time and value.

    Exit: 0 no difference, 1 differences, 2 the command could not complete.

    [bold]Examples[/bold]

      metrics compare fx.usd@2026-10-30T12-00-00 fx.usd@current --bucket data

      metrics compare fx.usd@current my-change.json --folder data --plot

      metrics compare before.parquet after.parquet --tolerance 1e-12 --json
    """
    sides = [first, second]
    if not (bucket or folder) and any(map(is_version, sides)):
        raise impossible("Give the location of the versions: --bucket NAME or --folder FOLDER.")
    if not math.isfinite(tolerance):
        raise impossible("--tolerance must be a finite number, such as 1e-9.")
    place = open_place(bucket, folder, demo=demo, files=sides)
    requests = requests_in(sides, place)
    if place is None and requests:
        place = demo_for(requests, sides)
    before, after = (read_side(side, place) for side in sides)
    found = differences(before.series, after.series, tolerance)
    if as_json:
        emit(_document(before, after, found, rows) | {"tolerance": tolerance})
    else:
        for name, side in (("A", before), ("B", after)):
            console.print_line(f"{name}  {side.label}: {count(len(side.series), 'row')}")
        _print_differences(found, f" (within {tolerance:g})" if tolerance else "", rows)
        if plot:
            plots.plot([("A", before.series), ("B", after.series)], "A and B")
            if found.times.size:
                plots.plot([("B - A", found.changed)], "B - A, where they differ")
    if found.any:
        raise typer.Exit(WRONG)


def _print_differences(found: Differences, within: str, few: int) -> None:
    if not found.any:
        console.print_line(f"The same{within}: {count(found.both, 'row')}", "green")
        return
    added, gone, changed = len(found.added), len(found.gone), found.times.size
    same = f"{found.both - changed:,} the same{within}"
    console.print_line(f"{added:,} added, {gone:,} gone, {changed:,} changed, {same}", "yellow")
    for name, series in (("added", found.added), ("gone", found.gone)):
        if len(series) and few:
            console.print_line(f"\n{name}")
            console.print_table(tables.rows(series, "", max(1, few // 2)))
    if changed and few:
        console.print_line("\nlargest differences")
        console.print_table(_largest(found, few))


def _largest(found: Differences, few: int) -> Table:
    """Return a table of the `few` changed rows with the largest absolute differences, the largest first.

    The columns are the time, the values of the sides A and B, B - A, and the relative difference.
    """
    table = console.new_table("obs_time", numbers=("A", "B", "B - A", "relative"))
    for time, before, after, relative in found.largest(few):
        numbers = f"{before:.10g}", f"{after:.10g}", f"{after - before:+.6g}", f"{relative:.2g}"
        console.add_row(table, shown_time(time), *numbers)
    return table


def _document(before: Side, after: Side, found: Differences, few: int) -> dict[str, Any]:
    """Return the differences in the form that `metrics compare --json` prints.

    The result contains the label and the number of rows of each side, the counts of added, gone and changed
    rows, the first added and the first gone rows, and the changed rows with the largest differences.

    Args:
        before: the first side of the comparison.
        after: the second side of the comparison.
        found: the differences.
        few: the largest number of rows of each kind (added, gone, changed) in the result.
    """
    return {
        "a": {"is": before.label, "rows": len(before.series)},
        "b": {"is": after.label, "rows": len(after.series)},
        "same": not found.any,
        "added": len(found.added),
        "gone": len(found.gone),
        "changed": int(found.times.size),
        "first_added": tables.observations(found.added, slice(few)),
        "first_gone": tables.observations(found.gone, slice(few)),
        "largest": [
            {"obs_time": iso_time(time), "a": before, "b": after, "relative": relative}
            for time, before, after, relative in found.largest(few)
        ],
    }

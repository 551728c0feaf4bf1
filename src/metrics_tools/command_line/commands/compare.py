"""`metrics compare`: what a change does to a metric, before anyone makes it."""

import math
from typing import Annotated, Any

import typer
from rich.table import Table

from metrics_tools import console
from metrics_tools.buckets.places import BucketOption, DemoOption, FolderOption, open_place
from metrics_tools.console import WRONG, JsonOption, emit, impossible
from metrics_tools.runs import plots, tables
from metrics_tools.runs.differences import Differences, differences
from metrics_tools.runs.operands import Operand, is_version, read_operand, requests_in
from metrics_tools.runs.requests import demo_for


def compare(
    first: Annotated[
        str,
        typer.Argument(
            metavar="A", help="Before: CODE@VERSION, CODE@current, a request's file, or a Parquet file."
        ),
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="After: the same choice.")],
    *,
    bucket: BucketOption = None,
    folder: FolderOption = None,
    demo: DemoOption = False,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0, help="Relative: 1e-9 lets a billionth pass. 0 is exact.")
    ] = 0.0,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Rows of each kind to show.")] = 5,
    plot: Annotated[
        bool, typer.Option("--plot", help="Plot both over each other, and the difference.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare two versions of a metric, or a request that is computed now with a version.

    Says which rows are added, gone and changed, and where the largest
    differences are. Each side is a published version (as `metrics history`
    lists them), a request's file, which is computed and not published, or a
    Parquet file with obs_time and value.

    Exit: 0 the same, 1 they differ, 2 impossible.

    [bold]Examples[/bold]

      metrics compare fx.usd@2026-10-30T12-00-00 fx.usd@current --bucket data

      metrics compare fx.usd@current my-change.json --folder data --plot

      metrics compare before.parquet after.parquet --tolerance 1e-12 --json
    """
    sides = [first, second]
    if not (bucket or folder) and any(map(is_version, sides)):
        raise impossible("Where are the versions published? Say --bucket NAME or --folder FOLDER.")
    place = open_place(bucket, folder, demo=demo, files=sides)
    requests = requests_in(sides, place)
    if place is None and requests:
        place = demo_for(requests, sides)
    before, after = (read_operand(side, place) for side in sides)
    if not math.isfinite(tolerance):
        raise impossible("--tolerance: a finite number is needed, such as 1e-9.")
    found = differences(before.series, after.series, tolerance)
    if as_json:
        emit(_document(before, after, found, tolerance, rows))
    else:
        _tell(before, after, found, tolerance, rows)
        if plot:
            plots.plot([("A", before.series), ("B", after.series)], "A and B")
            if found.times.size:
                plots.plot([("B - A", found.changed)], "B - A, where they differ")
    if found.any:
        raise typer.Exit(WRONG)


def _tell(before: Operand, after: Operand, found: Differences, tolerance: float, few: int) -> None:
    """The differences, for people."""
    for name, side in (("A", before), ("B", after)):
        console.print_line(f"{name}  {side.label}: {console.count(len(side.series), 'row')}")
    within = f" (within {tolerance:g})" if tolerance else ""
    if not found.any:
        console.print_line(f"The same{within}: {console.count(found.both, 'row')}", "green")
        return
    same = found.both - found.times.size
    console.print_line(
        f"{len(found.added):,} added, {len(found.gone):,} gone, {found.times.size:,} changed, "
        f"{same:,} the same{within}",
        "yellow",
    )
    for name, series in (("added", found.added), ("gone", found.gone)):
        if len(series) and few:
            console.print_line(f"\n{name}")
            console.print_table(tables.rows(series, "", max(1, few // 2)))
    if found.times.size and few:
        console.print_line("\nlargest differences")
        console.print_table(_largest(found, few))


def _largest(found: Differences, few: int) -> Table:
    table = console.new_table("obs_time", numbers=("A", "B", "B - A", "relative"))
    relative = found.relative
    for at in found.largest(few):
        before, after = float(found.before[at]), float(found.after[at])
        numbers = f"{before:.10g}", f"{after:.10g}", f"{after - before:+.6g}", f"{relative[at]:.2g}"
        console.add_row(table, plots.shown_time(found.times[at]), *numbers)
    return table


def _document(
    before: Operand, after: Operand, found: Differences, tolerance: float, few: int
) -> dict[str, Any]:
    relative = found.relative
    return {
        "a": {"is": before.label, "rows": len(before.series)},
        "b": {"is": after.label, "rows": len(after.series)},
        "tolerance": tolerance,
        "same": not found.any,
        "added": len(found.added),
        "gone": len(found.gone),
        "changed": int(found.times.size),
        "first_added": list(tables.observations(found.added, range(min(few, len(found.added))))),
        "first_gone": list(tables.observations(found.gone, range(min(few, len(found.gone))))),
        "largest": [
            {
                "obs_time": plots.iso_time(found.times[at]),
                "a": float(found.before[at]),
                "b": float(found.after[at]),
                "relative": float(relative[at]),
            }
            for at in found.largest(few)
        ],
    }

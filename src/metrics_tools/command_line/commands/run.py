"""`metrics run`: compute a metric on this machine, and publish it only with --publish."""

import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from metrics_tools import console
from metrics_tools.buckets.places import Place, open_place
from metrics_tools.command_line.options import (
    BucketOption,
    DemoOption,
    FileArgument,
    FolderOption,
    JsonOption,
    KeepRunIdOption,
    ManifestOption,
    PlotOption,
)
from metrics_tools.console import IMPOSSIBLE, WRONG, emit, err, impossible
from metrics_tools.describe.formula import formula
from metrics_tools.formatting import count
from metrics_tools.request_files import Sample
from metrics_tools.runs import plots, tables
from metrics_tools.runs.computing import Computed, LocalWorker
from metrics_tools.runs.samples import (
    demo_for,
    print_reasons,
    print_warnings,
    read_requests,
    warnings_about,
)
from metrics_tools.runs.written import OutputFiles, title_of
from metrics_worker.errors import MetricsWorkerError


def run(
    file: FileArgument,
    *,
    bucket: BucketOption = None,
    folder: FolderOption = None,
    demo: DemoOption = False,
    manifest: ManifestOption = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Commit the version to the bucket or folder, and move current.")
    ] = False,
    keep_run_id: KeepRunIdOption = False,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Number of first and last rows to show.")] = 3,
    plot: PlotOption = False,
    png: Annotated[
        Path | None,
        typer.Option("--png", help="Draw the metric and its inputs as a PNG; - is standard output."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write an HTML page with chart, tree, requests and events; or -."),
    ] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the rows as CSV; or -.")] = None,
    parquet: Annotated[
        Path | None,
        typer.Option("--parquet", help="Write metrics.parquet as it would be published; or -."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compute a metric on this machine with the worker's own code, and show it.

    Without --publish, nothing is published: the run writes to memory. With
    --publish, the version is committed as the worker does it, but no status
    events are sent: the control plane does not know the run. Without a
    location, a request that reads only the dataset ecb_fx is computed from
    the demo data. After a successful run, the command prints the warnings of
    `metrics validate`; they change neither the version nor the exit code.

    Exit: 0 computed, 1 the run failed, 2 the command could not complete, or
    the location did not answer.

    [bold]Examples[/bold]

      metrics run events/momentum.json --plot

      metrics run my.json --folder data --png my.png --csv my.csv

      metrics run "ECB_USD_EUR_D / ECB_GBP_EUR_D" --demo --plot

      AWS_PROFILE=prod metrics run my.json --bucket my-data --publish
    """
    if publish and (demo or (bucket is None and folder is None)):
        raise impossible(
            "The demo data is in memory, so nothing can be published there. `metrics demo FOLDER` writes it "
            "to a folder; then: metrics run FILE --folder FOLDER --publish"
        )
    place = open_place(bucket, folder, demo=demo, files=[file])
    samples = read_requests(file, lambda: place, manifest or ())
    files = OutputFiles(png, csv_file, parquet, html)
    files.check(samples, as_json=as_json)
    place = place or demo_for(samples, [file])
    computed = _compute(samples, place, publish=publish, keep_run_id=keep_run_id)
    if as_json:
        runs = [tables.document(found, published=publish, few=rows) for found in computed]
        emit({"place": place.label, "published": publish, "runs": runs})
    else:
        with files.reporting():
            for sample, found in zip(samples, computed, strict=True):
                console.print_line(f"{sample.metric_code}  {title_of(sample)}".rstrip(), "bold")
                if sample.expression is not None:
                    console.print_line(f"  {formula(sample.expression)}")
                if found.error is None:
                    _print_fate(found, place, publish=publish)
                    if found.warnings:
                        print_warnings(sample, found.warnings)
                        console.print_line()
                    _print_result(sample, found, few=rows, plot=plot)
                else:
                    _print_error(sample, found, found.error, place)
    # Last: a file that cannot be written must not hide that a version was published.
    files.write(samples, computed, place, "" if publish else " Nothing was published.")
    outcomes = {found.outcome for found in computed}
    if outcomes != {"SUCCESS"}:
        raise typer.Exit(IMPOSSIBLE if "RETURNED" in outcomes else WRONG)


def _compute(samples: Sequence[Sample], place: Place, *, publish: bool, keep_run_id: bool) -> list[Computed]:
    """Compute the requests one after the other, and return their results in the same order.

    A terminal shows a progress bar. If the location does not answer, the command ends with exit code 2.

    Args:
        samples: the requests.
        place: the location of the datasets.
        publish: whether the versions are written to the location, and not only to memory.
        keep_run_id: whether each run has the run id of its request; if false, each run gets a new run id.
    """
    name, share = (
        TextColumn(x, markup=False) for x in ("{task.description}", "{task.percentage:>3.0f} % read")
    )
    columns = name, BarColumn(), share, TimeElapsedColumn()
    bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
    task, computed = bar.add_task("", total=1.0), []

    def advance(part: float) -> None:
        bar.update(task, completed=part)

    try:
        with bar, LocalWorker.at(place, publish=publish, on_progress=advance) as worker:
            for sample in samples:
                bar.reset(task, description=sample.metric_code)
                found = worker.compute(sample, run_id=sample.run_id if keep_run_id else None)
                if found.outcome == "SUCCESS" and not found.report.rolled_forward:
                    with suppress(typer.Exit):  # S3 failed after the run; the error is printed.
                        found = replace(found, warnings=warnings_about(sample, place, worker.datasets))
                computed.append(found)
    except MetricsWorkerError as error:
        raise impossible(f"{place.label}: {error}") from error
    return computed


def _print_error(sample: Sample, computed: Computed, error: MetricsWorkerError, place: Place) -> None:
    """Print the error of a run, the problems that `metrics validate` finds in its request, and a remedy.

    Args:
        sample: the request.
        computed: the run.
        error: its error.
        place: the location from which the run read.
    """
    outcome = "FAILURE" if computed.outcome == "FAILURE" else "no outcome"
    console.print_line(f"  {outcome}  {computed.code}", "red")
    console.print_line(f"  {error.message}")
    if computed.outcome == "FAILURE":
        print_reasons(sample, place)
    console.print_line(f"  {tables.remedy(computed.code)}", "dim")
    if (defect := computed.report.defect) is not None:
        err.print("".join(traceback.format_exception(defect)))


def _print_fate(computed: Computed, place: Place, *, publish: bool) -> None:
    """Print the number of rows of a successful run, and whether its version is published and current.

    Args:
        computed: the run.
        place: the location from which the run read.
        publish: whether the run was allowed to publish to the location.
    """
    report = computed.report
    console.print_line(f"  SUCCESS  {count(report.row_count or 0, 'row')} from {place.label}", "green")
    if publish:
        how = "was committed before, nothing was computed" if report.rolled_forward else "published"
        console.print_line(f"  {how}: version {report.version_ts}, run {report.run_id}, at {place.label}")
        current = "it is current" if report.moved_current else "current still names a newer request's version"
        console.print_line(
            f"  {current}; no status events were sent: the control plane does not know this run"
        )
    elif report.rolled_forward:
        console.print_line(f"  run {report.run_id} is committed already, as version {report.version_ts}")
    else:
        console.print_line("  nothing is published (--publish does that)")
    if report.shrunk is not None:
        console.print_line(f"  warning: fewer rows than the version before: {report.shrunk}", "yellow")
    console.print_line()


def _print_result(sample: Sample, computed: Computed, *, few: int, plot: bool) -> None:
    """Print the result of a successful run: its inputs, its rows, its duration and its requests.

    Args:
        sample: the request.
        computed: the run.
        few: the number of first and of last rows to print.
        plot: whether to plot the series in the terminal.
    """
    assert computed.version is not None
    series = computed.version.series
    if computed.report.inputs:
        console.print_table(tables.inputs(computed.report.inputs))
        console.print_line()
    if not len(series):
        console.print_line("The expression is defined nowhere: the version is empty.", "yellow")
    elif few:
        console.print_table(tables.rows(series, sample.unit, few))
        console.print_line()
    if plot:
        plots.plot([(sample.metric_code, series)], f"{sample.metric_code}  {sample.unit}".rstrip())
    console.print_line(f"time      {tables.stages(computed)}", "dim")
    console.print_line(f"requests  {tables.requests(computed)}", "dim")

"""`metrics run`: compute a metric here and now, and show it. Nothing is published without --publish."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from metrics_tools import console
from metrics_tools.buckets.places import (
    BucketOption,
    DemoOption,
    FolderOption,
    Place,
    open_place,
)
from metrics_tools.console import IMPOSSIBLE, WRONG, JsonOption, emit, err, impossible
from metrics_tools.describe.formula import formula
from metrics_tools.request_files import Sample
from metrics_tools.runs import plots, tables
from metrics_tools.runs.computing import Computed, LocalWorker
from metrics_tools.runs.requests import demo_for, read_requests
from metrics_tools.runs.written import Wanted, title_of
from metrics_worker.errors import MetricsWorkerError

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A request: as in events/, or the bare JSON of one.")
]


def run(
    file: FileArgument,
    *,
    bucket: BucketOption = None,
    folder: FolderOption = None,
    demo: DemoOption = False,
    publish: Annotated[
        bool, typer.Option("--publish", help="Commit the version to the bucket or folder, and move current.")
    ] = False,
    keep_run_id: Annotated[
        bool, typer.Option("--keep-run-id", help="Run under the file's own run id, not a fresh one.")
    ] = False,
    rows: Annotated[int, typer.Option("--rows", min=0, help="First and last rows to show.")] = 3,
    plot: Annotated[bool, typer.Option("--plot", help="Plot the metric in the terminal.")] = False,
    png: Annotated[
        Path | None, typer.Option("--png", help="Draw metric and inputs into a PNG; - is standard output.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write a page of all runs: chart, tree, requests, events; - as above."),
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write the values as CSV; - as above.")
    ] = None,
    parquet: Annotated[
        Path | None,
        typer.Option("--parquet", help="Write metrics.parquet, as it would be published; - as above."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compute a metric here and now, with the worker's own code, and look at it.

    Nothing is published unless you say --publish: what the run writes stays
    in memory. With --publish, the version is committed as the worker does
    it, but no status event goes out: the control plane doesn't know the
    run. Without a place, a request over the dataset ecb_fx is computed on
    the demo data.

    Exit: 0 computed, 1 the run failed, 2 impossible, or the place did not
    answer.

    [bold]Examples[/bold]

      metrics run events/momentum.json --plot

      metrics run my.json --folder data --png my.png --csv my.csv

      AWS_PROFILE=prod metrics run my.json --bucket my-data --publish
    """
    if publish and (demo or (bucket is None and folder is None)):
        raise impossible(
            "There is nowhere to publish the demo data's metrics: it is in memory. `metrics demo FOLDER` "
            "writes it into a folder; then: metrics run FILE --folder FOLDER --publish"
        )
    place, wanted = open_place(bucket, folder, demo=demo, files=[file]), Wanted(png, csv_file, parquet, html)
    samples = read_requests(file, lambda: place)
    wanted.check(samples, as_json=as_json)
    place = place or demo_for(samples, [file])
    computed = _compute(samples, place, publish=publish, keep_run_id=keep_run_id)
    if as_json:
        runs = [tables.document(found, published=publish, few=rows) for found in computed]
        emit({"place": place.label, "published": publish, "runs": runs})
    else:
        with wanted.reporting():
            for sample, found in zip(samples, computed, strict=True):
                _tell(sample, found, place, publish=publish, few=rows, plot=plot)
    # Last: a file that can't be written must not hide that a version was published.
    wanted.write(samples, computed, place, "" if publish else " Nothing was published.")
    outcomes = {found.outcome for found in computed}
    if outcomes != {"SUCCESS"}:
        raise typer.Exit(IMPOSSIBLE if "RETURNED" in outcomes else WRONG)


def _compute(samples: Sequence[Sample], place: Place, *, publish: bool, keep_run_id: bool) -> list[Computed]:
    try:
        with _bars(samples) as bars, LocalWorker.at(place, publish=publish, on_progress=bars.tell) as worker:
            return [
                worker.compute(sample, run_id=sample.run_id if keep_run_id else None)
                for sample in bars.each(samples)
            ]
    except MetricsWorkerError as error:
        raise impossible(f"{place.label}: {error}") from error


class _Bars:
    """A bar for the request that is being computed; on standard error, and on a terminal alone."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=1.0)

    def each(self, samples: Sequence[Sample]) -> Iterator[Sample]:
        """The requests, each with a bar of its own."""
        for sample in samples:
            self._progress.reset(self._task, description=sample.metric_code, total=1.0)
            yield sample

    def tell(self, _: str, part: float) -> None:
        """So much is read."""
        self._progress.update(self._task, completed=part)


def _text(template: str) -> TextColumn:
    return TextColumn(template, markup=False)


@contextmanager
def _bars(samples: Sequence[Sample]) -> Iterator[_Bars]:
    columns = _text("{task.description}"), BarColumn(), _text("{task.percentage:>3.0f} % read")
    hidden = not err.is_terminal or not samples
    with Progress(*columns, TimeElapsedColumn(), console=err, transient=True, disable=hidden) as progress:
        yield _Bars(progress)


def _tell(sample: Sample, computed: Computed, place: Place, *, publish: bool, few: int, plot: bool) -> None:
    """A run, for people."""
    report = computed.report
    console.print_line(f"{sample.metric_code}  {title_of(sample)}".rstrip(), "bold")
    if sample.expression is not None:
        console.print_line(f"  {formula(sample.expression)}")
    if computed.error is not None:
        tables.tell_error(computed)
        if report.defect is not None:
            err.print("".join(traceback.format_exception(report.defect)))
        return
    assert computed.version is not None
    series = computed.version.series
    console.print_line(f"  SUCCESS  {console.count(len(series), 'row')} from {place.label}", "green")
    for text in _fate(computed, place, publish=publish):
        console.print_line(f"  {text}")
    console.print_line()
    if computed.report.inputs:
        console.print_table(tables.inputs(computed))
        console.print_line()
    if len(series) and few:
        console.print_table(tables.rows(series, sample.unit, few))
        console.print_line()
    elif not len(series):
        console.print_line("The expression is defined nowhere: the version is empty.", "yellow")
    if plot:
        plots.plot([(sample.metric_code, series)], f"{sample.metric_code}  {sample.unit}".rstrip())
    console.print_line(f"time      {tables.stages(computed)}", "dim")
    console.print_line(f"requests  {tables.requests(computed)}", "dim")


def _fate(computed: Computed, place: Place, *, publish: bool) -> Iterator[str]:
    """What became of the version."""
    report = computed.report
    if not publish:
        if report.rolled_forward:
            yield f"run {report.run_id} is committed already, as version {report.version_ts}: this is it"
        else:
            yield "nothing is published (--publish does that)"
        return
    how = "was committed before, nothing was computed" if report.rolled_forward else "published"
    yield f"{how}: version {report.version_ts}, run {report.run_id}, at {place.label}"
    current = "it is current" if report.moved_current else "current stays: it names a newer request's version"
    yield f"{current}; no status events were sent: the control plane doesn't know this run"

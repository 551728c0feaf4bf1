"""What a run came to, as tables for people and as a document for machines."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from metrics_tools import console
from metrics_tools.runs.computing import Computed
from metrics_tools.runs.plots import iso_time, shown_time
from metrics_tools.runs.remedies import remedy
from metrics_worker.publication.records import InputSummary
from metrics_worker.request import iso
from metrics_worker.series import Series

LEFT_OUT = ("null", "nan", "infinite", "duplicate")
_MEGABYTE = 1_000_000


def left_out(summary: InputSummary) -> str:
    """Rows of an input that became no observation, by reason; a dash where there are none."""
    words = {"duplicate": "of a time that came again"}
    found = [(getattr(summary, name), words.get(name, name)) for name in LEFT_OUT]
    return ", ".join(f"{number:,} {name}" for number, name in found if number) or "-"


def rows(series: Series, unit: str, few: int) -> Table:
    """The first and the last rows of a series."""
    table = console.new_table("obs_time", numbers=(f"value ({unit})" if unit else "value",))
    size = len(series)
    shown = [*range(min(few, size)), None, *range(max(few, size - few), size)]
    for at in shown if size > 2 * few else range(size):
        if at is None:
            console.add_row(table, "…", f"{size - 2 * few:,} more", style="dim")
        else:
            console.add_row(table, shown_time(series.times[at]), f"{series.values[at]:.10g}")
    return table


def inputs(computed: Computed) -> Table:
    """The series that were read, and what became of their rows."""
    table = console.new_table(
        "input", "dataset", numbers=("files", "rows", "observations"), more=("left out",)
    )
    for summary in computed.report.inputs:
        dataset = f"{summary.dataset_id} {summary.dataset_version or ''}".rstrip()
        console.add_row(
            table,
            summary.series_code,
            dataset,
            f"{summary.part_files:,}",
            f"{summary.rows:,}",
            f"{summary.observations:,}",
            left_out(summary),
        )
    return table


def stages(computed: Computed) -> str:
    """The stages of a run with their times, in a line."""
    report = computed.report
    times = " · ".join(f"{name} {seconds:.3f} s" for name, seconds in report.stages.items())
    return f"{times} · in all {report.seconds:.2f} s"


def requests(computed: Computed) -> str:
    """What the run asked of S3, in a line."""
    traffic = computed.report.traffic
    return (
        f"{traffic.gets:,} GET, {traffic.puts:,} PUT, {traffic.lists:,} LIST; "
        f"{traffic.bytes_read / _MEGABYTE:.2f} MB read, {traffic.bytes_written / _MEGABYTE:.2f} MB written"
    )


def tell_error(computed: Computed) -> None:
    """Say what a run failed with, and what to do."""
    assert computed.error is not None
    how = "FAILURE" if computed.outcome == "FAILURE" else "no outcome"
    console.print_line(f"  {how}  {computed.code}", "red")
    console.print_line(f"  {computed.error.message}")
    console.print_line(f"  {remedy(computed.code)}", "dim")


def document(computed: Computed, *, published: bool, few: int) -> dict[str, Any]:
    """A run for machines."""
    report, traffic = computed.report, computed.report.traffic
    found: dict[str, Any] = {
        "run_id": report.run_id,
        "metric_code": report.metric_code,
        "outcome": computed.outcome,
        "published": published and computed.error is None,
        "rolled_forward": report.rolled_forward,
        "version_ts": report.version_ts,
        "is_current": report.moved_current,
        "row_count": report.row_count,
        "inputs": [summary.model_dump() for summary in report.inputs],
        "seconds": report.seconds,
        "stages": report.stages,
        "requests": {"get": traffic.gets, "put": traffic.puts, "list": traffic.lists},
        "bytes": {"read": traffic.bytes_read, "written": traffic.bytes_written},
        "events": [{"at": iso(at, "milliseconds"), "event": event} for at, event in computed.events],
    }
    if computed.error is not None:
        message = computed.error.message
        found["error"] = {"code": computed.code, "message": message, "remedy": remedy(computed.code)}
    if computed.version is not None:
        series = computed.version.series
        found["first"] = list(observations(series, range(min(few, len(series)))))
        found["last"] = list(observations(series, range(max(0, len(series) - few), len(series))))
    return found


def observations(series: Series, at: range) -> Iterator[dict[str, Any]]:
    """Some observations for machines."""
    for n in at:
        yield {"obs_time": iso_time(series.times[n]), "value": float(series.values[n])}

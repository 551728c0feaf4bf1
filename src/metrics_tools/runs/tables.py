"""The result of a local run, as tables and lines of text for people and as JSON for programs."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich.table import Table

from metrics_tools import console
from metrics_tools.formatting import duration, iso_time, shown_time, size
from metrics_tools.runs.computing import Computed
from metrics_worker.publication.records import InputSummary
from metrics_worker.request import iso
from metrics_worker.series import Series

_REMEDIES = {
    "INPUT_READ_ERROR": "Correct the dataset, its manifest or the request's catalog, as the message says.",
    "EXPRESSION_EVAL_ERROR": "Correct the expression at the path in the message: `metrics validate FILE`.",
    "OUTPUT_WRITE_ERROR": "Check the permission to write there: yours, or that of the function's role.",
    "MANIFEST_VALIDATION_ERROR": "Check the object in the message; nothing was committed.",
    "CONFIG_ERROR": "Correct the field of the request, or the environment variable, in the message.",
    "INTERNAL_ERROR": "This is a defect of the worker; the traceback shows where.",
    "StoreUnavailable": "Try again. If the error stays, check bucket, region, AWS_ENDPOINT_URL and network.",
    "CommittedRunError": "The run is committed, but not all of it is readable; see `metrics doctor`.",
    "UnanswerableError": "Correct the request: its type, runId or metricCode is not valid.",
}
"""How to correct an error, by its wire code or, for an error without a wire code, by its class."""
_LEFT_OUT = {"null": "null", "nan": "nan", "infinite": "infinite", "duplicate": "replaced by a later row"}
"""For each count of an input's dropped rows, the reason as text."""


def rows(series: Series, unit: str, few: int) -> Table:
    """Return a table with the times and values of the first `few` and the last `few` rows of a series.

    The heading of the values contains the unit, unless the unit is empty.
    """
    table = console.new_table("obs_time", numbers=(f"value ({unit})" if unit else "value",))
    length = len(series)
    for at in (*range(min(few, length)), *range(max(few, length - few), length)):
        if at == length - few > few:
            console.add_row(table, "…", f"{length - 2 * few:,} more", style="dim")
        console.add_row(table, shown_time(series.times[at]), f"{series.values[at]:.10g}")
    return table


def inputs(summaries: Iterable[InputSummary]) -> Table:
    """Return a table with the dataset, part files, rows, observations and dropped rows of each input."""
    table = console.new_table(
        "input", "dataset", numbers=("files", "rows", "observations"), more=("left out",)
    )
    for found in summaries:
        dataset = f"{found.dataset_id} {found.dataset_version or ''}".rstrip()
        numbers = (f"{number:,}" for number in (found.part_files, found.rows, found.observations))
        dropped = (f"{n:,} {reason}" for name, reason in _LEFT_OUT.items() if (n := getattr(found, name)))
        console.add_row(table, found.series_code, dataset, *numbers, ", ".join(dropped) or "-")
    return table


def stages(computed: Computed) -> str:
    """Return a line with the duration of each stage of a run."""
    report = computed.report
    times = [f"{name} {duration(seconds)}" for name, seconds in report.stages.items()]
    return " · ".join([*times, f"in all {duration(report.seconds)}"])


def requests(computed: Computed) -> str:
    """Return a line with the number of a run's S3 requests, and the bytes that they transferred."""
    traffic = computed.report.traffic
    return (
        f"{traffic.gets:,} GET, {traffic.puts:,} PUT, {traffic.lists:,} LIST; "
        f"{size(traffic.bytes_read)} read, {size(traffic.bytes_written)} written"
    )


def remedy(code: str) -> str:
    """Return a sentence that says how to correct an error. It is never empty.

    Args:
        code: the error's wire code, or its class name if it has no wire code.
    """
    return _REMEDIES.get(code, "The cause may be temporary: try again.")


def document(computed: Computed, *, published: bool, few: int) -> dict[str, Any]:
    """Return the result of a run in the form that `metrics run --json` prints.

    The result contains the outcome, the version, the inputs, the durations, the S3 requests, the
    warnings of `metrics validate` and the events.
    It also contains the error of a failed run, and the first and last rows of a committed version.

    Args:
        computed: the result of the run.
        published: whether the run was allowed to publish the version.
        few: the number of rows to include from the beginning and from the end of the series.
    """
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
        "shrunk": report.shrunk,
        "inputs": [summary.model_dump() for summary in report.inputs],
        "seconds": report.seconds,
        "stages": report.stages,
        "requests": {"get": traffic.gets, "put": traffic.puts, "list": traffic.lists},
        "bytes": {"read": traffic.bytes_read, "written": traffic.bytes_written},
        "warnings": [asdict(problem) for problem in computed.warnings],
        "events": [{"at": iso(at, "milliseconds"), "event": event} for at, event in computed.events],
    }
    if computed.error is not None:
        message = computed.error.message
        found["error"] = {"code": computed.code, "message": message, "remedy": remedy(computed.code)}
    if computed.version is not None:
        series = computed.version.series
        found["first"] = observations(series, slice(few))
        found["last"] = observations(series, slice(max(0, len(series) - few), None))
    return found


def observations(series: Series, part: slice) -> list[dict[str, Any]]:
    """Return the observations in a slice of a series as objects with `obs_time` (ISO 8601) and `value`."""
    pairs = zip(series.times[part], series.values[part].tolist(), strict=True)
    return [{"obs_time": iso_time(time), "value": value} for time, value in pairs]

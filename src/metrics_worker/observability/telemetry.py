"""JSON log lines and CloudWatch metrics (embedded metric format), written with Powertools.

One log line closes each attempt at a run. Each number is written to CloudWatch once, with the dimensions
`service` and `function_name`. Some counts have one further dimension (`error_code`, `outcome` or
`function_version`); only `metric_run_defects_total` is written both with and without it. A metric code is
never a dimension, because CloudWatch charges for each combination of dimension values. The alarms compute
other totals from these numbers (docs/decisions/0009-those-on-call.md).

Only the main thread writes log lines and metrics: Powertools' Metrics is not thread-safe.
"""

import logging
import resource
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import wraps
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from metrics_worker import __version__
from metrics_worker.errors import without_traceback
from metrics_worker.observability.report import GroupReport, RunReport
from metrics_worker.observability.traffic import Trace
from metrics_worker.request import iso

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from metrics_worker.request import Run

type Handler = Callable[[dict[str, Any], "LambdaContext"], dict[str, Any]]
type Value = tuple[str, MetricUnit, float]
"""The name of a metric, its unit, and one value."""

SERVICE = "metrics-worker"
NAMESPACE = "MetricsWorker"

logger = Logger(service=SERVICE, use_rfc3339=True, utc=True, version=__version__)


class _QuietMetrics(AmazonCloudWatchEMFProvider):
    """Powertools' class that writes metrics, without its warning about an invocation that has no metrics."""

    def flush_metrics(self, raise_on_empty_metrics: bool = False) -> None:  # noqa: FBT001, FBT002 - inherited
        if self.metric_set:
            super().flush_metrics(raise_on_empty_metrics)
        else:
            self.clear_metrics()  # this also removes the dimensions of the invocation


metrics = Metrics(provider=_QuietMetrics(namespace=NAMESPACE, service=SERVICE))

MAX_CAUSE = 1000
"""The maximum number of characters of `cause` in a log line."""
DEFECTS = ("INTERNAL_ERROR", "OUTPUT_WRITE_ERROR", "MANIFEST_VALIDATION_ERROR")
"""The error codes of failures that only the worker's operators can correct."""
_MEGA = 1e-6
_NOT_IN_LINE = {
    "began",
    "started_at",
    "defect",
    "heartbeat_may_arrive",
    "inputs",
    "traffic",
    "requested_at",
}
_LINE = [field.name for field in fields(RunReport) if field.name not in _NOT_IN_LINE]
_CLOSING = {"SUCCESS": "run succeeded", "FAILURE": "run failed", "RETURNED": "run given back"}


def measured(handler: Handler) -> Handler:
    """Decorate a Lambda handler, so that its log lines and metrics identify the function.

    Log lines get the function's version, and metrics the function's name. After an invocation that returns,
    the peak memory of the process is also written as a metric. Lambda itself counts an invocation that is
    killed or raises an exception as an error of the function.
    """

    @wraps(handler)
    def run(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
        logger.append_keys(function_version=context.function_version)
        metrics.add_dimension("function_name", context.function_name)
        answer = handler(event, context)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 * _MEGA  # KiB, on Linux
        metrics.add_metric("process_peak_memory_mb", MetricUnit.Megabytes, peak)
        return answer

    return run


def count(name: str, *, function_name: str, and_total: bool = False, **dimensions: str) -> None:
    """Write a CloudWatch metric with the value 1, immediately and apart from the metrics of the invocation.

    Its dimensions are `service`, `function_name` and the given ones.

    Args:
        name: The name of the metric.
        function_name: The name of the Lambda function.
        and_total: Whether the value is also written with `service` and `function_name` only.
        dimensions: The values of the further dimensions, by name.
    """
    own = {"service": SERVICE, "function_name": function_name}
    blob = AmazonCloudWatchEMFProvider(namespace=NAMESPACE, service=SERVICE)
    for dimension, value in (own | dimensions).items():
        blob.add_dimension(dimension, value)
    if and_total:
        blob.add_dimensions(**own)
    blob.add_metric(name, MetricUnit.Count, 1)
    blob.flush_metrics()


def open_run(run: "Run", attempt: int, message_id: str) -> RunReport:
    """Return the report of an attempt that begins now. At log level DEBUG, the report has a trace.

    Args:
        run: The identity of the run.
        attempt: The number of times that the message was received, including this time.
        message_id: The SQS message id.
    """
    report = RunReport(
        run_id=run.run_id,
        metric_code=run.metric_code,
        attempt=attempt,
        message_id=message_id,
        requested_at=run.requested_at,
    )
    if logger.log_level <= logging.DEBUG:
        report.traffic.trace = Trace()
    return report


def close_group(report: GroupReport, context: "LambdaContext") -> None:
    """Write the closing log line and metrics of each attempt, and a log line for each returned message."""
    for run in report.runs:
        close_run(run, context)
    runs = {run.message_id: run for run in report.runs}
    for message_id, error, returns in report.given_back:
        line: dict[str, object] = {"message_id": message_id, "reason": str(error), "comes_back": returns}
        if cause := getattr(error, "__cause__", None):
            line["cause"] = f"{type(cause).__name__}: {cause}"[:MAX_CAUSE]
        if known := runs.get(message_id):
            line |= {"run_id": known.run_id, "metric_code": known.metric_code}
        logger.warning("message given back", extra=line)


def close_run(report: RunReport, context: "LambdaContext") -> None:
    """Write the closing log line and the metrics of one attempt."""
    _log(report)
    for name, unit, value in _values(report):
        metrics.add_metric(name, unit, value)
    if report.outcome == "FAILURE":
        code, function = report.error_code or "INTERNAL_ERROR", context.function_name
        count("metric_runs_failed_total", function_name=function, error_code=code)
        if code in DEFECTS:
            version = context.function_version
            count(
                "metric_run_defects_total", function_name=function, and_total=True, function_version=version
            )


def _log(report: RunReport) -> None:
    line = {name: getattr(report, name) for name in _LINE}
    line |= {"traffic": report.traffic.counts(), "event_type": "metric_run_closed"} | _totals(report)
    if report.traffic.trace is not None:
        line["trace"] = report.traffic.trace.line()
    line["inputs"] = [summary.model_dump() for summary in report.inputs]
    if report.row_count == 0:
        logger.warning(
            "the expression is defined nowhere: an empty version",
            extra={name: line[name] for name in ("run_id", "metric_code", "version_ts")},
        )
    if report.shrunk is not None:
        logger.warning(
            "fewer rows than the version before",
            extra={name: line[name] for name in ("run_id", "metric_code", "version_ts", "shrunk")},
        )
    if report.snapshots_failed:
        logger.warning(
            "snapshots could not be written",
            extra={
                name: line[name] for name in ("run_id", "metric_code", "snapshots_failed", "snapshot_error")
            },
        )
    if report.defect is not None:
        logger.error(_CLOSING[report.outcome], extra=line, exc_info=report.defect)
        without_traceback(report.defect)
    elif report.outcome == "SUCCESS":
        logger.info(_CLOSING[report.outcome], extra=line)
    else:
        logger.warning(_CLOSING[report.outcome], extra=line)


def _totals(report: RunReport) -> dict[str, Any]:
    """Return the fields of the closing log line that are computed from several others, such as `rows_in`.

    They are part of the line because Logs Insights cannot compute sums of a list. Files and rows of the run's
    series are counted even if another run of the batch read them; of requests and bytes, only those of this
    attempt.
    """
    traffic, inputs = report.traffic, report.inputs
    left_out = _left_out(report)
    return {
        "requested_at": report.requested_at and iso(report.requested_at, "milliseconds"),
        "freshness_seconds": report.freshness,
        "files": sum(found.part_files for found in inputs),
        "rows_in": sum(found.rows for found in inputs),
        "rows_out": report.row_count,
        "observations_in": sum(found.observations for found in inputs),
        "left_out": sum(left_out.values()),
        **{f"left_out_{reason}": number for reason, number in left_out.items()},
        "requests": traffic.requests,
        "bytes_read": traffic.bytes_read,
        "bytes_written": traffic.bytes_written,
    }


def _left_out(report: RunReport) -> dict[str, int]:
    """Return the numbers of input rows that were left out, by reason: null, nan, infinite and duplicate."""
    reasons = ("null", "nan", "infinite", "duplicate")
    return {reason: sum(getattr(found, reason) for found in report.inputs) for reason in reasons}


def _values(report: RunReport) -> Iterable[Value]:
    """Yield (name, unit, value) of each metric of an attempt.

    A count is also written if it is 0. An alarm adds several counts in one expression, and in each period
    either all of them must have data or none. Failures are counted by error code instead (`close_run`). Their
    total is the number of all attempts minus those that succeeded or were returned.
    """
    counts = {
        "metric_runs_started_total": int(report.started),
        "metric_runs_succeeded_total": int(report.outcome == "SUCCESS"),
        "metric_runs_returned_total": int(report.outcome == "RETURNED"),
        "metric_versions_shrunk_total": int(report.shrunk is not None),
        "metric_rows_read_total": sum(found.rows for found in report.inputs),
        "metric_rows_left_out_total": sum(_left_out(report).values()),
        "metric_snapshot_hits_total": report.snapshot_hits,
        "metric_snapshot_misses_total": report.snapshot_misses,
        "metric_snapshots_failed_total": report.snapshots_failed,
        "metric_part_files_read_total": report.part_files_read,
        "metric_heartbeats_sent_total": report.heartbeats_sent,
        "metric_heartbeats_failed_total": report.heartbeats_failed,
        "s3_requests_total": report.traffic.requests,
    }
    yield from ((name, MetricUnit.Count, number) for name, number in counts.items())
    yield "metric_run_duration_seconds", MetricUnit.Seconds, report.seconds
    yield "s3_read_mb", MetricUnit.Megabytes, report.traffic.bytes_read * _MEGA
    yield "s3_write_mb", MetricUnit.Megabytes, report.traffic.bytes_written * _MEGA
    if report.outcome == "SUCCESS" and not report.rolled_forward:  # a redelivery would count them twice
        yield "metric_rows_written_total", MetricUnit.Count, report.row_count or 0
        if report.freshness is not None:
            yield "metric_run_freshness_seconds", MetricUnit.Seconds, report.freshness

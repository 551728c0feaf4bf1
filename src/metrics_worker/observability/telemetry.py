"""What operators see: JSON logs and CloudWatch metrics (EMF), by Powertools.

One log line closes each attempt at a run. Metric names are those of the Prometheus days; a metric code is
never a dimension, since each would be billed. Both are written from the main thread alone: Powertools'
Metrics is not thread-safe.

Metrics come twice: by service, as of old, and by the function's name, which tells one deployment from
another. Alarms and dashboards use those, and name none that is not written here.
"""

import logging
import resource
from collections.abc import Callable, Iterable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics, single_metric
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
"""Of a metric: its name, unit and a value."""

SERVICE = "metrics-worker"
NAMESPACE = "MetricsWorker"

logger = Logger(service=SERVICE, use_rfc3339=True, utc=True, version=__version__)


class _RunMetrics(AmazonCloudWatchEMFProvider):
    """Silent, where Powertools would warn, after an invocation without a run: all messages unanswerable."""

    def flush_metrics(self, raise_on_empty_metrics: bool = False) -> None:  # noqa: FBT001, FBT002 - its own
        if self.metric_set:
            super().flush_metrics(raise_on_empty_metrics)


metrics = Metrics(provider=_RunMetrics(namespace=NAMESPACE, service=SERVICE))

MAX_CAUSE = 1000
DEFECTS = ("INTERNAL_ERROR", "OUTPUT_WRITE_ERROR", "MANIFEST_VALIDATION_ERROR")
"""The codes of failures that are the worker's own: no author, ingestor or control plane can mend them."""
INGESTION = timedelta(seconds=60)
"""So long after an invocation's last moment CloudWatch has whatever it wrote."""
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


def booked(handler: Handler) -> Handler:
    """Count the batch's messages as they are taken, and again when the handler has returned.

    Both counts are booked at one time: when the invocation is over at the latest, and CloudWatch has heard of
    it. So at any time up to now as many attempts have ended as began, but for those of workers that were
    killed, whatever else came of the messages: whether done, given back, unanswerable or not touched.
    """

    @wraps(handler)
    def run(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
        logger.append_keys(function_version=context.function_version)
        left = timedelta(milliseconds=context.get_remaining_time_in_millis())
        over, count = datetime.now(UTC) + left + INGESTION, len(event["Records"])
        ended = "metric_attempts_ended_total"
        # With a zero, or of a lone invocation that is killed there would be nothing to take from what began.
        begun = ("metric_attempts_begun_total", MetricUnit.Count, count)
        _write(context, [begun, (ended, MetricUnit.Count, 0)], over)
        answer = handler(event, context)
        _write(context, [(ended, MetricUnit.Count, count)], over)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 * _MEGA  # KiB, on Linux
        _write(context, [("process_peak_memory_mb", MetricUnit.Megabytes, peak)])
        return answer

    return run


def open_run(run: "Run", attempt: int, message_id: str) -> RunReport:
    """The report of an attempt that begins now; at DEBUG each of its requests will be told with its time."""
    report = RunReport(run.run_id, run.metric_code, attempt, message_id, run.requested_at)
    if logger.log_level <= logging.DEBUG:
        report.traffic.trace = Trace()
    return report


def close_group(report: GroupReport, context: "LambdaContext") -> None:
    """Write the lines that close a message group's attempts, and count them."""
    for run in report.runs:
        close_run(run)
        if run.outcome == "FAILURE":
            _count_failure(run, context)
    _write(context, [value for run in report.runs for value in _values(run)])
    runs = {run.message_id: run for run in report.runs}
    for message_id, error, returns in report.given_back:
        line: dict[str, object] = {"message_id": message_id, "reason": str(error), "comes_back": returns}
        if cause := getattr(error, "__cause__", None):
            line["cause"] = f"{type(cause).__name__}: {cause}"[:MAX_CAUSE]
        if known := runs.get(message_id):
            line |= {"run_id": known.run_id, "metric_code": known.metric_code}
        logger.warning("message given back", extra=line)


def close_run(report: RunReport) -> None:
    """Write the line that closes an attempt, and count it."""
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
    if report.defect is not None:
        logger.error(_CLOSING[report.outcome], extra=line, exc_info=report.defect)
        without_traceback(report.defect)
    elif report.outcome == "SUCCESS":
        logger.info(_CLOSING[report.outcome], extra=line)
    else:
        logger.warning(_CLOSING[report.outcome], extra=line)
    if report.started:
        metrics.add_metric(name="metric_runs_started_total", unit=MetricUnit.Count, value=1)
    metrics.add_metric(name="metric_run_duration_seconds", unit=MetricUnit.Seconds, value=report.seconds)
    metrics.add_metric(name="s3_read_mb", unit=MetricUnit.Megabytes, value=report.traffic.bytes_read * _MEGA)
    metrics.add_metric(
        name="s3_write_mb", unit=MetricUnit.Megabytes, value=report.traffic.bytes_written * _MEGA
    )
    if report.outcome == "SUCCESS":
        metrics.add_metric(name="metric_runs_succeeded_total", unit=MetricUnit.Count, value=1)
    elif report.outcome == "FAILURE":
        with single_metric(
            name="metric_runs_failed_total", unit=MetricUnit.Count, value=1, namespace=NAMESPACE
        ) as failed:
            failed.add_dimension(name="service", value=SERVICE)
            failed.add_dimension(name="error_code", value=report.error_code or "INTERNAL_ERROR")


def _totals(report: RunReport) -> dict[str, Any]:
    """What the closing line says in plain numbers, since Logs Insights can't add up a list.

    Files and rows are those of the run's series, whoever of the batch read them; requests and bytes are what
    this attempt asked of S3 itself.
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
        **{f"left_out_{reason}": count for reason, count in left_out.items()},
        "requests": traffic.requests,
        "bytes_read": traffic.bytes_read,
        "bytes_written": traffic.bytes_written,
    }


def _left_out(report: RunReport) -> dict[str, int]:
    """Rows that are no observation, by reason."""
    reasons = ("null", "nan", "infinite", "duplicate")
    return {reason: sum(getattr(found, reason) for found in report.inputs) for reason in reasons}


def _values(report: RunReport) -> Iterable[Value]:
    """What an attempt counts for its deployment: each outcome, so that a rate has all its terms."""
    counts = {
        "metric_runs_started_total": int(report.started),
        "metric_runs_succeeded_total": int(report.outcome == "SUCCESS"),
        "metric_runs_failed_total": int(report.outcome == "FAILURE"),
        "metric_runs_returned_total": int(report.outcome == "RETURNED"),
        "metric_versions_shrunk_total": int(report.shrunk is not None),
        "metric_rows_read_total": sum(found.rows for found in report.inputs),
        "metric_rows_left_out_total": sum(_left_out(report).values()),
        "metric_heartbeats_sent_total": report.heartbeats_sent,
        "metric_heartbeats_failed_total": report.heartbeats_failed,
        "s3_requests_total": report.traffic.requests,
    }
    yield from ((name, MetricUnit.Count, count) for name, count in counts.items())
    yield "metric_run_duration_seconds", MetricUnit.Seconds, report.seconds
    yield "s3_read_mb", MetricUnit.Megabytes, report.traffic.bytes_read * _MEGA
    yield "s3_write_mb", MetricUnit.Megabytes, report.traffic.bytes_written * _MEGA
    if report.outcome == "SUCCESS" and not report.rolled_forward:  # or its redelivery would count once more
        yield "metric_rows_written_total", MetricUnit.Count, report.row_count or 0
        if report.freshness is not None:
            yield "metric_run_freshness_seconds", MetricUnit.Seconds, report.freshness


def _count_failure(report: RunReport, context: "LambdaContext") -> None:
    """Count a failure by its code; and one that is the worker's own by the version that made it."""
    code = report.error_code or "INTERNAL_ERROR"
    _write(context, [("metric_runs_failed_total", MetricUnit.Count, 1)], error_code=code)
    if code in DEFECTS:
        defect: list[Value] = [("metric_run_defects_total", MetricUnit.Count, 1)]
        _write(context, defect)
        _write(context, defect, function_version=context.function_version)


def _write(
    context: "LambdaContext", values: Iterable[Value], at: datetime | None = None, **dimensions: str
) -> None:
    """One blob of the deployment's metrics: by the function's name, and what else is given."""
    blob = _RunMetrics(namespace=NAMESPACE, service=SERVICE)
    for name, value in {"service": SERVICE, "function_name": context.function_name, **dimensions}.items():
        blob.add_dimension(name, value)
    for name, unit, amount in values:
        blob.add_metric(name, unit, amount)
    if at is not None:
        blob.set_timestamp(at)
    blob.flush_metrics()

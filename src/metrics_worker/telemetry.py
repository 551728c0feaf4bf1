"""What operators see: JSON logs and CloudWatch metrics (EMF), by Powertools.

One log line closes each attempt at a run. Metric names are those of the Prometheus days; a metric code is
never a dimension, since each would be billed. Both are written from the main thread alone: Powertools'
Metrics is not thread-safe.
"""

import logging
from dataclasses import fields

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from metrics_worker.report import GroupReport, RunReport
from metrics_worker.traffic import Trace

SERVICE = "metrics-worker"
NAMESPACE = "MetricsWorker"

logger = Logger(service=SERVICE, use_rfc3339=True, utc=True)


class _RunMetrics(AmazonCloudWatchEMFProvider):
    """Silent, where Powertools would warn, after an invocation without a run: all messages unanswerable."""

    def flush_metrics(self, raise_on_empty_metrics: bool = False) -> None:  # noqa: FBT001, FBT002 - its own
        if self.metric_set:
            super().flush_metrics(raise_on_empty_metrics)


metrics = Metrics(provider=_RunMetrics(namespace=NAMESPACE, service=SERVICE))

MAX_CAUSE = 1000
_MEGA = 1e-6
_LINE = [
    field.name for field in fields(RunReport) if field.name not in {"began", "defect", "inputs", "traffic"}
]
_CLOSING = {"SUCCESS": "run succeeded", "FAILURE": "run failed", "RETURNED": "run given back"}


def open_run(run_id: str, metric_code: str, attempt: int, message_id: str) -> RunReport:
    """The report of an attempt that begins now; at DEBUG each of its requests will be told with its time."""
    report = RunReport(run_id, metric_code, attempt, message_id)
    if logger.log_level <= logging.DEBUG:
        report.traffic.trace = Trace()
    return report


def close_group(report: GroupReport) -> None:
    """Write the lines that close a message group's attempts, and count them."""
    for run in report.runs:
        close_run(run)
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
    line |= {"traffic": report.traffic.counts(), "event_type": "metric_run_closed"}
    if report.traffic.trace is not None:
        line["trace"] = report.traffic.trace.line()
    line["inputs"] = [summary.model_dump() for summary in report.inputs]
    if report.row_count == 0:
        logger.warning(
            "the expression is defined nowhere: an empty version",
            extra={name: line[name] for name in ("run_id", "metric_code", "version_ts")},
        )
    if report.defect is not None:
        logger.error(_CLOSING[report.outcome], extra=line, exc_info=report.defect)
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

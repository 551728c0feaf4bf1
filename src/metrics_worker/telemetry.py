"""What operators see: JSON logs and CloudWatch metrics (EMF), by Powertools.

One log line closes each attempt at a run. Metric names are those of the Prometheus days; a metric code is
never a dimension, since each would be billed. Both are written from the main thread alone: Powertools'
Metrics is not thread-safe.
"""

from dataclasses import asdict

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from metrics_worker.report import RunReport

SERVICE = "metrics-worker"
NAMESPACE = "MetricsWorker"

logger = Logger(service=SERVICE, use_rfc3339=True, utc=True)


class _RunMetrics(AmazonCloudWatchEMFProvider):
    """Silent, where Powertools would warn, after an invocation without a run: all messages unanswerable."""

    def flush_metrics(self, raise_on_empty_metrics: bool = False) -> None:  # noqa: FBT001, FBT002 - its own
        if self.metric_set:
            super().flush_metrics(raise_on_empty_metrics)


metrics = Metrics(provider=_RunMetrics(namespace=NAMESPACE, service=SERVICE))

_MEGA = 1e-6
_CLOSING = {"SUCCESS": "run succeeded", "FAILURE": "run failed", "RETURNED": "run given back"}


def close_run(report: RunReport, defect: BaseException | None = None) -> None:
    """Write the line that closes an attempt, and count it.

    Args:
        report: what happened.
        defect: an exception that is none of ours, for its traceback.
    """
    line = {**asdict(report), "event_type": "metric_run_closed"}
    line["inputs"] = [summary.model_dump() for summary in report.inputs]
    del line["began"]
    if report.row_count == 0:
        logger.warning(
            "the expression is defined nowhere: an empty version", extra={"version_ts": report.version_ts}
        )
    level = logger.info if report.outcome == "SUCCESS" else logger.warning
    if defect is not None:
        logger.error(
            _CLOSING[report.outcome], extra={**line, "event_type": "metric_run_closed"}, exc_info=defect
        )
    else:
        level(_CLOSING[report.outcome], extra={**line, "event_type": "metric_run_closed"})
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

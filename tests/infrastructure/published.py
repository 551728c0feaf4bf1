"""The CloudWatch metrics that exist: those of AWS that alarms and dashboards use, and the worker's own."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from tests.story import Output, Series, run_a_day

type Metric = tuple[str, str, dict[str, str]]
"""Namespace, name, dimensions."""

SQS, SNS, LAMBDA = "AWS/SQS", "AWS/SNS", "AWS/Lambda"
OF_QUEUES = (
    "ApproximateAgeOfOldestMessage",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesVisible",
    "NumberOfMessagesReceived",
)
OF_FUNCTIONS = ("ConcurrentExecutions", "Duration", "Errors", "Invocations", "Throttles")
# These metrics are in AWS's documentation of the metrics of each service, as of 2026-11-28.
BY_AWS: set[Series] = {
    *((SQS, name, frozenset({"QueueName"})) for name in OF_QUEUES),
    (SNS, "NumberOfNotificationsFailed", frozenset({"TopicName"})),
    *((LAMBDA, name, frozenset({"FunctionName"})) for name in OF_FUNCTIONS),
    (LAMBDA, "Errors", frozenset({"FunctionName", "Resource", "ExecutedVersion"})),
}


@cache
def simulated_day() -> Output:
    """Return the log lines and metrics that both functions write on a simulated day with every kind of event.

    The day is simulated only once.
    """
    return run_a_day()


def exists(metric: Metric) -> bool:
    """Return whether AWS or the worker writes a CloudWatch metric.

    Args:
        metric: (namespace, name, dimensions); only the names of the dimensions are compared, not their
            values.
    """
    namespace, name, dimensions = metric
    return (namespace, name, frozenset(dimensions)) in BY_AWS | simulated_day().series()


def of_alarm(alarm: dict[str, Any]) -> Iterator[tuple[Metric, str, int]]:
    """Yield (metric, statistic, period in seconds) of each CloudWatch metric that an alarm uses.

    A metric is a tuple (namespace, name, dict from dimension names to values).

    Args:
        alarm: the properties of the alarm in the template.
    """
    for part in alarm.get("Metrics", [{"MetricStat": _stat(alarm)}]):
        if "MetricStat" in part:
            stat = part["MetricStat"]
            metric = stat["Metric"]
            dimensions = {d["Name"]: d["Value"] for d in metric["Dimensions"]}
            yield (metric["Namespace"], metric["MetricName"], dimensions), stat["Stat"], stat["Period"]


def _stat(alarm: dict[str, Any]) -> dict[str, Any]:
    metric = {name: alarm[name] for name in ("Namespace", "MetricName", "Dimensions") if name in alarm}
    return {
        "Metric": metric,
        "Stat": alarm.get("Statistic") or alarm.get("ExtendedStatistic"),
        "Period": alarm.get("Period"),
    }

"""The metrics that exist: those of AWS that are looked at here, and those that the worker writes."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from tests.story import Series, Told, a_day

type Metric = tuple[str, str, dict[str, str]]
"""Namespace, name, dimensions."""

SQS, SNS, LAMBDA = "AWS/SQS", "AWS/SNS", "AWS/Lambda"
OF_QUEUES = (
    "ApproximateAgeOfOldestMessage",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesVisible",
)
OF_FUNCTIONS = ("ConcurrentExecutions", "Duration", "Errors", "Invocations", "Throttles")
# As AWS's pages of the services' metrics have them, on 2026-11-25.
BY_AWS: set[Series] = {
    *((SQS, name, frozenset({"QueueName"})) for name in OF_QUEUES),
    (SNS, "NumberOfNotificationsFailed", frozenset({"TopicName"})),
    *((LAMBDA, name, frozenset({"FunctionName"})) for name in OF_FUNCTIONS),
    (LAMBDA, "Errors", frozenset({"FunctionName", "Resource", "ExecutedVersion"})),
}


@cache
def told() -> Told:
    """What both functions write on a day on which everything happens."""
    return a_day()


def exists(metric: Metric) -> bool:
    """Whether a metric is one that AWS publishes or the worker writes, with just these dimensions."""
    namespace, name, dimensions = metric
    return (namespace, name, frozenset(dimensions)) in BY_AWS | told().series()


def of_alarm(alarm: dict[str, Any]) -> Iterator[tuple[Metric, str, int]]:
    """Each metric that an alarm looks at, with statistic and period."""
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

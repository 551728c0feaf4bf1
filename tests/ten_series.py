"""Ten series in the layout of the ingestors, ten metrics of these series, and functions that read results."""

import json
import threading
from collections import Counter
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import pyarrow as pa

from tests.builders import Cloud, day, ratio, record, request, rows, series
from tests.faulty_store import Faults

PATIENCE = 10
CODES = "ABCDEFGHIJ"
MONTHS, DAYS = 6, 5
PARTS = "datasets/fx/projections/{}*"
SAME = [("A", "B")] * 10
CHAIN = [(left, right) for left, right in zip(CODES, CODES[1:] + CODES[:1], strict=True)]
"""The operands of ten metrics: the same two series for all metrics, or a different pair for each metric."""


def factor(code: str) -> float:
    """Return the factor of a series: on day n, the value of the series is the factor times n.

    Day 1 is 1 January 2026. The factor is 1 for the series A, 2 for B, and so on.
    """
    return float(CODES.index(code) + 1)


def month(code: str, number: int) -> pa.Table:
    """Return the rows of the part file with one month of a series.

    Args:
        code: the series code.
        number: the number of the month, from 0 to `MONTHS` - 1. Here, a month consists of `DAYS` days.
    """
    days = range(number * DAYS + 1, (number + 1) * DAYS + 1)
    return rows(code, [day(n) for n in days], [factor(code) * n for n in days])


def run_of(metric: str, left: str = "A", right: str = "B", *, number: int = 1) -> dict[str, Any]:
    """Return the SQS record that requests the metric `left` / `right`.

    Args:
        metric: the metric code.
        left: the series code of the dividend.
        right: the series code of the divisor.
        number: distinguishes several runs of the metric: the run id and the message id are
            `{metric}-{number}`.
    """
    name = f"{metric}-{number}"
    inputs = {left: "fx", right: "fx"}
    event = request(ratio(series(left), series(right)), run_id=name, metric=metric, inputs=inputs)
    return record(event, message_id=name)


def given_back(response: dict[str, Any]) -> list[str]:
    """Return the message ids that a handler's response reports as failed."""
    return [item["itemIdentifier"] for item in response["batchItemFailures"]]


def outcomes(cloud: Cloud) -> dict[str, str]:
    """Return the status in the completed event of each run, by run id."""
    return {event["runId"]: event["status"] for event in cloud.sns.completed}


def values(cloud: Cloud, run_id: str) -> list[float]:
    """Return the values in the version that a run has published, in the order of time."""
    (completed,) = [event for event in cloud.sns.completed if event["runId"] == run_id]
    manifest = cloud.read_json(completed["outputManifest"])
    table = cloud.read_table(manifest["outputs"]["data_prefix"] + "metrics.parquet")
    published: list[float] = table["value"].to_pylist()
    return published


def quotients(left: str, right: str) -> list[float]:
    """Return the values that the metric `left` / `right` must have, in the order of time.

    Args:
        left: the series code of the dividend.
        right: the series code of the divisor.
    """
    return [factor(left) * n / (factor(right) * n) for n in range(1, MONTHS * DAYS + 1)]


def reads(faults: Faults, pattern: str) -> Counter[str]:
    """Return the number of recorded GETs of each key that matches a shell-style pattern."""
    return Counter(key for made, key in faults.calls if made == "GET" and fnmatchcase(key, pattern))


def when(cloud: Cloud, kind: str, run: str | None, action: Callable[[], object], *, count: int = 1) -> None:
    """Arrange that `action` is called once, when `count` status events have been published.

    Args:
        cloud: the fake cloud, whose SNS client receives the events.
        kind: the kind of the counted events: "started", "heartbeat" or "completed".
        run: the id of the run whose events are counted, or None to count the events of all runs.
        action: the function to call.
        count: the number of events.
    """
    before, lock, left = cloud.sns.before, threading.Lock(), [count]

    def watch(message):
        before(message)
        event = json.loads(message["Message"])
        if event["type"] == f"metric_run_{kind}" and run in (None, event["runId"]):
            with lock:
                left[0] -= 1
                due = left[0] == 0
            if due:
                action()

    cloud.sns.before = watch


def let_all_start_before_any_reads(cloud: Cloud, faults: Faults, count: int) -> None:
    """Delay every read of a dataset manifest until `count` runs have started.

    All runs then need the manifest at the same time.
    """
    when(cloud, "started", None, faults.hold("datasets/*/manifest.json").open, count=count)

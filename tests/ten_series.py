"""Ten series in the layout of the ingestors, ten metrics of these series, and functions that read results."""

import json
import threading
from collections import Counter
from fnmatch import fnmatchcase

from tests.builders import day, ratio, record, request, rows, series

PATIENCE = 10
CODES = "ABCDEFGHIJ"
MONTHS, DAYS = 6, 5
PARTS = "datasets/fx/projections/{}*"
SAME = [("A", "B")] * 10
CHAIN = [(left, right) for left, right in zip(CODES, CODES[1:] + CODES[:1], strict=True)]
"""The operands of ten metrics: the same two series for all metrics, or a different pair for each metric."""


def factor(code):
    """Return the factor of a series; the daily values of the series are the factor times 1, 2, 3, …"""
    return float(CODES.index(code) + 1)


def month(code, number):
    """Return the rows of one month's part file of a series."""
    days = range(number * DAYS + 1, (number + 1) * DAYS + 1)
    return rows(code, [day(n) for n in days], [factor(code) * n for n in days])


def run_of(metric, left="A", right="B", *, number=1):
    """Return the record of a run of left / right, with the run id and message id `{metric}-{number}`."""
    name = f"{metric}-{number}"
    inputs = {left: "fx", right: "fx"}
    event = request(ratio(series(left), series(right)), run_id=name, metric=metric, inputs=inputs)
    return record(event, message_id=name)


def given_back(response):
    """Return the message ids that the function reported as failed."""
    return [item["itemIdentifier"] for item in response["batchItemFailures"]]


def outcomes(cloud):
    """Return the status of each run that has a completed event."""
    return {event["runId"]: event["status"] for event in cloud.sns.completed}


def values(cloud, run_id):
    """Return the values in the version that a run has published."""
    (completed,) = [event for event in cloud.sns.completed if event["runId"] == run_id]
    manifest = cloud.read_json(completed["outputManifest"])
    return cloud.read_table(manifest["outputs"]["data_prefix"] + "metrics.parquet")["value"].to_pylist()


def quotients(left, right):
    """Return the expected values of left / right."""
    return [factor(left) * n / (factor(right) * n) for n in range(1, MONTHS * DAYS + 1)]


def reads(faults, pattern):
    """Return the number of GETs of each key that matches the pattern; `faults` recorded the calls."""
    return Counter(key for made, key in faults.calls if made == "GET" and fnmatchcase(key, pattern))


def when(cloud, kind, run, action, *, count=1):
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


def let_all_start_before_any_reads(cloud, faults, count):
    """Delay reads of the manifest until `count` runs have started, so that all need it at the same time."""
    when(cloud, "started", None, faults.hold("datasets/*/manifest.json").open, count=count)

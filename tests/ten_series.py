"""Ten series in each layout of the ingestors, ten metrics over them, and what a batch is held against."""

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
"""What ten metrics divide by what: the same two series, or each its own pair."""


def factor(code):
    """A series is this times 1, 2, 3, …, a value a day."""
    return float(CODES.index(code) + 1)


def month(code, number):
    days = range(number * DAYS + 1, (number + 1) * DAYS + 1)
    return rows(code, [day(n) for n in days], [factor(code) * n for n in days])


def run_of(metric, left="A", right="B", *, number=1):
    """A record of a run of left / right; run and message are named after metric and number."""
    name = f"{metric}-{number}"
    inputs = {left: "fx", right: "fx"}
    asked = request(ratio(series(left), series(right)), run_id=name, metric=metric, inputs=inputs)
    return record(asked, message_id=name)


def given_back(response):
    return [item["itemIdentifier"] for item in response["batchItemFailures"]]


def outcomes(cloud):
    return {event["runId"]: event["status"] for event in cloud.sns.completed}


def values(cloud, run_id):
    """What a run has published."""
    (completed,) = [event for event in cloud.sns.completed if event["runId"] == run_id]
    manifest = cloud.read_json(completed["outputManifest"])
    return cloud.read_table(manifest["outputs"]["data_prefix"] + "metrics.parquet")["value"].to_pylist()


def quotients(left, right):
    return [factor(left) * n / (factor(right) * n) for n in range(1, MONTHS * DAYS + 1)]


def reads(faults, pattern):
    """How often each key that matches was read."""
    return Counter(key for made, key in faults.calls if made == "GET" and fnmatchcase(key, pattern))


def when(cloud, kind, run, deed, *, count=1):
    """Do that as soon as so many events of a kind are announced: of one run, or of any (None)."""
    before, lock, left = cloud.sns.before, threading.Lock(), [count]

    def watch(message):
        before(message)
        event = json.loads(message["Message"])
        if event["type"] == f"metric_run_{kind}" and run in (None, event["runId"]):
            with lock:
                left[0] -= 1
                due = left[0] == 0
            if due:
                deed()

    cloud.sns.before = watch


def let_all_start_before_any_reads(cloud, faults, count):
    """The manifest comes when so many runs have announced their start, so that they need it at once."""
    when(cloud, "started", None, faults.hold("datasets/*/manifest.json").open, count=count)

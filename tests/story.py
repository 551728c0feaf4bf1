"""The story of a simulated day: the log lines and EMF documents of both functions for messages of every kind.

On this day, runs succeed, are redelivered, fail for several reasons, are returned to the queue, and become
dead letters. One message cannot be parsed, and one worker is killed. The real handlers write the output, in a
`World` (tests/world.py), so tests can compare alarms, dashboards and saved queries with the existing metrics
and fields.
"""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

import pytest
from aws_lambda_powertools.metrics.provider import cold_start
from botocore.exceptions import ClientError
from obstore.exceptions import GenericError, PermissionDeniedError

from metrics_worker.observability.telemetry import logger
from tests.builders import FakeContext, day, put_dataset, record, rows, series, window
from tests.edge import Call, nothing
from tests.fifo_queue import Killed
from tests.world import World

type Blob = dict[str, Any]
type Series = tuple[str, str, frozenset[str]]
"""A metric: its namespace, its name and the names of its dimensions."""


@dataclass
class Output:
    """The output that the worker and the dead-letter function wrote, parsed from JSON.

    Attributes:
        lines: the log lines.
        blobs: the EMF documents, in which CloudWatch finds the metrics.
    """

    lines: list[dict[str, Any]] = field(default_factory=list)
    blobs: list[Blob] = field(default_factory=list)

    def closing(self) -> list[dict[str, Any]]:
        """Return the last log line of each attempt, which states the outcome of the attempt."""
        return [line for line in self.lines if line.get("event_type") == "metric_run_closed"]

    def series(self) -> set[Series]:
        """Return (namespace, metric name, dimension names) of the CloudWatch series in the EMF documents."""
        return {
            (directive["Namespace"], metric["Name"], frozenset(dimensions))
            for blob in self.blobs
            for directive in blob["_aws"]["CloudWatchMetrics"]
            for metric in directive["Metrics"]
            for dimensions in directive["Dimensions"]
        }

    def points(self, name: str, *dimensions: str) -> list[tuple[int, float]]:
        """Return the datapoints of a CloudWatch metric as (time in ms since 1970, value).

        Args:
            name: the name of the metric.
            dimensions: the names of all dimensions of the metric.
        """
        return [
            (blob["_aws"]["Timestamp"], value)
            for blob in self.blobs
            if {*dimensions} in map(set, blob["_aws"]["CloudWatchMetrics"][0]["Dimensions"])
            for value in blob.get(name, ())
        ]


@contextmanager
def captured_output() -> Iterator[Output]:
    """Yield an `Output` that gets the log lines and EMF documents of the `with` body when the body ends."""
    output, log, out = Output(), io.StringIO(), io.StringIO()
    (handler,) = logger.handlers
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out):
        patch.setattr(handler, "stream", log)
        patch.setattr(cold_start, "is_cold_start", True)
        yield output
    output.lines += map(json.loads, log.getvalue().splitlines())
    output.blobs += map(json.loads, out.getvalue().splitlines())


def run_a_day() -> Output:
    """Return the output of a simulated day on which messages have every possible outcome.

    One worker is killed in the middle of its only run.
    """
    with captured_output() as output, World.started() as world:
        world.request_run("m.good", "good")
        world.edge.before = _killed_at_answer
        world.deliver()
        world.edge.before = nothing
        world.request_run(
            "m.input", "no-such-series", kind="window_op", expressionJson=window("sma", series("Z"), 2)
        )
        world.request_run("m.expression", "no-such-operation", expressionJson={"op": "cube"})
        gaps = rows("A", [day(1), day(1), day(2), day(3)], [1.0, 2.0, None, float("nan")])
        put_dataset(world.cloud.store, {"A/x.parquet": gaps}, dataset="gaps")
        fields: Any = {"inputs": {"A": "gaps"}, "datasets": ["gaps"], "kind": "window_op"}
        world.request_run("m.gaps", "gaps", expressionJson=window("sma", series("A"), 1), **fields)
        world.request_run("m.config", "elsewhere", output={"basePath": "s3://another/metrics/m/"})
        world.deliver_all()
        _shrink(world)
        world.edge.before = _writes_denied
        world.request_run("m.denied", "denied")
        world.deliver()
        world.edge.before = _reads_fail
        world.request_run("m.unwell", "given-up")
        world.deliver_all()
        world.edge.before = _reads_and_publishing_fail
        world.request_run("m.mute", "mute")
        world.deliver_all()
        world.edge.before = nothing
        world.deliver_all()
        world.edge.before = _killed_at_write
        world.request_run("m.killed", "killed")
        world.deliver()
        world.edge.before = nothing
        world.deliver_all()
        world.edge.observer = nothing  # The observer cannot parse the next message.
        for function in world.functions:
            function({"Records": [record("not JSON", message_id="poison")]}, FakeContext())
    return output


def _shrink(world: World) -> None:
    """Publish two versions of a metric, of which the second has a tenth of the rows of the first."""
    fields: Any = {"inputs": {"A": "short"}, "datasets": ["short"], "kind": "window_op"}
    for run, days in {"long": 20, "short": 2}.items():
        observed = rows("A", [day(n) for n in range(days)], [1.0] * days)
        put_dataset(world.cloud.store, {"A/x.parquet": observed}, dataset="short")
        world.request_run("m.shrunk", run, expressionJson=window("sma", series("A"), 1), **fields)
        world.deliver_all()


def _killed_at_answer(call: Call) -> None:
    if call.operation == "ANSWER":
        raise Killed


def _writes_denied(call: Call) -> None:
    if call.operation == "PUT":
        raise PermissionDeniedError("403 AccessDenied")


def _reads_fail(call: Call) -> None:
    if call.operation == "GET" and call.key.startswith("datasets/"):
        raise GenericError("503 SlowDown, after the client's own retries")


def _reads_and_publishing_fail(call: Call) -> None:
    _reads_fail(call)
    if call.operation == "PUBLISH":
        raise ClientError({"Error": {"Code": "Throttling"}}, "Publish")


def _killed_at_write(call: Call) -> None:
    if call.operation == "PUT":
        raise Killed

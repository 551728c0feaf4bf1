"""What operators see of a day on which everything happens: the log lines and EMF blobs of both functions.

Runs succeed, are delivered again, fail for each of several reasons, are given back and given up; a message
can't be answered and a worker is killed. Told by the real handlers in `World`, so that alarms, dashboards and
saved queries can be held against what is really written.
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
"""A metric: its namespace, its name, the names of its dimensions."""


@dataclass
class Told:
    """What was written, parsed."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    blobs: list[Blob] = field(default_factory=list)

    def closing(self) -> list[dict[str, Any]]:
        """The lines that close attempts."""
        return [line for line in self.lines if line.get("event_type") == "metric_run_closed"]

    def series(self) -> set[Series]:
        """All metrics that were written."""
        return {
            (directive["Namespace"], metric["Name"], frozenset(dimensions))
            for blob in self.blobs
            for directive in blob["_aws"]["CloudWatchMetrics"]
            for metric in directive["Metrics"]
            for dimensions in directive["Dimensions"]
        }

    def points(self, name: str, *dimensions: str) -> list[tuple[int, float]]:
        """Time in milliseconds and value of each datapoint of a metric with exactly these dimensions."""
        return [
            (blob["_aws"]["Timestamp"], value)
            for blob in self.blobs
            if [set(names) for names in blob["_aws"]["CloudWatchMetrics"][0]["Dimensions"]] == [{*dimensions}]
            for value in blob.get(name, ())
        ]


@contextmanager
def listening() -> Iterator[Told]:
    """What is written in the context: it can be read when that has ended."""
    told, log, out = Told(), io.StringIO(), io.StringIO()
    (handler,) = logger.handlers
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out):
        patch.setattr(handler, "stream", log)
        patch.setattr(cold_start, "is_cold_start", True)
        yield told
    told.lines += map(json.loads, log.getvalue().splitlines())
    told.blobs += map(json.loads, out.getvalue().splitlines())


def a_day() -> Told:
    """Everything that can become of a message. One worker is killed in the middle of its one run."""
    with listening() as told, World.started() as world:
        world.ask("m.good", "good")
        world.edge.before = _unheard
        world.deliver()
        world.edge.before = nothing
        world.ask("m.input", "no-such-series", kind="window_op", expressionJson=window("sma", series("Z"), 2))
        world.ask("m.expression", "no-such-operation", expressionJson={"op": "cube"})
        gaps = rows("A", [day(1), day(1), day(2), day(3)], [1.0, 2.0, None, float("nan")])
        put_dataset(world.cloud.store, {"A/x.parquet": gaps}, dataset="gaps")
        asked: Any = {"inputs": {"A": "gaps"}, "datasets": ["gaps"], "kind": "window_op"}
        world.ask("m.gaps", "gaps", expressionJson=window("sma", series("A"), 1), **asked)
        world.ask("m.config", "elsewhere", output={"basePath": "s3://another/metrics/m/"})
        world.until_quiet()
        _shrink(world)
        world.edge.before = _denied
        world.ask("m.denied", "denied")
        world.deliver()
        world.edge.before = _unwell
        world.ask("m.unwell", "given-up")
        world.until_quiet()
        world.edge.before = _mute
        world.ask("m.mute", "mute")
        world.until_quiet()
        world.edge.before = nothing
        world.until_quiet()
        world.edge.before = _killed
        world.ask("m.killed", "killed")
        world.deliver()
        world.edge.before = nothing
        world.until_quiet()
        world.edge.seen = nothing  # its readers look for a run in every message
        for function in world.functions:
            function({"Records": [record("not JSON", message_id="poison")]}, FakeContext())
    return told


def _shrink(world: World) -> None:
    """Let a metric lose most of its rows from one version to the next."""
    asked: Any = {"inputs": {"A": "short"}, "datasets": ["short"], "kind": "window_op"}
    for run, days in {"long": 20, "short": 2}.items():
        observed = rows("A", [day(n) for n in range(days)], [1.0] * days)
        put_dataset(world.cloud.store, {"A/x.parquet": observed}, dataset="short")
        world.ask("m.shrunk", run, expressionJson=window("sma", series("A"), 1), **asked)
        world.until_quiet()


def _unheard(call: Call) -> None:
    if call.operation == "ANSWER":
        raise Killed


def _denied(call: Call) -> None:
    if call.operation == "PUT":
        raise PermissionDeniedError("403 AccessDenied")


def _unwell(call: Call) -> None:
    if call.operation == "GET" and call.key.startswith("datasets/"):
        raise GenericError("503 SlowDown, after the client's own retries")


def _mute(call: Call) -> None:
    _unwell(call)
    if call.operation == "PUBLISH":
        raise ClientError({"Error": {"Code": "Throttling"}}, "Publish")


def _killed(call: Call) -> None:
    if call.operation == "PUT":
        raise Killed

"""A job for each function that needs all of its role's permissions, and what can be seen of it."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from metrics_worker.records import Keys, Marker
from tests.builders import Cloud, put_a_and_b, request
from tests.infrastructure.enforced import Deployment

type Seen = dict[str, Any]
type Invoke = Callable[[dict[str, Any]], Any]

WORKER, DEAD_LETTERS = "MetricsWorkerFunction", "DeadLetterFunction"


def _run(name: str, **more: Any) -> str:
    return json.dumps(request(run_id=name, metric=name, **more))


def compute(aws: Deployment, invoke: Invoke) -> Seen:
    """A run that can't be read, one that can, and a message that nobody can answer; one invocation each."""
    data = Cloud()
    put_a_and_b(data.store)
    for key in data.keys("datasets/"):
        aws.put(key, data.read(key))
    requests = {
        "lacking": _run("lacking", datasets=["none"], inputs={"A": "none", "B": "none"}),
        "complete": _run("complete"),
        "unanswerable": "?",
    }
    refused: set[str] = set()
    for name, body in requests.items():
        aws.send("RequestQueue", body, name)
        refused |= aws.poll("RequestQueue", WORKER, invoke)
    # Of the others it depends on how fast they fail whether there is time for one.
    committed = {name for name in requests if aws.keys(f"metrics/{name}/runs/{name}.ok")}
    return {
        "refused to the mapping": refused,
        "started": {event["runId"] for event in _heard(aws, "StartedTopic")},
        "heartbeats": {event["runId"] for event in _heard(aws, "HeartbeatTopic")} & committed,
        "outcomes": _outcomes(aws),
        "the unanswerable is back at once": aws.receive("RequestQueue") == ["?"],
    }


def settle(aws: Deployment, invoke: Invoke, caplog: pytest.LogCaptureFixture) -> Seen:
    """A committed run, one that is not, one whose marker is archived, and an unanswerable message."""
    keys, version, time = Keys("metrics/committed/"), "2026-10-30T12-00-00", "2026-10-30T12:00:00Z"
    marker = Marker(
        run_id="committed",
        metric_code="committed",
        version_ts=version,
        manifest=keys.manifest(version),
        row_count=10,
        requested_at=time,
        committed_at=time,
    )
    aws.put(keys.marker("committed"), marker.encode())
    aws.put(keys.manifest(version), json.dumps({"run_id": "committed", "version_ts": version}).encode())
    aws.put(Keys("metrics/archived/").marker("archived"), b"?", storage="GLACIER")  # S3 refuses to read it
    for name in ("committed", "uncommitted", "archived"):
        aws.send("DeadLetterQueue", _run(name), name)
    aws.send("DeadLetterQueue", "?", "unanswerable")
    refused = aws.poll("DeadLetterQueue", DEAD_LETTERS, invoke)
    kept = [aws.read_json(key) for key in aws.keys("metrics/_dead-letters/")]
    waits = [record.comes_back for record in caplog.records if hasattr(record, "comes_back")]
    return {
        "refused to the mapping": refused,
        "outcomes": _outcomes(aws),
        "current moved": keys.current in aws.keys(keys.base),
        "kept": {letter.get("run_id", "unanswerable") for letter in kept},
        "given back": ["soon" if wait.startswith("in ") else "late" for wait in waits],
    }


def _heard(aws: Deployment, topic: str) -> list[Any]:
    return [json.loads(body) for body in aws.receive(f"heard-{topic}")]


def _outcomes(aws: Deployment) -> dict[str, str]:
    """By run: SUCCESS, or the error up to the times that it tells, with the version left open."""
    told = {}
    for event in _heard(aws, "CompletedTopic"):
        told[event["runId"]] = (event.get("error") or "SUCCESS").partition(";")[0]
    return {run: re.sub("/20[^/]+/", "/VERSION/", outcome) for run, outcome in told.items()}

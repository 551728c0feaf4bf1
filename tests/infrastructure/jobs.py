"""For each Lambda function, a job that needs all permissions of the function's role.

A job sends messages to the function and returns its observable results, so that tests can compare the results
with all permissions to those without one of them.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from metrics_worker.publication.records import Keys, Marker
from tests.builders import Cloud, put_a_and_b, request
from tests.infrastructure.enforced import Deployment

type Seen = dict[str, Any]
type Invoke = Callable[[dict[str, Any]], Any]

WORKER, DEAD_LETTERS = "MetricsWorkerFunction", "DeadLetterFunction"


def _run(name: str, **more: Any) -> str:
    return json.dumps(request(run_id=name, metric=name, **more))


def compute(aws: Deployment, invoke: Invoke) -> Seen:
    """Invoke the worker with three messages: a run with missing input, a run with input, and invalid JSON.

    Args:
        aws: the deployment.
        invoke: a function that calls the handler of the worker with an event.

    Returns:
        A dict from the name of each observable result, such as `started`, to its value, such as the ids of
        the runs with a started event.
    """
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
    # A failed run may end before its first heartbeat, so only the heartbeats of committed runs are counted.
    committed = {name for name in requests if aws.keys(f"metrics/{name}/runs/{name}.ok")}
    return {
        "denied to the mapping": refused,
        "started": {event["runId"] for event in _heard(aws, "StartedTopic")},
        "heartbeats": {event["runId"] for event in _heard(aws, "HeartbeatTopic")} & committed,
        "outcomes": _outcomes(aws),
        "unanswerable message is visible": aws.receive("RequestQueue") == ["?"],
    }


def settle(aws: Deployment, invoke: Invoke, caplog: pytest.LogCaptureFixture) -> Seen:
    """Invoke the dead-letter function with four messages.

    Three messages request a committed run, an uncommitted run and a run whose marker cannot be read, because
    S3 has archived it. The fourth message is not JSON.

    Args:
        aws: the deployment.
        invoke: a function that calls the handler of the dead-letter function with an event.
        caplog: the fixture that records the function's log lines.

    Returns:
        A dict from the name of each observable result, such as `kept`, to its value, such as the ids of the
        runs whose messages were stored.
    """
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
    aws.put(Keys("metrics/archived/").marker("archived"), b"?", storage="GLACIER")  # S3 refuses to read this
    for name in ("committed", "uncommitted", "archived"):
        aws.send("DeadLetterQueue", _run(name), name)
    aws.send("DeadLetterQueue", "?", "unanswerable")
    refused = aws.poll("DeadLetterQueue", DEAD_LETTERS, invoke)
    kept = [aws.read_json(key) for key in aws.keys("metrics/_dead-letters/")]
    waits = [record.comes_back for record in caplog.records if hasattr(record, "comes_back")]
    return {
        "denied to the mapping": refused,
        "outcomes": _outcomes(aws),
        "current moved": keys.current in aws.keys(keys.base),
        "kept": {letter.get("run_id", "unanswerable") for letter in kept},
        "returned": ["soon" if wait.startswith("in ") else "late" for wait in waits],
    }


def _heard(aws: Deployment, topic: str) -> list[Any]:
    return [json.loads(body) for body in aws.receive(f"heard-{topic}")]


def _outcomes(aws: Deployment) -> dict[str, str]:
    """Return a dict from the id of each run with a completed event to `SUCCESS` or to the run's error.

    In an error, the timestamp of a version is replaced by `VERSION`, because it varies.
    """
    outcomes = {}
    for event in _heard(aws, "CompletedTopic"):
        outcomes[event["runId"]] = (event.get("error") or "SUCCESS").partition(";")[0]
    return {run: re.sub("/20[^/]+/", "/VERSION/", outcome) for run, outcome in outcomes.items()}

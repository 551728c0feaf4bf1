"""The judge (tests/fuzz/judge.py) detects incorrect results: each of these cases is a finding."""

import json

import numpy as np
import pyarrow as pa
import pytest

from metrics_worker.messaging.heartbeat import Heartbeat
from tests.builders import TOPIC, parquet, record, request, rows, series
from tests.fuzz import batches, bodies, manifests, published_events
from tests.fuzz.case import Case
from tests.fuzz.judge import judge

SUCCESS = {
    "type": "metric_run_completed",
    "runId": "run-1",
    "metricCode": "m",
    "status": "SUCCESS",
    "versionTs": "2026-10-30T12-00-00",
    "outputManifest": "metrics/m/2026-10-30T12-00-00/manifest.json",
    "rowCount": 3,
}
FAILURE = {name: SUCCESS[name] for name in ("type", "runId", "metricCode")} | {
    "status": "FAILURE",
    "error": "CONFIG_ERROR: no",
}
STARTED = {"type": "metric_run_started", "runId": "run-1", "startedAt": "2026-10-30T12:00:00Z"}


def message(event):
    text = event if isinstance(event, str) else json.dumps(event)
    kind = json.loads(text)["type"]
    return {
        "TopicArn": TOPIC.format(kind.removeprefix("metric_run_")),
        "Message": text,
        "MessageGroupId": "run-1",
        "MessageDeduplicationId": f"run-1:{kind}:1",
        "MessageAttributes": {
            "type": {"DataType": "String", "StringValue": kind},
            "metricCode": {"DataType": "String", "StringValue": "m"},
        },
    }


@pytest.mark.parametrize("event", [SUCCESS, SUCCESS | {"error": None}, FAILURE, STARTED])
def test_a_valid_event_is_accepted(event):
    assert published_events.check(message(event)) == event


@pytest.mark.parametrize(
    "event",
    [
        SUCCESS | {"more": 1},
        {name: value for name, value in SUCCESS.items() if name != "rowCount"},
        SUCCESS | {"rowCount": True},
        SUCCESS | {"rowCount": 2**31},
        SUCCESS | {"rowCount": 3.0},
        SUCCESS | {"outputManifest": "datasets/m/2026-10-30T12-00-00/manifest.json"},
        SUCCESS | {"outputManifest": f"metrics/{'p' * 500}/m/2026-10-30T12-00-00/manifest.json"},
        SUCCESS | {"versionTs": "2026-10-30T12:00:00Z"},
        SUCCESS | {"schema": "metrics.run.v1"},
        FAILURE | {"error": "CONFIG_ERROR: a\nb"},
        FAILURE | {"error": "CONFIG_ERROR: \ud800"},
        FAILURE | {"error": "CONFIG_ERROR: " + "x" * 1000},
        FAILURE | {"error": "NO_SUCH_ERROR: x"},
        FAILURE | {"error": {"code": "CONFIG_ERROR", "message": "no"}},
        FAILURE | {"error": None},
        FAILURE | {"metricCode": ""},
        FAILURE | {"metricCode": None},
        SUCCESS | {"metricCode": "a/b"},
        SUCCESS | {"error": "CONFIG_ERROR: no"},
        STARTED | {"startedAt": "2026-10-30 12:00:00"},
        STARTED | {"startedAt": "2026-13-30T12:00:00Z"},
        STARTED | {"runId": "a/b"},
        {"type": "metric_run_heartbeat", "runId": "run-1", "ts": "2026-10-30T12:00:00Z", "progress": 1.5},
        json.dumps(STARTED)[:-1] + ', "runId": "run-2"}',
        '{"type": "metric_run_heartbeat", "runId": "run-1", "ts": "2026-10-30T12:00:00Z", "progress": NaN}',
    ],
)
def test_an_event_that_the_control_plane_could_not_parse_is_found(event):
    with pytest.raises((AssertionError, ValueError)):
        published_events.check(message(event))


def case_of_files(files, **settings):
    listed = {manifests.KEY: json.dumps({"parquet_files": list(files)}).encode()}
    objects = {manifests.PROJECTIONS + name: body for name, body in files.items()}
    return Case([record(request(series("A"), kind="series"))], objects | listed, settings)


def long_file(count):
    times = pa.array(np.arange(count), pa.timestamp("us"))
    return parquet(rows("A", times, np.arange(count) / 7))


NO_LIMIT = 10**9
PADDED = json.dumps(request()) + " " * 70_000


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        (lambda: case_of_files({"A/x": long_file(21_000)}, WORKER_MAX_ROWS=NO_LIMIT), "rows read"),
        (
            lambda: case_of_files(
                {"A/x": long_file(2_000_000)}, WORKER_MAX_ROWS=NO_LIMIT, WORKER_MAX_MEMORY_MB=999
            ),
            "Arrow",
        ),
        (
            lambda: case_of_files(
                {f"A/{n}": long_file(1) for n in range(60)}, WORKER_MAX_PART_FILES=NO_LIMIT
            ),
            "part files",
        ),
        (
            lambda: Case([record(PADDED)], bodies.objects(), {"WORKER_MAX_BODY_BYTES": NO_LIMIT}),
            "too large",
        ),
    ],
)
def test_a_worker_that_exceeds_the_limits_is_found(case, problem):
    exceeding = case()
    with pytest.raises(AssertionError, match=problem):
        judge(exceeding)


def test_a_worker_that_reads_outside_the_prefixes_is_found(monkeypatch):
    monkeypatch.setattr("metrics_worker.dataset.manifest.is_key", lambda _: True)
    listed = {manifests.KEY: b'{"parquet_files": ["A/../../../../secret"]}'}
    with pytest.raises(AssertionError, match="secret"):
        judge(Case([record(request(series("A"), kind="series"))], listed))


def test_an_unexpected_exception_in_the_worker_is_found(monkeypatch):
    nothing: dict[str, object] = {}
    monkeypatch.setattr("metrics_worker.run.evaluate", lambda *_: nothing["missing"])
    with pytest.raises(AssertionError, match="KeyError"):
        judge(Case([record(request())], bodies.objects()))


def test_a_run_that_is_given_back_without_a_reason_is_found(monkeypatch):
    monkeypatch.setattr("metrics_worker.publication.commit.versions_to_try", lambda *_: ())
    with pytest.raises(AssertionError, match="given back"):
        judge(Case([record(request())], bodies.objects()))


def test_a_thread_that_outlives_the_invocation_is_found(monkeypatch):
    left, leave = [], Heartbeat.__exit__
    monkeypatch.setattr(Heartbeat, "__exit__", lambda heartbeat, *_: left.append(heartbeat))
    try:
        with pytest.raises(AssertionError, match="outlived"):
            judge(Case([record(request())], bodies.objects(), {"WORKER_HEARTBEAT_INTERVAL_SECONDS": 1}))
    finally:
        for heartbeat in left:
            leave(heartbeat, None, None, None)


def test_a_process_that_does_not_end_is_found(monkeypatch, tmp_path):
    monkeypatch.setattr(batches, "MAX_BATCH_SECONDS", 0.01)
    tally = batches.judged("slow", 10, tmp_path)
    assert len(tally.findings) == 1


def test_a_saved_input_is_loaded_unchanged(tmp_path):
    _, case = batches.case_of("kept")
    assert Case.load(case.save(tmp_path)) == case

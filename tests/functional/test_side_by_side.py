"""The real handler runs the metrics of a batch concurrently, and writes correct log lines and metrics."""

import json
import threading
from types import SimpleNamespace

import boto3
import pytest

from metrics_worker.messaging.request_queue import RequestQueue
from metrics_worker.messaging.topics import StatusTopics
from metrics_worker.settings import Settings
from metrics_worker.worker import Worker
from tests.builders import record
from tests.faulty_store import DATA, MARKER, raising, throttled
from tests.ten_series import (
    CHAIN,
    PARTS,
    PATIENCE,
    given_back,
    let_all_start_before_any_reads,
    outcomes,
    reads,
    run_of,
    when,
)

pytestmark = pytest.mark.usefixtures("no_thread_is_left")
NOTHING_COMES_BACK: dict[str, list[dict[str, str]]] = {"batchItemFailures": []}


# Concurrent groups


@pytest.mark.usefixtures("file_a_series")
def test_a_group_that_waits_for_sns_does_not_delay_other_groups(cloud, invoke):
    other_is_done, waited = threading.Event(), []
    when(cloud, "started", "m.slow-1", lambda: waited.append(other_is_done.wait(PATIENCE)))
    when(cloud, "completed", "m.fast-1", other_is_done.set)

    assert invoke(run_of("m.slow"), run_of("m.fast")) == NOTHING_COMES_BACK

    assert waited == [True]
    assert outcomes(cloud) == {"m.slow-1": "SUCCESS", "m.fast-1": "SUCCESS"}


@pytest.mark.usefixtures("file_a_series")
def test_a_group_that_waits_for_a_write_does_not_delay_other_groups(cloud, invoke, faults):
    other_is_done, waited = threading.Event(), []
    faults.before("PUT", "metrics/m.slow/*/data/*", lambda: waited.append(other_is_done.wait(PATIENCE)))
    when(cloud, "completed", "m.fast-1", other_is_done.set)

    assert invoke(run_of("m.slow"), run_of("m.fast")) == NOTHING_COMES_BACK

    assert waited == [True]
    assert outcomes(cloud) == {"m.slow-1": "SUCCESS", "m.fast-1": "SUCCESS"}


@pytest.mark.usefixtures("file_a_series")
def test_a_group_that_waits_for_part_files_does_not_delay_other_groups(cloud, invoke, faults):
    gate = faults.hold(PARTS.format("A/"))
    when(cloud, "completed", "m.fast-1", gate.open)

    assert invoke(run_of("m.slow", "A", "B"), run_of("m.fast", "C", "D")) == NOTHING_COMES_BACK

    assert gate.reached.is_set()
    assert [event["runId"] for event in cloud.sns.completed] == ["m.fast-1", "m.slow-1"]


@pytest.mark.usefixtures("file_a_series")
def test_groups_run_concurrently_and_each_in_order(cloud, invoke, faults):
    met = threading.Barrier(3)
    faults.before(
        "PUT", DATA, lambda: met.wait(PATIENCE), times=9
    )  # Runs of all groups commit at the same time.
    records = [run_of(metric, number=n) for n in (1, 2, 3) for metric in ("m.x", "m.y", "m.z")]

    assert invoke(*records) == NOTHING_COMES_BACK

    for metric in ("m.x", "m.y", "m.z"):
        events = [event for event in cloud.sns.events if event["runId"].startswith(metric)]
        assert [(event["runId"], event["type"]) for event in events] == [
            (f"{metric}-{n}", f"metric_run_{kind}") for n in (1, 2, 3) for kind in ("started", "completed")
        ]
        versions = [event["versionTs"] for event in events if event["type"] == "metric_run_completed"]
        assert versions == sorted(set(versions))
        assert cloud.read_json(f"metrics/{metric}/current/manifest.json")["run_id"] == f"{metric}-3"
    assert set(outcomes(cloud).values()) == {"SUCCESS"}


@pytest.mark.usefixtures("file_a_series")
def test_a_group_that_fails_ends_while_other_groups_continue(cloud, invoke, faults):
    faults.before("GET", "metrics/m.x/runs/m.x-1.ok", throttled)
    gate = faults.hold("metrics/m.x/runs/m.x-1.ok")
    when(cloud, "completed", "m.y-1", gate.open)

    response = invoke(*(run_of(metric, number=n) for n in (1, 2) for metric in ("m.x", "m.y")))

    assert given_back(response) == ["m.x-1", "m.x-2"]
    assert outcomes(cloud) == {"m.y-1": "SUCCESS", "m.y-2": "SUCCESS"}
    assert not any(event["runId"].startswith("m.x") for event in cloud.sns.events)


def test_concurrent_groups_create_each_client_only_once(cloud, invoke, monkeypatch):
    made, another = [], threading.Event()

    def make(service, **_):
        if service in made:
            another.set()
        made.append(service)
        another.wait(0.1)  # Wait for a second client, which should not be created.
        client = {"sns": cloud.sns, "sqs": cloud.sqs}[service]
        events = SimpleNamespace(register=lambda *_: None)
        client.meta = SimpleNamespace(endpoint_url="https://aws.invalid", events=events)
        return client

    def worker(**given):
        settings = Settings(WORKER_STATUS_GAP_SECONDS=0, **given)
        topics, queue = StatusTopics(settings), RequestQueue(settings)
        return Worker(settings, cloud.bucket, topics, queue, cloud.now)

    monkeypatch.setattr(boto3, "client", make)
    monkeypatch.setattr(cloud, "worker", worker)
    poison = [record("poison", message_id=f"poison {n}", group=f"bad {n}") for n in range(5)]

    response = invoke(*(run_of(f"m.{n}") for n in range(5)), *poison)  # No dataset exists.

    assert len(given_back(response)) == len(cloud.sqs.calls) == 5
    assert outcomes(cloud) == {f"m.{n}-1": "FAILURE" for n in range(5)}
    assert sorted(made) == ["sns", "sqs"]


# Log lines and metrics


@pytest.mark.usefixtures("file_a_series")
def test_log_lines_of_a_run_contain_nothing_of_other_runs(cloud, invoke, faults, lines):
    let_all_start_before_any_reads(cloud, faults, 9)
    faults.before("GET", "metrics/m.8/*", throttled)
    pairs = [*CHAIN[:8], ("A", "B"), ("A", "ZZ")]
    names = [f"m.{n}" for n in range(10)]

    runs = [run_of(name, *pair) for name, pair in zip(names, pairs, strict=True)]
    assert given_back(invoke(*runs, WORKER_HEARTBEAT_INTERVAL_SECONDS=0.001)) == ["m.8-1"]

    closing = {line["run_id"]: line for line in lines() if line.get("event_type") == "metric_run_closed"}
    assert closing.keys() == {f"{name}-1" for name in names}
    for name, pair in zip(names, pairs, strict=True):
        line = closing[f"{name}-1"]
        assert (line["metric_code"], line["message_id"], line["attempt"]) == (name, f"{name}-1", 1)
        assert line["outcome"] == {"m.8": "RETURNED", "m.9": "FAILURE"}.get(name, "SUCCESS")
        assert line["started"] is (name != "m.8")
        if line["outcome"] == "SUCCESS":
            assert [found["series_code"] for found in line["inputs"]] == list(pair)
            assert "error" not in line
        else:
            assert line["inputs"] == []
            assert "version_ts" not in line
    for line in lines():
        text = json.dumps(line)
        assert [name for name in names if name in text] == [line["metric_code"]]
    assert [line["message_id"] for line in lines() if line["message"] == "message given back"] == ["m.8-1"]


@pytest.mark.usefixtures("file_a_series")
def test_the_counts_of_a_batch_of_ten_are_exact(cloud, invoke, faults, lines, blobs):
    let_all_start_before_any_reads(cloud, faults, 9)
    faults.before("GET", "metrics/m.8/*", throttled)
    pairs = [*CHAIN[:8], ("A", "B"), ("A", "ZZ")]

    invoke(*(run_of(f"m.{n}", *pair) for n, pair in enumerate(pairs)))

    failed, batch = blobs()
    assert (failed["metric_runs_failed_total"], failed["error_code"]) == ([1.0], "INPUT_READ_ERROR")
    assert sorted(batch["metric_runs_started_total"]) == [0.0] + [1.0] * 9
    assert sorted(batch["metric_runs_succeeded_total"]) == [0.0] * 2 + [1.0] * 8
    assert len(batch["metric_run_duration_seconds"]) == 10
    traffic = [line["traffic"] for line in lines() if line.get("event_type") == "metric_run_closed"]
    assert sum(run["gets"] for run in traffic) == faults.count("GET", "*")
    assert sum(run["puts"] for run in traffic) == faults.count("PUT", "*") == 8 * 4
    written = {key: len(cloud.read(key)) for key in cloud.keys("metrics/")}
    assert sum(batch["s3_write_mb"]) == pytest.approx(sum(written.values()) / 1e6)
    read_back = sum(size for key, size in written.items() if "/data/" in key)
    inputs = sum(len(cloud.read(key)) * count for key, count in reads(faults, "datasets/*").items())
    assert sum(batch["s3_read_mb"]) == pytest.approx((inputs + read_back) / 1e6)


@pytest.mark.usefixtures("file_a_series")
def test_a_batch_leaves_no_thread_after_any_outcome(cloud, invoke, faults):
    before = set(threading.enumerate())
    faults.before("GET", "metrics/m.returned/*", throttled)
    faults.before("PUT", "metrics/m.defect/*", raising(ZeroDivisionError("by 0")))
    poison = record("poison", message_id="poison", group="m.poison")
    seen: list[str] = []
    faults.before("PUT", MARKER, lambda: seen.extend(thread.name for thread in threading.enumerate()))

    response = invoke(
        run_of("m.good"), run_of("m.bad", "A", "ZZ"), run_of("m.returned"), run_of("m.defect"), poison
    )

    assert sorted(given_back(response)) == ["m.returned-1", "poison"]
    assert outcomes(cloud) == {"m.good-1": "SUCCESS", "m.bad-1": "FAILURE", "m.defect-1": "FAILURE"}
    assert {"event_loop", "heartbeat"} <= set(seen)
    assert set(threading.enumerate()) == before

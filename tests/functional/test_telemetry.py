"""The log lines and EMF documents that the real handler writes for a batch."""

import json
import threading
from typing import Any

import obstore
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.builders import day, envelope, put_a_and_b, put_dataset, ratio, record, request, rows, series
from tests.faulty_store import MARKER, raising, throttled

COUNTS = (
    "metric_runs_started_total",
    "metric_runs_succeeded_total",
    "metric_runs_returned_total",
    "metric_versions_shrunk_total",
    "metric_rows_read_total",
    "metric_rows_left_out_total",
    "metric_rows_written_total",
    "metric_snapshot_hits_total",
    "metric_snapshot_misses_total",
    "metric_snapshots_failed_total",
    "metric_part_files_read_total",
    "metric_heartbeats_sent_total",
    "metric_heartbeats_failed_total",
    "s3_requests_total",
)
UNITS = dict.fromkeys(COUNTS, "Count") | {
    "metric_run_duration_seconds": "Seconds",
    "metric_run_freshness_seconds": "Seconds",
    "s3_read_mb": "Megabytes",
    "s3_write_mb": "Megabytes",
    "process_peak_memory_mb": "Megabytes",
}
"""The metrics of a batch with one successful run, and their units."""


@pytest.fixture(autouse=True)
def dataset(cloud):
    put_a_and_b(cloud.store)


def bad(run_id="bad", metric="m.bad", code="ZZ"):
    return record(request(ratio(series(code), series("B")), run_id=run_id, metric=metric), message_id=run_id)


def good(run_id="good", metric="m.good"):
    return record(request(run_id=run_id, metric=metric), message_id=run_id)


def closing(lines):
    return {line["run_id"]: line for line in lines() if line.get("event_type") == "metric_run_closed"}


def counts(blobs: list[dict[str, Any]], name: str) -> list[Any]:
    """Return all values of the CloudWatch metric `name` in EMF documents, in the order of the documents."""
    found = []
    for blob in blobs:
        value = blob.get(name, [])
        found += value if isinstance(value, list) else [value]
    return found


def test_the_closing_line_of_a_run_has_all_its_facts(invoke, lines):
    invoke(good())

    (line,) = [line for line in lines() if line.get("event_type") == "metric_run_closed"]
    assert line["level"] == "INFO"
    assert line["message"] == "run succeeded"
    assert line["service"] == "metrics-worker"
    assert line["function_request_id"] == "request-1"
    expected = {
        "run_id": "good",
        "metric_code": "m.good",
        "attempt": 1,
        "outcome": "SUCCESS",
        "started": True,
        "version_ts": "2026-10-30T12-00-00",
        "row_count": 10,
        "rolled_forward": False,
        "moved_current": True,
    }
    assert {name: line[name] for name in expected} == expected
    assert line["stages"].keys() == {
        "marker",
        "read",
        "evaluate",
        "commit",
        "current",
        "completed",
        "snapshots",
    }
    assert all(isinstance(seconds, float) for seconds in line["stages"].values())
    assert line["seconds"] >= max(line["stages"].values())
    assert line["traffic"]["puts"] == 4
    assert [(found["series_code"], found["observations"]) for found in line["inputs"]] == [
        ("A", 10),
        ("B", 10),
    ]


def test_the_closing_line_of_a_failed_run_has_its_error(invoke, lines):
    invoke(bad())

    line = closing(lines)["bad"]
    assert (line["level"], line["message"], line["outcome"]) == ("WARNING", "run failed", "FAILURE")
    assert line["error_code"] == "INPUT_READ_ERROR"
    assert line["error"].startswith("Failed to read input series: ZZ")


def test_the_closing_line_of_a_returned_run_has_the_reason(invoke, lines, faults):
    faults.before("GET", MARKER, throttled)

    invoke(good())

    line = closing(lines)["good"]
    assert (line["level"], line["message"], line["outcome"]) == ("WARNING", "run given back", "RETURNED")
    assert line["error_code"] == "StoreUnavailable"
    assert "runs/good.ok" in line["error"]


def test_the_traceback_of_a_defect_is_only_in_the_log(cloud, invoke, lines, monkeypatch):
    monkeypatch.setattr("metrics_worker.run.evaluate", lambda *_: raising(ZeroDivisionError("by 0"))())

    invoke(good())

    line = closing(lines)["good"]
    assert (line["level"], line["error_code"]) == ("ERROR", "INTERNAL_ERROR")
    assert "ZeroDivisionError: by 0" in line["exception"]
    assert "Traceback" in line["exception"]
    assert not any("Traceback" in message["Message"] for message in cloud.sns.messages)


def test_an_empty_version_causes_a_warning(cloud, invoke, lines):
    apart = {"A/x.parquet": rows("A", [day(1)], [1.0]), "B/x.parquet": rows("B", [day(2)], [1.0])}
    put_dataset(cloud.store, apart)

    invoke(good())

    (warning,) = [line for line in lines() if "empty version" in line["message"]]
    assert warning["level"] == "WARNING"
    assert warning["run_id"] == "good"
    assert warning["version_ts"] == "2026-10-30T12-00-00"


def test_no_line_has_a_field_of_another_run(invoke, lines, faults):
    faults.before("GET", "*/runs/second.ok", throttled)

    invoke(good("first", "m.1"), record("poison", message_id="poison"), good("second", "m.2"), bad("third"))

    assert closing(lines).keys() == {"first", "second", "third"}
    unanswerable = [line for line in lines() if line.get("message_id") == "poison"]
    assert len(unanswerable) == 1
    assert not {"run_id", "metric_code"} & unanswerable[0].keys()
    assert {line["metric_code"] for line in lines() if line.get("run_id") == "second"} == {"m.2"}


def test_a_returned_message_is_logged_with_the_reason(invoke, lines):
    invoke(record("poison", message_id="poison"))

    (line,) = [line for line in lines() if line.get("message_id") == "poison"]
    assert line["level"] == "WARNING"
    assert "not JSON" in line["reason"]


def test_failed_heartbeats_are_counted_in_the_closing_line(cloud, invoke, lines, faults):
    failed = threading.Event()

    def refuse(message):
        if "heartbeat" in message["TopicArn"]:
            failed.set()
            raise ClientError({"Error": {"Code": "NotFound"}}, "Publish")

    cloud.sns.before = refuse
    faults.before("PUT", MARKER, lambda: failed.wait(10))

    invoke(good(), WORKER_HEARTBEAT_INTERVAL_SECONDS=0.001)

    line = closing(lines)["good"]
    assert line["heartbeats_failed"] >= 1
    assert "AWS answered NotFound" in line["heartbeat_error"]


def test_a_batch_writes_one_document_for_service_and_function(cloud, invoke, blobs):
    invoke(good())

    (blob,) = blobs()
    (directive,) = blob["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "MetricsWorker"
    assert directive["Dimensions"] == [["function_name", "service"]]
    assert {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]} == UNITS
    assert blob.keys() == {"_aws", "service", "function_name", *UNITS}
    assert (blob["service"], blob["function_name"]) == ("metrics-worker", "metrics-worker")
    assert blob["metric_runs_started_total"] == blob["metric_runs_succeeded_total"] == [1.0]
    written = sum(len(cloud.read(key)) for key in cloud.keys("metrics/"))
    assert blob["s3_write_mb"] == pytest.approx([written / 1e6])
    inputs = sum(len(cloud.read(key)) for key in cloud.keys("datasets/"))
    read_back = sum(len(cloud.read(key)) for key in cloud.keys("metrics/") if "/data/" in key)
    assert blob["s3_read_mb"] == pytest.approx([(inputs + read_back) / 1e6])
    assert blob["metric_run_duration_seconds"][0] > 0


def test_only_failures_are_counted_by_error_code(invoke, blobs):
    invoke(bad("1"), good(), bad("2", "m.2"))

    *failed, batch = blobs()
    for blob in failed:
        (directive,) = blob["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "MetricsWorker"
        assert [set(dimensions) for dimensions in directive["Dimensions"]] == [
            {"service", "function_name", "error_code"}
        ]
        assert [metric["Name"] for metric in directive["Metrics"]] == ["metric_runs_failed_total"]
        assert [metric["Unit"] for metric in directive["Metrics"]] == ["Count"]
        assert blob["error_code"] == "INPUT_READ_ERROR"
        assert blob["service"] == "metrics-worker"
    assert counts(failed, "metric_runs_failed_total") == [1.0, 1.0]
    assert batch["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["function_name", "service"]]
    assert "metric_runs_failed_total" not in batch
    assert batch["metric_runs_started_total"] == [1.0] * 3
    assert sorted(batch["metric_runs_succeeded_total"]) == [0.0, 0.0, 1.0]
    assert len(batch["metric_run_duration_seconds"]) == 3


def test_no_metric_has_a_metric_code_or_a_run_id(invoke, blobs):
    invoke(good("run-of-a-kind", "a.rare.metric"), bad("run-2", "another.metric"))

    assert not any(name in json.dumps(blobs()) for name in ("rare", "another.metric", "of-a-kind", "run-2"))


def test_a_returned_run_is_counted_neither_as_failed_nor_as_succeeded(invoke, blobs, faults):
    faults.before("GET", "datasets/fx/projections/A/*", throttled)

    invoke(good())

    written = blobs()
    assert counts(written, "metric_runs_started_total") == [1.0]
    assert counts(written, "metric_runs_failed_total") == []
    assert counts(written, "metric_runs_succeeded_total") == [0.0]
    assert counts(written, "metric_runs_returned_total") == [1.0]


def test_a_rolled_forward_run_is_not_counted_as_started_again(invoke, blobs):
    invoke(good())
    blobs()

    invoke(good())

    written = blobs()
    assert counts(written, "metric_runs_started_total") == [0.0]
    assert counts(written, "metric_runs_succeeded_total") == [1.0]


def test_an_unpublished_failure_is_not_counted(cloud, invoke, blobs, lines):
    def refuse(message):
        if "completed" in message["TopicArn"]:
            raise EndpointConnectionError(endpoint_url="https://sns")

    cloud.sns.before = refuse

    invoke(bad())

    assert counts(blobs(), "metric_runs_failed_total") == []
    assert closing(lines)["bad"]["outcome"] == "RETURNED"


def test_a_batch_without_a_run_writes_only_the_memory_of_the_process(invoke, blobs):
    invoke(record("poison"))

    (blob,) = blobs()
    assert blob.keys() == {"_aws", "service", "function_name", "process_peak_memory_mb"}


def test_the_metrics_of_an_invocation_do_not_contain_those_of_the_previous_one(cloud, invoke, blobs):
    invoke(good("1"), good("2"))
    blobs()
    obstore.delete(cloud.store, cloud.keys("metrics/"))

    invoke(good("3"))

    assert counts(blobs(), "metric_runs_succeeded_total") == [1.0]


def test_the_closing_line_has_the_sums_of_files_rows_and_dropped_rows(cloud, invoke, lines):
    times = [day(1), day(1), day(2), day(3), day(4), day(5)]
    gaps = rows("A", times, [1.0, 2.0, None, float("nan"), float("inf"), 6.0])
    put_dataset(cloud.store, {"A/1.parquet": gaps, "B/1.parquet": rows("B", times[1:], [2.0] * 5)})

    invoke(record(envelope(request(run_id="good", metric="m.good"))))

    line = closing(lines)["good"]
    assert {name: line[name] for name in ("files", "rows_in", "observations_in", "rows_out")} == {
        "files": 2,
        "rows_in": 11,
        "observations_in": 7,
        "rows_out": 2,
    }
    lost = {"": 4, "_null": 1, "_nan": 1, "_infinite": 1, "_duplicate": 1}
    assert {name: line[f"left_out{name}"] for name in lost} == lost
    assert line["requests"] == sum(line["traffic"][kind] for kind in ("gets", "puts", "lists"))
    assert (line["bytes_read"], line["bytes_written"]) == (
        line["traffic"]["bytes_read"],
        line["traffic"]["bytes_written"],
    )
    assert line["requested_at"] == "2026-10-30T11:59:58.123Z"
    assert line["freshness_seconds"] == 1.877
    assert line["function_version"] == "7"


def test_the_sums_of_a_run_that_read_nothing_are_zero(invoke, lines):
    invoke(bad())

    line = closing(lines)["bad"]
    assert (line["files"], line["rows_in"], line["left_out"]) == (0, 0, 0)
    assert not {"rows_out", "freshness_seconds"} & line.keys()
    assert line["requests"] > 0


def test_each_outcome_is_counted_once_and_the_failures_are_the_remaining_attempts(invoke, blobs, faults):
    faults.before("GET", "*/runs/late.ok", throttled)

    invoke(good(), bad(), good("late", "m.late"))

    by_code, batch = blobs()
    for outcome in ("succeeded", "returned"):
        assert sorted(batch[f"metric_runs_{outcome}_total"]) == [0.0, 0.0, 1.0]
    for blob in (by_code, batch):
        assert (blob["service"], blob["function_name"]) == ("metrics-worker", "metrics-worker")
    assert (by_code["error_code"], by_code["metric_runs_failed_total"]) == ("INPUT_READ_ERROR", [1.0])
    ended = sum(batch["metric_runs_succeeded_total"] + batch["metric_runs_returned_total"])
    assert len(batch["metric_run_duration_seconds"]) - ended == sum(by_code["metric_runs_failed_total"])


def test_the_metrics_contain_what_a_run_read_and_wrote_and_its_requests(invoke, blobs, lines):
    invoke(good())

    written, line = blobs(), closing(lines)["good"]
    expected = {
        "metric_rows_read_total": [20.0],
        "metric_rows_written_total": [10.0],
        "metric_rows_left_out_total": [0.0],
        "s3_requests_total": [line["requests"]],
        "s3_read_mb": [line["bytes_read"] / 1e6],
        "s3_write_mb": [line["bytes_written"] / 1e6],
        "metric_run_duration_seconds": [line["seconds"]],
        "metric_run_freshness_seconds": [line["freshness_seconds"]],
    }
    assert {name: counts(written, name) for name in expected} == {
        name: pytest.approx(values) for name, values in expected.items()
    }
    (peak,) = counts(written, "process_peak_memory_mb")
    assert peak > 10, "KiB on Linux, and this process holds pyarrow"


def test_freshness_and_rows_are_counted_once_for_a_redelivered_run(invoke, blobs):
    invoke(good())
    first = blobs()

    invoke(good())

    again = blobs()
    for name in ("metric_run_freshness_seconds", "metric_rows_written_total"):
        assert len(counts(first, name)) == 1
        assert counts(again, name) == []
    assert counts(again, "metric_runs_succeeded_total") == [1.0]


def test_only_a_defect_is_counted_by_the_version_of_the_function(invoke, blobs, monkeypatch):
    invoke(bad())
    assert counts(blobs(), "metric_run_defects_total") == []

    monkeypatch.setattr("metrics_worker.run.evaluate", lambda *_: raising(ZeroDivisionError("by 0"))())
    invoke(good())

    (defect,) = [blob for blob in blobs() if "metric_run_defects_total" in blob]
    (directive,) = defect["_aws"]["CloudWatchMetrics"]
    assert [set(names) for names in directive["Dimensions"]] == [
        {"service", "function_name", "function_version"},
        {"service", "function_name"},
    ]
    assert (defect["function_version"], defect["metric_run_defects_total"]) == ("7", [1.0])

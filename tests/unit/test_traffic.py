"""The record of a run's requests to S3: the counts of requests and bytes, and the time of each request."""

import json
from contextlib import suppress

import obstore
import pytest
from obstore.store import MemoryStore

from metrics_worker.errors import ObjectNotFound, ObjectTaken
from metrics_worker.observability.report import RunReport
from metrics_worker.observability.traffic import MAX_REQUESTS, Trace, Traffic
from metrics_worker.s3.s3_bucket import S3Bucket
from tests.builders import BUCKET


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def traced(store):
    return S3Bucket(store, BUCKET, Traffic(trace=Trace()))


def asked(bucket):
    return [(one.operation, one.key, one.size, one.problem) for one in bucket.traffic.trace.requests]


def test_every_request_is_traced_with_its_size(traced):
    etag = traced.create("a/1", b"12345")
    traced.swap("a/1", b"123", etag=etag)
    found = traced.get("a/1")
    traced.get_ranges(found, [(0, 2)])
    traced.get_many(["a/1"], lambda _: None)
    traced.list("a/")
    assert asked(traced) == [
        ("PUT", "a/1", 5, ""),
        ("PUT", "a/1", 3, ""),
        ("GET", "a/1", 3, ""),
        ("GET", "a/1", 2, ""),
        ("GET", "a/1", 3, ""),
        ("LIST", "a/", 0, ""),
    ]
    counts = traced.traffic
    assert len(asked(traced)) == counts.gets + counts.puts + counts.lists


def test_a_request_that_fails_is_traced_with_its_error(traced, store):
    obstore.put(store, "a/1", b"of another")
    with pytest.raises(ObjectNotFound):
        traced.get("a/2")
    with pytest.raises(ObjectTaken):
        traced.create("a/1", b"mine")
    assert asked(traced) == [
        ("GET", "a/2", 0, "ObjectNotFound"),
        ("PUT", "a/1", 0, "AlreadyExistsError"),
        ("GET", "a/1", 10, ""),
    ]


def test_requests_are_timed_in_the_order_of_the_clock(traced):
    traced.create("a/1", b"1")
    traced.get("a/1")
    put, get = traced.traffic.trace.requests
    assert put.start >= 0
    assert put.seconds > 0
    assert put.start + put.seconds <= get.start


def test_without_a_trace_only_the_counts_are_kept():
    bucket = S3Bucket(MemoryStore(), BUCKET)
    bucket.create("a/1", b"1")
    assert bucket.traffic == Traffic(puts=1, bytes_written=1)
    assert bucket.traffic.counts() == {
        "gets": 0,
        "puts": 1,
        "lists": 0,
        "bytes_read": 0,
        "bytes_written": 1,
    }


def test_each_occurrence_of_a_stage_is_traced_with_its_start():
    report = RunReport(run_id="run-1", metric_code="m.x", attempt=1, traffic=Traffic(trace=Trace()))
    with report.stage("read"), suppress(KeyError), report.stage("marker"):
        raise KeyError
    with report.stage("read"):
        pass
    assert report.traffic.trace is not None
    stages = report.traffic.trace.stages
    assert [name for name, _, _ in stages] == ["marker", "read", "read"]
    assert stages[1][1] <= stages[0][1] <= stages[2][1]
    assert report.stages["read"] == pytest.approx(stages[1][2] + stages[2][2], abs=2e-4)


def test_a_trace_is_limited_and_counts_the_requests_that_it_left_out():
    trace = Trace()
    for _ in range(MAX_REQUESTS + 3):
        with trace.timed("GET", key="k"):
            pass
    assert (len(trace.requests), trace.left_out) == (MAX_REQUESTS, 3)


def test_the_log_line_of_a_full_trace_fits_into_cloudwatch():
    trace = Trace()
    for _ in range(MAX_REQUESTS):
        with trace.timed("GET", key='"' * 1024), suppress(OSError):
            raise FileNotFoundError
    assert trace.left_out > 0
    assert len(json.dumps(trace.line()).encode()) < 1_000_000


def test_a_trace_in_the_log_has_times_in_milliseconds(monkeypatch):
    clock = iter([10.0, 10.5, 10.75])
    monkeypatch.setattr("metrics_worker.observability.traffic.time.perf_counter", lambda: next(clock))
    trace = Trace(began_at=1_700_000_000.123456, began=next(clock))
    with trace.timed("GET", key="k") as request:
        request.size = 7
    trace.stage("read", began=10.25, seconds=1.0)
    assert trace.line() == {
        "began_at": 1_700_000_000.1235,
        "stages": [["read", 250.0, 1000.0]],
        "requests": [["GET", "k", 500.0, 250.0, 7, ""]],
        "left_out": 0,
    }

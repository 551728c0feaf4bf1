import io
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from metrics_worker.observability.report import RunReport
from metrics_worker.observability.telemetry import close_run, logger, measured, metrics, open_run
from metrics_worker.request import Run
from tests.builders import FakeContext

RUN = Run("run-1", "m", v1=False, requested_at=datetime(2026, 10, 30, tzinfo=UTC), event={})


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Return `closed(report)`, which writes the telemetry of a finished attempt.

    `report` is the `RunReport` of the attempt. The function returns (log lines, EMF documents), two lists of
    JSON objects: all log lines of the test so far, and the EMF documents since the last call.
    """
    stream = io.StringIO()
    (handler,) = logger.handlers
    monkeypatch.setattr(handler, "stream", stream)

    context: Any = FakeContext()

    def close(report):
        close_run(report, context)
        metrics.flush_metrics()
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
        return lines, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return close


def report_of(outcome, **more):
    report = RunReport(run_id="run-1", metric_code="m", attempt=1, outcome=outcome, **more)
    report.close()
    return report


@pytest.mark.parametrize(
    ("outcome", "level"), [("SUCCESS", "INFO"), ("FAILURE", "WARNING"), ("RETURNED", "WARNING")]
)
def test_an_attempt_writes_one_closing_line_with_the_level_of_its_outcome(closed, outcome, level):
    lines, _ = closed(report_of(outcome))

    (line,) = lines
    assert (line["level"], line["outcome"], line["event_type"]) == (level, outcome, "metric_run_closed")
    assert not {"began", "defect"} & line.keys()


def test_a_failure_without_a_code_is_counted_as_internal(closed):
    _, blobs = closed(report_of("FAILURE"))

    assert [blob["error_code"] for blob in blobs if "metric_runs_failed_total" in blob] == ["INTERNAL_ERROR"]


def test_a_defect_is_logged_with_its_traceback(closed):
    with pytest.raises(ZeroDivisionError) as raised:
        _ = 1 / 0

    lines, _ = closed(report_of("FAILURE", error_code="INTERNAL_ERROR", defect=raised.value))

    assert lines[0]["level"] == "ERROR"
    assert lines[0]["exception_name"] == "ZeroDivisionError"


def test_only_a_version_without_rows_causes_a_warning(closed):
    lines, _ = closed(report_of("SUCCESS", row_count=1))
    assert len(lines) == 1

    lines, _ = closed(report_of("SUCCESS", row_count=0, version_ts="v"))
    assert [line["level"] for line in lines[1:]] == ["WARNING", "INFO"]


def test_a_megabyte_is_a_million_bytes(closed):
    report = report_of("SUCCESS")
    report.traffic.bytes_read, report.traffic.bytes_written = 2_500_000, 1_000

    _, (blob,) = closed(report)

    assert blob["s3_read_mb"] == [2.5]
    assert blob["s3_write_mb"] == [0.001]


def test_a_flush_without_metrics_writes_nothing(capsys):
    metrics.flush_metrics()

    assert capsys.readouterr().out == ""


def test_an_invocation_that_raises_writes_no_metric_of_its_own(capsys):
    context: Any = FakeContext()

    with pytest.raises(ZeroDivisionError):
        measured(lambda *_: {"never": 1 / 0})({"Records": [{}, {}]}, context)

    metrics.flush_metrics()
    assert capsys.readouterr().out == ""


def test_an_invocation_that_returns_writes_its_peak_memory_under_the_name_of_the_function(capsys):
    context: Any = FakeContext(function_name="worker-of-a-test")

    assert measured(lambda *_: {"batchItemFailures": []})({"Records": []}, context)

    metrics.flush_metrics()
    blob = json.loads(capsys.readouterr().out)
    assert blob["function_name"] == "worker-of-a-test"
    assert blob["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["function_name", "service"]]
    assert blob["process_peak_memory_mb"][0] > 10


def test_requests_are_logged_with_their_times_only_at_debug(closed, monkeypatch):
    assert open_run(RUN, 1, "message-1").traffic.trace is None

    monkeypatch.setattr(logger._logger, "level", logging.DEBUG)
    report = open_run(RUN, 1, "message-1")
    with report.stage("read"), report.traffic.timed("GET", key="datasets/x"):
        pass
    ((line,), _) = closed(report)
    assert [row[:2] for row in line["trace"]["requests"]] == [["GET", "datasets/x"]]
    assert [row[0] for row in line["trace"]["stages"]] == ["read"]
    assert "trace" not in line["traffic"]

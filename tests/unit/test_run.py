from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, timedelta
from threading import Event

import pytest
from botocore.exceptions import EndpointConnectionError

from metrics_worker.deadline import RESERVED_SECONDS
from metrics_worker.errors import (
    CommittedRunError,
    ConfigError,
    InputReadError,
    OutOfTime,
    OutputWriteError,
    StatusUnavailable,
    StoreUnavailable,
)
from metrics_worker.expression.evaluate import evaluate
from metrics_worker.invocation import Attempt, Invocation
from metrics_worker.observability.report import RunReport
from metrics_worker.request import RunRequest, open_record
from metrics_worker.request_check import Bounds
from metrics_worker.run import fail_metric, run_metric
from metrics_worker.settings import Settings
from metrics_worker.worker import Worker
from tests.builders import BUCKET, NOW, Cloud, put_a_and_b, record, request
from tests.faulty_store import CURRENT, MARKER, Faults, denied, raising, throttled

BOUNDS = Bounds(BUCKET, "metrics/", "datasets/")


@pytest.fixture
def faults(monkeypatch):
    return Faults.install(monkeypatch)


def run_request(**more):
    sent = record(request(**more))
    return RunRequest.parse(open_record(sent["body"], sent["attributes"]["SentTimestamp"]), BOUNDS)


def kinds(cloud):
    return [event["type"] for event in cloud.sns.events]


@pytest.fixture
def attempt_of(cloud: Cloud) -> Iterator[Callable[..., Attempt]]:
    """Yield `attempt_of(request, number=…, left=…)`, which returns an attempt at a run in a new invocation.

    `request` is the parsed `RunRequest`, `number` is the number of the attempt (by default 1), and `left` is
    the remaining time of the invocation in seconds (by default 60).
    """
    with ExitStack() as invocations:

        def attempt(request, *, number=1, left=60.0):
            invocation = Invocation.begin(Settings(), groups=1, remaining_ms=lambda: round(1000 * left))
            report = RunReport(run_id=request.run.run_id, metric_code=request.run.metric_code, attempt=number)
            return Attempt(
                run=request.run,
                report=report,
                worker=cloud.worker(),
                invocation=invocations.enter_context(invocation),
                receipt_handle="receipt",
            )

        yield attempt


def test_a_run_reports_what_it_did(cloud, attempt_of):
    put_a_and_b(cloud.store)
    request = run_request()
    attempt = attempt_of(request)

    run_metric(request, attempt)

    report = attempt.report
    assert (report.outcome, report.started, report.rolled_forward) == ("SUCCESS", True, False)
    assert (report.version_ts, report.row_count) == ("2026-10-30T12-00-00", 10)
    assert report.moved_current is True
    assert [summary.series_code for summary in report.inputs] == ["A", "B"]


def test_a_run_makes_at_most_eight_requests_to_s3_besides_its_part_files(cloud, faults, attempt_of):
    put_a_and_b(cloud.store)

    for number in (1, 2):  # The first run creates `current`, and the second run replaces it.
        cloud.now = lambda hours=number: NOW + timedelta(hours=hours)
        request = run_request(run_id=f"run-{number}")
        attempt = attempt_of(request)
        run_metric(request, attempt)

        assert attempt.report.moved_current
        part_files = faults.count("GET", "datasets/*/projections/*")
        assert part_files == 2
        assert len(faults.calls) - part_files <= 8
        assert len(cloud.sns.messages) == 2
        faults.calls.clear()
        cloud.sns.messages.clear()


def test_a_run_that_is_committed_rolls_forward(cloud, faults, attempt_of):
    put_a_and_b(cloud.store)
    request = run_request()
    run_metric(request, attempt_of(request))
    faults.calls.clear()
    attempt = attempt_of(request, number=2)

    run_metric(request, attempt)

    assert (attempt.report.outcome, attempt.report.started) == ("SUCCESS", False)
    assert attempt.report.rolled_forward
    *concurrent, manifest = faults.calls
    assert sorted(concurrent) == [
        ("GET", "metrics/ratio.a_to_b/current/manifest.json"),
        ("GET", "metrics/ratio.a_to_b/runs/run-1.ok"),
    ]
    assert manifest == ("GET", "metrics/ratio.a_to_b/2026-10-30T12-00-00/manifest.json")


def test_run_metric_raises_a_permanent_error_and_publishes_no_outcome(cloud, attempt_of):
    request = run_request()
    attempt = attempt_of(request)

    with pytest.raises(InputReadError):
        run_metric(request, attempt)

    assert cloud.sns.completed == []
    assert attempt.report.outcome == "RETURNED"


def test_no_step_begins_in_the_reserved_time(faults, attempt_of):
    request = run_request()

    with pytest.raises(OutOfTime, match=r"19\.9 s left"):
        run_metric(request, attempt_of(request, left=RESERVED_SECONDS - 0.1))

    assert faults.calls == []


def test_a_failure_is_published_for_a_request_without_a_usable_output(cloud, faults, attempt_of):
    request = run_request()
    attempt = attempt_of(request)

    fail_metric(ConfigError("output", "Field required"), attempt)

    assert cloud.sns.completed[0]["error"] == "CONFIG_ERROR: output: Field required"
    assert (attempt.report.outcome, attempt.report.error_code) == ("FAILURE", "CONFIG_ERROR")
    assert faults.calls == [("GET", "metrics/ratio.a_to_b/runs/run-1.ok")]


def test_a_failure_that_cannot_be_published_is_not_an_outcome(cloud, attempt_of):
    def refuse(_):
        raise EndpointConnectionError(endpoint_url="https://sns")

    cloud.sns.before = refuse
    request = run_request()
    attempt = attempt_of(request)

    with pytest.raises(StatusUnavailable, match="metric-run-completed"):
        fail_metric(ConfigError("x", "y"), attempt)

    assert attempt.report.outcome == "RETURNED"


@pytest.mark.parametrize("fault", [throttled, denied])
def test_a_failure_is_published_only_if_it_is_known_that_the_run_is_not_committed(
    cloud, faults, attempt_of, fault
):
    request = run_request()
    faults.before("GET", MARKER, fault)

    with pytest.raises(StoreUnavailable, match=r"runs/run-1\.ok"):
        fail_metric(ConfigError("x", "y"), attempt_of(request, number=2))

    assert cloud.sns.messages == []


def test_a_failure_after_the_commit_of_another_attempt_publishes_success(cloud, attempt_of):
    put_a_and_b(cloud.store)
    request = run_request()
    run_metric(request, attempt_of(request))
    attempt = attempt_of(request, number=2)

    fail_metric(ConfigError("x", "y"), attempt)

    first, second = cloud.sns.completed
    assert second == first | {"error": None}
    assert (attempt.report.outcome, attempt.report.error_code) == ("SUCCESS", None)


def test_an_error_after_the_commit_is_transient(cloud, faults, attempt_of):
    put_a_and_b(cloud.store)
    request = run_request()
    faults.before("PUT", CURRENT, denied)
    attempt = attempt_of(request)

    with pytest.raises(CommittedRunError, match="current can't move"):
        run_metric(request, attempt)

    assert attempt.report.outcome == "RETURNED"


def test_a_run_fails_before_its_first_write_if_current_may_not_be_read(cloud, faults, attempt_of):
    put_a_and_b(cloud.store)
    request = run_request()
    faults.before("GET", CURRENT, denied)

    with pytest.raises(OutputWriteError, match="current"):
        run_metric(request, attempt_of(request))

    assert cloud.sns.messages == []
    assert faults.count("PUT", "*") == faults.count("GET", "datasets/*") == 0


def test_the_started_event_is_published_before_the_evaluation_and_the_first_write(
    cloud, faults, attempt_of, monkeypatch
):
    put_a_and_b(cloud.store)
    request = run_request()
    seen = []

    def watched(*given):
        seen.append(kinds(cloud))
        return evaluate(*given)

    monkeypatch.setattr("metrics_worker.run.evaluate", watched)
    faults.before("PUT", "*", lambda: seen.append(kinds(cloud)), times=4)
    a_is_read = Event()
    faults.after("GET", "datasets/*/A/*", a_is_read.set)
    cloud.sns.before = lambda _: a_is_read.wait(
        10
    )  # The started event is published only after a part file of A was read.

    run_metric(request, attempt_of(request))

    assert seen == [["metric_run_started"]] * 5
    assert kinds(cloud) == ["metric_run_started", "metric_run_completed"]


def test_a_read_error_is_raised_only_after_the_started_event_is_published(cloud, faults, attempt_of):
    put_a_and_b(cloud.store)
    request = run_request()
    refused = Event()

    def refuse():
        refused.set()
        denied()

    faults.before("GET", "datasets/*/A/*", refuse)
    cloud.sns.before = lambda _: refused.wait(10)
    attempt = attempt_of(request)

    with pytest.raises(InputReadError):
        run_metric(request, attempt)

    assert kinds(cloud) == ["metric_run_started"]
    assert attempt.report.started


@pytest.mark.parametrize("readable", [True, False])
def test_a_run_whose_started_event_cannot_be_published_returns_uncommitted(
    cloud, faults, attempt_of, readable
):
    put_a_and_b(cloud.store)
    request = run_request()
    if not readable:
        faults.before("GET", "datasets/*/A/*", denied)
    cloud.sns.before = lambda _: raising(EndpointConnectionError(endpoint_url="https://sns"))()
    attempt = attempt_of(request)

    with pytest.raises(StatusUnavailable, match="metric-run-started"):
        run_metric(request, attempt)

    assert (attempt.report.outcome, attempt.report.started) == ("RETURNED", False)
    assert faults.count("PUT", "*") == 0
    assert cloud.keys("metrics/") == []


def test_a_worker_starts_without_a_request_to_aws():
    worker = Worker.start(Settings(AWS_ENDPOINT_URL="http://127.0.0.1:1"))  # no server

    assert worker.bucket.name == BUCKET
    assert worker.now().tzinfo is UTC

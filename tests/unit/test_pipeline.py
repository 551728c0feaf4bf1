from datetime import UTC

import pytest
from botocore.exceptions import EndpointConnectionError

from metrics_worker.contract import Bounds, RunRequest, open_record
from metrics_worker.dataset import Datasets
from metrics_worker.errors import (
    CommittedRunError,
    ConfigError,
    InputReadError,
    OutOfTime,
    StatusUnavailable,
    StoreUnavailable,
)
from metrics_worker.pipeline import RESERVED_SECONDS, Attempt, Worker, fail_metric, run_metric
from metrics_worker.report import RunReport
from metrics_worker.settings import Settings
from tests.builders import BUCKET, put_a_and_b, record, request
from tests.faulty_store import CURRENT, MARKER, Faults, denied, throttled

BOUNDS = Bounds(BUCKET, "metrics/", "datasets/")


@pytest.fixture
def faults(monkeypatch):
    return Faults.install(monkeypatch)


def asked(**more):
    sent = record(request(**more))
    return RunRequest.parse(open_record(sent["body"], sent["attributes"]["SentTimestamp"]), BOUNDS)


def attempt_of(request, *, number=1, left=60.0):
    report = RunReport(request.run.run_id, request.run.metric_code, number)
    return Attempt(report, "receipt", Datasets("manifest"), lambda: left)


def test_a_run_reports_what_it_did(cloud):
    put_a_and_b(cloud.store)
    request = asked()
    attempt = attempt_of(request)

    run_metric(request, cloud.worker(), attempt)

    report = attempt.report
    assert (report.outcome, report.started, report.rolled_forward) == ("SUCCESS", True, False)
    assert (report.version_ts, report.row_count) == ("2026-10-30T12-00-00", 10)
    assert report.moved_current is True
    assert [summary.series_code for summary in report.inputs] == ["A", "B"]


def test_a_run_asks_s3_for_its_part_files_and_eight_things_at_most(cloud, faults):
    put_a_and_b(cloud.store)
    request = asked()

    run_metric(request, cloud.worker(), attempt_of(request))

    part_files = faults.count("GET", "datasets/*/projections/*")
    assert part_files == 2
    assert len(faults.calls) - part_files <= 9
    assert len(cloud.sns.messages) == 2


def test_a_run_that_is_committed_rolls_forward(cloud, faults):
    put_a_and_b(cloud.store)
    request = asked()
    run_metric(request, cloud.worker(), attempt_of(request))
    faults.calls.clear()
    attempt = attempt_of(request, number=2)

    run_metric(request, cloud.worker(), attempt)

    assert (attempt.report.outcome, attempt.report.started) == ("SUCCESS", False)
    assert attempt.report.rolled_forward
    assert faults.calls == [
        ("GET", "metrics/ratio.a_to_b/runs/run-1.ok"),
        ("GET", "metrics/ratio.a_to_b/2026-10-30T12-00-00/manifest.json"),
        ("GET", "metrics/ratio.a_to_b/current/manifest.json"),
    ]


def test_what_can_not_succeed_is_raised_and_not_announced(cloud):
    request = asked()
    attempt = attempt_of(request)

    with pytest.raises(InputReadError):
        run_metric(request, cloud.worker(), attempt)

    assert cloud.sns.completed == []
    assert attempt.report.outcome == "RETURNED"


def test_no_step_begins_within_the_reserve(cloud, faults):
    request = asked()

    with pytest.raises(OutOfTime, match=r"2\.9 s left"):
        run_metric(request, cloud.worker(), attempt_of(request, left=RESERVED_SECONDS - 0.1))

    assert faults.calls == []


def test_a_failure_is_announced_where_the_request_was_too_bad_to_know_its_place(cloud, faults):
    request = asked()
    attempt = attempt_of(request)

    fail_metric(request.run, None, ConfigError("output", "Field required"), cloud.worker(), attempt)

    assert cloud.sns.completed[0]["error"] == "CONFIG_ERROR: output: Field required"
    assert (attempt.report.outcome, attempt.report.error_code) == ("FAILURE", "CONFIG_ERROR")
    assert faults.calls == []


def test_a_failure_that_can_not_be_announced_is_no_outcome(cloud):
    def refuse(_):
        raise EndpointConnectionError(endpoint_url="https://sns")

    cloud.sns.before = refuse
    request = asked()
    attempt = attempt_of(request)

    with pytest.raises(StatusUnavailable, match="metric-run-completed"):
        fail_metric(request.run, request.base, ConfigError("x", "y"), cloud.worker(), attempt)

    assert attempt.report.outcome == "RETURNED"


@pytest.mark.parametrize("fault", [throttled, denied])
def test_a_failure_waits_until_it_is_known_that_no_attempt_before_has_committed(cloud, faults, fault):
    request = asked()
    faults.before("GET", MARKER, fault)

    with pytest.raises(StoreUnavailable, match=r"runs/run-1\.ok"):
        fail_metric(
            request.run, request.base, ConfigError("x", "y"), cloud.worker(), attempt_of(request, number=2)
        )

    assert cloud.sns.messages == []


def test_a_failure_of_a_committed_run_is_its_success(cloud):
    put_a_and_b(cloud.store)
    request = asked()
    run_metric(request, cloud.worker(), attempt_of(request))
    attempt = attempt_of(request, number=2)

    fail_metric(request.run, request.base, ConfigError("x", "y"), cloud.worker(), attempt)

    first, second = cloud.sns.completed
    assert first == second
    assert (attempt.report.outcome, attempt.report.error_code) == ("SUCCESS", None)


def test_what_fails_after_the_commit_is_never_permanent(cloud, faults):
    put_a_and_b(cloud.store)
    request = asked()
    faults.before("GET", CURRENT, denied)
    attempt = attempt_of(request)

    with pytest.raises(CommittedRunError, match="current can't move"):
        run_metric(request, cloud.worker(), attempt)

    assert attempt.report.outcome == "RETURNED"


def test_a_worker_starts_without_a_word_to_aws():
    worker = Worker.start(Settings(AWS_ENDPOINT_URL="http://127.0.0.1:1"))  # nobody listens there

    assert worker.bucket.name == BUCKET
    assert worker.now().tzinfo is UTC

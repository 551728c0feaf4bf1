"""The report of an attempt: the durations of its stages, its outcome, and the freshness of its version."""

from datetime import UTC, datetime

import pytest

from metrics_worker.observability.report import GroupReport, RunReport


def test_the_outcome_of_a_new_attempt_is_that_its_message_is_returned():
    report = RunReport(run_id="run-1", metric_code="m.x", attempt=1)
    assert report.outcome == "RETURNED"
    assert not report.started


def test_a_stage_has_its_duration():
    report = RunReport(run_id="run-1", metric_code="m.x", attempt=1)
    with report.stage("read"):
        pass
    assert report.stages["read"] >= 0


def test_a_stage_that_raises_has_its_duration_too():
    report = RunReport(run_id="run-1", metric_code="m.x", attempt=1)
    with pytest.raises(KeyError), report.stage("read"):
        raise KeyError
    assert "read" in report.stages


def test_the_durations_of_a_repeated_stage_are_added():
    report = RunReport(run_id="run-1", metric_code="m.x", attempt=1, stages={"read": 5.0})
    with report.stage("read"):
        pass
    assert report.stages["read"] >= 5.0


def test_two_reports_share_no_mutable_state():
    first, second = (
        RunReport(run_id="run-1", metric_code="m.x", attempt=1),
        RunReport(run_id="run-2", metric_code="m.x", attempt=1),
    )
    first.stages["read"] = 1.0
    first.traffic.gets += 1
    assert (second.stages, second.traffic.gets, second.inputs) == ({}, 0, [])


def test_a_closed_report_has_the_duration_of_the_attempt():
    report = RunReport(run_id="run-1", metric_code="m.x", attempt=1)
    report.began -= 2.0
    report.close()
    assert 2.0 <= report.seconds < 60


NOON = datetime(2026, 10, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("requested_at", "committed_at", "seconds"),
    [
        (NOON, "2026-10-30T12:00:07Z", 7.0),
        (
            NOON.replace(microsecond=500_000),
            "2026-10-30T12:00:00Z",
            0.0,
        ),  # the time of a commit has whole seconds
        (None, "2026-10-30T12:00:07Z", None),
        (NOON, None, None),
        (NOON, "2026-10-30T12:00:07", None),
        (NOON, "noon", None),
    ],
)
def test_freshness_is_the_time_from_request_to_commit_if_both_are_known(requested_at, committed_at, seconds):
    report = RunReport(
        run_id="run-1", metric_code="m.x", attempt=1, requested_at=requested_at, committed_at=committed_at
    )
    assert report.freshness == seconds


def test_the_longest_run_of_a_group_is_the_longest_closed_one():
    group = GroupReport()
    assert group.longest == 0.0
    group.runs += [
        RunReport(run_id="run-1", metric_code="m.x", attempt=1, seconds=2.0),
        RunReport(run_id="run-2", metric_code="m.x", attempt=1),
    ]
    assert group.longest == 2.0

"""The report of an attempt: true whatever happens."""

import pytest

from metrics_worker.report import RunReport


def test_an_attempt_gives_its_message_back_until_it_is_known_to_have_ended():
    report = RunReport("run-1", "m.x", 1)
    assert report.outcome == "RETURNED"
    assert not report.started


def test_a_stage_is_timed_to_its_end():
    report = RunReport("run-1", "m.x", 1)
    with report.stage("read"):
        pass
    assert report.stages["read"] >= 0


def test_a_stage_is_timed_to_its_failure():
    report = RunReport("run-1", "m.x", 1)
    with pytest.raises(KeyError), report.stage("read"):
        raise KeyError
    assert "read" in report.stages


def test_a_stage_that_comes_twice_is_added_up():
    report = RunReport("run-1", "m.x", 1, stages={"read": 5.0})
    with report.stage("read"):
        pass
    assert report.stages["read"] >= 5.0


def test_two_reports_share_nothing():
    first, second = RunReport("run-1", "m.x", 1), RunReport("run-2", "m.x", 1)
    first.stages["read"] = 1.0
    first.traffic.gets += 1
    assert (second.stages, second.traffic.gets, second.inputs) == ({}, 0, [])


def test_closing_it_says_how_long_the_attempt_took():
    report = RunReport("run-1", "m.x", 1)
    report.began -= 2.0
    report.close()
    assert 2.0 <= report.seconds < 60

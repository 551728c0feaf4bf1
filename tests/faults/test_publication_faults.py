"""A lost response, a conflict or a race at any write of the commit protocol does not damage the result.

docs/decisions/0003-commit-record.md explains the protocol. Most tests end with the same check,
`assert_announced_once_and_whole`.
"""

import obstore
import pytest

from metrics_worker.s3.s3_bucket import CONDITIONAL_TRIES
from tests.builders import FakeContext, put_a_and_b, record, request
from tests.faulty_store import (
    CURRENT,
    DATA,
    MANIFEST,
    MARKER,
    Faults,
    conflict_of_creates,
    conflict_of_swaps,
    denied,
    raising,
    throttled,
    unanswered,
)

BASE = "metrics/ratio.a_to_b/"
DONE: dict[str, list[dict[str, str]]] = {"batchItemFailures": []}
GIVEN_BACK = {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
WRITES = [DATA, MANIFEST, MARKER, CURRENT]


@pytest.fixture
def faults(monkeypatch):
    return Faults.install(monkeypatch)


@pytest.fixture(autouse=True)
def dataset(cloud):
    put_a_and_b(cloud.store)


def assert_announced_once_and_whole(cloud, run_id="run-1"):
    """Assert that SUCCESS is a run's only outcome, and that its marker, manifest, data and `current` agree.

    Returns:
        The completed event of the run.
    """
    announced = {str(event) for event in cloud.sns.completed if event["runId"] == run_id}
    assert len(announced) == 1
    (event,) = [event for event in cloud.sns.completed if event["runId"] == run_id][:1]
    assert event["status"] == "SUCCESS"
    marker = cloud.read_json(f"{BASE}runs/{run_id}.ok")
    assert (marker["version_ts"], marker["manifest"]) == (event["versionTs"], event["outputManifest"])
    for key in (marker["manifest"], f"{BASE}current/manifest.json"):
        manifest = cloud.read_json(key)
        table = cloud.read_table(f"{BASE}{manifest['version_ts']}/data/metrics.parquet")
        assert table.num_rows == manifest["row_count"] == 10
        assert cloud.read_json(f"{BASE}{manifest['version_ts']}/manifest.json") == manifest
    return event


@pytest.mark.parametrize("pattern", WRITES)
def test_a_write_whose_response_is_lost_is_recognised_as_the_runs_own(cloud, invoke, faults, pattern):
    faults.after("PUT", pattern, unanswered)

    assert invoke(record(request())) == DONE

    assert assert_announced_once_and_whole(cloud)["versionTs"] == "2026-10-30T12-00-00"
    assert len(cloud.keys(BASE)) == 4  # data, manifest, marker and `current`: no other version exists


def test_a_swap_of_current_whose_response_is_lost_is_recognised_as_the_runs_own(cloud, invoke, faults):
    invoke(record(request(run_id="before")))
    faults.after("PUT", CURRENT, unanswered)

    assert invoke(record(request())) == DONE

    assert_announced_once_and_whole(cloud)
    assert cloud.read_json(f"{BASE}current/manifest.json")["run_id"] == "run-1"
    assert faults.count("PUT", CURRENT) == 3


@pytest.mark.parametrize("pattern", WRITES)
def test_a_throttled_write_is_retried(cloud, invoke, faults, pattern):
    faults.before("PUT", pattern, throttled, times=CONDITIONAL_TRIES - 1)

    assert invoke(record(request())) == DONE

    assert assert_announced_once_and_whole(cloud)["versionTs"] == "2026-10-30T12-00-00"


@pytest.mark.parametrize("pattern", WRITES)
def test_a_conflicting_create_is_retried(cloud, invoke, faults, pattern):
    faults.before("PUT", pattern, conflict_of_creates, times=CONDITIONAL_TRIES - 1)

    assert invoke(record(request())) == DONE

    assert assert_announced_once_and_whole(cloud)["versionTs"] == "2026-10-30T12-00-00"


def test_a_conflicting_swap_is_retried(cloud, invoke, faults):
    invoke(record(request(run_id="before")))
    faults.before("PUT", CURRENT, conflict_of_swaps, times=CONDITIONAL_TRIES - 1)

    assert invoke(record(request())) == DONE

    assert cloud.read_json(f"{BASE}current/manifest.json")["run_id"] == "run-1"


@pytest.mark.parametrize("fault", [throttled, conflict_of_creates, raising(TimeoutError())])
@pytest.mark.parametrize("pattern", WRITES)
def test_a_run_whose_writes_always_fail_is_given_back_and_done_by_the_next_attempt(
    cloud, invoke, faults, pattern, fault
):
    faults.before("PUT", pattern, fault, times=99)
    assert invoke(record(request())) == GIVEN_BACK
    assert cloud.sns.completed == []
    faults.clear()

    assert invoke(record(request(), receive_count=2)) == DONE

    assert_announced_once_and_whole(cloud)


@pytest.mark.parametrize("pattern", WRITES)
def test_a_run_is_given_back_if_a_write_has_no_response_and_cannot_be_read_back(
    cloud, invoke, faults, pattern
):
    def lose_response_and_reads():
        faults.before("GET", pattern, unanswered, times=99)
        unanswered()

    faults.after("PUT", pattern, lose_response_and_reads)
    assert invoke(record(request())) == GIVEN_BACK
    assert cloud.sns.completed == []
    faults.clear()

    assert invoke(record(request(), receive_count=2)) == DONE

    assert_announced_once_and_whole(cloud)


def test_the_attempt_that_loses_the_race_for_the_marker_announces_the_winners_version(cloud, invoke, faults):
    faults.before("PUT", MARKER, lambda: invoke(record(request(), receive_count=2)))

    assert invoke(record(request())) == DONE

    winner, loser = cloud.sns.completed
    assert winner == loser
    assert assert_announced_once_and_whole(cloud)["versionTs"] == "2026-10-30T12-00-01"
    assert cloud.read_json(f"{BASE}current/manifest.json")["version_ts"] == "2026-10-30T12-00-01"


def test_an_attempt_that_fails_permanently_after_the_winners_commit_announces_the_success(
    cloud, invoke, faults
):
    def commit_another_attempt_and_deny_access():
        invoke(record(request(), receive_count=2))
        faults.before("PUT", MARKER, denied)

    faults.after("PUT", MANIFEST, commit_another_attempt_and_deny_access)

    assert invoke(record(request())) == DONE

    assert_announced_once_and_whole(cloud)


def test_a_marker_that_was_written_without_a_response_before_access_was_denied_counts(cloud, invoke, faults):
    def lose_response_and_deny_access():
        faults.before("PUT", MARKER, denied)
        unanswered()

    faults.after("PUT", MARKER, lose_response_and_deny_access)

    assert invoke(record(request())) == DONE

    assert_announced_once_and_whole(cloud)


def test_a_newer_run_that_moves_current_in_between_remains_current(cloud, invoke, faults):
    newer = record(request(run_id="newer"))
    newer["attributes"]["SentTimestamp"] = "1793361599000"
    faults.before("PUT", CURRENT, lambda: invoke(newer))

    assert invoke(record(request())) == DONE

    assert_announced_once_and_whole(cloud)
    assert_announced_once_and_whole(cloud, "newer")
    assert cloud.read_json(f"{BASE}current/manifest.json")["run_id"] == "newer"


def test_an_older_run_that_moves_current_in_between_is_replaced(cloud, invoke, faults):
    older = record(request(run_id="older"))
    older["attributes"]["SentTimestamp"] = "1793361590000"
    faults.before("PUT", CURRENT, lambda: invoke(older))

    assert invoke(record(request())) == DONE

    assert_announced_once_and_whole(cloud, "older")
    assert cloud.read_json(f"{BASE}current/manifest.json")["run_id"] == "run-1"


def test_a_current_that_is_deleted_by_others_in_between_is_written_again(cloud, invoke, faults):
    invoke(record(request(run_id="before")))
    faults.before("PUT", CURRENT, lambda: obstore.delete(cloud.store, f"{BASE}current/manifest.json"))

    assert invoke(record(request())) == DONE

    assert_announced_once_and_whole(cloud)


def test_a_foreign_manifest_under_the_version_costs_one_attempt_and_no_outcome(cloud, invoke):
    taken = f"{BASE}2026-10-30T12-00-00/manifest.json"
    obstore.put(cloud.store, taken, b"not ours")
    assert invoke(record(request())) == GIVEN_BACK

    assert invoke(record(request(), receive_count=2)) == DONE

    assert assert_announced_once_and_whole(cloud)["versionTs"] == "2026-10-30T12-00-01"
    assert cloud.read(taken) == b"not ours"


def test_a_run_that_may_be_committed_is_not_announced_as_failed_while_its_marker_is_unreadable(
    cloud, invoke, faults
):
    faults.before("PUT", CURRENT, denied)
    assert invoke(record(request())) == GIVEN_BACK
    faults.before("GET", MARKER, denied, times=2)
    assert invoke(record(request(), receive_count=2)) == GIVEN_BACK
    assert cloud.sns.completed == []

    assert invoke(record(request(), receive_count=3)) == DONE

    assert_announced_once_and_whole(cloud)


@pytest.mark.parametrize("operation", ["before", "after"])
@pytest.mark.parametrize("pattern", WRITES)
def test_the_next_attempt_finishes_a_run_whose_process_was_killed_at_a_write(
    cloud, invoke, faults, pattern, operation
):
    class Killed(BaseException):
        """An exception that simulates the kill of the process; the worker does not catch it."""

    def die():
        raise Killed

    getattr(faults, operation)("PUT", pattern, die)
    with pytest.raises(Killed):
        invoke(record(request()))
    assert cloud.sns.completed == []

    assert invoke(record(request(), receive_count=2)) == DONE

    assert_announced_once_and_whole(cloud)


@pytest.mark.parametrize("calls_before_timeout", range(1, 16))
def test_the_next_attempt_ends_a_run_whose_time_ran_out_at_any_call(cloud, invoke, calls_before_timeout):
    checks = iter(range(10_000))
    ending = FakeContext(lambda: 300_000 if next(checks) < calls_before_timeout else 0)

    first = invoke(record(request()), context=ending)
    if first == DONE:
        assert len(cloud.sns.completed) == 1
    else:
        assert cloud.sns.completed == []

    assert invoke(record(request(), receive_count=2)) == DONE
    assert_announced_once_and_whole(cloud)

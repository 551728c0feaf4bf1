"""After a rollback, a run moves `current` only if its request is newer than the rollback."""

from datetime import UTC, datetime, timedelta

import obstore
import pytest

from metrics_tools.published.rollback import roll_back
from metrics_worker.publication.records import Keys
from tests.builders import envelope, put_a_and_b, record, request

NOW = datetime(2026, 10, 30, 12, tzinfo=UTC)
KEYS = Keys("metrics/ratio.a_to_b/")


def at(seconds):
    return NOW + timedelta(seconds=seconds)


def message(run, seconds, **more):
    body = envelope(request(run_id=run), timestamp=f"{at(seconds):%Y-%m-%dT%H:%M:%S.%f}Z")
    return record(body, message_id=run, **more)


@pytest.fixture
def deliver(cloud, invoke):
    """Return `deliver(run, seconds)`, which computes the run with the id `run` and asserts that it succeeds.

    The request was made `seconds` seconds after `NOW`. The function returns the timestamp of the run's
    version.
    """
    put_a_and_b(cloud.store)

    def one(run, seconds):
        assert invoke(message(run, seconds)) == {"batchItemFailures": []}
        return cloud.read_json(KEYS.marker(run))["version_ts"]

    return one


def current(cloud):
    return cloud.read_json(KEYS.current)["version_ts"]


@pytest.fixture
def chosen(cloud, deliver):
    """Publish two versions, roll back to the older one, and return the timestamp of this version.

    The time of the rollback is one minute after `NOW`.
    """
    older, newer = deliver("older", 0), deliver("newer", 10)
    assert current(cloud) == newer
    done = roll_back(cloud.bucket, KEYS, older, now=lambda: at(60))
    assert (done.version_ts, done.rolled_back_from, done.rolled_back_at) == (
        older,
        newer,
        "2026-10-30T12:01:00.000Z",
    )
    assert current(cloud) == older
    return older


@pytest.mark.parametrize(("run", "seconds"), [("newer", 10), ("older", 0), ("late", 59), ("same", 60)])
def test_a_request_before_the_rollback_gets_its_version_but_not_current(cloud, deliver, chosen, run, seconds):
    deliver(run, seconds)
    assert cloud.sns.completed[-1]["status"] == "SUCCESS"
    assert current(cloud) == chosen


def test_a_request_after_the_rollback_moves_current(cloud, deliver, chosen):
    newest = deliver("after", 60.001)
    assert newest != chosen
    assert current(cloud) == newest
    assert "rolled_back_at" not in cloud.read_json(KEYS.current)


def test_a_dead_letter_from_before_the_rollback_does_not_move_current(cloud, bury, chosen):
    bury(message("newer", 10, receive_count=6))
    assert cloud.sns.completed[-1]["status"] == "SUCCESS"
    assert current(cloud) == chosen


def test_a_rollback_with_a_slow_clock_is_not_undone_by_the_previous_version(cloud, deliver):
    older = deliver("older", 0)
    deliver("newer", 10)
    done = roll_back(cloud.bucket, KEYS, older, now=lambda: at(-3600))
    assert done.rolled_back_at == "2026-10-30T12:00:10.001Z"
    deliver("newer", 10)
    assert current(cloud) == older


@pytest.mark.usefixtures("chosen")
def test_a_second_rollback_is_later_than_the_first(cloud, deliver):
    newer = cloud.read_json(KEYS.marker("newer"))["version_ts"]
    assert (
        roll_back(cloud.bucket, KEYS, newer, now=lambda: at(-3600)).rolled_back_at
        == "2026-10-30T12:01:00.001Z"
    )
    deliver("late", 59)
    assert current(cloud) == newer


def test_a_metric_without_a_valid_current_can_be_rolled_back(cloud, deliver):
    older = deliver("older", 0)
    for harm in (
        lambda: obstore.delete(cloud.store, KEYS.current),
        lambda: obstore.put(cloud.store, KEYS.current, b"{"),
    ):
        harm()
        assert roll_back(cloud.bucket, KEYS, older, now=lambda: at(60)).rolled_back_from is None
        assert current(cloud) == older

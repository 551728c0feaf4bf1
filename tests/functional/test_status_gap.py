"""The worker waits a minimum time between the started and the completed event, on a simulated clock."""

import threading

import pytest
from botocore.exceptions import ClientError

from metrics_worker.deadline import RESERVED_SECONDS
from metrics_worker.settings import Settings
from tests.builders import FakeContext, put_a_and_b, ratio, record, request, series
from tests.functional.runs import NOTHING_COMES_BACK, given_back

GAP = {"WORKER_STATUS_GAP_SECONDS": 0.5}
NO_SUCH_SERIES = ratio(series("A"), series("ZZ"))


class Clock:
    """A clock that the test advances; when the worker pauses, the clock advances by the pause.

    Attributes:
        now: the time that the clock shows, in seconds.
        pauses: the length of each pause, in seconds.
        threads: the thread of each pause.
    """

    def __init__(self):
        self.now = 1000.0
        self.pauses = []
        self.threads = []

    def pause(self, seconds):
        self.pauses.append(seconds)
        self.threads.append(threading.current_thread())
        self.now += seconds


@pytest.fixture
def clock(cloud):
    found = Clock()
    cloud.clock, cloud.pause = lambda: found.now, found.pause
    return found


@pytest.fixture
def published(cloud, clock):
    """Return a list to which (kind of the event, time on the clock) of each published event is added."""
    found = []
    cloud.sns.before = lambda message: found.append(
        (message["MessageAttributes"]["type"]["StringValue"].removeprefix("metric_run_"), clock.now)
    )
    return found


@pytest.fixture(autouse=True)
def dataset(cloud):
    put_a_and_b(cloud.store)


@pytest.mark.parametrize("expression", [None, NO_SUCH_SERIES], ids=["success", "failure"])
def test_an_immediate_outcome_waits_for_the_gap(invoke, published, expression):
    assert invoke(record(request(expression)), **GAP) == NOTHING_COMES_BACK

    assert published == [("started", 1000.0), ("completed", 1000.5)]


def test_the_gap_is_half_a_second_by_default():
    assert Settings().status_gap_seconds == 0.5


@pytest.mark.parametrize(("took", "waited"), [(0.0, [0.5]), (0.25, [0.25]), (0.5, []), (7.0, [])])
def test_the_wait_is_only_the_rest_of_the_gap(invoke, clock, faults, took, waited):
    def takes_time():
        clock.now += took

    faults.before("PUT", "*/current/manifest.json", takes_time)

    invoke(record(request()), **GAP)

    assert clock.pauses == waited


def test_the_gap_begins_when_the_started_event_is_published(cloud, invoke, clock):
    def slow(message):
        if "started" in message["TopicArn"]:
            clock.now += 3

    cloud.sns.before = slow

    invoke(record(request()), **GAP)

    assert clock.pauses == [0.5]


def test_a_gap_of_zero_causes_no_wait(invoke, clock):
    invoke(record(request()), WORKER_STATUS_GAP_SECONDS=0)

    assert clock.pauses == []


def test_a_failure_before_the_start_causes_no_wait_and_no_started_event(invoke, clock, published):
    invoke(record(request({"op": "?"})), **GAP)

    assert [kind for kind, _ in published] == ["completed"]
    assert clock.pauses == []


def test_a_roll_forward_causes_no_wait_because_it_publishes_no_started_event(invoke, clock):
    invoke(record(request()), **GAP)
    clock.pauses.clear()

    invoke(record(request(), receive_count=2), **GAP)

    assert clock.pauses == []


def test_a_later_attempt_that_fails_before_its_own_start_causes_no_wait(cloud, invoke, clock):
    def refuse(message):
        if "completed" in message["TopicArn"]:
            raise ClientError({"Error": {"Code": "Throttling"}}, "Publish")

    cloud.sns.before = refuse
    assert given_back(invoke(record(request(NO_SUCH_SERIES)), **GAP)) == ["message-1"]
    cloud.sns.before = lambda _: None
    clock.pauses.clear()

    invoke(record(request({"op": "?"}), receive_count=2), **GAP)

    assert clock.pauses == []


def test_a_gap_that_would_end_after_the_deadline_returns_the_message(cloud, invoke, clock):
    context = FakeContext(remaining_ms=lambda: round(1000 * (RESERVED_SECONDS + 0.4)))

    assert given_back(invoke(record(request()), context=context, **GAP)) == ["message-1"]

    assert cloud.sns.completed == []
    assert clock.pauses == []
    assert invoke(record(request(), receive_count=2), **GAP) == NOTHING_COMES_BACK
    assert [event["status"] for event in cloud.sns.completed] == ["SUCCESS"]


def test_each_group_waits_in_its_own_thread(invoke, clock):
    runs = [record(request(run_id=m, metric=m), message_id=m) for m in ("m.a", "m.b")]

    assert invoke(*runs, **GAP) == NOTHING_COMES_BACK

    assert threading.main_thread() not in clock.threads


@pytest.mark.usefixtures("clock")
def test_the_wait_is_a_stage_of_the_log_line(invoke, lines):
    invoke(record(request()), **GAP)

    (line,) = [line for line in lines() if line["message"] == "run succeeded"]
    assert "gap" in line["stages"]
    assert "started_at" not in line


def test_the_dead_letter_function_does_not_wait(bury, clock):
    assert bury(record(request()), **GAP) == NOTHING_COMES_BACK

    assert clock.pauses == []

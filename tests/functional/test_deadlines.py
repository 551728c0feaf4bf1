"""Before an invocation ends, unfinished messages are returned to the queue, and all threads have ended."""

from types import SimpleNamespace

import pytest

from metrics_worker.deadline import RESERVED_SECONDS
from metrics_worker.series import common
from tests.builders import FakeContext, put_a_and_b, ratio, record, request, series
from tests.faulty_store import CURRENT, DATA, MANIFEST, MARKER
from tests.functional.runs import NOTHING_COMES_BACK, given_back, outcomes, run_of

SHORT = 0.2
"""The real seconds for which these tests wait for a request that never ends."""

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture(autouse=True)
def dataset(cloud):
    put_a_and_b(cloud.store)


class Clock:
    """A clock that a test sets.

    Attributes:
        left: the number of seconds until the worker's deadline.
        context: a Lambda context with the corresponding remaining time.
    """

    def __init__(self, left):
        self.left = left

    def pass_to(self, left):
        self.left = left

    @property
    def context(self):
        return FakeContext(remaining_ms=lambda: round(1000 * (RESERVED_SECONDS + self.left)))


@pytest.mark.parametrize("operation", ["datasets/*/manifest.json", "datasets/*/data.parquet", CURRENT])
def test_a_read_that_hangs_is_cut_off_and_the_message_returns(cloud, invoke, faults, operation):
    gate = faults.hold(operation)

    assert given_back(invoke(run_of("m"), context=Clock(SHORT).context)) == ["m-1"]

    assert gate.reached.is_set()
    assert cloud.sns.completed == []
    assert cloud.keys("metrics/") == []


@pytest.mark.parametrize("written", [DATA, MANIFEST, MARKER, CURRENT])
def test_a_write_that_hangs_is_cut_off_and_the_next_attempt_completes_the_run(cloud, invoke, faults, written):
    gate = faults.hold(written, operation="PUT")

    assert given_back(invoke(run_of("m"), context=Clock(SHORT).context)) == ["m-1"]
    assert gate.reached.is_set()
    assert cloud.sns.completed == []

    faults.clear()
    assert invoke(run_of("m")) == NOTHING_COMES_BACK
    assert outcomes(cloud) == {"m-1": "SUCCESS"}


def test_a_group_that_is_cut_off_does_not_affect_other_groups(cloud, invoke, faults):
    faults.hold("metrics/hangs/*", operation="PUT")

    response = invoke(run_of("hangs"), run_of("well"), context=Clock(SHORT).context)

    assert given_back(response) == ["hangs-1"]
    assert outcomes(cloud) == {"well-1": "SUCCESS"}


@pytest.mark.parametrize(("left", "begun"), [(34, 1), (36, 2)])
def test_a_run_does_not_begin_if_earlier_runs_of_its_metric_took_longer_than_the_time_left(
    cloud, invoke, faults, monkeypatch, left, begun
):
    clock = Clock(left + 35)
    monkeypatch.setattr(
        "metrics_worker.observability.report.time", SimpleNamespace(perf_counter=lambda: -clock.left)
    )
    faults.after("PUT", CURRENT, lambda: clock.pass_to(left))

    response = invoke(run_of("m", 1), run_of("m", 2), context=clock.context)

    assert len(outcomes(cloud)) == len(cloud.sns.of_type("metric_run_started")) == begun
    assert given_back(response) == ["m-1", "m-2"][begun:]


@pytest.mark.parametrize("written", [DATA, MANIFEST, MARKER, CURRENT])
def test_no_event_is_published_after_the_deadline(cloud, invoke, faults, written):
    clock = Clock(60)
    faults.after("PUT", written, lambda: clock.pass_to(-1))

    assert given_back(invoke(run_of("m"), context=clock.context)) == ["m-1"]

    assert cloud.sns.completed == []
    assert given_back(invoke(run_of("m"))) == []
    assert outcomes(cloud) == {"m-1": "SUCCESS"}


def test_no_failure_is_published_after_the_deadline(cloud, invoke, faults):
    clock = Clock(60)
    faults.after("GET", "datasets/*/manifest.json", lambda: clock.pass_to(-1))

    unknown = record(request({"series_code": "NONE"}, kind="series"), message_id="m-1")
    assert given_back(invoke(unknown, context=clock.context)) == ["m-1"]

    assert cloud.sns.completed == []


def test_an_evaluation_stops_before_the_next_node_after_the_deadline(cloud, invoke, monkeypatch):
    clock = Clock(60)

    def slow(left, right):
        clock.pass_to(-1)
        return common(left, right)

    monkeypatch.setattr("metrics_worker.expression.evaluate.common", slow)
    nested = ratio(ratio(series("A"), series("B")), series("B"))

    message = record(request(nested, metric="m"), message_id="m-1")
    assert given_back(invoke(message, context=clock.context)) == ["m-1"]
    assert cloud.keys("metrics/") == []

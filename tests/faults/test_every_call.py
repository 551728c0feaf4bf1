"""Each call that a run makes, with each fault that it can meet: nothing is lost, nothing is done twice.

The calls of a scenario are recorded first: what it asks of S3, SNS and SQS when all is well. Then it runs
again for each of them and each fault, redelivered until no message is left, while readers hold whatever they
see against every promise of `tests/invariants.py`. A fault that stays is mended in the end: then every run
has an outcome. A fault that is not met fails its test; how many were is in the report (`faults_injected`).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from obstore.exceptions import AlreadyExistsError, GenericError, PermissionDeniedError, PreconditionError

from tests.edge import Call, nothing
from tests.fifo_queue import Killed
from tests.world import MAX_RECEIVES, World

type Spot = tuple[tuple[str, str], int]
"""A call of a run, whatever the version: its operation and key, and which of those it is."""

QUIETLY = {"WORKER_HEARTBEAT_ENABLED": "false"}
FOR_EVER = 10**6
A_WHILE = 4
"""More than the worker tries at once, so that it takes a redelivery."""
READS, WRITES, MESSAGES = {"GET"}, {"PUT", "SWAP"}, {"PUBLISH", "CHANGE"}


def refused(code: str, call: Call) -> Exception:
    error: Exception = ClientError({"Error": {"Code": code}}, call.operation)
    return error


def failed(call: Call) -> Exception:
    if call.operation in MESSAGES:
        return refused("InternalError", call)
    return GenericError("500 InternalError, after the client's own retries")


def throttled(call: Call) -> Exception:
    if call.operation in MESSAGES:
        return refused("Throttling", call)
    return GenericError("503 SlowDown, after the client's own retries")


def denied(call: Call) -> Exception:
    if call.operation in MESSAGES:
        return refused("AuthorizationError", call)
    return PermissionDeniedError("403 AccessDenied")


def unreachable(call: Call) -> Exception:
    error: Exception = EndpointConnectionError(endpoint_url="https://aws")
    return error if call.operation in MESSAGES else TimeoutError()


def unheard(call: Call) -> Exception:
    error: Exception = ReadTimeoutError(endpoint_url="https://aws")
    lost = GenericError("connection closed before the message was complete")
    return error if call.operation in MESSAGES else lost


def conflict(call: Call) -> Exception:
    kind = PreconditionError if call.operation == "SWAP" else AlreadyExistsError
    return kind("409 ConditionalRequestConflict, or 412 PreconditionFailed")


def killed(_: Call) -> BaseException:
    return Killed()


@dataclass(frozen=True)
class Fault:
    """What goes wrong at a call, before its effect or after it, once or so many times from then on."""

    raises: Callable[[Call], BaseException]
    after: bool = False
    times: int = 1
    at: frozenset[str] = frozenset(READS | WRITES | MESSAGES)


ANYWHERE = frozenset(READS | WRITES | MESSAGES | {"ANSWER"})
FAULTS = {
    "refused": Fault(denied),
    "refused for ever": Fault(denied, times=FOR_EVER),
    "500": Fault(failed),
    "503 for a while": Fault(throttled, times=A_WHILE),
    "503 for ever": Fault(throttled, times=FOR_EVER),
    "timeout": Fault(unreachable),
    "timeout for ever": Fault(unreachable, times=FOR_EVER),
    "answer lost": Fault(unheard, after=True),
    "answer lost for ever": Fault(unheard, after=True, times=FOR_EVER),
    "409": Fault(conflict, at=frozenset(WRITES)),
    "409 for ever": Fault(conflict, times=FOR_EVER, at=frozenset(WRITES)),
    "answer lost, sent again by the client": Fault(conflict, after=True, at=frozenset(WRITES)),
    "killed before": Fault(killed, at=ANYWHERE),
    "killed after": Fault(killed, after=True, at=ANYWHERE - {"ANSWER"}),
}


@dataclass
class Armed:
    """A fault that waits for its call."""

    spot: Spot
    fault: Fault
    calls: int = 0
    met: int = 0
    lock: Lock = field(default_factory=Lock)

    def __call__(self, call: Call) -> None:
        place, number = self.spot
        if call.place == place:
            with self.lock:
                self.calls += 1
                due = number <= self.calls < number + self.fault.times
                self.met += due
            if due:
                raise self.fault.raises(call)


# Scenarios: what has happened before; what they return is how the worker is set, for the runs to come


def a_run(world: World) -> None:
    world.request_run("m.a", "a-1")


def a_batch_of_three_groups(world: World) -> None:
    for group in "abc":
        world.request_run(f"m.{group}", f"{group}-1")


def two_runs_of_a_metric(world: World) -> None:
    world.request_run("m.a", "a-1", seconds_ago=9)
    world.request_run("m.a", "a-2", seconds_ago=5)


def a_run_older_than_current(world: World) -> None:
    world.request_run("m.a", "newer", seconds_ago=1)
    world.deliver_all()
    world.request_run("m.a", "older", seconds_ago=9999)


def a_run_that_is_given_back(world: World) -> None:
    """With all of its group: what the worker asks of SQS is among the calls."""
    two_runs_of_a_metric(world)
    world.edge.during = Armed((("GET", "datasets/fx/versions/v1/manifest.json"), 1), FAULTS["500"])


def a_redelivery_after_success(world: World) -> None:
    a_run(world)
    deliver_with(world, ("ANSWER", ""), "killed before")


def a_dead_letter(world: World) -> None:
    a_run(world)
    for _ in range(MAX_RECEIVES):
        deliver_with(world, ("GET", "metrics/m.a/runs/a-1.ok"), "killed before")


def a_dead_letter_of_a_committed_run(world: World) -> None:
    a_run(world)
    for _ in range(MAX_RECEIVES):
        deliver_with(world, ("PUT", "metrics/m.a/current/manifest.json"), "503 for ever")


SCENARIOS: list[Callable[[World], None]] = [
    a_run,
    a_batch_of_three_groups,
    two_runs_of_a_metric,
    a_run_older_than_current,
    a_run_that_is_given_back,
    a_redelivery_after_success,
    a_dead_letter,
    a_dead_letter_of_a_committed_run,
]


def deliver_with(world: World, place: tuple[str, str], fault: str) -> None:
    """The next delivery, with that fault at its first call to that place."""
    with arming(world, (place, 1), FAULTS[fault]):
        world.deliver_next()


@contextmanager
def arming(world: World, spot: Spot, fault: Fault) -> Iterator[None]:
    """A fault that must be met, and is mended in the end."""
    armed = Armed(spot, fault)
    if fault.after:
        world.edge.after = armed
    else:
        world.edge.before = armed
    yield
    assert armed.met, "the fault was not met"
    world.edge.before = world.edge.after = nothing


@pytest.fixture(scope="module")
def injected(record_testsuite_property):
    """Faults that were met, by scenario; their number is a property of the report."""
    counted: Counter[str] = Counter()
    yield counted
    record_testsuite_property("faults_injected", counted.total())


@pytest.fixture(scope="module")
def spots():
    """`spots(scenario)`: each call of it when all is well."""
    known: dict[str, list[Spot]] = {}

    def of(scenario: Callable[[World], None]) -> list[Spot]:
        if scenario.__name__ not in known:
            known[scenario.__name__] = record_calls(scenario)
            assert known[scenario.__name__] == record_calls(scenario), "not the same calls each time"
        return known[scenario.__name__]

    return of


def record_calls(scenario: Callable[[World], None]) -> list[Spot]:
    with World.started(**QUIETLY) as world:
        scenario(world)
        world.edge.calls.clear()
        world.deliver_all()
        world.check_all_ended()
        places = Counter(call.place for call in world.edge.calls)
    return sorted((place, n + 1) for place, times in places.items() for n in range(times))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_whatever_happens_at_a_call_every_promise_is_kept(scenario, fault, spots, injected):
    chosen = FAULTS[fault]
    for spot in spots(scenario):
        if spot[0][0] in chosen.at:
            with World.started(**QUIETLY) as world:
                scenario(world)
                try:
                    with arming(world, spot, chosen):
                        world.deliver_all()
                    world.deliver_all()
                    world.check_all_ended()
                except AssertionError as broken:
                    broken.add_note(f"{fault} at {spot}")
                    raise
            injected[scenario.__name__] += 1


# Heartbeats. How many there are is nobody's choice, so the faults are at the first


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # a killed process's
@pytest.mark.parametrize("fault", [name for name in FAULTS if FAULTS[name].at > MESSAGES])
@pytest.mark.parametrize("place", [("PUBLISH", "metric_run_heartbeat:a-1"), ("CHANGE", "message-1")])
def test_whatever_happens_at_a_heartbeat_the_run_goes_on_or_is_done_by_the_next_attempt(
    place, fault, injected
):
    def two_heartbeats_come_first(call: Call) -> None:
        if call.key.endswith("A/month=1/data.parquet"):
            world.edge.wait_for("PUBLISH", "metric_run_heartbeat:a-1", times=2)

    with World.started(WORKER_HEARTBEAT_INTERVAL_SECONDS=0.001) as world:
        world.edge.during = two_heartbeats_come_first
        a_run(world)
        deliver_with(world, place, fault)
        # A heartbeat that was never answered may still arrive, so completed waits for the next attempt.
        waits = place[0] == "PUBLISH" and fault == "answer lost for ever"
        succeeds = "killed" not in fault and not waits
        assert ("SUCCESS" in str(world.picture.completed("a-1"))) == succeeds
        world.deliver_all()
        world.check_all_ended()
    injected["heartbeats"] += 1


def test_there_is_a_call_of_each_kind_to_fail(spots):
    operations = {spot[0][0] for scenario in SCENARIOS for spot in spots(scenario)}
    assert operations == {"GET", "PUT", "SWAP", "PUBLISH", "CHANGE", "ANSWER"}

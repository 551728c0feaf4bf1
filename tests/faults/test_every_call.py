"""A fault at any call of a run neither loses a message nor publishes a result twice.

First, the calls of a scenario to S3, SNS and SQS are recorded without a fault. Then the scenario is repeated
for each call and each possible fault of this call. Messages are redelivered until the queue is empty, and the
state of the bucket and the topics is checked against every invariant of `tests/invariants.py`. At the end,
permanent faults are removed, and every run must then get an outcome. A test fails if its fault does not
occur. The test report has the number of injected faults, with the name `faults_injected`.
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
"""A call of a run: its place (operation, and key without the version), and its number among equal places."""

NO_HEARTBEATS = {"WORKER_HEARTBEAT_ENABLED": "false"}
ALWAYS = 10**6
SEVERAL_TIMES = 4
"""More than the number of tries in one attempt, so that the run needs a redelivery."""
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


def response_lost(call: Call) -> Exception:
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
    """An error that is raised at a call of a run.

    Attributes:
        raises: a function that returns the error for a call.
        after: whether the error is raised after the effect of the call, instead of before it.
        times: the number of consecutive calls at which the error is raised.
        at: the operations, such as `PUT`, at which the fault can occur.
    """

    raises: Callable[[Call], BaseException]
    after: bool = False
    times: int = 1
    at: frozenset[str] = frozenset(READS | WRITES | MESSAGES)


ANYWHERE = frozenset(READS | WRITES | MESSAGES | {"ANSWER"})
FAULTS = {
    "denied": Fault(denied),
    "always denied": Fault(denied, times=ALWAYS),
    "500": Fault(failed),
    "503 several times": Fault(throttled, times=SEVERAL_TIMES),
    "always 503": Fault(throttled, times=ALWAYS),
    "timeout": Fault(unreachable),
    "always timeout": Fault(unreachable, times=ALWAYS),
    "response lost": Fault(response_lost, after=True),
    "response always lost": Fault(response_lost, after=True, times=ALWAYS),
    "409": Fault(conflict, at=frozenset(WRITES)),
    "always 409": Fault(conflict, times=ALWAYS, at=frozenset(WRITES)),
    "response lost and retried by the client": Fault(conflict, after=True, at=frozenset(WRITES)),
    "killed before": Fault(killed, at=ANYWHERE),
    "killed after": Fault(killed, after=True, at=ANYWHERE - {"ANSWER"}),
}


@dataclass
class Armed:
    """A hook of the edge (tests/edge.py) that raises the error of a fault at one call.

    Attributes:
        spot: the call, as ((operation, key without the version), number of the call among those with the same
            operation and key); a fault with `times` > 1 also fails the following calls among these.
        fault: the fault.
        calls: the number of calls so far with the operation and the key in `spot`.
        injected_count: the number of raised errors.
        lock: protects the counters.
    """

    spot: Spot
    fault: Fault
    calls: int = 0
    injected_count: int = 0
    lock: Lock = field(default_factory=Lock)

    def __call__(self, call: Call) -> None:
        place, number = self.spot
        if call.place == place:
            with self.lock:
                self.calls += 1
                due = number <= self.calls < number + self.fault.times
                self.injected_count += due
            if due:
                raise self.fault.raises(call)


# Scenarios: each function prepares the state and the messages before a fault is injected


def a_run(world: World) -> None:
    world.request_run("m.a", "a-1")


def a_run_that_reads_its_data_back(world: World) -> None:
    """Request a run in a bucket with a KMS key.

    There, the ETag of an object is not its MD5, so the run must read its data file to verify it.
    """
    world.edge.has_md5_etags = False
    a_run(world)


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


def a_run_that_is_returned_to_the_queue(world: World) -> None:
    """Request two runs of a metric, the first of which fails once with a transient error.

    The worker therefore returns both messages to the queue.
    """
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
        deliver_with(world, ("PUT", "metrics/m.a/current/manifest.json"), "always 503")


SCENARIOS: list[Callable[[World], None]] = [
    a_run,
    a_run_that_reads_its_data_back,
    a_batch_of_three_groups,
    two_runs_of_a_metric,
    a_run_older_than_current,
    a_run_that_is_returned_to_the_queue,
    a_redelivery_after_success,
    a_dead_letter,
    a_dead_letter_of_a_committed_run,
]


def deliver_with(world: World, place: tuple[str, str], fault: str) -> None:
    """Deliver the next message with a fault at the first call with a given place.

    Args:
        world: the world, in which a message waits.
        place: the place of the call, as `Call.place` (tests/edge.py) returns it.
        fault: the name of a fault in `FAULTS`.
    """
    with arming(world, (place, 1), FAULTS[fault]):
        world.deliver_next()


@contextmanager
def arming(world: World, spot: Spot, fault: Fault) -> Iterator[None]:
    """Let a fault occur in the body of the `with` statement, and assert after it that the fault has occurred.

    Args:
        world: the world whose edge gets the fault.
        spot: the call at which the fault occurs, as in `Armed`.
        fault: the fault.
    """
    armed = Armed(spot, fault)
    if fault.after:
        world.edge.after = armed
    else:
        world.edge.before = armed
    yield
    assert armed.injected_count, "the fault did not occur"
    world.edge.before = world.edge.after = nothing


@pytest.fixture(scope="module")
def injected(record_testsuite_property) -> Iterator[Counter[str]]:
    """Yield a counter: for each scenario, by its name, the number of injected faults.

    The tests of a module add to the counter. After them, the total is added to the test report.
    """
    counted: Counter[str] = Counter()
    yield counted
    record_testsuite_property("faults_injected", counted.total())


@pytest.fixture(scope="module")
def spots() -> Callable[[Callable[[World], None]], list[Spot]]:
    """Return `spots(scenario)`, which returns a list of the calls that the runs of a scenario make.

    To find the calls, the function executes the scenario without a fault. Each call is a `spot` as in
    `Armed`, at which the tests inject faults.
    """
    recorded: dict[str, list[Spot]] = {}

    def of(scenario: Callable[[World], None]) -> list[Spot]:
        if scenario.__name__ not in recorded:
            calls = record_calls(scenario)
            assert calls == record_calls(scenario), "the calls differ between two executions"
            recorded[scenario.__name__] = calls
        return recorded[scenario.__name__]

    return of


def record_calls(scenario: Callable[[World], None]) -> list[Spot]:
    with World.started(**NO_HEARTBEATS) as world:
        scenario(world)
        world.edge.calls.clear()
        world.deliver_all()
        world.check_all_ended()
        places = Counter(call.place for call in world.edge.calls)
    return sorted((place, n + 1) for place, times in places.items() for n in range(times))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_invariant_holds_whatever_fault_occurs_at_a_call(scenario, fault, spots, injected):
    chosen = FAULTS[fault]
    for spot in spots(scenario):
        if spot[0][0] in chosen.at:
            with World.started(**NO_HEARTBEATS) as world:
                scenario(world)
                try:
                    with arming(world, spot, chosen):
                        world.deliver_all()
                    world.deliver_all()
                    world.check_all_ended()
                except AssertionError as violation:
                    violation.add_note(f"{fault} at {spot}")
                    raise
            injected[scenario.__name__] += 1


# Heartbeats: their number depends on timing, so faults are injected at the first heartbeat


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of a killed process
@pytest.mark.parametrize("fault", [name for name in FAULTS if FAULTS[name].at > MESSAGES])
@pytest.mark.parametrize("place", [("PUBLISH", "metric_run_heartbeat:a-1"), ("CHANGE", "message-1")])
def test_a_run_with_a_fault_at_a_heartbeat_continues_or_is_done_by_the_next_attempt(place, fault, injected):
    def wait_for_two_heartbeats(call: Call) -> None:
        if call.key.endswith("A/month=1/data.parquet"):
            world.edge.wait_for("PUBLISH", "metric_run_heartbeat:a-1", times=2)

    with World.started(WORKER_HEARTBEAT_INTERVAL_SECONDS=0.001) as world:
        world.edge.during = wait_for_two_heartbeats
        a_run(world)
        deliver_with(world, place, fault)
        # A heartbeat without a response may still arrive, so the next attempt publishes completed.
        waits = place[0] == "PUBLISH" and fault == "response always lost"
        succeeds = "killed" not in fault and not waits
        assert ("SUCCESS" in str(world.picture.completed("a-1"))) == succeeds
        world.deliver_all()
        world.check_all_ended()
    injected["heartbeats"] += 1


def test_the_scenarios_contain_every_operation(spots):
    operations = {spot[0][0] for scenario in SCENARIOS for spot in spots(scenario)}
    assert operations == {"GET", "PUT", "SWAP", "PUBLISH", "CHANGE", "ANSWER"}

"""Scenarios with two concurrent workers, and a function that executes every order of the workers' steps.

The workers have the same run, delivered twice, or two runs of one metric. A step is one call of a worker that
the other worker could notice, from the PUT of the data to the completed event. The first step is everything
before that PUT, including the reads of the marker and of `current`. After each step, the state of the bucket
and the topics is checked against every invariant of `tests/invariants.py`. `Exploration` (tests/turns.py)
executes only one of several orders that differ in the order of independent steps. The test report has the
number of executed orders, with the name `interleavings`.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from tests.builders import FakeContext, series
from tests.edge import nothing
from tests.fifo_queue import Killed, Record, hand_over
from tests.turns import Exploration, Step, Turns
from tests.world import World

METRIC = "m.a"
LONG = "METRICS_TEST_EXAMPLES" in os.environ
"""Whether to try three times as many orders, for a nightly run."""
CURRENT = f"metrics/{METRIC}/current/manifest.json"


def request_run(world: World, run: str, *, seconds_ago: float = 1.0, group: str | None = None) -> None:
    """Request a run of `METRIC` that reads a single series, because these tests examine only a run's writes.

    Args:
        world: the world.
        run: the run id.
        seconds_ago: the age of the request in seconds.
        group: the message group; None for the metric's own group.
    """
    small = {"expression": series("A"), "kind": "series", "inputs": {"A": "fx"}}
    world.request_run(METRIC, run, seconds_ago=seconds_ago, group=group, **small)


def twice(world: World) -> list[list[Record]]:
    """Receive a message, and again after its visibility timeout; return two batches, one for each worker."""
    first = world.queue.receive()
    world.clock.advance(world.queue.visibility_timeout)
    return [first, world.queue.receive()]


def at_once(world: World) -> list[list[Record]]:
    """Receive two waiting messages of different groups, and return two batches, one for each worker."""
    return [[record] for record in world.queue.receive()]


def a_run_twice(world: World) -> list[list[Record]]:
    request_run(world, "a-1")
    return twice(world)


def a_run_twice_after_another_run(world: World) -> list[list[Record]]:
    request_run(world, "before", seconds_ago=9)
    world.deliver_all()
    return a_run_twice(world)


def a_committed_run_twice(world: World) -> list[list[Record]]:
    committed(world, "a-1")
    return twice(world)


def two_runs(world: World) -> list[list[Record]]:
    request_run(world, "older", seconds_ago=9, group="1")
    request_run(world, "newer", seconds_ago=5, group="2")
    return at_once(world)


def two_runs_after_another_run(world: World) -> list[list[Record]]:
    request_run(world, "before", seconds_ago=99)
    world.deliver_all()
    return two_runs(world)


def two_runs_with_the_same_request_time(world: World) -> list[list[Record]]:
    for n in "12":
        request_run(world, n, group=n)
    return at_once(world)


def a_committed_run_and_an_older_one(world: World) -> list[list[Record]]:
    committed(world, "newer")
    request_run(world, "older", seconds_ago=99999, group="2")
    return at_once(world)


def committed(world: World, run: str) -> None:
    """Request a run, and kill its worker right after the commit.

    Then advance the clock until the message is visible again.
    """

    def die(call):
        if call.key.endswith(".ok") and call.writes:
            raise Killed

    request_run(world, run)
    world.edge.after = die
    world.deliver()
    world.edge.after = nothing
    world.clock.advance(world.queue.visibility_timeout)


SCENARIOS = [
    a_run_twice,
    a_run_twice_after_another_run,
    a_committed_run_twice,
    two_runs,
    two_runs_after_another_run,
    two_runs_with_the_same_request_time,
    a_committed_run_and_an_older_one,
]


def explore(
    scenario: Callable[[World], list[list[Record]]],
    exploration: Exploration,
    calls_before_kill: dict[str, int] | None = None,
) -> bool:
    """Execute every order of the steps of two workers, and check the invariants in each order.

    Args:
        scenario: a function that prepares a world and returns two batches, one for each worker.
        exploration: the search (tests/turns.py) that chooses the orders and counts them.
        calls_before_kill: a dict from the name of a worker (`one` or `other`) that is killed to the number of
            calls that it makes before the kill, from its first write on; None to kill no worker.

    Returns:
        Whether a worker was killed in at least one of the orders.
    """
    killed = False
    with ExitStack() as stack:
        here: list[tuple[World, Turns]] = []

        def start() -> Turns:
            stack.close()
            world = stack.enter_context(World.started(WORKER_HEARTBEAT_ENABLED="false"))
            batches = scenario(world)
            world.observe()
            workers = {
                name: partial(hand_over, batch, world.queue, world.functions[0], FakeContext())
                for name, batch in zip(("one", "other"), batches, strict=True)
            }
            turns = Turns(world.edge, workers, dict.fromkeys(workers, first_steps(world)), calls_before_kill)
            here[:] = [(world, turns)]
            return turns

        def ended(complete: bool) -> None:  # noqa: FBT001 - Exploration.run calls it with a positional argument.
            nonlocal killed
            ((world, turns),) = here
            killed |= bool(turns.killed)
            world.edge.before = nothing
            try:
                world.check_invariants()
                if complete:
                    world.deliver_all()
                    world.check_all_succeeded()
            except AssertionError as violation:
                killed_after = (
                    f"killed after: {calls_before_kill}" if calls_before_kill else "no worker killed"
                )
                violation.add_note(f"in this order: {exploration.order}, {killed_after}")
                raise

        exploration.run(start, ended)
    return killed


def first_steps(world: World) -> Step:
    """Return the first step of both workers, as the argument of `Turns` (tests/turns.py).

    The step is a set of pairs (False, key), because it only reads: the markers of all requested runs, and the
    object `current`.
    """
    return frozenset((False, f"metrics/{METRIC}/runs/{run}.ok") for run in world.requested) | {
        (False, CURRENT)
    }

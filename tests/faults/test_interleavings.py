"""Two workers at once, in every order of their steps: one run delivered twice, and two runs of one metric.

A step is a worker's next call that another could notice, from its PUT of the data to its completed event;
all before it, the look at marker and `current` included, is the first step. Readers look after each step, and
hold what they see against every promise of `tests/invariants.py`. Of orders that differ only in which of two
independent steps comes first one is taken (`turns.Exploration`); how many were is in the report
(`interleavings`).
"""

import os
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import pytest

from tests import invariants
from tests.builders import FakeContext, series
from tests.edge import nothing
from tests.fifo_queue import Killed, Record, hand_over
from tests.turns import Exploration, Step, Turns
from tests.world import World

METRIC = "m.a"
LONG = "METRICS_TEST_EXAMPLES" in os.environ
"""Three times as many orders: for a night, not for every change."""
CURRENT = f"metrics/{METRIC}/current/manifest.json"


@pytest.fixture(scope="module")
def interleavings(record_testsuite_property):
    """Orders that were seen; their number is a property of the report."""
    counted: Counter[str] = Counter()
    yield counted
    record_testsuite_property("interleavings", counted.total())


def request_run(world: World, run: str, *, seconds_ago: float = 1.0, group: str | None = None) -> None:
    """For as little as can be read: it is what comes after the reading that matters here."""
    small = {"expression": series("A"), "kind": "series", "inputs": {"A": "fx"}}
    world.request_run(METRIC, run, seconds_ago=seconds_ago, group=group, **small)


def twice(world: World) -> list[list[Record]]:
    """The same message to two workers: the visibility timeout of the first has run out."""
    first = world.queue.receive()
    world.clock.advance(world.queue.visibility_timeout)
    return [first, world.queue.receive()]


def at_once(world: World) -> list[list[Record]]:
    """Each message to a worker of its own."""
    return [[record] for record in world.queue.receive()]


def a_run_twice(world: World) -> list[list[Record]]:
    request_run(world, "a-1")
    return twice(world)


def a_run_twice_where_another_is_current(world: World) -> list[list[Record]]:
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


def two_runs_where_another_is_current(world: World) -> list[list[Record]]:
    request_run(world, "before", seconds_ago=99)
    world.deliver_all()
    return two_runs(world)


def two_runs_of_one_moment(world: World) -> list[list[Record]]:
    for n in "12":
        request_run(world, n, group=n)
    return at_once(world)


def a_committed_run_and_an_older_one(world: World) -> list[list[Record]]:
    committed(world, "newer")
    request_run(world, "older", seconds_ago=99999, group="2")
    return at_once(world)


def committed(world: World, run: str) -> None:
    """A run whose worker died right after the commit: its message comes again."""

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
    a_run_twice_where_another_is_current,
    a_committed_run_twice,
    two_runs,
    two_runs_where_another_is_current,
    two_runs_of_one_moment,
    a_committed_run_and_an_older_one,
]


def explore(
    scenario: Callable[[World], list[list[Record]]],
    exploration: Exploration,
    lives: dict[str, int] | None = None,
) -> bool:
    """Every order of a scenario; whether a worker was killed in one of them."""
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
            turns = Turns(world.edge, workers, dict.fromkeys(workers, first_steps(world)), lives)
            here[:] = [(world, turns)]
            return turns

        def ended(complete: bool) -> None:  # noqa: FBT001 - as it is called
            nonlocal killed
            ((world, turns),) = here
            killed |= bool(turns.killed)
            world.edge.before = nothing
            try:
                world.check_invariants()
                if complete:
                    world.deliver_all()
                    world.check_all_succeeded()
            except AssertionError as broken:
                broken.add_note(f"in this order: {exploration.order}, with {lives or 'nobody'} killed")
                raise

        exploration.run(start, ended)
    return killed


def first_steps(world: World) -> Step:
    """What first steps look at: the markers, and `current`."""
    return frozenset((False, f"metrics/{METRIC}/runs/{run}.ok") for run in world.requested) | {
        (False, CURRENT)
    }


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_in_every_order_of_two_workers_every_promise_is_kept(scenario, interleavings):
    threads = threading.enumerate()
    exploration = Exploration()
    explore(scenario, exploration)
    interleavings[scenario.__name__] = exploration.executions
    invariants.no_thread_is_left(threads, threading.enumerate())


@pytest.mark.parametrize(
    ("scenario", "mortal"),
    [(a_run_twice, "one"), *([(a_run_twice, "other"), (two_runs, "one"), (two_runs, "other")] * LONG)],
)
def test_in_every_order_of_two_workers_one_may_be_killed_at_any_call(scenario, mortal, interleavings):
    for calls in range(50):
        exploration = Exploration()
        killed = explore(scenario, exploration, {mortal: calls})
        if not killed:
            break
        interleavings[f"{scenario.__name__}, killed"] += exploration.executions
    assert calls > 5, "it makes more calls than that"

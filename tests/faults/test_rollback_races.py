"""A rollback and a concurrent run leave a correct `current` in every order of their steps.

The state is checked after each step.
"""

import json
from contextlib import ExitStack, suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from metrics_tools.published.rollback import RollbackRefusedError, roll_back
from metrics_worker.publication.records import Keys
from tests.builders import FakeContext
from tests.edge import Call, nothing
from tests.faults.interleavings import CURRENT, METRIC, first_steps, request_run
from tests.fifo_queue import Killed, hand_over
from tests.turns import Exploration, Turns
from tests.world import World

KEYS = Keys(f"metrics/{METRIC}/")


def versions(world: World) -> dict[str, str]:
    """Return a dict from the id of each committed run to the timestamp of the run's version."""
    markers = (json.loads(world.cloud.read(key)) for key in world.cloud.keys(f"{KEYS.base}runs/"))
    return {marker["run_id"]: marker["version_ts"] for marker in markers}


@pytest.mark.parametrize(
    ("seconds_ago", "outcomes"),
    [
        (1.0, {"rolled back"}),
        (0.0, {"rolled back"}),
        # There are three correct ends: the run moves `current` after the rollback; the rollback replaces the
        # run's version, which was current; or the rollback is refused because the run has moved `current`.
        (-1.0, {"run", "rolled back", "refused"}),
    ],
    ids=["before", "same", "after"],
)
def test_the_later_of_a_run_and_a_rollback_wins_in_every_order_of_their_steps(seconds_ago, outcomes):
    seen: set[str] = set()
    exploration = Exploration()
    with ExitStack() as stack:
        here: list[World] = []

        def back(world: World, version: str) -> None:
            with suppress(Killed):
                try:
                    roll_back(world.cloud.bucket, KEYS, version, now=world.time)
                except RollbackRefusedError:
                    seen.add("refused")

        def start() -> Turns:
            stack.close()
            world = stack.enter_context(World.started(WORKER_HEARTBEAT_ENABLED="false"))
            here[:] = [world]
            for run, ago in (("right", 99), ("wrong", 50)):
                request_run(world, run, seconds_ago=ago)
                world.deliver_all()
            request_run(world, "run", seconds_ago=seconds_ago)
            batch = world.queue.receive()
            world.observe()
            workers: dict[str, Any] = {
                "run": partial(hand_over, batch, world.queue, world.functions[0], FakeContext()),
                "rollback": partial(back, world, versions(world)["right"]),
            }
            return Turns(
                world.edge, workers, {"run": first_steps(world), "rollback": frozenset({(False, CURRENT)})}
            )

        def ended(complete: bool) -> None:  # noqa: FBT001 - as it is called
            (world,) = here
            world.edge.before = nothing
            world.check_invariants()
            if complete:
                world.clock.advance(60)
                world.deliver_all()
                world.check_all_succeeded()
                named = json.loads(world.cloud.read(CURRENT))
                seen.add("rolled back" if "rolled_back_at" in named else "run")
                assert named["run_id"] == ("right" if "rolled_back_at" in named else "run")

        exploration.run(start, ended)
    assert exploration.executions > 1
    assert seen == outcomes


def test_a_rollback_whose_response_is_lost_is_settled_by_reading():
    with World.started(WORKER_HEARTBEAT_ENABLED="false") as world:
        for run, ago in (("right", 99), ("wrong", 50)):
            request_run(world, run, seconds_ago=ago)
            world.deliver_all()
        lost: list[Call] = []

        def lose(call):
            if call.operation == "SWAP" and not lost:
                lost.append(call)
                raise ConnectionError("the answer is lost")

        world.edge.after = lose
        version = versions(world)["right"]
        done = roll_back(world.cloud.bucket, KEYS, version, now=world.time)
        assert lost
        assert (done.version_ts, done.changed) == (version, True)
        assert json.loads(world.cloud.read(CURRENT))["version_ts"] == version
        world.clock.advance(timedelta(hours=1).total_seconds())
        world.check_invariants()

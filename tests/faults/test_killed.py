"""If the process of the worker is killed in a batch, the next delivery ends every run of the batch.

The modules `test_killed_before_calls` and `test_killed_after_calls` kill the process at the calls of a run;
the list of these calls is tested here. tests/faults/killing.py has the functions that kill the process.
"""

import json

import pytest

from tests.faults.killing import (
    CALLS,
    CALLS_ONCE_COMMITTED,
    COMPLETED,
    CURRENT,
    DATA,
    HEARTBEAT,
    MARKER,
    NEVER,
    Death,
    assert_the_next_delivery_ends_the_run,
    deliver_to,
    kill,
    metric_of,
    of_run,
    request_run,
    unreferenced,
    with_a_heartbeat,
    with_an_effect,
)


def test_the_list_of_the_calls_of_a_run_is_complete(world):
    request_run(world, "m.alive-1")
    life = Death(world, NEVER, after=False, holds=with_a_heartbeat("m.alive-1"))
    assert deliver_to(life, world)
    world.check_all_succeeded()
    assert life.arrived.keys() == {of_run(name, "m.alive-1") for name in CALLS}
    once = life.arrived.keys() - {of_run(name, "m.alive-1") for name in HEARTBEAT}
    assert {life.arrived[name] for name in once} == {1}


@pytest.mark.parametrize(
    ("call", "when"),
    [
        *((call, "before") for call in CALLS_ONCE_COMMITTED),
        *((call, "after") for call in with_an_effect(CALLS_ONCE_COMMITTED)),
    ],
)
def test_the_next_delivery_ends_a_committed_run_whose_worker_was_killed_twice(call, when, world):
    run = f"m.committed.{CALLS_ONCE_COMMITTED.index(call)}.{when}-1"
    request_run(world, run)
    committed = kill(world, run, f"PUT {MARKER}", "after")
    dead = kill(world, run, call, when)
    assert dead.marker(run) == committed.marker(run)
    assert_the_next_delivery_ends_the_run(world, run, dead)


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_next_delivery_ends_a_run_whose_worker_was_killed_as_it_replaced_current(when, world):
    metric = f"m.moved.{when}"
    request_run(world, f"{metric}-1")
    assert world.deliver()
    world.check_all_succeeded()
    request_run(world, f"{metric}-2")
    dead = kill(world, f"{metric}-2", f"PUT {CURRENT}", when)
    assert_the_next_delivery_ends_the_run(world, f"{metric}-2", dead)
    current = json.loads(world.picture.objects[of_run(CURRENT, f"{metric}-2")])
    assert current["run_id"] == f"{metric}-2"


def test_the_next_delivery_ends_every_group_of_a_batch_whose_worker_was_killed(world):
    """Kill the worker when one group is done, one is about to commit, and one is about to write its data."""
    runs = done, committing, writing = "m.batch.a-1", "m.batch.b-1", "m.batch.c-1"
    request_run(world, *runs)
    marker, data = of_run(f"PUT {MARKER}", committing), of_run(f"PUT {DATA}", writing)
    holds = {marker: {of_run(COMPLETED, done), data}, data: {NEVER}}
    assert not deliver_to(Death(world, marker, after=False, holds=holds), world)
    dead = world.observe()
    assert [dead.marker(run) is not None for run in runs] == [True, False, False]
    (left,) = unreferenced(dead)
    assert left.startswith(f"{metric_of(committing)}/")

    assert world.deliver()

    world.check_all_succeeded()
    assert unreferenced(world.picture) == {left}
    assert [len(world.picture.completed(run)) for run in (committing, writing)] == [1, 1]

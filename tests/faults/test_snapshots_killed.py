"""A kill at any call of a run with a snapshot damages neither the result nor the snapshot.

The writes of a run follow one another, and the snapshot is the last of them. A kill just after a write
therefore leaves the same state as a kill just before the next write, except after the last one.
"""

import pytest

from tests.faults.killing import NEVER, Death, deliver_to, of_run
from tests.faults.killing_snapshots import (
    CALLS,
    CALLS_OF_THE_FIRST_RUN,
    CALLS_TO_DIE_BEFORE,
    SNAPSHOT,
    assert_that_a_kill_loses_nothing,
    put_snapshot,
    request_run,
)


def test_the_list_of_the_calls_of_a_run_that_replaces_a_snapshot_is_complete(world, snapshots):
    put_snapshot(world, snapshots.old)
    request_run(world, "m.alive-1")
    life = Death(world, NEVER, after=False, holds={})
    assert deliver_to(life, world)
    world.check_all_succeeded()
    to_s3 = {name for name in life.arrived if name.startswith(("GET", "PUT"))}
    assert to_s3 | {of_run(CALLS[-1], "m.alive-1")} == {of_run(name, "m.alive-1") for name in CALLS}


@pytest.mark.parametrize("call", CALLS_TO_DIE_BEFORE)
def test_a_worker_killed_before_a_call_of_a_run_that_replaces_a_snapshot_loses_nothing(
    call, world, snapshots
):
    run = f"m.replaces.{CALLS.index(call)}.before-1"
    assert_that_a_kill_loses_nothing(world, run, snapshots, stored=snapshots.old, call=call, after=False)


@pytest.mark.parametrize("call", CALLS_OF_THE_FIRST_RUN)
def test_a_worker_killed_before_a_call_of_a_run_that_creates_a_snapshot_loses_nothing(call, world, snapshots):
    run = f"m.creates.{CALLS_OF_THE_FIRST_RUN.index(call)}.before-1"
    assert_that_a_kill_loses_nothing(world, run, snapshots, stored=None, call=call, after=False)


@pytest.mark.parametrize("is_replaced", [True, False])
def test_a_worker_killed_after_it_wrote_a_snapshot_loses_nothing(is_replaced, world, snapshots):
    run = f"m.{'replaces' if is_replaced else 'creates'}.after-1"
    stored = snapshots.old if is_replaced else None
    call = f"PUT {SNAPSHOT}"
    assert_that_a_kill_loses_nothing(world, run, snapshots, stored=stored, call=call, after=True)

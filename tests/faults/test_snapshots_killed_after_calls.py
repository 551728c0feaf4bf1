"""A kill just after a call of a run with a snapshot damages neither the result nor the snapshot."""

import pytest

from tests.faults.killing import with_an_effect
from tests.faults.killing_snapshots import CALLS, CALLS_OF_THE_FIRST_RUN, assert_that_a_kill_loses_nothing


@pytest.mark.parametrize("call", with_an_effect(CALLS))
def test_a_worker_killed_after_a_call_of_a_run_that_replaces_a_snapshot_loses_nothing(call, world, snapshots):
    run = f"m.replaces.{CALLS.index(call)}.after-1"
    assert_that_a_kill_loses_nothing(world, run, snapshots, stored=snapshots.old, call=call, after=True)


@pytest.mark.parametrize("call", with_an_effect(CALLS_OF_THE_FIRST_RUN))
def test_a_worker_killed_after_a_call_of_a_run_that_creates_a_snapshot_loses_nothing(call, world, snapshots):
    run = f"m.creates.{CALLS_OF_THE_FIRST_RUN.index(call)}.after-1"
    assert_that_a_kill_loses_nothing(world, run, snapshots, stored=None, call=call, after=True)

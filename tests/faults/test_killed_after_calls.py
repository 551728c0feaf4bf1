"""If the worker is killed just after a call of a run has had its effect, the next delivery ends the run."""

import pytest

from tests.faults.killing import (
    CALLS,
    assert_the_next_delivery_ends_the_run,
    kill,
    request_run,
    with_an_effect,
)


@pytest.mark.parametrize("call", with_an_effect(CALLS))
def test_the_next_delivery_ends_a_run_whose_worker_was_killed_after_a_call(call, world):
    run = f"m.{CALLS.index(call)}.after-1"
    request_run(world, run)
    dead = kill(world, run, call, "after")
    assert_the_next_delivery_ends_the_run(world, run, dead)

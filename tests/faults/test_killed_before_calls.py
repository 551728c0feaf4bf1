"""If the worker is killed just before any call of a run has its effect, the next delivery ends the run."""

import pytest

from tests.faults.killing import (
    CALLS,
    READS_OF_PARTS,
    assert_the_next_delivery_ends_the_run,
    kill,
    request_run,
)

OTHER_READS = READS_OF_PARTS[1:-1]
"""The reads of part files are concurrent, so the kills before the first and the last of them are enough."""


@pytest.mark.parametrize("call", [call for call in CALLS if call not in OTHER_READS])
def test_the_next_delivery_ends_a_run_whose_worker_was_killed_before_a_call(call, world):
    run = f"m.{CALLS.index(call)}.before-1"
    request_run(world, run)
    dead = kill(world, run, call, "before")
    assert_the_next_delivery_ends_the_run(world, run, dead)

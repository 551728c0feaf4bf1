"""Every invariant holds in every order of the steps of two workers, even if one worker is killed at a call.

tests/faults/interleavings.py has the scenarios.
"""

import pytest

from tests.faults.interleavings import LONG, a_run_twice, explore, two_runs
from tests.turns import Exploration


@pytest.mark.parametrize(
    ("scenario", "victim"),
    [(a_run_twice, "one"), *([(a_run_twice, "other"), (two_runs, "one"), (two_runs, "other")] * LONG)],
)
def test_every_invariant_holds_in_every_order_if_one_worker_is_killed_at_any_call(
    scenario, victim, interleavings
):
    for calls in range(50):
        exploration = Exploration()
        killed = explore(scenario, exploration, {victim: calls})
        if not killed:
            break
        interleavings[f"{scenario.__name__}, killed"] += exploration.executions
    assert calls > 5, "the victim should make more than five calls"

"""Every invariant holds in every order of the steps of two workers (see tests/faults/interleavings.py)."""

import threading

import pytest

from tests import invariants
from tests.faults.interleavings import SCENARIOS, explore
from tests.turns import Exploration


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_invariant_holds_in_every_order_of_two_workers(scenario, interleavings):
    threads = threading.enumerate()
    exploration = Exploration()
    explore(scenario, exploration)
    interleavings[scenario.__name__] = exploration.executions
    invariants.no_thread_is_left(threads, threading.enumerate())

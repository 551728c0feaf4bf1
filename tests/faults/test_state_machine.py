"""Every invariant holds in random sequences of events: the first half (see tests/faults/state_machine.py)."""

from tests.faults.state_machine import EXAMPLES, WorkerMachine, run_sequences


def test_readers_see_whole_versions_and_every_run_ends_after_any_sequence_of_events(
    record_testsuite_property,
):
    run_sequences(EXAMPLES // 2)
    record_testsuite_property("state_machine_steps", WorkerMachine.steps_done)
    record_testsuite_property("state_machine_calls", WorkerMachine.calls)

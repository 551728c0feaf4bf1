"""Random sequences of requests, deliveries, crashes, faults, races and dead letters.

Hypothesis chooses the sequence. After every write and every event, the state of the bucket and the topics is
checked against `tests/invariants.py`; after every rule, the state is also checked against a small model of
the allowed outcomes. At the end, all faults are removed, and every run must then get an outcome. If a test
fails, it prints a sequence that reproduces the failure. For a nightly run, set `METRICS_TEST_EXAMPLES=5000`.
Two test modules try half of the sequences each, so that two processes of pytest can share the work.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import obstore
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from obstore.exceptions import GenericError

from metrics_worker.dataset import snapshots
from tests import invariants
from tests.builders import FakeContext, day, parquet, rows, series
from tests.edge import Call, nothing
from tests.fifo_queue import Killed, hand_over
from tests.turns import Turns
from tests.world import World

EXAMPLES = int(os.environ.get("METRICS_TEST_EXAMPLES", "70"))
"""The number of sequences that both test modules try together."""
STEPS = 40
READABLE, MISSING = "A", "Z"
"""A series that exists, and one that does not; a run that reads the latter fails permanently."""

requests = st.tuples(
    st.sampled_from(["m.a", "m.b"]),
    st.sampled_from([0.4, 1, 15, 1800, 100_000]),
    st.sampled_from([READABLE, READABLE, MISSING]),
    st.sampled_from([None, "by hand"]),
)
"""Metric code, age in seconds, series code, and a message group or None for the metric's own group.

With another message group, two runs of one metric can be processed at the same time.
"""
nth = st.integers(1, 9)
seconds = st.sampled_from([0.4, 1, 15, 120, 1800, 100_000])


def waiting(method: Callable[[Any], None]) -> Callable[[Any], None]:
    """Turn a rule of the state machine into one that runs only if a queue of the world has messages."""
    return precondition(lambda self: self.world.queue.messages or self.world.dead.messages)(method)


@dataclass
class CallFault:
    """A hook of the edge (tests/edge.py) that raises an error at one or more consecutive matching calls.

    Calls that a run makes concurrently do not match, so that a sequence can be reproduced.

    Attributes:
        number: the number of matching calls up to the first one that fails, and including it. It decreases by
            1 at each matching call.
        times: the number of matching calls that fail.
        error: the error that these calls raise.
        at: a function that returns whether a call matches.
    """

    number: int
    times: int
    error: BaseException
    at: Callable[[Call], bool]

    def __call__(self, call: Call) -> None:
        if self.at(call):
            self.number -= 1
            if -self.times < self.number <= 0:
                raise self.error


def to_s3(call: Call) -> bool:
    return call.key.startswith("metrics/")


def writing(call: Call) -> bool:
    return to_s3(call) and call.writes


def any_call(call: Call) -> bool:
    return to_s3(call) or "completed" in call.key


def any_write(call: Call) -> bool:
    return writing(call) or "completed" in call.key


class WorkerMachine(RuleBasedStateMachine):
    """A Hypothesis state machine whose rules are requests, deliveries, faults, killed workers and readers."""

    steps_done = 0
    calls = 0

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        patch = self._stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(snapshots, "MIN_PART_FILES", 2)
        patch.setattr(snapshots, "MIN_CHANGED", 1)
        self.world = self._stack.enter_context(World.started(WORKER_HEARTBEAT_ENABLED="false"))
        self.readable: dict[str, bool] = {}
        self.newest = [3.0] * 5

    # The control plane

    @rule(wanted=st.lists(requests, min_size=1, max_size=4))
    def runs_are_requested(self, wanted: list[tuple[str, float, str, str | None]]) -> None:
        """Request runs that are newer or older than earlier requests.

        Args:
            wanted: (metric code, age of the request in seconds, series code, message group) of each run; a
                message group of None means the metric's own group.
        """
        for metric, ago, code, group in wanted:
            run = f"run-{len(self.readable)}"
            self.readable[run] = code == READABLE
            body: dict[str, Any] = {"expression": series(code), "kind": "series", "inputs": {code: "fx"}}
            self.world.request_run(metric, run, seconds_ago=ago, group=group, **body)

    # The ingestor

    @rule(values=st.lists(st.sampled_from([1.0, 2.5, -4.0]), min_size=1, max_size=4))
    def a_part_file_is_replaced(self, values: list[float]) -> None:
        """Replace the second of the two part files of the series `READABLE`.

        Args:
            values: the daily values in the new part file.
        """
        self.newest = values
        body = parquet(rows(READABLE, [day(10 + n) for n in range(len(values))], values))
        key = f"datasets/fx/projections/{READABLE}/month=2/data.parquet"
        obstore.put(self.world.cloud.store, key, body, use_multipart=False)

    # Lambda and SQS

    @rule(wait=seconds)
    def time_passes(self, wait: float) -> None:
        self.world.clock.advance(wait)

    @waiting
    @rule()
    def a_batch_is_delivered(self) -> None:
        self.world.deliver()

    @waiting
    @rule()
    def the_next_message_comes(self) -> None:
        self.world.deliver_next()

    @precondition(lambda self: self.world.dead.messages)
    @rule()
    def dead_letters_are_settled(self) -> None:
        self.world.deliver_dead_letters()

    # Faults

    @waiting
    @rule(call=nth)
    def the_process_is_killed_before_a_call(self, call: int) -> None:
        self._go_on_under(before=CallFault(call, 1, Killed(), any_call))

    @waiting
    @rule(call=nth)
    def the_process_is_killed_after_a_call(self, call: int) -> None:
        self._go_on_under(after=CallFault(call, 1, Killed(), any_write))

    @waiting
    @rule()
    def the_process_is_killed_before_it_responds(self) -> None:
        def die(call: Call) -> None:
            if call.operation == "ANSWER":
                raise Killed

        self._go_on_under(before=die)

    @waiting
    @rule(call=nth, times=st.integers(1, 5))
    def s3_fails_for_a_while(self, call: int, times: int) -> None:
        self._go_on_under(before=CallFault(call, times, GenericError("503 SlowDown"), to_s3))

    @waiting
    @rule(call=nth, times=st.integers(1, 5))
    def answers_of_s3_are_lost_for_a_while(self, call: int, times: int) -> None:
        self._go_on_under(after=CallFault(call, times, GenericError("connection closed"), writing))

    def _go_on_under(self, *, before: Any = nothing, after: Any = nothing) -> None:
        self.world.edge.before, self.world.edge.after = before, after
        self.world.deliver_next(limit=1)
        self.world.edge.before = self.world.edge.after = nothing

    # Concurrent workers

    @waiting
    @rule(
        late=st.booleans(),
        order=st.lists(st.booleans(), min_size=25, max_size=25),
        kill=st.none() | st.tuples(st.sampled_from(["one", "other"]), st.integers(0, 10)),
    )
    def two_workers_race(self, late: bool, order: list[bool], kill: tuple[str, int] | None) -> None:  # noqa: FBT001
        """Run two workers concurrently, on one redelivered message or on messages of two groups.

        Args:
            late: whether the second worker receives its message after the visibility timeout of the first.
            order: for each step, whether worker `other` makes it instead of worker `one`.
            kill: (name of the worker to kill, number of its calls before the kill), or None to kill none.
        """
        world = self.world
        world.clock.advance(world.queue.seconds_until_next() or 0)
        batches = {"one": world.queue.receive(limit=1)}
        if late:
            world.clock.advance(world.queue.visibility_timeout)
        batches["other"] = world.queue.receive(limit=1)
        workers = {
            name: lambda batch=batch: hand_over(batch, world.queue, world.functions[0], FakeContext())
            for name, batch in batches.items()
            if batch
        }
        turns = Turns(world.edge, workers, dict.fromkeys(workers, frozenset()), dict([kill] if kill else []))
        for turn in [*order, *[True] * 100]:
            if turns.pending:
                turns.let_step(sorted(turns.pending)[turn * (len(turns.pending) - 1)])
        turns.stop()
        world.edge.before, world.edge.dead = nothing, False
        world.check_invariants()

    # Readers

    @invariant()
    def the_visible_state_agrees_with_the_model(self) -> None:
        """Check the outcome of every run, and that `current` is the newest version.

        A run succeeds if and only if its series exists, unless the dead-letter function gave it up before its
        commit. The newest version is that of the newest request whose run has succeeded.
        """
        type(self).steps_done += 1
        picture = self.world.check_invariants()
        invariants.current_is_the_newest_request_that_succeeded(picture)
        for run, readable in self.readable.items():
            for event in picture.completed(run):
                gave_up = "gave up" in (event.get("error") or "")
                assert gave_up or (event["status"] == "SUCCESS") == readable, f"{run}: {event}"
                assert not gave_up or picture.marker(run) is None, f"{run} is committed, but was given up"
            assert readable or picture.marker(run) is None, f"{run} has a version, but its series is missing"

    def teardown(self) -> None:
        try:
            self.world.deliver_all()
            self.world.check_all_ended()
            self._check_that_a_run_reads_the_newest_part_files()
        finally:
            type(self).calls += len(self.world.edge.calls)
            self._stack.close()

    def _check_that_a_run_reads_the_newest_part_files(self) -> None:
        """Assert that a new run of the series `READABLE` has the values of the last replaced part file.

        This must be true whatever has happened to the snapshot of the series.
        """
        node = {"op": "max", "series": series(READABLE), "window": 1}
        self.world.request_run("m.last", "last", expression=node, kind="window_op", inputs={READABLE: "fx"})
        self.world.deliver_all()
        manifest = self.world.cloud.read_json("metrics/m.last/current/manifest.json")
        data = self.world.cloud.read_table(manifest["outputs"]["data_prefix"] + "metrics.parquet")
        assert data["value"].to_pylist() == [3.0] * 5 + self.newest


def run_sequences(count: int) -> None:
    """Try `count` random sequences of rules with the state machine."""
    run_state_machine_as_test(
        WorkerMachine,
        settings=settings(
            max_examples=count,
            stateful_step_count=STEPS,
            deadline=None,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )

"""Whatever happens, in whatever order: requests, deliveries, crashes, faults, races, dead letters.

Hypothesis makes the story up; readers look at every write and event and hold what they see against
`tests/invariants.py`, and after each chapter against a small model of what they may see. In the end all is
well again, and every run must have an outcome. A failure prints what reproduces it, and
`METRICS_TEST_EXAMPLES=5000` is for a night.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from obstore.exceptions import GenericError

from tests import invariants
from tests.builders import FakeContext, series
from tests.edge import Call, nothing
from tests.fifo_queue import Killed, hand_over
from tests.turns import Turns
from tests.world import World

EXAMPLES = int(os.environ.get("METRICS_TEST_EXAMPLES", "70"))
CHAPTERS = 40
READABLE, MISSING = "A", "Z"
"""A series that is there, and one that is not: its run fails for good."""

requests = st.tuples(
    st.sampled_from(["m.a", "m.b"]),
    st.sampled_from([0.4, 1, 15, 1800, 100_000]),
    st.sampled_from([READABLE, READABLE, MISSING]),
    st.sampled_from([None, "by hand"]),
)
"""Metric, age, series, and a message group that is not the metric's: its runs then meet one another."""
nth = st.integers(1, 9)
seconds = st.sampled_from([0.4, 1, 15, 120, 1800, 100_000])


def waiting(chapter: Callable[[Any], None]) -> Callable[[Any], None]:
    """It can only happen while a message waits."""
    return precondition(lambda story: story.world.queue.messages or story.world.dead.messages)(chapter)


@dataclass
class Strike:
    """Something happens at the nth call from now on, and at so many after it.

    Only calls that a run makes one after the other count, so that a story can be told again.
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
    """A control plane that asks, an SQS that delivers, an S3 with bad days, processes that die, readers."""

    chapters = 0
    calls = 0

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.world = self._stack.enter_context(World.started(WORKER_HEARTBEAT_ENABLED="false"))
        self.readable: dict[str, bool] = {}

    # The control plane

    @rule(asked=st.lists(requests, min_size=1, max_size=4))
    def runs_are_asked_for(self, asked: list[tuple[str, float, str, str | None]]) -> None:
        """Newer or older than those before them."""
        for metric, ago, code, group in asked:
            run = f"run-{len(self.readable)}"
            self.readable[run] = code == READABLE
            body: dict[str, Any] = {"expression": series(code), "kind": "series", "inputs": {code: "fx"}}
            self.world.request_run(metric, run, seconds_ago=ago, group=group, **body)

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

    # Bad days

    @waiting
    @rule(call=nth)
    def the_process_is_killed_before_a_call(self, call: int) -> None:
        self._go_on_under(before=Strike(call, 1, Killed(), any_call))

    @waiting
    @rule(call=nth)
    def the_process_is_killed_after_a_call(self, call: int) -> None:
        self._go_on_under(after=Strike(call, 1, Killed(), any_write))

    @waiting
    @rule()
    def the_process_is_killed_when_all_is_done(self) -> None:
        def die(call: Call) -> None:
            if call.operation == "ANSWER":
                raise Killed

        self._go_on_under(before=die)

    @waiting
    @rule(call=nth, times=st.integers(1, 5))
    def s3_fails_for_a_while(self, call: int, times: int) -> None:
        self._go_on_under(before=Strike(call, times, GenericError("503 SlowDown"), to_s3))

    @waiting
    @rule(call=nth, times=st.integers(1, 5))
    def answers_of_s3_are_lost_for_a_while(self, call: int, times: int) -> None:
        self._go_on_under(after=Strike(call, times, GenericError("connection closed"), writing))

    def _go_on_under(self, *, before: Any = nothing, after: Any = nothing) -> None:
        self.world.edge.before, self.world.edge.after = before, after
        self.world.deliver_next(limit=1)
        self.world.edge.before = self.world.edge.after = nothing

    # Two at once

    @waiting
    @rule(
        late=st.booleans(),
        order=st.lists(st.booleans(), min_size=25, max_size=25),
        lives=st.none() | st.tuples(st.sampled_from(["one", "other"]), st.integers(0, 10)),
    )
    def two_workers_race(self, late: bool, order: list[bool], lives: tuple[str, int] | None) -> None:  # noqa: FBT001
        """With one message, whose visibility timeout ran out, or with the next ones of two groups."""
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
        turns = Turns(
            world.edge, workers, dict.fromkeys(workers, frozenset()), dict([lives] if lives else [])
        )
        for turn in [*order, *[True] * 100]:
            if turns.pending:
                turns.let_step(sorted(turns.pending)[turn * (len(turns.pending) - 1)])
        turns.stop()
        world.edge.before, world.edge.dead = nothing, False
        world.check_invariants()

    # Readers

    @invariant()
    def what_readers_see_is_in_the_model(self) -> None:
        """Only runs that can succeed have a version, and `current` is that of the newest who said so."""
        type(self).chapters += 1
        picture = self.world.check_invariants()
        invariants.current_is_the_newest_request_that_succeeded(picture)
        for run, readable in self.readable.items():
            for event in picture.completed(run):
                gave_up = "gave up" in (event.get("error") or "")
                assert gave_up or (event["status"] == "SUCCESS") == readable, f"{run}: {event}"
                assert not gave_up or picture.marker(run) is None, f"{run} is committed, but given up"
            assert readable or picture.marker(run) is None, f"{run} has a version of nothing"

    def teardown(self) -> None:
        try:
            self.world.deliver_all()
            self.world.check_all_ended()
        finally:
            type(self).calls += len(self.world.edge.calls)
            self._stack.close()


def test_whatever_happens_readers_see_whole_versions_and_every_run_ends(record_testsuite_property):
    run_state_machine_as_test(
        WorkerMachine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=CHAPTERS,
            deadline=None,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
    record_testsuite_property("state_machine_steps", WorkerMachine.chapters)
    record_testsuite_property("state_machine_calls", WorkerMachine.calls)

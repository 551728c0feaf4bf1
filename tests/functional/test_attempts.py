"""Lambda counts an invocation as an error of the function only if the worker was killed.

In every other case, the handler returns a response, whatever the outcome of the messages is.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from obstore.exceptions import GenericError

from tests.builders import FakeContext, record, series
from tests.edge import Call, nothing
from tests.faults.state_machine import WorkerMachine
from tests.fifo_queue import Handler, Killed
from tests.story import captured_output
from tests.world import World

type Scene = Callable[[World], None]


@dataclass
class Errors:
    """The invocations and errors of a Lambda function, as Lambda itself would count them.

    Attributes:
        messages: the number of messages in each invocation, in order.
        lost: the number of messages in each invocation that raised an error or was killed, in order.
    """

    messages: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)

    def counting(self, function: Handler) -> Handler:
        """Return a function that calls a handler and records the invocation and whether it failed."""

        def invoke(event: Any, context: Any) -> Any:
            self.messages.append(len(event["Records"]))
            try:
                return function(event, context)
            except BaseException:
                self.lost.append(len(event["Records"]))
                raise

        return invoke


@contextmanager
def observed() -> Iterator[tuple[World, Errors]]:
    """Yield a new `World` (tests/world.py), and the errors that Lambda counts for its worker."""
    errors = Errors()
    with captured_output(), World.started() as world:
        worker, dead_letters = world.functions
        world.functions = errors.counting(worker), dead_letters
        yield world, errors


def fails_at(operation: str, key: str, error: BaseException) -> Callable[[Call], None]:
    def fault(call: Call) -> None:
        if call.operation == operation and key in call.key:
            raise error

    return fault


UNWELL = GenericError("503 SlowDown, after the client's own retries")


def every_run_succeeds(world: World) -> None:
    for metric in ("m.a", "m.b", "m.c"):
        world.request_run(metric, metric)
    world.deliver_all()


def message_is_delivered_again_after_its_success(world: World) -> None:
    world.request_run("m.a", "a")
    world.edge.before = fails_at("ANSWER", "", Killed())
    world.deliver()
    world.edge.before = nothing
    world.deliver_all()


def run_fails_for_good(world: World) -> None:
    world.request_run("m.a", "a", expressionJson=series("A"))
    world.deliver_all()


def first_message_of_a_group_returns_with_the_others(world: World) -> None:
    for run in ("1", "2", "3"):
        world.request_run("m.a", run)
    world.edge.before = fails_at("GET", "runs/1.ok", UNWELL)
    world.deliver()
    world.edge.before = nothing
    world.deliver_all()


def run_is_committed_but_its_success_is_not_published(world: World) -> None:
    world.request_run("m.a", "a")
    world.edge.before = fails_at(
        "PUBLISH", "completed", ClientError({"Error": {"Code": "NotFound"}}, "Publish")
    )
    world.deliver()
    world.edge.before = nothing
    world.deliver_all()


def message_becomes_a_dead_letter(world: World) -> None:
    world.request_run("m.a", "a")
    world.edge.before = fails_at("GET", "datasets/", UNWELL)
    world.deliver_all()


def messages_are_unanswerable(world: World) -> None:
    world.edge.observer = nothing
    world.functions[0]({"Records": [record("poison"), record("more of it")]}, FakeContext())


SCENES: list[Scene] = [
    every_run_succeeds,
    message_is_delivered_again_after_its_success,
    run_fails_for_good,
    first_message_of_a_group_returns_with_the_others,
    run_is_committed_but_its_success_is_not_published,
    message_becomes_a_dead_letter,
    messages_are_unanswerable,
]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_no_outcome_of_a_message_is_an_error_of_the_function(scene: Scene) -> None:
    with observed() as (world, errors):
        scene(world)
    assert errors.messages
    assert errors.lost == []


@pytest.mark.parametrize("messages", [1, 3])
@pytest.mark.parametrize("operation", ["GET", "PUBLISH", "PUT", "SWAP"])
def test_a_killed_worker_is_one_error_and_the_next_attempts_are_none(operation: str, messages: int) -> None:
    with observed() as (world, errors):
        for number in range(messages):
            world.request_run(f"m.{number}", f"run-{number}")
        world.edge.before = fails_at("PUT" if operation == "SWAP" else operation, "", Killed())
        world.deliver()
        assert errors.lost == [messages]
        world.edge.before = nothing
        world.deliver_all()
        world.check_all_succeeded()
    assert errors.lost == [messages]
    assert sum(errors.messages) == 2 * messages


def test_an_attempt_whose_worker_is_killed_writes_no_metrics() -> None:
    with captured_output() as output, World.started() as world:
        world.request_run("m.a", "a")
        world.edge.before = fails_at("PUT", "", Killed())
        world.deliver()
    assert output.points("metric_run_duration_seconds", "service", "function_name") == []


class _Counted(WorkerMachine):
    """The state machine of tests/faults/state_machine.py, which also records errors and killed workers.

    Attributes:
        errors: the invocations and errors that Lambda counts for the worker.
        killed: for each batch in which the worker was killed, the number of its messages.
    """

    errors = Errors()
    killed: ClassVar[list[int]] = []

    def __init__(self) -> None:
        super().__init__()
        worker, dead_letters = self.world.functions

        def observed(event: Any, context: Any) -> Any:
            try:
                return worker(event, context)
            except Killed:
                self.killed.append(len(event["Records"]))
                raise

        self.world.functions = self.errors.counting(observed), dead_letters


def test_in_any_sequence_of_events_the_errors_are_exactly_the_killed_workers() -> None:
    with captured_output():
        run_state_machine_as_test(
            _Counted,
            settings=settings(
                max_examples=20,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            ),
        )
    assert _Counted.errors.lost == _Counted.killed
    assert 0 < sum(_Counted.killed) < sum(_Counted.errors.messages)

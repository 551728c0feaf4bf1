"""Attempts that began and ended, as their alarm counts them: nothing rings it but a worker that is killed."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from obstore.exceptions import GenericError

from tests.builders import FakeContext, record, series
from tests.edge import Call, nothing
from tests.faults.test_state_machine import WorkerMachine
from tests.fifo_queue import Killed
from tests.story import Output, captured_output
from tests.world import World

type Scene = Callable[[World], None]
DIMENSIONS = "service", "function_name"


def differences(output: Output) -> list[float]:
    """What the alarm's expression gives: begun - ended, at each time that has datapoints of both."""
    sums = [Counter[int](), Counter[int]()]
    for counter, name in zip(sums, ("begun", "ended"), strict=True):
        for at, value in output.points(f"metric_attempts_{name}_total", *DIMENSIONS):
            counter[at] += int(value)
    begun, ended = sums
    assert begun.keys() == ended.keys(), "a difference of what is missing is missing too"
    return [begun[at] - ended[at] for at in begun]


def fails_at(operation: str, key: str, error: BaseException) -> Callable[[Call], None]:
    def fault(call: Call) -> None:
        if call.operation == operation and key in call.key:
            raise error

    return fault


UNWELL = GenericError("503 SlowDown, after the client's own retries")


def all_is_well(world: World) -> None:
    for metric in ("m.a", "m.b", "m.c"):
        world.request_run(metric, metric)
    world.deliver_all()


def it_comes_again_after_its_success(world: World) -> None:
    world.request_run("m.a", "a")
    world.edge.before = fails_at("ANSWER", "", Killed())
    world.deliver()
    world.edge.before = nothing
    world.deliver_all()


def it_fails_for_good(world: World) -> None:
    world.request_run("m.a", "a", expressionJson=series("A"))
    world.deliver_all()


def the_first_of_a_group_is_given_back_and_the_others_with_it(world: World) -> None:
    for run in ("1", "2", "3"):
        world.request_run("m.a", run)
    world.edge.before = fails_at("GET", "runs/1.ok", UNWELL)
    world.deliver()
    world.edge.before = nothing
    world.deliver_all()


def it_is_committed_and_its_success_does_not_go_out(world: World) -> None:
    world.request_run("m.a", "a")
    world.edge.before = fails_at(
        "PUBLISH", "completed", ClientError({"Error": {"Code": "NotFound"}}, "Publish")
    )
    world.deliver()
    world.edge.before = nothing
    world.deliver_all()


def it_is_given_up(world: World) -> None:
    world.request_run("m.a", "a")
    world.edge.before = fails_at("GET", "datasets/", UNWELL)
    world.deliver_all()


def nobody_can_be_answered(world: World) -> None:
    world.edge.observer = nothing
    world.functions[0]({"Records": [record("poison"), record("more of it")]}, FakeContext())


SCENES: list[Scene] = [
    all_is_well,
    it_comes_again_after_its_success,
    it_fails_for_good,
    the_first_of_a_group_is_given_back_and_the_others_with_it,
    it_is_committed_and_its_success_does_not_go_out,
    it_is_given_up,
    nobody_can_be_answered,
]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_as_many_attempts_end_as_begin_whatever_comes_of_them(scene: Scene) -> None:
    with captured_output() as output, World.started() as world:
        scene(world)
    found = differences(output)
    assert found
    assert not any(found)


@pytest.mark.parametrize("messages", [1, 3])
@pytest.mark.parametrize("operation", ["GET", "PUBLISH", "PUT", "SWAP"])
def test_a_killed_worker_leaves_as_many_unended_as_it_had_taken(operation: str, messages: int) -> None:
    with captured_output() as output, World.started() as world:
        for number in range(messages):
            world.request_run(f"m.{number}", f"run-{number}")
        world.edge.before = fails_at("PUT" if operation == "SWAP" else operation, "", Killed())
        world.deliver()
        world.edge.before = nothing
        world.deliver_all()
        world.check_all_succeeded()
    killed, *later = differences(output)
    assert killed == messages
    assert later
    assert not any(later), "what a later attempt does takes nothing back, and adds nothing"


def test_an_invocation_is_booked_at_one_time_when_it_must_be_over_and_a_minute_has_passed() -> None:
    before = time.time()
    with captured_output() as output, World.started() as world:
        world.request_run("m.a", "a")
        world.deliver()
    after = time.time()
    times = {
        at
        for name in ("begun", "ended")
        for at, _ in output.points(f"metric_attempts_{name}_total", *DIMENSIONS)
    }
    (at,) = times
    left = FakeContext().get_remaining_time_in_millis() / 1000 + 60
    assert before + left <= at / 1000 + 0.001
    assert at / 1000 <= after + left


def test_a_run_that_is_under_way_is_booked_later_than_any_alarm_looks() -> None:
    seen: list[float] = []
    with captured_output() as output, World.started() as world:
        world.request_run("m.a", "a")
        world.edge.before = lambda _: seen.append(time.time())
        world.deliver()
    begun = min(at for at, _ in output.points("metric_attempts_begun_total", *DIMENSIONS))
    assert seen
    assert begun / 1000 > max(seen)


class _Counted(WorkerMachine):
    """The story that is made up elsewhere, and how many messages were taken and never let go."""

    taken = 0
    lost = 0

    def __init__(self) -> None:
        super().__init__()
        worker, dead_letters = self.world.functions

        def counted(event: Any, context: Any) -> Any:
            messages = len(event["Records"])
            _Counted.taken += messages
            _Counted.lost += messages
            answer = worker(event, context)
            _Counted.lost -= messages
            return answer

        self.world.functions = counted, dead_letters


def test_in_any_story_what_is_unended_is_what_killed_workers_held() -> None:
    with captured_output() as output:
        run_state_machine_as_test(
            _Counted,
            settings=settings(
                max_examples=20,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            ),
        )
    found = differences(output)
    assert all(difference >= 0 for difference in found)
    assert sum(found) == _Counted.lost
    assert 0 < _Counted.lost < _Counted.taken

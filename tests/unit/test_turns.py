"""`Exploration` (tests/turns.py) executes every order of the workers' calls, and so reaches every state.

In these tests, the workers share a dict in place of a bucket.
"""

import threading
from collections.abc import Callable

import pytest

from tests.edge import Call, Edge
from tests.fifo_queue import Killed
from tests.turns import Exploration, Turns, independent, step_of

type State = dict[str, int]
type Content = tuple[tuple[str, int], ...]
type WorkerFunction = Callable[["Workers"], None]


class Workers:
    """Worker threads that share a dict, and an `Edge` (tests/edge.py) with which a test chooses their order.

    Each access to the dict passes through the edge.

    Args:
        functions: the function that each worker runs. The workers are named "0", "1" and so on.
        seen: a set to which the content of the dict is added after every access, as a tuple of its sorted
            items.
        calls_before_kill: the number of calls that a worker makes before it is killed; the argument for the
            first worker is named `_0`. The other workers are not killed.
    """

    def __init__(
        self,
        functions: list[WorkerFunction],
        seen: set[Content],
        **calls_before_kill: int,
    ) -> None:
        self.state: State = {}
        self.edge = Edge(observer=lambda _: seen.add(tuple(sorted(self.state.items()))))
        workers = {
            str(n): lambda function=function: self.work(function) for n, function in enumerate(functions)
        }
        first_steps = dict.fromkeys(workers, frozenset[tuple[bool, str]]())
        self.turns = Turns(
            self.edge, workers, first_steps, {name.strip("_"): n for name, n in calls_before_kill.items()}
        )

    def work(self, function: WorkerFunction) -> None:
        try:
            function(self)
        except Killed:
            return

    def read(self, key: str) -> int:
        with self.edge.around(Call("GET", key)):
            return self.state.get(key, 0)

    def write(self, key: str, value: int) -> None:
        with self.edge.around(Call("PUT", key)):
            self.state[key] = value


def explore(
    functions: list[WorkerFunction], *, reduced: bool = True, **calls_before_kill: int
) -> tuple[Exploration, set[Content], set[Content]]:
    """Execute the workers in every order of their accesses to a shared dict.

    Args:
        functions: the function that each worker runs.
        reduced: whether to leave out orders that lead to the same states as others.
        calls_before_kill: the number of calls that a worker makes before it is killed; the argument for the
            first worker is named `_0`.

    Returns:
        (exploration, seen, final): the exploration, all contents of the dict after any access, and its
        contents at the end of the executions. A content is the tuple of the sorted items.
    """
    exploration = Exploration(reduced=reduced)
    executions: list[Workers] = []
    seen: set[Content] = set()
    final: set[Content] = set()

    def start():
        executions.append(Workers(functions, seen, **calls_before_kill))
        return executions[-1].turns

    def ended(complete):
        if complete:
            final.add(tuple(sorted(executions[-1].state.items())))

    exploration.run(start, ended)
    return exploration, seen, final


def add_one(workers):
    workers.write("mine", 1)  # The steps begin with the first write.
    workers.write("x", workers.read("x") + 1)


def write(*keys):
    def function(workers):
        for key in keys:
            workers.write(key, 1)

    return function


def test_a_lost_update_is_found():
    _, _, final = explore([add_one, add_one])
    assert {dict(state)["x"] for state in final} == {1, 2}


def test_every_order_is_executed_without_reduction():
    found, _, _ = explore([write("a", "b"), write("c")], reduced=False)
    assert (found.executions, found.pruned) == (10, 0)  # three steps and two steps, including first steps


@pytest.mark.parametrize(
    "functions",
    [
        [add_one, add_one],
        [write("a", "b"), write("c", "d")],
        [write("a", "b", "c"), write("b", "a")],
        [write("a"), write("b"), add_one],
    ],
)
def test_the_reduction_reaches_the_same_states_with_fewer_executions(functions):
    all_of_them, seen, final = explore(functions, reduced=False)
    some, states_of_some, final_of_some = explore(functions)
    assert (states_of_some, final_of_some) == (seen, final)
    assert some.executions < all_of_them.executions


def test_a_worker_is_killed_after_the_given_number_of_calls_and_the_other_continues():
    _, _, final = explore([write("a", "b", "c"), write("d", "e")], _0=2)
    assert final == {(("a", 1), ("b", 1), ("d", 1), ("e", 1))}


def test_no_thread_outlives_the_exploration():
    before = threading.enumerate()
    explore([add_one, add_one])
    assert threading.enumerate() == before


def test_steps_at_one_key_are_independent_only_if_neither_writes():
    read, write, elsewhere = Call("GET", "x"), Call("PUT", "x"), Call("PUT", "y")
    assert independent(step_of(read), step_of(read))
    assert independent(step_of(write), step_of(elsewhere))
    assert not independent(step_of(read), step_of(write))
    assert not independent(step_of(write), step_of(write))

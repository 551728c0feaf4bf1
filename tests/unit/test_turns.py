"""Workers that take turns, on shelves of a dict: every order is seen, and no state is left out."""

import threading
from collections.abc import Callable

import pytest

from tests.edge import Call, Edge
from tests.fifo_queue import Killed
from tests.turns import Exploration, Turns, independent, step_of

type Shelf = dict[str, int]
type Deed = Callable[["Toy"], None]


class Toy:
    """A shelf behind the edge; `seen` are the states after each step."""

    def __init__(self, deeds: list[Deed], seen: set[tuple[tuple[str, int], ...]], **lives: int) -> None:
        self.shelf: Shelf = {}
        self.edge = Edge(observer=lambda _: seen.add(tuple(sorted(self.shelf.items()))))
        workers = {str(n): lambda deed=deed: self.work(deed) for n, deed in enumerate(deeds)}
        begins = dict.fromkeys(workers, frozenset[tuple[bool, str]]())
        self.turns = Turns(self.edge, workers, begins, {name.strip("_"): n for name, n in lives.items()})

    def work(self, deed: Deed) -> None:
        try:
            deed(self)
        except Killed:
            return

    def read(self, key: str) -> int:
        with self.edge.around(Call("GET", key)):
            return self.shelf.get(key, 0)

    def write(self, key: str, value: int) -> None:
        with self.edge.around(Call("PUT", key)):
            self.shelf[key] = value


def explore(deeds, *, reduced=True, **lives):
    """The exploration, all states that were seen, and all last ones."""
    exploration = Exploration(reduced=reduced)
    toys: list[Toy] = []
    seen: set[tuple[tuple[str, int], ...]] = set()
    last: set[tuple[tuple[str, int], ...]] = set()

    def start():
        toys.append(Toy(deeds, seen, **lives))
        return toys[-1].turns

    def ended(complete):
        if complete:
            last.add(tuple(sorted(toys[-1].shelf.items())))

    exploration.run(start, ended)
    return exploration, seen, last


def adds_one(toy):
    toy.write("mine", 1)  # from the first write on each call is a step
    toy.write("x", toy.read("x") + 1)


def writes(*keys):
    def deed(toy):
        for key in keys:
            toy.write(key, 1)

    return deed


def test_a_lost_update_is_found():
    _, _, last = explore([adds_one, adds_one])
    assert {dict(state)["x"] for state in last} == {1, 2}


def test_without_reduction_each_order_is_seen():
    found, _, _ = explore([writes("a", "b"), writes("c")], reduced=False)
    assert (found.executions, found.pruned) == (10, 0)  # three steps and two, the beginnings included


@pytest.mark.parametrize(
    "deeds",
    [
        [adds_one, adds_one],
        [writes("a", "b"), writes("c", "d")],
        [writes("a", "b", "c"), writes("b", "a")],
        [writes("a"), writes("b"), adds_one],
    ],
)
def test_what_the_reduction_leaves_out_shows_no_other_state(deeds):
    all_of_them, seen, last = explore(deeds, reduced=False)
    some, seen_by_some, last_of_some = explore(deeds)
    assert (seen_by_some, last_of_some) == (seen, last)
    assert some.executions < all_of_them.executions


def test_a_worker_is_killed_after_so_many_calls_and_the_other_goes_on():
    _, _, last = explore([writes("a", "b", "c"), writes("d", "e")], _0=2)
    assert last == {(("a", 1), ("b", 1), ("d", 1), ("e", 1))}


def test_no_thread_is_left():
    before = threading.enumerate()
    explore([adds_one, adds_one])
    assert threading.enumerate() == before


def test_steps_at_one_key_are_independent_only_if_neither_writes():
    read, write, elsewhere = Call("GET", "x"), Call("PUT", "x"), Call("PUT", "y")
    assert independent(step_of(read), step_of(read))
    assert independent(step_of(write), step_of(elsewhere))
    assert not independent(step_of(read), step_of(write))
    assert not independent(step_of(write), step_of(write))

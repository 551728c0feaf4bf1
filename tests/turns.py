"""Workers that take turns: of these threads one runs at a time, up to its next call that others could notice.

No timing decides anything: whoever has the turn runs until it comes to such a call, and waits there for its
next turn. `Exploration` runs them again and again until each order of the calls has been seen.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.edge import Call, Edge
from tests.fifo_queue import Killed

type Step = frozenset[tuple[bool, str]]
"""What the next step of a worker touches: whether it writes there, and where."""


def step_of(call: Call) -> Step:
    return frozenset({(call.writes, call.key)})


def independent(one: Step, other: Step) -> bool:
    """Whether it makes no difference which of the two comes first."""
    return not any(
        here == there and (writes or writes_too) for writes, here in one for writes_too, there in other
    )


class Turns:
    """Some workers that take turns.

    Args:
        edge: where they meet the world. Everything up to a worker's first write is its first step.
        workers: what each of them does, by name.
        begins: what their first steps touch.
        lives: how many calls, from its first write on, a worker makes before it is killed; if it is.

    Attributes:
        pending: the next step of each worker that has not come to its end.
        killed: those that came to theirs too soon.
    """

    def __init__(
        self,
        edge: Edge,
        workers: Mapping[str, Callable[[], object]],
        begins: Mapping[str, Step],
        lives: Mapping[str, int] | None = None,
    ) -> None:
        self.pending = dict(begins)
        self.killed: set[str] = set()
        self._edge = edge
        self._lives = lives or {}
        self._calls = Counter[str]()
        self._running = ""
        self._over = False
        self._mine = {name: threading.Semaphore(0) for name in workers}
        self._back = threading.Semaphore(0)
        self._threads = [
            threading.Thread(target=self._work, args=(name, deed), name=name)
            for name, deed in workers.items()
        ]
        edge.before = self._at_call
        for thread in self._threads:
            thread.start()

    def let_step(self, name: str) -> None:
        """Let that worker make its next step; it has come to the one after it, or to its end, on return."""
        del self.pending[name]
        self._running = name
        self._mine[name].release()
        assert self._back.acquire(timeout=20), f"{name} does not come back"
        self._edge.dead = False  # for the others

    def stop(self) -> None:
        """Kill whoever has not come to its end."""
        self._over = True
        for waiting in self._mine.values():
            waiting.release()
        for thread in self._threads:
            thread.join()

    def _work(self, name: str, deed: Callable[[], object]) -> None:
        self._mine[name].acquire()
        if not self._over:
            deed()
        self._back.release()

    def _at_call(self, call: Call) -> None:
        """In whatever thread of the running worker; from its first write on it makes one call at a time."""
        name = self._running
        if self._over:
            raise Killed
        if not self._calls[name] and (not call.writes or "started" in call.key):
            return
        self._calls[name] += 1
        if self._calls[name] > self._lives.get(name, self._calls[name]):
            self.killed.add(name)
            raise Killed
        self.pending[name] = step_of(call)
        self._back.release()
        self._mine[name].acquire()
        if self._over:
            raise Killed


@dataclass
class _Choice:
    """A point where one of several workers was given the turn; those asleep need not be given it here."""

    pending: dict[str, Step]
    asleep: dict[str, Step]
    taken: str


@dataclass
class Exploration:
    """A search through all orders of steps, depth first, one execution after the other.

    Orders that differ only in which of two independent steps comes first are one: Godefroid's sleep sets
    leave out all but one of them, and still come to every state that can be reached.

    Attributes:
        reduced: whether they are left out.
        executions: how many came to their end.
        cut: how many were given up on the way, because all that could come then had been seen.
        steps: of all of them.
    """

    reduced: bool = True
    executions: int = 0
    pruned: int = 0
    steps: int = 0
    _choices: list[_Choice] = field(default_factory=list)

    def run(self, start: Callable[[], Turns], ended: Callable[[bool], None]) -> None:
        """Let fresh workers take turns in each order.

        Args:
            start: makes them.
            ended: called after each execution: whether all of them came to their end.
        """
        while True:
            turns = start()
            try:
                complete = self._execute(turns)
            finally:
                turns.stop()
            self.executions, self.pruned = self.executions + complete, self.pruned + (not complete)
            ended(complete)
            if not self._next():
                return

    @property
    def order(self) -> list[str]:
        """Who had the turn in this execution, in order."""
        return [choice.taken for choice in self._choices]

    def _execute(self, turns: Turns) -> bool:
        depth = 0
        while turns.pending:
            if depth == len(self._choices) and not self._choose(turns.pending):
                return False
            choice = self._choices[depth]
            assert choice.pending == turns.pending, "not as before: something is not ordered"
            turns.let_step(choice.taken)
            depth += 1
            self.steps += 1
        return True

    def _choose(self, pending: Mapping[str, Step]) -> bool:
        """Whose turn it is where no execution has been before; False where all that can come was seen."""
        asleep: dict[str, Step] = {}
        if self._choices and self.reduced:
            last = self._choices[-1]
            made = last.pending[last.taken]
            asleep = {name: step for name, step in last.asleep.items() if independent(step, made)}
        awake = [name for name in sorted(pending) if name not in asleep]
        if awake:
            self._choices.append(_Choice(dict(pending), asleep, awake[0]))
        return bool(awake)

    def _next(self) -> bool:
        """Go back to the last choice that leaves something to try; False where there is none."""
        while self._choices:
            last = self._choices[-1]
            last.asleep[last.taken] = last.pending[last.taken]
            awake = [name for name in sorted(last.pending) if name not in last.asleep]
            if awake:
                last.taken = awake[0]
                return True
            self._choices.pop()
        return False

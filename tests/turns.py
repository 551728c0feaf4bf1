"""Workers in threads that take turns, so that a test can execute every order of their calls.

Only one worker runs at a time. It runs until its next call that other workers could notice, and waits there
until the test chooses the worker again, so the order does not depend on timing. `Exploration` repeats the
execution until every order of these calls has been tried.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.edge import Call, Edge
from tests.fifo_queue import Killed

type Step = frozenset[tuple[bool, str]]
"""The keys that the next step of a worker accesses, each with whether the step writes to it."""


def step_of(call: Call) -> Step:
    """Return the step that consists of one call: a set with one pair (whether the call writes, key)."""
    return frozenset({(call.writes, call.key)})


def independent(one: Step, other: Step) -> bool:
    """Return whether two steps have the same effect in any order: neither writes a key that both access."""
    return not any(
        here == there and (writes or writes_too) for writes, here in one for writes_too, there in other
    )


class Turns:
    """Workers in threads that take turns: each call of `let_step` lets one worker make one step.

    The first step of a worker contains all its calls before its first write, with the publication of the
    started event, which does not count as a write. Each later step is one call.

    Args:
        edge: the `Edge` (tests/edge.py) through which all workers make their calls.
        workers: the function that each worker runs, by the name of the worker.
        first_steps: the first step of each worker, by its name: a set of pairs (False, key), one for each key
            that the step reads.
        calls_before_kill: the number of calls that a worker makes before it is killed, by the name of the
            worker. The calls are counted from the first write on. The other workers are not killed.

    Attributes:
        pending: the next step of each worker that has not ended, by its name: a set of pairs (whether the
            step writes the key, key).
        killed: the names of the workers that were killed.
    """

    def __init__(
        self,
        edge: Edge,
        workers: Mapping[str, Callable[[], object]],
        first_steps: Mapping[str, Step],
        calls_before_kill: Mapping[str, int] | None = None,
    ) -> None:
        self.pending = dict(first_steps)
        self.killed: set[str] = set()
        self._edge = edge
        self._calls_before_kill = calls_before_kill or {}
        self._calls = Counter[str]()
        self._running = ""
        self._stopped = False
        self._turn = {name: threading.Semaphore(0) for name in workers}
        self._step_done = threading.Semaphore(0)
        self._threads = [
            threading.Thread(target=self._work, args=(name, function), name=name)
            for name, function in workers.items()
        ]
        edge.before = self._at_call
        for thread in self._threads:
            thread.start()

    def let_step(self, name: str) -> None:
        """Let a worker make its next step, and wait for the end of the step.

        After the step, the worker either waits for its next turn or has ended.
        """
        del self.pending[name]
        self._running = name
        self._turn[name].release()
        assert self._step_done.acquire(timeout=20), f"{name} did not finish its step"
        self._edge.dead = False  # A killed worker must not end the other workers.

    def stop(self) -> None:
        """Kill every worker that has not ended, and wait for its thread."""
        self._stopped = True
        for waiting in self._turn.values():
            waiting.release()
        for thread in self._threads:
            thread.join()

    def _work(self, name: str, function: Callable[[], object]) -> None:
        self._turn[name].acquire()
        if not self._stopped:
            function()
        self._step_done.release()

    def _at_call(self, call: Call) -> None:
        """Wait at a call of the running worker until the test chooses this worker again.

        Any thread of the worker may call this. Calls before the first write are a part of the first step, so
        they do not wait. After its first write, a worker makes one call at a time.
        """
        name = self._running
        if self._stopped:
            raise Killed
        if not self._calls[name] and (not call.writes or "started" in call.key):
            return
        self._calls[name] += 1
        if self._calls[name] > self._calls_before_kill.get(name, self._calls[name]):
            self.killed.add(name)
            raise Killed
        self.pending[name] = step_of(call)
        self._step_done.release()
        self._turn[name].acquire()
        if self._stopped:
            raise Killed


@dataclass
class _Choice:
    """A point in an execution at which the search chose one of several workers.

    Attributes:
        pending: the next step of each worker that had not ended, by the name of the worker.
        asleep: the next step of each worker that need not be chosen here, because the resulting order would
            be equivalent to one that was executed.
        taken: the name of the chosen worker.
    """

    pending: dict[str, Step]
    asleep: dict[str, Step]
    taken: str


@dataclass
class Exploration:
    """A depth-first search through all orders of steps, which executes the workers once for each order.

    Two orders are equivalent if they differ only in the order of two independent steps. With Godefroid's
    sleep sets, the search executes one of several equivalent orders, and still reaches every reachable state.

    Attributes:
        reduced: whether equivalent orders are left out.
        executions: how many executions were complete.
        pruned: how many executions were stopped because every continuation had been tried.
        steps: the number of steps in all executions.
    """

    reduced: bool = True
    executions: int = 0
    pruned: int = 0
    steps: int = 0
    _choices: list[_Choice] = field(default_factory=list)

    def run(self, start: Callable[[], Turns], ended: Callable[[bool], None]) -> None:
        """Execute the workers once for each order of their steps.

        Args:
            start: a function that creates the `Turns` of the next execution.
            ended: a function that is called after each execution. Its argument is whether all workers have
                ended; otherwise the execution was stopped because every continuation had been tried.
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
        """Return the names of the workers in the order of their steps in the latest execution."""
        return [choice.taken for choice in self._choices]

    def _execute(self, turns: Turns) -> bool:
        depth = 0
        while turns.pending:
            if depth == len(self._choices) and not self._choose(turns.pending):
                return False
            choice = self._choices[depth]
            assert choice.pending == turns.pending, "the workers made other steps in the same order"
            turns.let_step(choice.taken)
            depth += 1
            self.steps += 1
        return True

    def _choose(self, pending: Mapping[str, Step]) -> bool:
        """Choose the worker that makes the next step of an execution beyond the points of earlier executions.

        Args:
            pending: the next step of each worker that has not ended.

        Returns:
            Whether a worker was chosen; False if every continuation has been tried.
        """
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
        """Go back to the last point at which another worker can be chosen, and choose this worker.

        Return False if no such point is left.
        """
        while self._choices:
            last = self._choices[-1]
            last.asleep[last.taken] = last.pending[last.taken]
            awake = [name for name in sorted(last.pending) if name not in last.asleep]
            if awake:
                last.taken = awake[0]
                return True
            self._choices.pop()
        return False

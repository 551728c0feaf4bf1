"""Faults of S3 for tests: a stand-in for the `obstore` module that the bucket calls.

`Faults.install(monkeypatch)` replaces the module `obstore` in `metrics_worker.s3.s3_bucket`. It records each
call and passes it on to obstore. Rules act just before or just after a call takes effect: for example, they
raise the error that obstore raises if S3 refuses, throttles, or if its answer is lost.
No worker code is replaced.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from threading import Event, Lock
from typing import Any, Self

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError, GenericError, PermissionDeniedError, PreconditionError

type Deed = Callable[[], object]

_OPERATIONS = {
    "get": "GET",
    "get_async": "GET",
    "get_range": "GET",
    "head_async": "HEAD",
    "list": "LIST",
    "list_with_delimiter_async": "LIST",
    "put": "PUT",
    "put_async": "PUT",
}
DATA, MANIFEST, MARKER, CURRENT = (
    "metrics/*/data/metrics.parquet",
    "metrics/*/2*/manifest.json",
    "metrics/*/runs/*.ok",
    "metrics/*/current/manifest.json",
)
"""Patterns of the keys that a run writes."""


def raising(error: Exception) -> Callable[[], None]:
    """A deed that raises."""

    def deed() -> None:
        raise error

    return deed


throttled = raising(GenericError("503 SlowDown, after the client's own retries"))
unanswered = raising(GenericError("connection closed before the message was complete"))
denied = raising(PermissionDeniedError("403 AccessDenied"))
conflict_of_creates = raising(AlreadyExistsError("409 ConditionalRequestConflict"))
conflict_of_swaps = raising(PreconditionError("409 ConditionalRequestConflict"))


@dataclass
class _Rule:
    operation: str
    pattern: str
    deed: Deed
    effect_first: bool
    times: int
    lock: Lock = field(default_factory=Lock)

    def taken(self) -> bool:
        """Whether it is due once more; of several threads each takes another time."""
        with self.lock:
            self.times -= 1
            return self.times >= 0


class Gate:
    """What reads of many loops wait at. Who waits too long meets an error, so that no test hangs."""

    def __init__(self) -> None:
        self.reached = Event()
        self._open = Event()
        self._lock = Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def passed(self) -> None:
        mine = asyncio.Event()
        with self._lock:
            self._waiting.append((asyncio.get_running_loop(), mine))
        self.reached.set()
        if not self._open.is_set():
            async with asyncio.timeout(20):
                await mine.wait()

    def open(self) -> None:
        with self._lock:
            self._open.set()
            for loop, waiting in self._waiting:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(waiting.set)


@dataclass
class Faults:
    """What was asked of S3, and what is to go wrong.

    Attributes:
        calls: (operation, key) of each call, in order; the operations are GET, HEAD, LIST and PUT.
    """

    calls: list[tuple[str, str]] = field(default_factory=list)
    rules: list[_Rule] = field(default_factory=list)
    gates: list[tuple[str, str, "Gate"]] = field(default_factory=list)

    @classmethod
    def install(cls, monkeypatch: pytest.MonkeyPatch) -> Self:
        """Stand between the worker's bucket and obstore, for one test."""
        faults = cls()
        monkeypatch.setattr("metrics_worker.s3.s3_bucket.obstore", faults)
        return faults

    def before(self, operation: str, pattern: str, deed: Deed, *, times: int = 1) -> None:
        """Do that before the next calls that match have their effect; what it raises is their answer."""
        self.rules.append(_Rule(operation, pattern, deed, effect_first=False, times=times))

    def after(self, operation: str, pattern: str, deed: Deed, *, times: int = 1) -> None:
        """Do that after their effect; what it raises is their answer, and the true one is lost."""
        self.rules.append(_Rule(operation, pattern, deed, effect_first=True, times=times))

    def hold(self, pattern: str, operation: str = "GET") -> "Gate":
        """Let no call that matches begin before the gate is opened; others go on."""
        gate = Gate()
        self.gates.append((operation, pattern, gate))
        return gate

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self.rules.clear()
        self.gates.clear()

    def count(self, operation: str, pattern: str) -> int:
        """How many calls there were."""
        return sum(made == operation and fnmatchcase(key, pattern) for made, key in self.calls)

    def __getattr__(self, name: str) -> Any:
        """The obstore function of that name, with the faults."""
        function = getattr(obstore, name)
        call = self._call_async if name.endswith("_async") else self._call
        return partial(call, _OPERATIONS[name], function)

    def _call(self, operation: str, function: Any, store: Any, key: str, *args: Any, **options: Any) -> Any:
        with self._around(operation, key):
            return function(store, key, *args, **options)

    async def _call_async(
        self, operation: str, function: Any, store: Any, key: str, *args: Any, **options: Any
    ) -> Any:
        for held, pattern, gate in self.gates:
            if held == operation and fnmatchcase(key, pattern):
                await gate.passed()
        self.calls.append((operation, key))
        await self._apply_aside(operation, key, effect_first=False)
        result = await function(store, key, *args, **options)
        await self._apply_aside(operation, key, effect_first=True)
        return result

    @contextmanager
    def _around(self, operation: str, key: str) -> Iterator[None]:
        self.calls.append((operation, key))
        self._apply(operation, key, effect_first=False)
        yield
        self._apply(operation, key, effect_first=True)

    def _apply(self, operation: str, key: str, *, effect_first: bool) -> None:
        for deed in self._due(operation, key, effect_first=effect_first):
            deed()

    async def _apply_aside(self, operation: str, key: str, *, effect_first: bool) -> None:
        """In a thread: a deed may wait for other runs, and they need the loop."""
        for deed in self._due(operation, key, effect_first=effect_first):
            with ThreadPoolExecutor(1) as thread:
                await asyncio.get_running_loop().run_in_executor(thread, deed)

    def _due(self, operation: str, key: str, *, effect_first: bool) -> Iterator[Deed]:
        for rule in self.rules:
            matches = rule.operation == operation and fnmatchcase(key, rule.pattern)
            if matches and rule.effect_first == effect_first and rule.taken():
                yield rule.deed

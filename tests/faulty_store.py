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
    """Return a function that raises an error."""

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
        """Use the rule once, and return whether it was still in force. Threads may call this concurrently."""
        with self.lock:
            self.times -= 1
            return self.times >= 0


class Gate:
    """A gate that reads in several event loops wait for, at most 20 seconds, so that no test hangs."""

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
    """The recorded calls to S3, and the faults of later calls.

    Attributes:
        calls: (operation, key) of each call, in order; the operations are GET, HEAD, LIST and PUT.
    """

    calls: list[tuple[str, str]] = field(default_factory=list)
    rules: list[_Rule] = field(default_factory=list)
    gates: list[tuple[str, str, "Gate"]] = field(default_factory=list)

    @classmethod
    def install(cls, monkeypatch: pytest.MonkeyPatch) -> Self:
        """Replace obstore in the worker's bucket for one test."""
        faults = cls()
        monkeypatch.setattr("metrics_worker.s3.s3_bucket.obstore", faults)
        return faults

    def before(self, operation: str, pattern: str, deed: Deed, *, times: int = 1) -> None:
        """Call a function before the next matching calls take effect; its exception is their answer."""
        self.rules.append(_Rule(operation, pattern, deed, effect_first=False, times=times))

    def after(self, operation: str, pattern: str, deed: Deed, *, times: int = 1) -> None:
        """Call a function after the next matching calls took effect; its exception replaces their answer."""
        self.rules.append(_Rule(operation, pattern, deed, effect_first=True, times=times))

    def hold(self, pattern: str, operation: str = "GET") -> "Gate":
        """Return a gate that matching calls wait for before they begin."""
        gate = Gate()
        self.gates.append((operation, pattern, gate))
        return gate

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self.rules.clear()
        self.gates.clear()

    def count(self, operation: str, pattern: str) -> int:
        """Return the number of matching calls."""
        return sum(made == operation and fnmatchcase(key, pattern) for made, key in self.calls)

    def __getattr__(self, name: str) -> Any:
        """Return the obstore function of that name, with the faults."""
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
        """Apply the rules in a thread: a function may wait for other runs, which need the event loop."""
        for deed in self._due(operation, key, effect_first=effect_first):
            with ThreadPoolExecutor(1) as thread:
                await asyncio.get_running_loop().run_in_executor(thread, deed)

    def _due(self, operation: str, key: str, *, effect_first: bool) -> Iterator[Deed]:
        for rule in self.rules:
            matches = rule.operation == operation and fnmatchcase(key, rule.pattern)
            if matches and rule.effect_first == effect_first and rule.taken():
                yield rule.deed

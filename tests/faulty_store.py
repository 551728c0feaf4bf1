"""Faults of S3 for tests: a replacement for the `obstore` module that the bucket calls.

`Faults.install(monkeypatch)` replaces the module `obstore` in `metrics_worker.s3.s3_bucket`. The replacement
records each call and passes the call on to obstore. A test can add rules, each with an action that is called
just before or just after a call takes effect. Such an action usually raises the error that obstore raises if
S3 refuses or throttles a request, or if the response of S3 is lost. No code of the worker is replaced.
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

type Action = Callable[[], object]

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
    """Return a function that raises the given error."""

    def action() -> None:
        raise error

    return action


throttled = raising(GenericError("503 SlowDown, after the client's own retries"))
unanswered = raising(GenericError("connection closed before the message was complete"))
denied = raising(PermissionDeniedError("403 AccessDenied"))
conflict_of_creates = raising(AlreadyExistsError("409 ConditionalRequestConflict"))
conflict_of_swaps = raising(PreconditionError("409 ConditionalRequestConflict"))


@dataclass
class _Rule:
    operation: str
    pattern: str
    action: Action
    effect_first: bool
    times: int
    lock: Lock = field(default_factory=Lock)

    def taken(self) -> bool:
        """Count a matching call, and return whether the rule still applies to it.

        A call matches if it has the operation and a key with the pattern of the rule. The rule applies to the
        first `times` matching calls. Several threads may call this method.
        """
        with self.lock:
            self.times -= 1
            return self.times >= 0


class Gate:
    """A barrier at which calls to S3 wait until a test opens it; after 20 seconds, a waiting call fails.

    Attributes:
        reached: an event that is set when the first call has arrived at the gate.
    """

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
    """A replacement for the module `obstore`, with the recorded calls to S3 and the faults of later calls.

    Attributes:
        calls: (operation, key) of each call, in order; the operations are GET, HEAD, LIST and PUT.
    """

    calls: list[tuple[str, str]] = field(default_factory=list)
    rules: list[_Rule] = field(default_factory=list)
    gates: list[tuple[str, str, "Gate"]] = field(default_factory=list)

    @classmethod
    def install(cls, monkeypatch: pytest.MonkeyPatch) -> Self:
        """Replace the module obstore that the worker's `S3Bucket` calls, and return the replacement.

        The replacement is a new `Faults`, and ends with the test.
        """
        faults = cls()
        monkeypatch.setattr("metrics_worker.s3.s3_bucket.obstore", faults)
        return faults

    def before(self, operation: str, pattern: str, action: Action, *, times: int = 1) -> None:
        """Run an action just before each of the next calls with this operation and a matching key.

        If the action raises an exception, the call has no effect, and its caller gets the exception.

        Args:
            operation: the operation of the calls: GET, HEAD, LIST or PUT.
            pattern: a shell-style pattern of the keys, as for `fnmatch`.
            action: the function to call.
            times: the number of calls to which the rule applies.
        """
        self.rules.append(_Rule(operation, pattern, action, effect_first=False, times=times))

    def after(self, operation: str, pattern: str, action: Action, *, times: int = 1) -> None:
        """Run an action just after each of the next matching calls has taken effect.

        If the action raises an exception, the caller gets the exception instead of the response. The
        arguments are those of `before`.
        """
        self.rules.append(_Rule(operation, pattern, action, effect_first=True, times=times))

    def hold(self, pattern: str, operation: str = "GET") -> "Gate":
        """Return a new `Gate`, at which all later asynchronous calls with a matching key wait.

        Args:
            pattern: a shell-style pattern of the keys, as for `fnmatch`.
            operation: the operation of the calls: GET, HEAD, LIST or PUT.
        """
        gate = Gate()
        self.gates.append((operation, pattern, gate))
        return gate

    def clear(self) -> None:
        """Remove all rules and gates, so that later calls are not affected."""
        self.rules.clear()
        self.gates.clear()

    def count(self, operation: str, pattern: str) -> int:
        """Return the number of recorded calls with this operation and a key that matches the pattern."""
        return sum(made == operation and fnmatchcase(key, pattern) for made, key in self.calls)

    def __getattr__(self, name: str) -> Any:
        """Return obstore's function of that name, wrapped so that calls are recorded and the rules apply."""
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
        for action in self._due(operation, key, effect_first=effect_first):
            action()

    async def _apply_aside(self, operation: str, key: str, *, effect_first: bool) -> None:
        """Run the actions of the rules that match a call, in another thread than that of the event loop.

        An action may wait for runs that need the event loop.

        Args:
            operation: the operation of the call.
            key: the S3 key of the call.
            effect_first: whether the rules of `after` are meant, otherwise those of `before`.
        """
        for action in self._due(operation, key, effect_first=effect_first):
            with ThreadPoolExecutor(1) as thread:
                await asyncio.get_running_loop().run_in_executor(thread, action)

    def _due(self, operation: str, key: str, *, effect_first: bool) -> Iterator[Action]:
        for rule in self.rules:
            matches = rule.operation == operation and fnmatchcase(key, rule.pattern)
            if matches and rule.effect_first == effect_first and rule.taken():
                yield rule.action

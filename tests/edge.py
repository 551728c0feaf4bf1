"""The edge of the worker, for tests: each call to S3, SNS and SQS passes here, and something may happen.

Nothing of the worker is replaced: the obstore module that the bucket calls gets a stand-in, the clients are
fakes. `before` and `after` are called around the effect of every call; what they raise is the call's answer.
A process that is killed at a call makes no other: from then on each one raises `Killed`, in every thread.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import obstore

from tests.builders import FakeSns, FakeSqs
from tests.fifo_queue import FifoQueue, Killed

_VERSION = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d")
_STORE_CALLS = {
    "get": "GET",
    "get_async": "GET",
    "get_range": "GET",
    "get_range_async": "GET",
    "head": "HEAD",
    "head_async": "HEAD",
    "list": "LIST",
    "list_with_delimiter_async": "LIST",
    "put": "PUT",
    "put_async": "PUT",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A call: GET, PUT and SWAP of a key, PUBLISH of `type:run`, CHANGE of a message's visibility.

    ANSWER is no call: it stands for the function's own answer to Lambda.
    """

    operation: str
    key: str

    @property
    def place(self) -> tuple[str, str]:
        """The call, whatever version it is about: another attempt makes the same."""
        return self.operation, _VERSION.sub("*", self.key)

    @property
    def writes(self) -> bool:
        """Whether others can see its effect."""
        return self.operation in {"PUT", "SWAP", "PUBLISH"}


def nothing(_: Call) -> None:
    """What usually happens at a call."""


@dataclass
class Edge:
    """What was called, and what happens at the next calls.

    Attributes:
        calls: in order, those that raised included.
        before: called before the effect of each call.
        always: called as a part of it: what it raises is what the other side answered.
        seen: called after the effect.
        after: called then.
        dead: whether the process was killed.
    """

    calls: list[Call] = field(default_factory=list)
    before: Callable[[Call], None] = nothing
    during: Callable[[Call], None] = nothing
    observer: Callable[[Call], None] = nothing
    after: Callable[[Call], None] = nothing
    dead: bool = False
    _news: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """The effect of a call is what happens in the context."""
        try:
            self._live()
            with self._news:
                self.calls.append(call)
                self._news.notify_all()
            self.before(call)
            try:
                self.during(call)
                self._live()
                yield
            finally:  # a refusal is an answer too, and can be lost like any other
                self.observer(call)
                self.after(call)
        except Killed:
            with self._news:
                self.dead = True
                self._news.notify_all()
            raise

    def wait_for(self, operation: str, key: str, *, times: int) -> None:
        """Wait until that was called so many times more, or the process was killed."""
        first = len(self.calls)
        sought = Call(operation, key)
        with self._news:
            assert self._news.wait_for(
                lambda: self.dead or self.calls[first:].count(sought) >= times, timeout=10
            ), f"{sought} does not come"

    def _live(self) -> None:
        if self.dead:
            raise Killed


class EdgeStore:
    """The obstore module, as the bucket calls it."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def __getattr__(self, name: str) -> Any:
        call = self._call_async if name.endswith("_async") else self._call
        return partial(call, _STORE_CALLS[name], getattr(obstore, name))

    def _call(self, operation: str, function: Any, store: Any, key: str, *args: Any, **options: Any) -> Any:
        with self._edge.around(_store_call(operation, key, options)):
            return function(store, key, *args, **options)

    async def _call_async(
        self, operation: str, function: Any, store: Any, key: str, *args: Any, **options: Any
    ) -> Any:
        with self._edge.around(_store_call(operation, key, options)):
            return await function(store, key, *args, **options)


def _store_call(operation: str, key: str, options: dict[str, Any]) -> Call:
    return Call("SWAP" if isinstance(options.get("mode"), dict) else operation, key)


@dataclass
class EdgeSns(FakeSns):
    """The SNS client."""

    edge: Edge = field(default_factory=Edge)

    def publish(self, **message: Any) -> dict[str, str]:
        event = json.loads(message["Message"])
        with self.edge.around(Call("PUBLISH", f"{event['type']}:{event['runId']}")):
            return super().publish(**message)


@dataclass
class EdgeSqs(FakeSqs):
    """The SQS client of one queue."""

    edge: Edge = field(default_factory=Edge)
    queue: FifoQueue | None = None

    def change_message_visibility(self, **call: Any) -> None:
        assert self.queue
        with self.edge.around(Call("CHANGE", call["ReceiptHandle"].partition("#")[0])):
            self.queue.change_message_visibility(**call)

    def change_message_visibility_batch(self, **call: Any) -> dict[str, list[dict[str, Any]]]:
        assert self.queue
        handles = sorted(entry["ReceiptHandle"].partition("#")[0] for entry in call["Entries"])
        with self.edge.around(Call("CHANGE", " ".join(handles))):
            return self.queue.change_message_visibility_batch(**call)

"""The edge of the worker: a test can register hooks that are called at each call to S3, SNS and SQS.

A hook can inject a fault, observe the state, or kill the worker. No code of the worker is replaced:
`EdgeStore` replaces the obstore module that the bucket calls, and the SNS and SQS clients are fakes. The
hooks `before` and `after` are called before and after the effect of every call. If a hook raises an error,
the worker gets this error. After a kill, every further call in any thread raises `Killed`, because a killed
process makes no more calls.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import md5
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
    """A call of the worker to AWS.

    Attributes:
        operation: GET, HEAD, LIST, PUT or SWAP (a conditional replacement) for S3, PUBLISH for SNS, CHANGE
            (of visibility) for SQS, or ANSWER for the response of the function to Lambda.
        key: the S3 key, `type:run` of a status event, or the ids of the messages.
    """

    operation: str
    key: str

    @property
    def place(self) -> tuple[str, str]:
        """Return the operation, and the key with `*` in place of the version's timestamp.

        The place of a call is therefore the same in every attempt of a run.
        """
        return self.operation, _VERSION.sub("*", self.key)

    @property
    def writes(self) -> bool:
        """Return whether other processes can see the effect of the call."""
        return self.operation in {"PUT", "SWAP", "PUBLISH"}


def nothing(_: Call) -> None:
    """Do nothing. This function is the default of all hooks."""


@dataclass
class Edge:
    """The recorded calls of a worker, and the hooks for its next calls.

    Attributes:
        calls: the calls in order, including those that raised an error.
        before: a hook that is called before the effect of each call.
        during: a hook that is called as a part of the effect. An error that it raises acts as an error
            response of the service.
        observer: a hook that is called after the effect, to check the visible state.
        after: a hook that is called after `observer`. The caller gets an error that it raises in place of the
            response.
        dead: whether the process was killed.
        has_md5_etags: whether the response to a PUT of a data file has the MD5 of the file as its ETag, as in
            S3 without a KMS key. The ETags of the store in memory are numbers.
    """

    calls: list[Call] = field(default_factory=list)
    before: Callable[[Call], None] = nothing
    during: Callable[[Call], None] = nothing
    observer: Callable[[Call], None] = nothing
    after: Callable[[Call], None] = nothing
    dead: bool = False
    has_md5_etags: bool = True
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """Call the hooks before and after the body of the `with` statement, which is the effect of a call."""
        try:
            self._live()
            with self._changed:
                self.calls.append(call)
                self._changed.notify_all()
            self.before(call)
            try:
                self.during(call)
                self._live()
                yield
            finally:  # An error response can be lost, too, so the hooks are called after it.
                self.observer(call)
                self.after(call)
        except Killed:
            with self._changed:
                self.dead = True
                self._changed.notify_all()
            raise

    def wait_for(self, operation: str, key: str, *, times: int) -> None:
        """Wait until the worker has made a call `times` more times, or was killed. Fail after ten seconds.

        Args:
            operation: the operation of the call.
            key: the key of the call, as in `Call`.
            times: the number of calls.
        """
        first = len(self.calls)
        sought = Call(operation, key)
        with self._changed:
            assert self._changed.wait_for(
                lambda: self.dead or self.calls[first:].count(sought) >= times, timeout=10
            ), f"{sought} was not made within 10 s"

    def _live(self) -> None:
        if self.dead:
            raise Killed


class EdgeStore:
    """A replacement for the obstore module that calls the hooks of an edge around each obstore function."""

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
            answer = await function(store, key, *args, **options)
            if operation == "PUT" and self._edge.has_md5_etags and key.endswith("/data/metrics.parquet"):
                answer = {**answer, "e_tag": f'"{md5(args[0], usedforsecurity=False).hexdigest()}"'}
            return answer


def _store_call(operation: str, key: str, options: dict[str, Any]) -> Call:
    return Call("SWAP" if isinstance(options.get("mode"), dict) else operation, key)


@dataclass
class EdgeSns(FakeSns):
    """A fake SNS client that calls the hooks of an edge."""

    edge: Edge = field(default_factory=Edge)

    def publish(self, **message: Any) -> dict[str, str]:
        event = json.loads(message["Message"])
        with self.edge.around(Call("PUBLISH", f"{event['type']}:{event['runId']}")):
            return super().publish(**message)


@dataclass
class EdgeSqs(FakeSqs):
    """A fake SQS client for one model queue (tests/fifo_queue.py) that calls the hooks of an edge."""

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

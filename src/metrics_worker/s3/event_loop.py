"""The event loop of an invocation, which makes all its requests to S3.

All threads of the invocation share one `EventLoop`, and with it one limit on the number of connections, so
that ten metrics do not open ten times as many. At the deadline, the `EventLoop` cancels the requests in
flight. For tools that read without an `EventLoop`, the limit applies to each call separately, and there is no
deadline.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Thread
from traceback import clear_frames
from typing import Any, Self

from metrics_worker.deadline import Deadline
from metrics_worker.errors import OutOfTime, StoreUnavailable, TransientError

if sys.platform == "win32":  # which only the tools support, and uvloop does not
    from asyncio import new_event_loop
else:
    from uvloop import new_event_loop  # takes half of the CPU time of asyncio's (decision 0002)

CONNECTIONS = 64
"""The maximum number of reads in flight. Each holds at most 4 MiB, so all together at most 256 MiB."""
SCANS = 2
"""The number of threads that decode objects while the event loop continues."""

type Reader = Callable[[asyncio.Semaphore], Coroutine[Any, Any, None]]
"""A function that makes requests, and holds the semaphore while it makes a request and uses the response."""


class EventLoop:
    """An event loop in a thread of its own, as a context manager.

    Its threads end at the end of the `with` block, because Lambda freezes the process between invocations.

    Args:
        deadline: the time at which requests in flight are cancelled; None for no deadline.
    """

    def __init__(self, deadline: Deadline | None = None) -> None:
        self.limit = asyncio.Semaphore(CONNECTIONS)
        self._deadline = deadline
        self._loop = new_event_loop()
        self._tasks = set[asyncio.Task[None] | None]()
        self._scans = ThreadPoolExecutor(SCANS, "scan")
        self._loop.set_default_executor(self._scans)
        self._thread = Thread(target=self._loop.run_forever, name="event_loop", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._scans.shutdown()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def wait_for[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the event loop, and return its result.

        Raises:
            OutOfTime: the deadline passed, and the coroutine was cancelled. A write may have taken effect.
            Any exception of the coroutine.
        """
        answer: Future[T] = Future()
        self._loop.call_soon_threadsafe(self._begin, work, answer)
        try:
            return answer.result()
        finally:
            del answer  # the traceback of its error refers to this frame: a reference cycle

    def _begin[T](self, work: Coroutine[Any, Any, T], answer: "Future[T]") -> None:
        self._tasks.add(
            self._loop.create_task(self._answer(work, answer))
        )  # the loop keeps only a weak reference

    async def _answer[T](self, work: Coroutine[Any, Any, T], answer: "Future[T]") -> None:
        """Run the coroutine, and set its result or its exception in the future for which a thread waits.

        The exception is not raised in the task, because a task that stores an exception is in a reference
        cycle.
        """
        try:
            answer.set_result(await self._in_time(work))
        except BaseException as error:  # noqa: BLE001 - the waiting thread raises it
            answer.set_exception(error)
        finally:
            self._tasks.discard(asyncio.current_task(self._loop))
            del answer  # as above

    async def _in_time[T](self, work: Coroutine[Any, Any, T]) -> T:
        seconds = None if self._deadline is None else self._deadline.seconds_left()
        return await _within(
            work, seconds, lambda: OutOfTime("invocation", "its time is used up, and S3 had not answered yet")
        )


async def in_thread(work: Callable[[], None]) -> None:
    """Run a function in a thread of the event loop's pool, and return when it has ended.

    On cancellation, wait for the function to end, because it still uses memory that the run has reserved.
    """
    is_cut_off = Event()
    loop = asyncio.get_running_loop()
    scan = loop.run_in_executor(None, lambda: None if is_cut_off.is_set() else work())
    try:
        await asyncio.shield(scan)
    except asyncio.CancelledError:
        is_cut_off.set()
        await asyncio.wait([scan])
        raise


def wait_for[T](
    work: Coroutine[Any, Any, T], event_loop: EventLoop | None, seconds: float | None = None
) -> T:
    """Run a coroutine in the event loop, or in a new event loop, and return its result.

    Args:
        work: the coroutine that makes the requests.
        event_loop: the event loop of the invocation; None for a new event loop, which has no deadline.
        seconds: the time after which the coroutine is cancelled; None for no limit except the deadline.

    Raises:
        StoreUnavailable: the coroutine was cancelled after `seconds`. A write may have taken effect.
        OutOfTime: the coroutine was cancelled at the deadline. A write may have taken effect.
        Exception: an exception of the coroutine.
    """
    limited = work
    if seconds is not None:
        limited = _within(work, seconds, lambda: StoreUnavailable("S3", f"no answer within {seconds:g} s"))
    return asyncio.run(limited) if event_loop is None else event_loop.wait_for(limited)


async def _within[T](
    work: Coroutine[Any, Any, T], seconds: float | None, too_late: Callable[[], TransientError]
) -> T:
    """Run a coroutine within a time limit, and return its result.

    Args:
        work: the coroutine. If the coroutine itself raises a TimeoutError, that error is raised unchanged.
        seconds: the time limit; None for no limit.
        too_late: a function that creates the error to raise after the time limit. The error must not be
            created earlier: it would be in a variable of this function, and its traceback would refer to the
            same variables, which is a reference cycle.
    """
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await work
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise too_late() from error


def run_concurrently(
    readers: Sequence[Reader], event_loop: EventLoop | None, seconds: float | None = None
) -> None:
    """Run several readers concurrently, and return when all have ended.

    Args:
        readers: functions that make requests, as described by `Reader`.
        event_loop: the event loop of the invocation; None for a new event loop, which has no deadline.
        seconds: the time after which the readers are cancelled; None for no limit except the deadline.

    Raises:
        StoreUnavailable, OutOfTime: as with `wait_for`.
        Exception: the exception of the first reader that fails; the other readers are cancelled.
    """

    async def run_all() -> None:
        limit = asyncio.Semaphore(CONNECTIONS) if event_loop is None else event_loop.limit
        async with asyncio.TaskGroup() as tasks:
            for reader in readers:
                tasks.create_task(reader(limit))

    failed: BaseException | None = None
    try:
        wait_for(run_all(), event_loop, seconds)
    except BaseExceptionGroup as group:
        failed = group.exceptions[0]
        clear_frames(group.__traceback__)  # a frame of the task group refers to the group, which is a cycle
    if failed is not None:
        try:
            raise failed  # outside of `except`, where its context would be the group: a cycle
        finally:
            del failed

"""The lane: the one event loop of an invocation, in which all its requests to S3 are made.

Its threads share the lane, so that ten metrics don't open ten times the connections, and whatever is under
way when the invocation's time is used up is cut off there. Without a lane, as in a tool that reads for
itself, the limit is the call's own and nothing is cut off.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Thread
from traceback import clear_frames
from typing import Any, Self

from metrics_worker.deadline import Deadline
from metrics_worker.errors import OutOfTime

CONNECTIONS = 64
"""Reads in flight. Beside the decoded rows they are what a run holds: 64 times 4 MiB at most."""
SCANS = 2
"""Threads for the work that reading an object leaves to be done: the event loop goes on meanwhile."""

type Reader = Callable[[asyncio.Semaphore], Coroutine[Any, Any, None]]
"""Reads, holding the semaphore for each request and for what is done with its answer."""


class Lane:
    """A context manager: the threads of the lane end with it, since Lambda freezes a process in between.

    Args:
        deadline: when what is under way is cut off; never, where there is none.
    """

    def __init__(self, deadline: Deadline | None = None) -> None:
        self.limit = asyncio.Semaphore(CONNECTIONS)
        self._deadline = deadline
        self._loop = asyncio.new_event_loop()
        self._tasks = set[asyncio.Task[None] | None]()
        self._scans = ThreadPoolExecutor(SCANS, "scan")
        self._loop.set_default_executor(self._scans)
        self._thread = Thread(target=self._loop.run_forever, name="lane", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._scans.shutdown()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def wait_for[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Let the loop do it, and wait for it.

        Raises:
            OutOfTime: it was cut off. A write may have landed all the same.
            Whatever the work raises.
        """
        answer: Future[T] = Future()
        self._loop.call_soon_threadsafe(self._begin, work, answer)
        try:
            return answer.result()
        finally:
            del answer  # its error's traceback leads to this frame: a cycle otherwise

    def _begin[T](self, work: Coroutine[Any, Any, T], answer: "Future[T]") -> None:
        self._tasks.add(self._loop.create_task(self._answer(work, answer)))  # the loop alone would let it go

    async def _answer[T](self, work: Coroutine[Any, Any, T], answer: "Future[T]") -> None:
        """Do the work and hand over what comes of it: a task that holds an error is part of a cycle."""
        try:
            answer.set_result(await self._in_time(work))
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            answer.set_exception(error)
        finally:
            self._tasks.discard(asyncio.current_task(self._loop))
            del answer  # as above

    async def _in_time[T](self, work: Coroutine[Any, Any, T]) -> T:
        seconds = None if self._deadline is None else self._deadline.seconds_left()
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await work
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise OutOfTime("invocation", "its time is used up, and S3 had not answered yet") from error


async def in_thread(work: Callable[[], None]) -> None:
    """Run work in a thread. On cancellation, wait for the thread to finish: it still holds claimed memory."""
    is_cut_off = Event()
    loop = asyncio.get_running_loop()
    scan = loop.run_in_executor(None, lambda: None if is_cut_off.is_set() else work())
    try:
        await asyncio.shield(scan)
    except asyncio.CancelledError:
        is_cut_off.set()
        await asyncio.wait([scan])
        raise


def wait_for[T](work: Coroutine[Any, Any, T], lane: Lane | None) -> T:
    """Wait for a request, made in the lane where there is one."""
    return asyncio.run(work) if lane is None else lane.wait_for(work)


def side_by_side(readers: Sequence[Reader], lane: Lane | None) -> None:
    """Run readers concurrently, in the lane where there is one.

    Raises:
        OutOfTime: the lane cut them off.
        Whatever the first of them raises that fails; it ends the others.
    """

    async def run_all() -> None:
        limit = asyncio.Semaphore(CONNECTIONS) if lane is None else lane.limit
        async with asyncio.TaskGroup() as tasks:
            for reader in readers:
                tasks.create_task(reader(limit))

    failed: BaseException | None = None
    try:
        wait_for(run_all(), lane)
    except BaseExceptionGroup as group:
        failed = group.exceptions[0]
        clear_frames(group.__traceback__)  # the task group's own frame has the group: a cycle
    if failed is not None:
        try:
            raise failed  # out here: within, its context would be the group, which has it
        finally:
            del failed

"""Many reads at once: one limit for all that an invocation has in flight.

`side_by_side()` runs readers concurrently. The threads of a batch share a `Lane`, so that ten metrics don't
open ten times the connections; without one, as in a tool that reads for itself, the limit is the call's own.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from threading import Thread
from typing import Self

CONNECTIONS = 64
"""Reads in flight. Beside the decoded rows they are what a run holds: 64 times 4 MiB at most."""

type Reader = Callable[[asyncio.Semaphore], Coroutine[None, None, None]]
"""Reads, holding the semaphore for each request and for what is done with its answer."""


class Lane:
    """The event loop in which the threads of an invocation read, so that together they hold to one limit.

    A context manager: the loop's thread ends with it, since Lambda freezes a process between invocations.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._limit = asyncio.Semaphore(CONNECTIONS)
        self._thread = Thread(target=self._loop.run_forever, name="lane", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, reading: Reader) -> None:
        """Let the loop do it, and wait for it."""
        asyncio.run_coroutine_threadsafe(reading(self._limit), self._loop).result()


def side_by_side(readers: Sequence[Reader], lane: Lane | None) -> None:
    """Run readers concurrently, in the lane where there is one.

    Raises:
        Whatever the first of them raises that fails; it ends the others.
    """

    async def run_all(limit: asyncio.Semaphore) -> None:
        async with asyncio.TaskGroup() as tasks:
            for reader in readers:
                tasks.create_task(reader(limit))

    try:
        if lane is None:
            asyncio.run(run_all(asyncio.Semaphore(CONNECTIONS)))
        else:
            lane.run(run_all)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None

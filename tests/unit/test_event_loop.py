import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial

import pytest

from metrics_worker.deadline import RESERVED_SECONDS, Deadline
from metrics_worker.errors import OutOfTime
from metrics_worker.s3.event_loop import CONNECTIONS, SCANS, EventLoop, in_thread, run_concurrently

PATIENCE = 10


async def until(condition: Callable[[], object]) -> None:
    """Wait until `condition()` is true, and let the other tasks of the event loop run meanwhile.

    Raise TimeoutError after ten seconds.
    """
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - other threads set no event of this loop
            await asyncio.sleep(0)


class Crowd:
    """Tasks that may read only if a semaphore admits them, with counts of these tasks.

    A task is a call of `reader(semaphore)`. No task finishes before all tasks have started and as many of
    them as the semaphore allows are reading.

    Args:
        size: the number of tasks that a test starts.

    Attributes:
        started: the number of tasks that have started.
        inside: the number of tasks that are reading.
        most: the largest number of tasks that were reading at the same time.
        read: the number of tasks that have finished.
    """

    def __init__(self, size):
        self.size = size
        self.started = self.inside = self.most = self.read = 0
        self._go_on = asyncio.Event()

    async def reader(self, limit):
        self.started += 1
        async with asyncio.timeout(PATIENCE), limit:
            self.inside += 1
            self.most = max(self.most, self.inside)
            if self.inside == CONNECTIONS:
                await until(lambda: self.started == self.size)
                for _ in range(100):  # A further reader would enter now if the limit failed.
                    await asyncio.sleep(0)
                self._go_on.set()
            await self._go_on.wait()
            self.inside -= 1
            self.read += 1


@pytest.fixture
def threads():
    with ThreadPoolExecutor(8) as threads:
        yield threads


def event_loop_threads():
    return [thread for thread in threading.enumerate() if thread.name == "event_loop"]


def test_threads_share_the_limit_of_an_event_loop(threads):
    crowd = Crowd(size=4 * 40)
    with EventLoop() as event_loop:
        list(threads.map(lambda _: run_concurrently([crowd.reader] * 40, event_loop), range(4)))

    assert crowd.most == CONNECTIONS
    assert crowd.read == crowd.size


def test_without_an_event_loop_each_call_has_its_own_limit():
    crowd = Crowd(size=CONNECTIONS + 20)

    run_concurrently([crowd.reader] * crowd.size, None)

    assert crowd.most == CONNECTIONS
    assert crowd.read == crowd.size
    assert event_loop_threads() == []


def test_all_readers_run_in_the_thread_of_the_event_loop_and_the_caller_waits(threads):
    seen = []

    async def reader(_):
        await asyncio.sleep(0)
        seen.append(threading.current_thread().name)

    with EventLoop() as event_loop:
        list(threads.map(lambda _: run_concurrently([reader] * 3, event_loop), range(4)))
        assert seen == ["event_loop"] * 12


@pytest.mark.parametrize("context", [EventLoop, nullcontext])
def test_running_no_readers_returns_at_once(context):
    with context() as event_loop:
        run_concurrently([], event_loop)


def test_an_error_cancels_only_the_readers_of_its_own_call(threads):
    ended, read = [], []
    others_are_in, failed = threading.Event(), asyncio.Event()

    async def never(_):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("sibling")

    async def fail(_):
        await until(others_are_in.is_set)
        raise ValueError("only this call's")

    async def another(limit):
        async with limit:
            others_are_in.set()
            async with asyncio.timeout(PATIENCE):
                await failed.wait()
            read.append("another")

    async def tell(_):
        failed.set()

    with EventLoop() as event_loop:
        other = threads.submit(run_concurrently, [another] * 2, event_loop)
        with pytest.raises(ValueError, match="only this call's"):
            run_concurrently([never, fail, never], event_loop)
        assert ended == ["sibling"] * 2
        assert not other.done()
        run_concurrently([tell], event_loop)
        other.result(PATIENCE)

    assert read == ["another"] * 2


def test_without_an_event_loop_an_error_is_not_wrapped_and_cancels_the_other_readers():
    ended = []

    async def never(_):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("sibling")

    async def fail(_):
        await asyncio.sleep(0)
        raise ValueError("plain")

    with pytest.raises(ValueError, match="plain"):
        run_concurrently([never, fail], None)

    assert ended == ["sibling"]


def test_the_first_error_is_raised():
    async def fail(_):
        raise ValueError("first")

    async def fail_too(_):
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError("second")

    with EventLoop() as event_loop, pytest.raises(ValueError, match="first"):
        run_concurrently([fail_too, fail], event_loop)


def test_cancelled_readers_release_the_semaphore():
    inside = []

    async def hold(limit):
        async with limit:
            inside.append(1)
            await asyncio.Event().wait()

    async def fail(_):
        await until(lambda: len(inside) == CONNECTIONS)
        raise ValueError("while the limit is reached")

    crowd = Crowd(size=CONNECTIONS)
    with EventLoop() as event_loop:
        with pytest.raises(ValueError, match="the limit is reached"):
            run_concurrently([*[hold] * (CONNECTIONS + 10), fail], event_loop)
        run_concurrently([crowd.reader] * crowd.size, event_loop)

    assert crowd.read == CONNECTIONS


def test_the_thread_of_the_event_loop_ends_with_the_context():
    with EventLoop():
        assert len(event_loop_threads()) == 1
    assert event_loop_threads() == []


def test_the_thread_of_the_event_loop_ends_after_an_error_too():
    async def fail(_):
        raise ValueError("ends the context")

    with pytest.raises(ValueError, match="ends the context"), EventLoop() as event_loop:
        run_concurrently([fail], event_loop)

    assert event_loop_threads() == []


def test_requests_in_flight_are_cancelled_at_the_deadline():
    ended = []

    async def never(_):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("reader")

    with EventLoop(Deadline(lambda: round(1000 * RESERVED_SECONDS + 20))) as event_loop:
        with pytest.raises(OutOfTime, match="S3 had not answered"):
            run_concurrently([never, never], event_loop)
        assert ended == ["reader"] * 2


def test_a_timeout_within_the_work_is_raised_as_it_is():
    async def late():
        raise TimeoutError("the client's")

    with (
        EventLoop(Deadline(lambda: 300_000)) as event_loop,
        pytest.raises(TimeoutError, match="the client's"),
    ):
        event_loop.wait_for(late())


def test_work_in_a_thread_does_not_block_the_event_loop_and_ends_with_it(threads):
    go_on, read = threading.Event(), []

    async def scan(limit):
        async with limit:
            await asyncio.to_thread(go_on.wait, PATIENCE)
            read.append("large")

    async def reader(_):
        read.append("small")

    with EventLoop() as event_loop:
        scanning = threads.submit(run_concurrently, [scan], event_loop)
        run_concurrently([reader], event_loop)
        go_on.set()
        scanning.result(PATIENCE)
    assert read == ["small", "large"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("scan")]


def test_a_cancelled_reader_waits_for_its_work_in_a_thread(threads):
    begun, go_on, ended = threading.Event(), threading.Event(), []

    def scan(name):
        begun.set()
        go_on.wait(PATIENCE)
        ended.append(name)

    async def large(_):
        await in_thread(partial(scan, "large"))

    async def fail(_):
        await until(begun.is_set)
        raise ValueError("of another file")

    with EventLoop() as event_loop:
        reading = threads.submit(run_concurrently, [large, fail], event_loop)
        begun.wait(PATIENCE)
        assert not reading.done(), "what it claimed is in use"
        go_on.set()
        with pytest.raises(ValueError, match="of another file"):
            reading.result(PATIENCE)
    assert ended == ["large"]


def test_work_that_is_cancelled_before_it_starts_does_not_start():
    go_on, begun, tasks = threading.Event(), [], []

    def scan(name):
        begun.append(name)
        go_on.wait(PATIENCE)

    async def large(_):
        await in_thread(partial(scan, "first"))

    async def waiting(_):
        await in_thread(partial(scan, "waits for a thread"))

    async def when_all_are_cut_off():
        for _ in range(10):  # The other tasks are cancelled in these iterations.
            await asyncio.sleep(0)
        go_on.set()

    async def fail(_):
        await until(lambda: len(begun) == SCANS)
        tasks.append(asyncio.create_task(when_all_are_cut_off()))
        raise ValueError("of another file")

    with EventLoop() as event_loop, pytest.raises(ValueError, match="of another file"):
        run_concurrently([*[large] * SCANS, waiting, fail], event_loop)

    assert begun == ["first"] * SCANS

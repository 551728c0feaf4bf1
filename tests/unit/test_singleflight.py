from collections import Counter
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from threading import Barrier, Event, Lock
from typing import Any

import pytest

from metrics_worker.dataset.singleflight import Singleflight

PATIENCE = 10
Cache = Singleflight[str, Any]


class Readings:
    """A source of values for a cache; the value of a key, a string, is the key written twice.

    Attributes:
        asked: the number of times that each key was read.
    """

    def __init__(self):
        self.asked = Counter[str]()
        self._lock = Lock()

    def read(self, keys):
        with self._lock:
            self.asked.update(keys)
        return {key: key * 2 for key in keys}

    def held(self, until: Event, *, begun: Event | None = None) -> Callable[[Any], dict[str, str]]:
        """Return a function that reads the values of given keys, but only after a test has allowed it.

        Args:
            until: the event for which the function waits before it reads.
            begun: an event that the function sets when it is called.
        """

        def read(keys):
            if begun:
                begun.set()
            assert until.wait(PATIENCE)
            return self.read(keys)

        return read


class WatchedOnce(Cache):
    """A cache that sets its event `waits` when a caller waits for keys that another caller is reading."""

    def __init__(self):
        super().__init__()
        self.waits = Event()

    def _claim(self, keys):
        mine, others = super()._claim(keys)
        if others:
            self.waits.set()
        return mine, others


@pytest.fixture
def threads():
    with ThreadPoolExecutor(16) as threads:
        yield threads


@pytest.fixture
def readings():
    return Readings()


def test_each_value_is_read_once_and_then_cached(readings):
    once = Cache()

    assert once.fetch(["a", "b", "a"], readings.read) == {"a": "aa", "b": "bb"}
    assert once.fetch(["b", "c"], readings.read) == {"b": "bb", "c": "cc"}
    assert once.fetch([], readings.read) == {}

    assert readings.asked == {"a": 1, "b": 1, "c": 1}


def test_one_read_gets_all_keys_that_are_not_cached(readings):
    once = Cache()
    asked: list[list[str]] = []

    def read(keys):
        asked.append(keys)
        return readings.read(keys)

    once.fetch(["a", "b"], read)
    once.fetch(["c", "a", "d"], read)

    assert asked == [["a", "b"], ["c", "d"]]


def test_of_many_concurrent_threads_one_reads_each_key(threads, readings):
    once, at_once = Cache(), Barrier(16)
    keys = [f"{n}" for n in range(50)]

    def fetch(start):
        at_once.wait(PATIENCE)
        return once.fetch(keys[start:] + keys[:start], readings.read)

    found = list(threads.map(fetch, range(16)))

    assert all(values == {key: key * 2 for key in keys} for values in found)
    assert readings.asked == dict.fromkeys(keys, 1)


def test_a_caller_waits_for_a_value_that_another_caller_reads(threads, readings):
    once, begun, until = WatchedOnce(), Event(), Event()
    first = threads.submit(once.fetch, ["a"], readings.held(until, begun=begun))
    assert begun.wait(PATIENCE)
    second = threads.submit(once.fetch, ["a"], readings.read)
    assert once.waits.wait(PATIENCE)
    assert not first.done()
    assert not second.done()

    until.set()

    assert first.result(PATIENCE) == second.result(PATIENCE) == {"a": "aa"}
    assert readings.asked == {"a": 1}


def test_a_caller_reads_its_own_keys_before_it_waits_for_others(threads, readings):
    once, begun, until, own_read = WatchedOnce(), Event(), Event(), Event()
    first = threads.submit(once.fetch, ["a", "b"], readings.held(until, begun=begun))
    assert begun.wait(PATIENCE)

    def read(keys):
        own_read.set()
        return readings.read(keys)

    second = threads.submit(once.fetch, ["b", "c", "d"], read)
    assert own_read.wait(PATIENCE), "before those of the other are there"
    until.set()

    assert first.result(PATIENCE) == {"a": "aa", "b": "bb"}
    assert second.result(PATIENCE) == {"b": "bb", "c": "cc", "d": "dd"}
    assert readings.asked == {"a": 1, "b": 1, "c": 1, "d": 1}


def test_reads_that_fetch_from_another_cache_do_not_deadlock(threads, readings):
    series, files, both_read = Cache(), Cache(), Barrier(2)

    def read(keys):
        both_read.wait(PATIENCE)  # Both callers have claimed a series.
        order = ["x", "y"] if keys == ["a"] else ["y", "x"]
        return dict.fromkeys(keys, files.fetch(order, readings.read))

    first = threads.submit(series.fetch, ["a"], read)
    second = threads.submit(series.fetch, ["b"], read)

    assert first.result(PATIENCE)["a"] == second.result(PATIENCE)["b"] == {"x": "xx", "y": "yy"}
    assert readings.asked == {"x": 1, "y": 1}


@pytest.mark.parametrize("error", [OSError("no answer"), KeyboardInterrupt(), CancelledError()])
def test_a_failed_read_raises_its_error_and_the_next_caller_reads_again(readings, error):
    once = Cache()

    def fail(_):
        raise error

    with pytest.raises(type(error)):
        once.fetch(["a", "b"], fail)

    assert once.fetch(["b", "a"], readings.read) == {"a": "aa", "b": "bb"}


def test_a_caller_that_waits_for_a_failed_read_reads_itself(threads, readings):
    once, begun, until = WatchedOnce(), Event(), Event()

    def fail(keys):
        readings.held(until, begun=begun)(keys)
        raise OSError("only the first reader's")

    first = threads.submit(once.fetch, ["a", "b"], fail)
    assert begun.wait(PATIENCE)
    second = threads.submit(once.fetch, ["b", "c"], readings.read)
    assert once.waits.wait(PATIENCE)

    until.set()

    with pytest.raises(OSError, match="only the first"):
        first.result(PATIENCE)
    assert second.result(PATIENCE) == {"b": "bb", "c": "cc"}
    assert readings.asked == {"a": 1, "b": 2, "c": 1}


def test_each_waiting_caller_gets_its_own_error(threads):
    once, at_once = Cache(), Barrier(16)
    asked = Counter[str]()

    def fetch(number):
        def fail(keys):
            asked.update(keys)
            raise OSError(f"error {number}")

        at_once.wait(PATIENCE)
        once.fetch(["a"], fail)

    errors = [str(run.exception(PATIENCE)) for run in [threads.submit(fetch, n) for n in range(16)]]

    assert errors == [f"error {n}" for n in range(16)]
    assert asked == {"a": 16}


def test_one_of_many_callers_that_wait_for_a_failed_read_reads_again(threads, readings):
    once, begun, until = Cache(), Event(), Event()

    def fail(_):
        begun.set()
        assert until.wait(PATIENCE)
        raise OSError("only the first reader's")

    first = threads.submit(once.fetch, ["a"], fail)
    assert begun.wait(PATIENCE)
    others = [threads.submit(once.fetch, ["a"], readings.read) for _ in range(12)]
    until.set()

    assert isinstance(first.exception(PATIENCE), OSError)
    assert all(other.result(PATIENCE) == {"a": "aa"} for other in others)
    assert readings.asked == {"a": 1}


def test_a_read_that_omits_a_key_does_not_block_other_callers(threads, readings):
    once, begun, until = WatchedOnce(), Event(), Event()

    def forget(keys):
        readings.held(until, begun=begun)(keys)
        return {"a": "aa"}

    first = threads.submit(once.fetch, ["a", "b"], forget)
    assert begun.wait(PATIENCE)
    second = threads.submit(once.fetch, ["b"], readings.read)
    assert once.waits.wait(PATIENCE)
    until.set()

    with pytest.raises(KeyError):
        first.result(PATIENCE)
    assert second.result(PATIENCE) == {"b": "bb"}

"""Values that are read once an invocation and shared by the runs of a batch, which are threads.

The first caller that asks for a key reads its value; later callers wait for that value. A failed read is not
cached: its error goes to the caller that read, and the next caller reads again.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from threading import Lock

WAIT_SECONDS = 0.2
"""The time between two calls of `on_wait` while a caller waits for a value."""


class Singleflight[K, V]:
    """A cache of values by key. Several threads may call `fetch` at the same time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._cache: dict[K, Future[V]] = {}

    def fetch(
        self,
        keys: Iterable[K],
        read: Callable[[list[K]], dict[K, V]],
        on_wait: Callable[[], None] = lambda: None,
    ) -> dict[K, V]:
        """Return the values of some keys.

        Args:
            keys: the keys.
            read: returns the values of the keys that no caller has read. The caller that called `fetch` gets
                its exceptions.
            on_wait: called at intervals while other callers read. An exception ends the waiting.
        """
        missing = list(dict.fromkeys(keys))
        values: dict[K, V] = {}
        while missing:
            mine, others = self._claim(missing)
            if mine:
                values |= self._deliver(mine, read)
            for key, future in others.items():
                while not future.cancelled():  # cancelled: its read failed, and the key is free again
                    try:
                        values[key] = future.result(WAIT_SECONDS)
                        break
                    except TimeoutError:
                        on_wait()
                    except CancelledError:
                        break
            missing = [key for key in missing if key not in values]
        return values

    def _claim(self, keys: list[K]) -> tuple[dict[K, Future[V]], dict[K, Future[V]]]:
        """Return the keys that this caller must read, and those that other callers read or have read."""
        with self._lock:
            others = {key: self._cache[key] for key in keys if key in self._cache}
            mine: dict[K, Future[V]] = {key: Future() for key in keys if key not in others}
            self._cache |= mine
        return mine, others

    def _deliver(self, mine: dict[K, Future[V]], read: Callable[[list[K]], dict[K, V]]) -> dict[K, V]:
        """Read the values of the claimed keys and hand them to the callers that wait."""
        try:
            found = read(list(mine))
            values = {key: found[key] for key in mine}  # a missing key is a failure, too
        except BaseException:
            with self._lock:
                for key in mine:
                    del self._cache[key]
            for future in mine.values():
                future.cancel()
            raise
        for key, future in mine.items():
            future.set_result(values[key])
        return values

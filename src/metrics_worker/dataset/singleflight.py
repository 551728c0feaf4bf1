"""A cache whose values are read once per invocation and shared by the runs of a batch, which are threads.

The first caller that requests a key reads the value; later callers wait for that value. A failed read is not
cached: the error is raised to the caller that read, and the next caller reads the value again.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from threading import Lock

WAIT_SECONDS = 0.2
"""The seconds between two calls of `on_wait` while a caller waits for a value."""


class Singleflight[K, V]:
    """A cache of values by key. Several threads can call `fetch` at the same time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._cache: dict[K, Future[V]] = {}

    def fetch(
        self,
        keys: Iterable[K],
        read: Callable[[list[K]], dict[K, V]],
        on_wait: Callable[[], None] = lambda: None,
    ) -> dict[K, V]:
        """Return the value of each key, from the cache if possible.

        Args:
            keys: the keys.
            read: a function that reads the values of a list of keys. It is called with the keys that no
                caller has read or is reading; `fetch` raises its exceptions.
            on_wait: a function that is called every `WAIT_SECONDS` while other callers read; `fetch` raises
                its exceptions.
        """
        missing = list(dict.fromkeys(keys))
        values: dict[K, V] = {}
        while missing:
            mine, others = self._claim(missing)
            if mine:
                values |= self._deliver(mine, read)
            for key, future in others.items():
                while not future.cancelled():  # after a failed read, the key is free again
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
        """Return (futures of the keys that this caller must read, futures of all other keys), both by key."""
        with self._lock:
            others = {key: self._cache[key] for key in keys if key in self._cache}
            mine: dict[K, Future[V]] = {key: Future() for key in keys if key not in others}
            self._cache |= mine
        return mine, others

    def _deliver(self, mine: dict[K, Future[V]], read: Callable[[list[K]], dict[K, V]]) -> dict[K, V]:
        """Read and return the values of the keys in `mine`, and set their futures for waiting callers.

        If the read fails, the keys are removed from the cache and the futures are cancelled.
        """
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

"""Values that are read once an invocation and shared by the runs of a batch, which are threads.

Who asks first for a key reads it; others wait for that. A reader that fails keeps its error to itself: what
it had claimed is free again, and the next one meets an error of its own or reads it.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from threading import Lock

WAIT_SECONDS = 0.2
"""How often a reader that waits for another one says so."""


class Singleflight[K, V]:
    """A shelf of values by key, filled by `fetch` alone."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._shelf: dict[K, Future[V]] = {}

    def fetch(
        self,
        keys: Iterable[K],
        read: Callable[[list[K]], dict[K, V]],
        on_wait: Callable[[], None] = lambda: None,
    ) -> dict[K, V]:
        """The values of the keys.

        Args:
            keys: what is wanted.
            read: reads and returns those that nobody has read. What it raises goes to the caller.
            on_wait: called now and then while others read. What it raises ends the waiting.
        """
        missing = list(dict.fromkeys(keys))
        values: dict[K, V] = {}
        while missing:
            mine, others = self._claim(missing)
            if mine:
                values |= self._deliver(mine, read)
            for key, future in others.items():
                while not future.cancelled():  # or its reader failed: it is free again
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
        """Those that are ours to read from now on, and those that others read or have read."""
        with self._lock:
            others = {key: self._shelf[key] for key in keys if key in self._shelf}
            mine: dict[K, Future[V]] = {key: Future() for key in keys if key not in others}
            self._shelf |= mine
        return mine, others

    def _deliver(self, mine: dict[K, Future[V]], read: Callable[[list[K]], dict[K, V]]) -> dict[K, V]:
        try:
            found = read(list(mine))
            values = {key: found[key] for key in mine}  # one left out is a failure too, or its waiters hang
        except BaseException:
            with self._lock:
                for key in mine:
                    del self._shelf[key]
            for future in mine.values():
                future.cancel()
            raise
        for key, future in mine.items():
            future.set_result(values[key])
        return values

"""What a run may take: one that asks for too much fails alone, and not by the function's being killed.

`Limits` are the settings' numbers. `Memory` is the room that the runs of an invocation share: it counts what
is promised (by a Parquet footer, by an expression) before it is taken. Who wants more than there is at all
gets an error that says so; who wants what others hold is given back and comes again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

from metrics_worker.errors import OutOfMemory, PermanentError

_MB = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one run's input.

    Attributes:
        part_files: the most part files, over all series of the run.
        rows: the most rows, over all series of the run.
        manifest_bytes: the most bytes of a dataset manifest.
    """

    part_files: int
    rows: int
    manifest_bytes: int


class Memory:
    """The bytes that the threads of an invocation may take.

    Attributes:
        most: the most that was taken at one time.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.most = 0
        self._taken = 0
        self._lock = Lock()

    @contextmanager
    def claim(self) -> Iterator["Claim"]:
        """A claim, given back at the context's end but for what it keeps."""
        claim = Claim(self)
        try:
            yield claim
        finally:
            self.give_back(claim.taken)

    def take(self, amount: int) -> bool:
        """Take bytes, if there are so many."""
        with self._lock:
            there_is = self._taken + amount <= self.limit
            self._taken += amount if there_is else 0
            self.most = max(self.most, self._taken)
            return there_is

    def give_back(self, amount: int) -> None:
        """Give back bytes that were taken."""
        with self._lock:
            self._taken -= amount


class Claim:
    """What one piece of work has taken. Used by one thread at a time, or by those of its reading."""

    def __init__(self, memory: Memory) -> None:
        self.taken = 0
        self._memory = memory
        self._lock = Lock()

    def take(self, amount: int, subject: str, refusal: type[PermanentError], *, beside: int = 0) -> None:
        """Take bytes for a subject, before they are used.

        Args:
            amount: bytes.
            subject: what needs them: a key, or a path in the expression.
            refusal: the error where there are not so many at all.
            beside: bytes that the same run holds elsewhere.

        Raises:
            refusal: alone, it would not fit either.
            OutOfMemory: it would, but others hold too much at the moment.
        """
        with self._lock:
            needed = beside + self.taken + amount
            if needed > self._memory.limit:
                raise refusal(
                    subject,
                    f"the run would need {needed // _MB:,} MB of memory with it, and may take"
                    f" {self._memory.limit // _MB:,} MB (WORKER_MAX_MEMORY_MB)",
                )
            if not self._memory.take(amount):
                raise OutOfMemory(subject, f"other runs of the batch hold the {amount // _MB:,} MB it needs")
            self.taken += amount

    def keep(self, amount: int) -> None:
        """So much of it stays taken until the invocation's end: series are shared by its runs."""
        with self._lock:
            self.taken -= min(amount, self.taken)

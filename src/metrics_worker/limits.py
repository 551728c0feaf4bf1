"""The limits of a run's input, and the memory that the runs of an invocation share.

A run that needs too much fails alone; Lambda would otherwise kill the function, and with it the whole batch.
Before memory is allocated, its size is computed from a Parquet footer or an expression and reserved in
`Memory`. If a run needs more than the whole limit, it fails for good. If other runs hold the memory, its
message returns to the queue.
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
    """The memory that the threads of an invocation share.

    Attributes:
        limit: the most bytes that may be reserved at one time.
        most: the most bytes that were reserved at one time.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.most = 0
        self._taken = 0
        self._lock = Lock()

    @contextmanager
    def claim(self) -> Iterator["Claim"]:
        """Yield a new claim. At the end of the context, its bytes are released, except those to keep."""
        claim = Claim(self)
        try:
            yield claim
        finally:
            self.release(claim.taken)

    def take(self, amount: int) -> bool:
        """Reserve bytes, and return whether they were available."""
        with self._lock:
            available = self._taken + amount <= self.limit
            self._taken += amount if available else 0
            self.most = max(self.most, self._taken)
            return available

    def release(self, amount: int) -> None:
        """Release reserved bytes."""
        with self._lock:
            self._taken -= amount


class Claim:
    """The bytes that one read or evaluation has reserved. Several threads may use a claim."""

    def __init__(self, memory: Memory) -> None:
        self.taken = 0
        self._memory = memory
        self._lock = Lock()

    def take(
        self, amount: int, subject: str, refusal: type[PermanentError], *, held_elsewhere: int = 0
    ) -> None:
        """Reserve bytes before they are allocated.

        Args:
            amount: the number of bytes.
            subject: the key, or the path in the expression, that needs them.
            refusal: the class of the error if the run needs more than the whole limit.
            held_elsewhere: the bytes that the run holds outside this claim.

        Raises:
            refusal: the run would need more than the whole limit.
            OutOfMemory: other runs hold too much memory at the moment.
        """
        with self._lock:
            needed = held_elsewhere + self.taken + amount
            if needed > self._memory.limit:
                raise refusal(
                    subject,
                    f"the run would need {needed // _MB:,} MB of memory with it, and may take"
                    f" {self._memory.limit // _MB:,} MB (WORKER_MAX_MEMORY_MB)",
                )
            if not self._memory.take(amount):
                raise OutOfMemory(subject, f"other runs of the batch hold the {amount // _MB:,} MB it needs")
            self.taken += amount

    def release(self, amount: int) -> None:
        """Release reserved bytes before the claim's end."""
        with self._lock:
            self.taken -= amount
            self._memory.release(amount)

    def keep(self, amount: int) -> None:
        """Keep bytes reserved after the claim's end, for series that the invocation keeps."""
        with self._lock:
            self.taken -= min(amount, self.taken)

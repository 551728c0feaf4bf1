"""The limits of a run's input, and the memory that the runs of an invocation share.

Without limits, a run that needs too much memory would make Lambda kill the function and fail the whole batch.
Before memory is allocated, the worker computes the required size from a Parquet footer or an expression and
reserves that size in `Memory`. A run that needs more than the whole limit fails with a permanent error. If
other runs hold the memory, the message of the run is returned to the queue.
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
        part_files: the maximum number of part files of all series of the run together.
        rows: the maximum number of rows of all series of the run together.
        manifest_bytes: the maximum size of one dataset manifest in bytes.
    """

    part_files: int
    rows: int
    manifest_bytes: int


class Memory:
    """The number of bytes that the threads of an invocation have reserved, and the limit of that number.

    Attributes:
        limit: the maximum number of bytes that can be reserved at one time.
        most: the largest number of bytes that has been reserved at one time so far.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.most = 0
        self._taken = 0
        self._lock = Lock()

    @contextmanager
    def claim(self) -> Iterator["Claim"]:
        """Yield a new claim. At the end of the `with` block, release the bytes that the claim still holds."""
        claim = Claim(self)
        try:
            yield claim
        finally:
            self.release(claim.taken)

    def take(self, amount: int) -> bool:
        """Reserve `amount` bytes and return True; if too few are free, reserve none and return False."""
        with self._lock:
            available = self._taken + amount <= self.limit
            self._taken += amount if available else 0
            self.most = max(self.most, self._taken)
            return available

    def release(self, amount: int) -> None:
        """Release `amount` reserved bytes."""
        with self._lock:
            self._taken -= amount


class Claim:
    """The bytes that one read or evaluation has reserved in a `Memory`. Several threads can use a claim.

    Attributes:
        taken: the number of bytes that the claim holds.
    """

    def __init__(self, memory: Memory) -> None:
        self.taken = 0
        self._memory = memory
        self._lock = Lock()

    def take(
        self, amount: int, subject: str, refusal: type[PermanentError], *, held_elsewhere: int = 0
    ) -> None:
        """Reserve `amount` bytes before they are allocated.

        Args:
            amount: the number of bytes.
            subject: the key, or the path in the expression, that needs the bytes; the subject of an error.
            refusal: the class of the error if the run needs more than the whole limit.
            held_elsewhere: the number of bytes that the run has reserved in other claims.

        Raises:
            refusal: the run would need more than the whole limit of the memory.
            OutOfMemory: other runs hold too much of the memory at the moment.
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
        """Release `amount` of the claim's bytes before the claim ends."""
        with self._lock:
            self.taken -= amount
            self._memory.release(amount)

    def keep(self, amount: int) -> None:
        """Keep this number of bytes reserved after the claim ends, for values that outlive the claim.

        `Memory.claim()` then does not release these bytes.
        """
        with self._lock:
            self.taken -= min(amount, self.taken)

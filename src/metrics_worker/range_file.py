"""A file over an object, read by ranges: for part files that are too large to come in one request.

What of the object has come already is not asked for again. Failure is the store's: a StoreUnavailable or
a StoreRefusal, which pyarrow lets through.
"""

import io
from collections.abc import Buffer, Callable

from metrics_worker.store import Bucket, StoredObject


class RangeFile(io.RawIOBase):
    """A readable, seekable binary file over an object, for pyarrow. Not thread-safe.

    Attributes:
        on_read: told from where on what was read, before pyarrow has it; what it raises ends the reading.
    """

    def __init__(self, bucket: Bucket, tail: StoredObject) -> None:
        super().__init__()
        self.on_read: Callable[[int, memoryview], None] = lambda *_: None
        self._bucket = bucket
        self._tail = tail
        self._at = 0

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill the buffer from the position on; how many bytes it took, 0 at the end."""
        into = memoryview(buffer)
        start, end = self._at, min(self._tail.size, self._at + len(into))
        if start >= end:
            return 0
        have_from = self._tail.size - len(self._tail.body)
        if start >= have_from:
            into[: end - start] = self._tail.body[start - have_from : end - have_from]
        else:
            into[: end - start] = self._bucket.get_range(self._tail, start, end)
        self.on_read(start, into[: end - start])
        self._at = end
        return end - start

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a position: from the start (0), from here (1) or from the end (2)."""
        self._at = offset + (0, self._at, self._tail.size)[whence]
        return self._at

    def tell(self) -> int:
        """The position."""
        return self._at

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

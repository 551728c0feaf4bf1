"""A file object that has only some byte ranges of a file in memory, and the merging of byte ranges."""

import io
from collections.abc import Buffer, Iterable

GAP_BYTES = 256 * 1024
"""Two ranges with at most this many bytes between them are read with one request."""

type Ranges = list[tuple[int, int]]
"""Byte ranges of a file, as (offset of the first byte, offset after the last byte)."""


class PartialFile(io.RawIOBase):
    """A read-only binary file object that has only some byte ranges of a file in memory."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._at = 0
        self._parts: list[tuple[int, memoryview]] = []

    def keep(self, parts: list[tuple[int, memoryview]]) -> None:
        """Replace the byte ranges in memory by `parts`, each given as (offset of the first byte, bytes)."""
        self._parts = parts

    def readinto(self, buffer: Buffer, /) -> int:
        """Copy bytes from the current position to the buffer, and return their number; 0 at the end of file.

        Raises:
            OSError: some of the bytes are not in memory.
        """
        into = memoryview(buffer)
        count = min(len(into), self._size - self._at)
        if count <= 0:
            return 0
        for start, part in self._parts:
            if start <= self._at and self._at + count <= start + len(part):
                into[:count] = part[self._at - start : self._at - start + count]
                self._at += count
                return count
        raise OSError(f"bytes {self._at} to {self._at + count} are in no column chunk that the footer names")

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Set the position relative to the start (0), the current position (1) or the end (2); return it."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """Return the current position as a byte offset."""
        return self._at

    def readable(self) -> bool:
        """Return True, because the file can be read."""
        return True

    def seekable(self) -> bool:
        """Return True, because the position can be set."""
        return True


def merge(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return the ranges in ascending order, after merging ranges with at most `GAP_BYTES` between them."""
    merged: Ranges = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1] + GAP_BYTES:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged

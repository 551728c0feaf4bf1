"""The snapshot of a series: the rows of its part files in one object, and the identity of each part file.

A snapshot contains the rows after their conversion and before they are cleaned: two arrays, in the order of
the part files. Rows are converted one by one. A part file that is unchanged since the snapshot was written
therefore yields bit-identical rows, whatever the types of its times and values. The document has these parts,
with all numbers little-endian:

    magic                       8 bytes, `MAGIC`: the format and the meaning of a row
    SHA-256                     32 bytes, of everything that follows
    length of the head          8 bytes
    number of rows              8 bytes
    head                        JSON, padded with spaces to a multiple of 8 bytes
    times                       int64 for each row: microseconds since 1970-01-01 UTC
    values                      float64 for each row

The head states the series and, as columns, the key, ETag, size, rows and null rows of each part file.
The measurements behind this format are in docs/decisions/0011-snapshots.md.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import accumulate
from struct import Struct
from typing import NamedTuple

import numpy as np

from metrics_worker.series import Times, Values

MAGIC = b"MWSNAP\x00\x01"
"""The last byte is the format version. Increase it if the layout or the conversion of rows changes."""
_PREFIX = Struct("<8s32sQQ")
_CHECKED_FROM = 40
"""The offset of the first byte that the SHA-256 covers."""
_ALIGNMENT = 8
_ROW_BYTES = 16
_KINDS = (str, str, int, int, int)
"""The types of the values in the columns of `PartFiles`."""


class UnusableSnapshot(ValueError):
    """An object in S3 is not a snapshot of the wanted series in the present format, or it is damaged."""


class Subject(NamedTuple):
    """The identity of the series in a snapshot. Snapshots with another subject are not used.

    Attributes:
        projections: the key prefix of the dataset's part files.
        code: the series code.
        by_path: whether all rows of a part file without the code column belong to the series.
    """

    projections: str
    code: str
    by_path: bool


class PartFiles(NamedTuple):
    """The part files of a snapshot, as columns of equal length.

    Attributes:
        keys: the keys, without duplicates.
        etags: the ETags without quotation marks.
        sizes: the sizes in bytes.
        rows: the numbers of rows of the series that have a time and a value.
        nulls: the numbers of rows of the series that lack a time or a value.
    """

    keys: list[str]
    etags: list[str]
    sizes: list[int]
    rows: list[int]
    nulls: list[int]


class Snapshot(NamedTuple):
    """The rows of a series, by part file.

    Attributes:
        files: the part files, in the order of their rows.
        times: the times of the rows that have a time and a value.
        values: the values of these rows, which can be NaN or infinite.
    """

    files: PartFiles
    times: Times
    values: Values


EMPTY = Snapshot(PartFiles([], [], [], [], []), np.empty(0, np.int64), np.empty(0))
"""A snapshot without part files."""


def plain_etag(etag: str) -> str:
    """Return an ETag without quotation marks; "" for a weak ETag (`W/"…"`).

    A weak ETag does not identify the bytes of an object: it may stay the same if the bytes change.
    """
    return "" if etag.startswith("W/") else etag.strip('"')


def encode(snapshot: Snapshot, subject: Subject) -> bytes:
    """Return the bytes of a snapshot in the format that the module's docstring describes."""
    head = subject._asdict() | snapshot.files._asdict()
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    times, values = snapshot.times.astype("<i8", copy=False), snapshot.values.astype("<f8", copy=False)
    body = bytearray(_PREFIX.pack(MAGIC, b"", len(text), times.size))
    body += text
    body += memoryview(np.ascontiguousarray(times)).cast("B") if times.size else b""
    body += memoryview(np.ascontiguousarray(values)).cast("B") if values.size else b""
    body[len(MAGIC) : _CHECKED_FROM] = sha256(memoryview(body)[_CHECKED_FROM:]).digest()
    return bytes(body)


def decode(body: memoryview, subject: Subject) -> Snapshot:
    """Return the snapshot in a document of this module's format.

    The arrays of the snapshot share the memory of the document and are read-only.

    Raises:
        UnusableSnapshot: the bytes are not a snapshot of this series in this format, or are damaged.
    """
    if len(body) < _PREFIX.size:
        raise UnusableSnapshot("it is shorter than the smallest snapshot")
    magic, digest, length, rows = _PREFIX.unpack_from(body)
    if magic != MAGIC:
        raise UnusableSnapshot("it is not a snapshot of this format version")
    if length % _ALIGNMENT or _PREFIX.size + length + rows * _ROW_BYTES != len(body):
        raise UnusableSnapshot("its size is not the one that it states")
    if sha256(body[_CHECKED_FROM:]).digest() != digest:
        raise UnusableSnapshot("its checksum differs")
    start = _PREFIX.size + length
    files = _files(bytes(body[_PREFIX.size : start]), subject, rows)
    times: Times = np.frombuffer(body, "<i8", rows, start)
    values: Values = np.frombuffer(body, "<f8", rows, start + rows * _ROW_BYTES // 2)
    return Snapshot(files, _aligned(times), _aligned(values))


def stated_subject(body: memoryview) -> Subject:
    """Return the identity of the series that the head of a snapshot states.

    With it, a tool can decode a snapshot of an unknown series.

    Raises:
        UnusableSnapshot: the bytes are not a snapshot in this format.
    """
    if len(body) < _PREFIX.size or bytes(body[: len(MAGIC)]) != MAGIC:
        raise UnusableSnapshot("it is not a snapshot of this format version")
    length = _PREFIX.unpack_from(body)[2]
    return _head(bytes(body[_PREFIX.size : _PREFIX.size + length]))[0]


def _head(text: bytes) -> tuple[Subject, PartFiles]:
    """Return (series, part files) as the head of a snapshot states them, without checking the part files.

    Args:
        text: the head, as JSON.

    Raises:
        UnusableSnapshot: the head is not JSON, or lacks a field.
    """
    try:
        head = json.loads(text)
        subject = Subject(*(head[name] for name in Subject._fields))
        return subject, PartFiles(*(head[name] for name in PartFiles._fields))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise UnusableSnapshot("its head cannot be parsed") from None


def _files(text: bytes, subject: Subject, rows: int) -> PartFiles:
    """Return the part files that the head of a snapshot states, after checking them.

    Args:
        text: the head, as JSON.
        subject: the series that the head must state.
        rows: the number of rows in the snapshot.

    Raises:
        UnusableSnapshot: the head is invalid, is of another series, or states another number of rows.
    """
    found, files = _head(text)
    if found != subject:
        raise UnusableSnapshot("it is the snapshot of another series")
    for column, kind in zip(files, _KINDS, strict=True):
        if type(column) is not list or not set(map(type, column)) <= {kind}:
            raise UnusableSnapshot("its head has values of other types")
    if len({len(column) for column in files}) != 1 or len(set(files.keys)) != len(files.keys):
        raise UnusableSnapshot("its head has columns of different lengths, or a key twice")
    if min([*files.sizes, *files.rows, *files.nulls], default=0) < 0 or sum(files.rows) != rows:
        raise UnusableSnapshot("the rows of its part files are not the rows that it has")
    return files


def _aligned[Array: (Times, Values)](array: Array) -> Array:
    """Return the array, or a copy of it if its elements do not lie at multiples of their size in memory.

    The fast loops of numpy need aligned elements.
    """
    return array if array.flags.aligned else array.copy()


def unchanged(stored: Snapshot, identities: Mapping[str, tuple[str, int]]) -> frozenset[str]:
    """Return the keys of the part files that have the same ETag and size as when the snapshot was taken.

    Args:
        stored: the snapshot.
        identities: the current ETag and size of part files by key; a part file with the ETag "" counts as
            changed.
    """
    keys, etags, sizes, _, _ = stored.files
    known = zip(keys, zip(etags, sizes, strict=True), strict=True)
    return frozenset(key for key, identity in known if identity[0] and identities.get(key) == identity)


def splice(keys: Iterable[str], stored: Snapshot, read: Snapshot) -> Snapshot:
    """Combine part files that were read with others from a snapshot, and return them as a snapshot.

    Args:
        keys: the keys of the part files in the order of the result. Each of them is in `stored` or in `read`.
        stored: a snapshot of the series.
        read: the part files that were read. If a part file is in both, its rows are taken from `read`.
    """
    places = {
        row[0]: (source, start, start + row[3], row)
        for source in (stored, read)
        for start, row in zip(
            accumulate(source.files.rows, initial=0), zip(*source.files, strict=True), strict=False
        )
    }
    rows, pieces = [], []
    source, begin, end = read, 0, 0
    for key in keys:
        other, first, last, row = places[key]
        rows.append(row)
        if other is not source or first != end:
            pieces.append((source, begin, end))
            source, begin = other, first
        end = last
    pieces.append((source, begin, end))
    pieces = [piece for piece in pieces if piece[1] < piece[2]]
    return Snapshot(
        PartFiles(*map(list, zip(*rows, strict=True))) if rows else PartFiles([], [], [], [], []),
        _joined([source.times[begin:end] for source, begin, end in pieces], np.empty(0, np.int64)),
        _joined([source.values[begin:end] for source, begin, end in pieces], np.empty(0)),
    )


def _joined[Array: (Times, Values)](pieces: Sequence[Array], empty: Array) -> Array:
    """Return the pieces as one array: the piece itself if there is only one, and `empty` if there is none."""
    if len(pieces) == 1:
        return pieces[0]
    joined: Array = np.concatenate(pieces) if pieces else empty
    return joined

"""What a Parquet file takes when it is decoded, known before it is decoded.

A footer may promise little and a page hold much, and pyarrow believes each where it meets it; of a footer
that contradicts itself it asks in a way that ends the process. So the footer is read here as well, as pyarrow
writes it again (then both mean the same), and the headers of the pages that will be decoded are held against
it. What holds then: pages are no larger than their chunk's promise, and have no more values than it has rows.

Source: the Parquet format, parquet.thrift. Fields go by their numbers there.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from metrics_worker.thrift import (
    BINARY,
    I32,
    I64,
    LIST,
    PLACE,
    STRUCT,
    Fields,
    count_structs,
    pass_struct,
    read_list_head,
    read_some,
    read_struct,
)

SLACK_BYTES = 16 * 1024 * 1024
"""What a file may take beyond its promise: below it, nobody looks at pages."""
_EXPANSION = {0: 1, 1: 32, 5: 256, 7: 256}
"""Codec → how much larger a page can be than it is stored: none, snappy, LZ4 and LZ4_RAW, rounded up."""
_CODEC = re.compile(rb"\x19\x18(?:\x08obs_time|\x05value|\x14internal_series_code)\x15(.)", re.DOTALL)
"""A ColumnMetaData as pyarrow writes it: path_in_schema, a list of one text, and behind it the codec.

In a forged footer there may be more that looks so, but never less."""
_CODECS = {0: None, 1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}
"""Codec → pyarrow's name, of those that it decompresses by itself."""
_ALL_CODECS = range(8)
_HADOOP_LZ4, _LZ4_RAW = 5, 7
_BYTE_ARRAY = 6
_DELTA_BYTE_ARRAY = 7
_DATA_PAGE, _DICTIONARY_PAGE, _DATA_PAGE_V2 = 0, 2, 3
_STRUCT_BYTES = 700
"""What a footer's largest struct takes in memory."""
USUAL_FOOTER = SLACK_BYTES // _STRUCT_BYTES * 3
"""Bytes of a footer that can't take more than the slack: the struct is stored in three bytes at least."""
_SLICE_BYTES, _MOST_ROWS = 96 * 1024 * 1024, 4096
"""What a slice of such a file may take, and the rows that it then has."""
_METADATA = dict.fromkeys((1, 2, 3, 4, 5, 6, 7, 9, 11, 16))
"""The fields of a ColumnMetaData that count here."""
_MORE = 65_536
"""Bytes by which a small chunk may exceed its promise: writers count headers one way or another."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A column of a row group, as the footer has it.

    Attributes:
        rows: of the row group.
        values: of the chunk; of a flat column as many as rows.
        start: of its first page in the file.
        stored: bytes in the file.
        promised: bytes once it is decompressed.
        is_text: a row takes as much as its text.
        is_prefixed: its texts are stored by what they differ in from the one before: few bytes can be many.
    """

    name: str
    codec: int
    rows: int
    values: int
    start: int
    stored: int
    promised: int
    is_text: bool
    is_prefixed: bool

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.start + self.stored

    @property
    def prefixed_bytes(self) -> int:
        """What its rows may take if they are decoded in one go, where texts are stored by what differs."""
        return self.rows * self.promised if self.is_prefixed else 0


def footer_size(tail: memoryview, file_size: int) -> int:
    """The bytes of a file's footer; 0 where there is none, as pyarrow will say.

    Args:
        tail: the last bytes of the file.
        file_size: bytes of the whole file.
    """
    size = int.from_bytes(tail[-8:-4], "little")
    return size if bytes(tail[-4:]) == b"PAR1" and size + 8 <= file_size else 0


def footer_bytes(footer: memoryview) -> int:
    """The memory that parsing a footer takes, or more.

    Raises:
        ValueError: it is no footer.
    """
    return 4 * len(footer) + _STRUCT_BYTES * count_structs(footer)


def may_exceed(metadata: pq.FileMetaData, rows: int, size: int) -> bool:
    """Whether a file of so many rows and bytes could take more than the slack beyond its promise.

    By its codecs, what most files are, small and in snappy, can't. To know it takes 15 µs a file, and to look
    at the pages 150.
    """
    codecs: list[bytes] = _CODEC.findall(_encoded(metadata))
    expansion = max((_EXPANSION.get(codec[0] >> 1, SLACK_BYTES) for codec in codecs), default=SLACK_BYTES)
    return size * expansion * max(1, rows) > SLACK_BYTES


def read_chunks(metadata: pq.FileMetaData, names: Collection[str]) -> list[list[Chunk]]:
    """The chunks of these columns, which are flat and stand there once, by row group.

    Raises:
        ValueError: the footer contradicts itself.
    """
    data = _encoded(metadata)
    footer, _ = read_some(data, 4, {2: None, 4: PLACE})
    leaves = _leaves(footer[2, LIST])
    wanted = {i: leaf for i, leaf in enumerate(leaves) if leaf and leaf[4, BINARY].decode() in names}
    count, at = read_list_head(data, footer[4, LIST])
    groups = []
    for _ in range(count):
        group, at = read_some(data, at, {1: PLACE, 3: None})
        groups.append(list(_of_group(data, group, len(leaves), wanted)))
    return groups


def _leaves(schema: list[Fields]) -> list[Fields | None]:
    """The leaves of a schema in the order of columns; None for those that are no columns by themselves."""
    leaves: list[Fields | None] = []
    left = [schema[0].get((5, I32), 0)]
    for element in schema[1:]:
        while left and not left[-1]:
            left.pop()
        if not left:
            raise ValueError("a schema of more elements than it says")
        left[-1] -= 1
        if children := element.get((5, I32), 0):
            left.append(children)
        else:
            leaves.append(element if len(left) == 1 else None)
    return leaves


def _encoded(metadata: pq.FileMetaData) -> memoryview:
    """The footer as pyarrow writes it: `PAR1`, then the struct."""
    sink = pa.BufferOutputStream()
    metadata.write_metadata_file(sink)
    return memoryview(sink.getvalue()).cast("B")  # pyarrow's own view has signed bytes


def _of_group(data: memoryview, group: Fields, leaves: int, wanted: dict[int, Fields]) -> Iterator[Chunk]:
    count, at = read_list_head(data, group[1, LIST])
    if count != leaves:
        raise ValueError(f"a row group of {count} columns, where the schema has {leaves}")
    for i in range(count):
        if i not in wanted:
            at = pass_struct(data, at)
            continue
        column, at = read_some(data, at, {3: PLACE})
        place = column.get((3, STRUCT))
        found = None if place is None else read_some(data, place, _METADATA)[0]
        yield _chunk(wanted[i][4, BINARY].decode(), found, wanted[i], group[3, I64])


def _chunk(name: str, found: Fields | None, leaf: Fields, rows: int) -> Chunk:
    if found is None:
        raise ValueError(f"column {name!r} has no metadata")
    kind, codec, path = found[1, I32], found[4, I32], found[3, LIST]
    if kind != leaf.get((1, I32)) or path != [leaf[4, BINARY]]:
        raise ValueError(f"column {name!r} is said to be of two types")
    _check_sizes(name, found.get((16, STRUCT), {}), kind, is_optional=leaf.get((3, I32)) == 1)
    data, dictionary = found[9, I64], found.get((11, I64), 0)
    chunk = Chunk(
        name=name,
        codec=codec,
        rows=rows,
        values=found[5, I64],
        start=dictionary if 0 < dictionary < data else data,
        stored=found[7, I64],
        promised=found[6, I64],
        is_text=kind == _BYTE_ARRAY,
        is_prefixed=kind == _BYTE_ARRAY and _DELTA_BYTE_ARRAY in found[2, LIST],
    )
    if codec not in _ALL_CODECS or chunk.values > rows or min(chunk.start, chunk.stored, chunk.promised) < 0:
        raise ValueError(f"column {name!r} has impossible numbers in the footer")
    return chunk


def _check_sizes(name: str, sizes: Fields, kind: int, *, is_optional: bool) -> None:
    """SizeStatistics: pyarrow ends the process over those that don't go with the column."""
    repetition, definition = sizes.get((2, LIST)), sizes.get((3, LIST))
    levels = 2 if is_optional else 1
    fits = (not repetition or len(repetition) == 1) and (not definition or len(definition) == levels)
    if not fits or ((1, I64) in sizes and kind != _BYTE_ARRAY):
        raise ValueError(f"column {name!r} has size statistics of another column")


def rows_at_once(chunks: Iterable[Chunk]) -> tuple[int, int] | None:
    """How many rows to decode in one go where texts are stored by what differs, and the bytes they may take.

    None: all of them. So few that the worst fits, but not so few that an honest file takes for ever.
    """
    worst = max(chunks, key=lambda chunk: chunk.prefixed_bytes, default=None)
    if worst is None or worst.prefixed_bytes <= SLACK_BYTES:
        return None
    rows = max(SLACK_BYTES // worst.promised, min(_MOST_ROWS, _SLICE_BYTES // worst.promised), 1)
    return rows, 3 * rows * worst.promised  # Arrow has them three times while it builds its arrays


def check_pages(chunk: Chunk, data: memoryview) -> int:
    """Hold a chunk's pages against its promise.

    Args:
        chunk: which.
        data: its bytes.

    Returns:
        Bytes that its rows may take beyond the promise, since each has a copy of a text of its dictionary;
        0 where that is little.

    Raises:
        ValueError: the pages hold more than the footer promises, or can't be understood.
    """
    at = total = seen = longest = 0
    while seen < chunk.values and at < len(data):
        header, body = read_struct(data, at)
        kind, size, stored = header[1, I32], header[2, I32], header[3, I32]
        if min(size, stored) < 0:
            raise ValueError(f"column {chunk.name!r} has a page of less than nothing")
        at, total = body + stored, total + size
        values = _values(header)
        if kind in {_DATA_PAGE, _DATA_PAGE_V2}:
            seen += values
        if seen > chunk.values or total > 2 * chunk.promised + _MORE or values > max(chunk.rows, total):
            raise ValueError(f"column {chunk.name!r} has pages that hold more than its footer promises")
        if kind == _DICTIONARY_PAGE and chunk.is_text:
            longest = size
            if chunk.rows * size > SLACK_BYTES:
                longest = _longest(chunk, data[body:at], size)
    return chunk.rows * longest if chunk.rows * longest > SLACK_BYTES else 0


def _values(header: Fields) -> int:
    """How many values a page says that it has."""
    parts: list[Fields] = [header.get((number, STRUCT), {}) for number in (5, 7, 8)]
    return max(int(part.get((1, I32), 0)) for part in parts)


def _longest(chunk: Chunk, stored: memoryview, size: int) -> int:
    """The longest text of a dictionary page; its whole size where that can't be told."""
    try:
        page = _decompressed(chunk.codec, stored, size)
    except (pa.ArrowException, OSError, KeyError):
        return size  # pyarrow will say so
    at = longest = 0
    while at + 4 <= len(page):
        length = int.from_bytes(page[at : at + 4], "little")
        longest, at = max(longest, length), at + 4 + length
    return min(longest, size)


def _decompressed(codec: int, stored: memoryview, size: int) -> memoryview:
    """A page's bytes."""
    if codec == _HADOOP_LZ4:
        sizes = int.from_bytes(stored[:4]), int.from_bytes(stored[4:8])
        if sizes == (size, len(stored) - 8):  # one block, as Parquet's writers make it; or none: raw LZ4
            stored = stored[8:]
        codec = _LZ4_RAW
    name = _CODECS[codec]
    return memoryview(stored if name is None else pa.decompress(stored, size, name, asbytes=True))

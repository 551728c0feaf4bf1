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

from metrics_worker.thrift import BINARY, I32, I64, LIST, STRUCT, Fields, read_struct

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
_BYTE_ARRAY = 6
_DELTA_BYTE_ARRAY = 7
_DATA_PAGE, _DICTIONARY_PAGE, _DATA_PAGE_V2 = 0, 2, 3
_STRUCT_BYTES = 700
"""What a footer's largest struct takes in memory, where it may be of four bytes, the last of them zero."""
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


def footer_bytes(tail: memoryview, file_size: int) -> int:
    """The memory that parsing a file's footer takes, or more; 0 where there is none, as pyarrow will say.

    Args:
        tail: the last bytes of the file. Of a footer that begins before them the worst is assumed.
        file_size: bytes of the whole file.
    """
    size = int.from_bytes(tail[-8:-4], "little")
    if bytes(tail[-4:]) != b"PAR1" or size + 8 > file_size:
        return 0
    structs = bytes(tail[-8 - size : -8]).count(0) if size + 8 <= len(tail) else size // 4
    return 4 * size + _STRUCT_BYTES * structs


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
    footer, _ = read_struct(_encoded(metadata), 4)
    leaves = [element for element in footer[2, LIST] if not element.get((5, I32))]
    return [list(_of_group(group, leaves, names)) for group in footer.get((4, LIST), ())]


def _encoded(metadata: pq.FileMetaData) -> memoryview:
    """The footer as pyarrow writes it: `PAR1`, then the struct."""
    sink = pa.BufferOutputStream()
    metadata.write_metadata_file(sink)
    return memoryview(sink.getvalue()).cast("B")  # pyarrow's own view has signed bytes


def _of_group(group: Fields, leaves: list[Fields], names: Collection[str]) -> Iterator[Chunk]:
    columns = group[1, LIST]
    if len(columns) != len(leaves):
        raise ValueError(f"a row group of {len(columns)} columns, where the schema has {len(leaves)}")
    for column, leaf in zip(columns, leaves, strict=True):
        name = leaf[4, BINARY].decode(errors="replace")
        if name in names:
            yield _chunk(name, column.get((3, STRUCT)), leaf, group[3, I64])


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


def rows_at_once(chunks: Iterable[Chunk]) -> int | None:
    """How many rows may be decoded in one go where texts are stored by what differs; None: all of them."""
    worst = max(chunks, key=lambda chunk: chunk.prefixed_bytes, default=None)
    if worst is None or worst.prefixed_bytes <= SLACK_BYTES:
        return None
    return max(1, SLACK_BYTES // worst.promised)


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
    codec = _CODECS.get(chunk.codec, "")
    if codec == "":
        return size
    try:
        page = memoryview(stored if codec is None else pa.decompress(stored, size, codec, asbytes=True))
    except (pa.ArrowException, OSError):
        return size  # pyarrow will say so
    at = longest = 0
    while at + 4 <= len(page):
        length = int.from_bytes(page[at : at + 4], "little")
        longest, at = max(longest, length), at + 4 + length
    return min(longest, size)

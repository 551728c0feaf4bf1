"""The child process that decodes unusual part files: `python -m metrics_worker.dataset.decoder_process`.

It reads part files by the conversation that `decoder` describes, one at a time, until its standard input
ends. What it allocates is limited by the operating system (RLIMIT_DATA): a file that needs more is refused,
and one that ends the process ends nothing else. It has one thread, makes no requests and writes no files.
"""

import io
import json
import os
import resource
from collections.abc import Buffer, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metrics_worker.dataset.part_file import CODE, VALUE, columns_of, only, open_part_file, plain, readable
from metrics_worker.errors import InputReadError

ALLOWANCE_BYTES = 192 * 1024 * 1024
"""What decoding may take besides the stored bytes of a row group: pages, dictionaries, a batch of rows."""
COPIES = 2
"""How often the stored bytes of a row group are in memory: as received, and as pyarrow reads them."""
STEP_BYTES = 32 * 1024 * 1024
"""Row groups are fetched and decoded in steps of about so many stored bytes."""
BATCH_ROWS = 65_536
MAX_FOOTER_BYTES = 64 * 1024 * 1024
FIRST_READ_BYTES = 64 * 1024
"""pyarrow begins with so many bytes from the end of a file."""
GAP_BYTES = 256 * 1024
"""Two ranges with at most so many bytes between them are read by one request."""
_OLD_WRITERS_BYTES = 100
"""pyarrow reads so far beyond the column chunks of old writers, whose sizes lack a page header."""

type Ranges = list[tuple[int, int]]


class PartialFile(io.RawIOBase):
    """A file of which only some byte ranges are in memory."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._at = 0
        self._parts: list[tuple[int, memoryview]] = []

    def keep(self, parts: list[tuple[int, memoryview]]) -> None:
        """Hold these parts, given as (start, bytes), in place of those before."""
        self._parts = parts

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill the buffer from the position on and return the number of bytes, 0 at the end of the file.

        Raises:
            OSError: the bytes are not in memory.
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
        """Move to a position: from the start (0), from here (1) or from the end (2)."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True


class Conversation:
    """The child's side of the conversation about one file."""

    def __init__(self, requests: Connection, answers: Connection) -> None:
        self._requests = requests
        self._answers = answers

    def say(self, **answer: Any) -> None:
        """Send a frame of JSON."""
        self._answers.send_bytes(json.dumps(answer).encode())

    def fetch(self, ranges: Ranges) -> list[tuple[int, memoryview]]:
        """Return the bytes of ranges as (start, bytes)."""
        if not ranges:
            return []
        self.say(ranges=ranges)
        return [(start, memoryview(self._requests.recv_bytes())) for start, _ in ranges]

    def claim(self, rows: int, size: int) -> None:
        """Wait until the worker has set aside memory. If there is too little, it ends this process."""
        self.say(rows=rows, bytes=size)
        self._requests.recv_bytes()

    def give(self, table: pa.Table) -> None:
        """Send a table. All tables of a file have the same schema."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        self.say(table=True)
        self._answers.send_bytes(memoryview(sink.getvalue()))

    def answer(self, wanted: dict[str, Any], tail: memoryview) -> None:
        """Read one part file."""
        _limit_memory(ALLOWANCE_BYTES)
        key = wanted["key"]
        with readable(key, "its footer is missing or damaged"):
            source, ends = self._with_footer(wanted["size"], tail)
            parquet = open_part_file(pa.PythonFile(source, mode="r"))
            schema = parquet.schema_arrow
        columns = columns_of(key, schema)
        codes = wanted["codes"] if CODE in columns else None
        with readable(key, "its footer is damaged"):
            groups = _row_groups(parquet, source, codes)
            ranges = {group: _ranges(parquet.metadata, group, columns, wanted["size"]) for group in groups}
            working = max((_working_bytes(parquet.metadata, group, columns) for group in groups), default=0)
        self.claim(sum(parquet.metadata.row_group(group).num_rows for group in groups), working)
        _limit_memory(ALLOWANCE_BYTES + COPIES * STEP_BYTES + working)
        convert = _Conversion(schema, columns, codes, with_codes=wanted["with_codes"])
        self.give(convert.empty)
        for step in _steps(ranges):
            missing = _merged([each for group in step for each in ranges[group]])
            source.keep([ends, *self.fetch([each for each in missing if each[0] < ends[0]])])
            with readable(key, "a page is damaged"):
                for batch in parquet.iter_batches(
                    BATCH_ROWS, row_groups=step, columns=columns, use_threads=False
                ):
                    self.give(convert(batch))

    def _with_footer(self, size: int, tail: memoryview) -> tuple[PartialFile, tuple[int, memoryview]]:
        """Return the file with its last bytes, footer included, and those bytes as (start, bytes).

        Raises:
            ValueError: the footer is too large.
        """
        source = PartialFile(size)
        ends = size - len(tail), tail
        footer = int.from_bytes(tail[-8:-4], "little") + 8 if bytes(tail[-4:]) == b"PAR1" else 0
        if footer > MAX_FOOTER_BYTES:
            raise ValueError(f"it says that it has {footer:,} bytes; at most {MAX_FOOTER_BYTES:,} are read")
        needed = min(size, max(footer, FIRST_READ_BYTES))
        if len(tail) < needed:
            ((start, more),) = self.fetch([(size - needed, size - len(tail))])
            ends = start, memoryview(bytes(more) + bytes(tail))
        source.keep([ends])
        return source, ends


class _Conversion:
    """A conversion of batches to the tables that the worker gets: the wanted rows, in plain types."""

    def __init__(
        self, schema: pa.Schema, columns: list[str], codes: list[str] | None, *, with_codes: bool
    ) -> None:
        self._codes = codes
        self._with_codes = with_codes
        self.empty = self._of(pa.schema([schema.field(name) for name in columns]).empty_table())

    def __call__(self, batch: pa.RecordBatch) -> pa.Table:
        return self._of(pa.Table.from_batches([batch])).cast(self.empty.schema)

    def _of(self, table: pa.Table) -> pa.Table:
        table = plain(table)
        if self._codes is not None:
            table = only(table, self._codes)
        if not self._with_codes and CODE in table.column_names:
            table = table.drop_columns([CODE])
        at = table.schema.get_field_index(VALUE)
        if pa.types.is_decimal(table[VALUE].type):
            # By way of text: Arrow's own conversion to float64 is off by a unit or two in the last place.
            table = table.set_column(at, VALUE, table[VALUE].cast(pa.string()).cast(pa.float64()))
        return table


def _row_groups(parquet: pq.ParquetFile, source: PartialFile, codes: list[str] | None) -> list[int]:
    """Return the row groups whose statistics do not rule out that they hold one of the series."""
    every = list(range(parquet.metadata.num_row_groups))
    if codes is None or len(every) <= 1:
        return every
    import pyarrow.compute as pc  # noqa: PLC0415 - only for files with several row groups
    import pyarrow.dataset as ds  # noqa: PLC0415 - as above

    fragment = ds.ParquetFileFormat().make_fragment(pa.PythonFile(source, mode="r"))
    kind = fragment.physical_schema.field(CODE).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)):
        return every  # Arrow has no filter for other types
    wanted = pc.field(CODE).cast(pa.string()).isin(pa.array(codes, pa.string()))
    return [group.id for group in fragment.subset(wanted).row_groups]


def _chunks(metadata: pq.FileMetaData, group: int, columns: list[str]) -> list[pq.ColumnChunkMetaData]:
    """Return the column chunks of a row group that are to be read."""
    paths = [metadata.schema.column(index).path for index in range(metadata.num_columns)]
    return [metadata.row_group(group).column(paths.index(name)) for name in columns]


def _working_bytes(metadata: pq.FileMetaData, group: int, columns: list[str]) -> int:
    """Return the memory that decoding a row group takes: its stored bytes, twice, and its pages."""
    return sum(
        COPIES * chunk.total_compressed_size + chunk.total_uncompressed_size
        for chunk in _chunks(metadata, group, columns)
    )


def _ranges(metadata: pq.FileMetaData, group: int, columns: list[str], size: int) -> Ranges:
    """Return the byte ranges of the column chunks of a row group, merged where they are close.

    Raises:
        ValueError: a column chunk lies outside the file.
    """
    ranges = []
    for chunk in _chunks(metadata, group, columns):
        start = min(chunk.dictionary_page_offset or chunk.data_page_offset, chunk.data_page_offset)
        end = start + chunk.total_compressed_size
        if not 0 <= start <= end <= size:
            raise ValueError(f"column {chunk.path_in_schema!r} lies outside the file")
        ranges.append((start, min(size, end + _OLD_WRITERS_BYTES)))
    return _merged(ranges)


def _merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return the ranges in ascending order, those that are close to each other as one."""
    merged: Ranges = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1] + GAP_BYTES:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def _steps(ranges: dict[int, Ranges]) -> Iterator[list[int]]:
    """Return row groups in steps of at most `STEP_BYTES` stored bytes, at least one row group in each."""
    step: list[int] = []
    for group, each in ranges.items():
        if step and sum(_bytes(ranges[one]) for one in step) + _bytes(each) > STEP_BYTES:
            yield step
            step = []
        step.append(group)
    if step:
        yield step


def _bytes(ranges: Ranges) -> int:
    return sum(end - start for start, end in ranges)


def _limit_memory(more: int) -> None:
    """Let the process allocate so many bytes more than it has now."""
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - one line of a virtual file
        now = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData:"))
    resource.setrlimit(resource.RLIMIT_DATA, (now + more, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def main() -> None:
    """Read part files until standard input ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # what a library prints must not become part of an answer
    requests = Connection(os.dup(0), writable=False)
    conversation = Conversation(requests, answers)
    conversation.say(ready=True)
    while True:
        try:
            wanted = json.loads(requests.recv_bytes())
            tail = memoryview(requests.recv_bytes())
        except EOFError:
            return
        try:
            conversation.answer(wanted, tail)
            conversation.say(done=True)
        except InputReadError as error:
            conversation.say(error=error.problem)


if __name__ == "__main__":
    main()

"""The child process that decodes unusual part files: `python -m metrics_worker.dataset.decoder_process`.

The process decodes one part file at a time, with the protocol that the docstring of `decoder` describes,
until its standard input ends. The operating system limits the memory that the process can allocate
(RLIMIT_DATA), so decoding a file that needs more memory fails. If a file crashes the process, the worker is
not affected. The process has one thread, makes no requests to S3 and writes no files.
"""

import json
import os
import resource
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from metrics_worker.dataset.part_file import (
    CODE,
    VALUE,
    columns_of,
    decimals_as_float64,
    filter_codes,
    open_part_file,
    read_errors,
    with_text_codes,
)
from metrics_worker.dataset.partial_file import PartialFile, Ranges, merge
from metrics_worker.errors import InputReadError

ALLOWANCE_BYTES = 192 * 1024 * 1024
"""The memory in bytes for pages, dictionaries and a batch of rows, in addition to `_working_bytes`.
"""
COPIES = 2
"""The number of copies of a row group's stored bytes in memory: the received bytes, and pyarrow's buffers."""
STEP_BYTES = 32 * 1024 * 1024
"""The maximum number of stored bytes of one decoding step; a larger row group is a step of its own."""
BATCH_ROWS = 65_536
MAX_FOOTER_BYTES = 64 * 1024 * 1024
FIRST_READ_BYTES = 64 * 1024
"""The number of bytes at the end of a file that pyarrow reads first."""
_OLD_WRITERS_BYTES = 100
"""The number of bytes that pyarrow reads beyond a column chunk: old writers understate the chunk's size."""

type _Chunks = list[pq.ColumnChunkMetaData]


class Conversation:
    """The child's side of the protocol: it reads requests from one pipe and writes answers to the other."""

    def __init__(self, *, requests: Connection, answers: Connection) -> None:
        self._requests = requests
        self._answers = answers

    def send(self, **answer: Any) -> None:
        """Send the keyword arguments to the worker as a JSON object."""
        self._answers.send_bytes(json.dumps(answer).encode())

    def fetch(self, ranges: Ranges) -> list[tuple[int, memoryview]]:
        """Request byte ranges of the file from the worker; return each as (offset of first byte, bytes)."""
        if not ranges:
            return []
        self.send(ranges=ranges)
        return [(start, memoryview(self._requests.recv_bytes())) for start, _ in ranges]

    def claim(self, *, rows: int, size: int) -> None:
        """Ask the worker to reserve memory, and wait for the answer.

        If the worker cannot reserve the memory, it ends this process.

        Args:
            rows: the number of rows to decode.
            size: the bytes of memory that decoding takes in addition to the memory of the rows.
        """
        self.send(rows=rows, bytes=size)
        self._requests.recv_bytes()

    def send_table(self, table: pa.Table) -> None:
        """Send a table to the worker as an Arrow stream. All tables of a file have the same schema."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        self.send(table=True)
        self._answers.send_bytes(memoryview(sink.getvalue()))

    def decode(self, wanted: dict[str, Any], tail: memoryview) -> None:
        """Decode one part file and send its rows.

        Args:
            wanted: the worker's request: `key`, `size` in bytes, `codes` of the series (None for all rows),
                and `with_codes`, whether to return the code column.
            tail: the last bytes of the file.

        Raises:
            InputReadError: the file is damaged, or a column is missing or has an unusable type.
        """
        _limit_memory(ALLOWANCE_BYTES)
        key = wanted["key"]
        with read_errors(key, problem="its footer is missing or damaged"):
            source, ends = self._with_footer(wanted["size"], tail)
            parquet = open_part_file(pa.PythonFile(source, mode="r"))
            schema = parquet.schema_arrow
        columns = columns_of(key, schema)
        codes = wanted["codes"] if CODE in columns else None
        with read_errors(key, problem="its footer is damaged"):
            groups = _row_groups(parquet, source, codes)
            chunks = _column_chunks(parquet.metadata, groups, columns)
            ranges = {group: _ranges(chunks[group], wanted["size"]) for group in groups}
            working = max((_working_bytes(each) for each in chunks.values()), default=0)
        rows = sum(parquet.metadata.row_group(group).num_rows for group in groups)
        self.claim(rows=rows, size=working)
        _limit_memory(ALLOWANCE_BYTES + COPIES * STEP_BYTES + working)
        convert = _Conversion(schema, columns, codes, with_codes=wanted["with_codes"])
        self.send_table(convert.empty)
        for step in _steps(ranges):
            missing = merge([each for group in step for each in ranges[group]])
            source.keep([ends, *self.fetch([each for each in missing if each[0] < ends[0]])])
            with read_errors(key, problem="a page is damaged"):
                for batch in parquet.iter_batches(
                    BATCH_ROWS, row_groups=step, columns=columns, use_threads=False
                ):
                    self.send_table(convert(batch))

    def _with_footer(self, size: int, tail: memoryview) -> tuple[PartialFile, tuple[int, memoryview]]:
        """Return (file object, end of the file). The file object contains at least the footer.

        The end of the file is a part as in `PartialFile.keep`: (offset of the first byte, bytes). It begins
        at the footer or before it. If `tail` does not contain the whole footer, the missing bytes are
        requested from the worker.

        Args:
            size: the size of the file in bytes.
            tail: the last bytes of the file.

        Raises:
            ValueError: the footer has more than `MAX_FOOTER_BYTES`.
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
    """A callable that converts a decoded record batch to the table that is sent to the worker.

    The table contains only rows of the series in `codes`, and the code column only if `with_codes` is true.
    Codes are strings, and decimal values are float64. `empty` is such a table without rows.
    """

    def __init__(
        self, schema: pa.Schema, columns: list[str], codes: list[str] | None, *, with_codes: bool
    ) -> None:
        self._codes = codes
        self._with_codes = with_codes
        self.empty = self._of(pa.schema([schema.field(name) for name in columns]).empty_table())

    def __call__(self, batch: pa.RecordBatch) -> pa.Table:
        return self._of(pa.Table.from_batches([batch])).cast(self.empty.schema)

    def _of(self, table: pa.Table) -> pa.Table:
        table = with_text_codes(table)
        if self._codes is not None:
            table = filter_codes(table, self._codes)
        if not self._with_codes and CODE in table.column_names:
            table = table.drop_columns([CODE])
        at = table.schema.get_field_index(VALUE)
        if pa.types.is_decimal(table[VALUE].type):
            table = table.set_column(at, VALUE, decimals_as_float64(table[VALUE]))
        return table


def _row_groups(parquet: pq.ParquetFile, source: PartialFile, codes: list[str] | None) -> list[int]:
    """Return the indices of the row groups that, by their statistics, can contain a requested series.

    Args:
        parquet: the part file.
        source: the file object from which `parquet` reads.
        codes: the codes of the requested series; None for all row groups.
    """
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


def _column_chunks(metadata: pq.FileMetaData, groups: list[int], columns: list[str]) -> dict[int, _Chunks]:
    """Return, by index of the row group, the metadata of the column chunks of the named columns."""
    paths = [metadata.schema.column(index).path for index in range(metadata.num_columns)]
    indices = [paths.index(name) for name in columns]
    return {group: [metadata.row_group(group).column(index) for index in indices] for group in groups}


def _working_bytes(chunks: _Chunks) -> int:
    """Return the number of bytes that decoding one row group needs in memory.

    The number is `COPIES` times the stored (compressed) bytes of the row group's columns, plus their
    uncompressed bytes.
    """
    return sum(COPIES * chunk.total_compressed_size + chunk.total_uncompressed_size for chunk in chunks)


def _ranges(chunks: _Chunks, size: int) -> Ranges:
    """Return the byte ranges of the column chunks of one row group; ranges with small gaps are merged.

    Args:
        chunks: the metadata of the column chunks.
        size: the size of the file in bytes.

    Raises:
        ValueError: a column chunk lies outside the file.
    """
    ranges = []
    for chunk in chunks:
        start = min(chunk.dictionary_page_offset or chunk.data_page_offset, chunk.data_page_offset)
        end = start + chunk.total_compressed_size
        if not 0 <= start <= end <= size:
            raise ValueError(f"column {chunk.path_in_schema!r} lies outside the file")
        ranges.append((start, min(size, end + _OLD_WRITERS_BYTES)))
    return merge(ranges)


def _steps(ranges: dict[int, Ranges]) -> Iterator[list[int]]:
    """Divide the row groups into decoding steps, and yield the indices of the row groups of each step.

    The row groups of a step have at most `STEP_BYTES` stored bytes together; a larger row group is a step of
    its own.

    Args:
        ranges: the byte ranges of each row group, by its index.
    """
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
    """Limit the memory that this process can allocate to its present size plus the given number of bytes."""
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - one line of a virtual file
        now = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData:"))
    resource.setrlimit(resource.RLIMIT_DATA, (now + more, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def main() -> None:
    """Decode the part files that the worker requests until standard input ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # the printed output of a library must not become a part of an answer
    requests = Connection(os.dup(0), writable=False)
    conversation = Conversation(requests=requests, answers=answers)
    conversation.send(ready=True)
    while True:
        try:
            wanted = json.loads(requests.recv_bytes())
            tail = memoryview(requests.recv_bytes())
        except EOFError:
            return
        try:
            conversation.decode(wanted, tail)
            conversation.send(done=True)
        except InputReadError as error:
            conversation.send(error=error.problem)


if __name__ == "__main__":
    main()

"""One Parquet part file, to a table of the columns that count; and such tables, to a series.

Small files come whole and are decoded from memory; of a larger one only the columns and row groups are
read that its statistics don't rule out. A file that is not what it should be is an InputReadError with its
key. Times of any unit and zone become microseconds in UTC, floored; values of any number become float64.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from metrics_worker.errors import InputReadError
from metrics_worker.promise import (
    SLACK_BYTES,
    USUAL_FOOTER,
    check_pages,
    footer_bytes,
    footer_size,
    may_exceed,
    read_chunks,
    rows_at_once,
)
from metrics_worker.range_file import RangeFile
from metrics_worker.series import Cleaned, Times, Values, clean

if TYPE_CHECKING:
    from metrics_worker.store import Bucket, StoredObject

TIME, VALUE, CODE = "obs_time", "value", "internal_series_code"

ROW_BYTES = 100
"""What decoding takes for each row, at its peak: measured on 10 million rows with their series code."""

type Admit = Callable[[str, int, int], None]
"""Told a key, the rows and the bytes that its footer promises; raises where they are too many."""

_READING: dict[str, Any] = {
    "coerce_int96_timestamp_unit": "us",  # of Spark and Hive: as nanoseconds they wrap from 2262 on
    "page_checksum_verification": True,  # where the writer put checksums
}
_TICKS_PER_MICROSECOND = {"ns": 1000}
_MICROSECONDS_PER_TICK = {"us": 1, "ms": 1000, "s": 1_000_000}


def read_part_file(
    file: "StoredObject", bucket: "Bucket", codes: Iterable[str] | None, admit: Admit = lambda *_: None
) -> pa.Table:
    """The columns `obs_time`, `value` and, where the file has it, `internal_series_code`.

    Args:
        file: the file, or the last bytes of it.
        bucket: where the rest of a file is that came not whole.
        codes: only rows of these series; None keeps all. A file without that column is kept whole.
        admit: asked before anything is decoded; what it raises ends the reading.

    Raises:
        InputReadError: not a Parquet file, or a column is missing or of the wrong type.
        StoreUnavailable, StoreRefusal: reading the rest of a large file failed.
    """
    with _readable(file.key):
        _admit_footer(file, bucket, admit)
        if len(file.body) < file.size:
            return _scan(file, bucket, codes, admit)
        parquet = pq.ParquetFile(pa.BufferReader(pa.py_buffer(file.body)), pre_buffer=False, **_READING)
        columns, is_plain = _columns(file.key, parquet.schema_arrow)
        footer = parquet.metadata
        rows, promised = _promise(map(footer.row_group, range(footer.num_row_groups)))
        if may_exceed(footer, rows, file.size):
            chunks = [chunk for group in read_chunks(footer, columns) for chunk in group]
            if rows_at_once(chunks) is not None:
                return _scan(file, bucket, codes, admit)
            promised = max(promised, sum(chunk.promised for chunk in chunks)) + sum(
                check_pages(chunk, file.body[chunk.start : chunk.end]) for chunk in chunks
            )
        admit(file.key, rows, promised)
        table = parquet.read(columns, use_threads=False)
        if not is_plain:
            table = _plain(table)
        if codes is None or CODE not in columns:
            return table
        return _only(table, codes)


def to_series(tables: Iterable[tuple[str, pa.Table]], code: str) -> Cleaned:
    """The series in tables that `read_part_file` returned.

    Args:
        tables: (key, table) in the order of the manifest.
        code: the series: where a table has the column, only its rows.

    Raises:
        InputReadError: a time or value can't be represented.
    """
    times: list[Times] = [np.empty(0, np.int64)]
    values: list[Values] = [np.empty(0)]
    null = 0
    for _, alike in groupby(tables, key=lambda keyed: keyed[1].schema):
        keyed = list(alike)
        try:
            found = _rows(pa.concat_tables([table for _, table in keyed]), code)
        except pa.ArrowException:
            for key, table in keyed:  # which of them was it?
                with _readable(key):
                    _rows(table, code)
            raise
        times.append(found[0])
        values.append(found[1])
        null += found[2]
    return clean(np.concatenate(times), np.concatenate(values), null=null)


def _only(table: pa.Table, codes: Iterable[str]) -> pa.Table:
    """The rows of these series."""
    import pyarrow.compute as pc  # noqa: PLC0415 - 25 ms, which a cold start spends beside its first requests

    return table.filter(pc.is_in(table[CODE], pa.array(sorted(codes), pa.string())))


def _rows(table: pa.Table, code: str) -> tuple[Times, Values, int]:
    """The rows of a series that have a time and a value, and how many have not."""
    if CODE in table.column_names:
        table = _only(table, [code])
    complete = table.select([TIME, VALUE]).drop_null()
    return _microseconds(complete[TIME]), _float64(complete[VALUE]), table.num_rows - complete.num_rows


def _scan(file: "StoredObject", bucket: "Bucket", codes: Iterable[str] | None, admit: Admit) -> pa.Table:
    """A large file, by a dataset scan: column chunks, without row groups that can't hold the series."""
    import pyarrow.compute as pc  # noqa: PLC0415 - see `_only`
    import pyarrow.dataset as ds  # noqa: PLC0415 - a usual run reads small files and need not load it

    source = RangeFile(bucket, file)
    layout = ds.ParquetFileFormat(
        read_options=ds.ParquetReadOptions(
            coerce_int96_timestamp_unit=_READING["coerce_int96_timestamp_unit"]
        ),
        default_fragment_scan_options=ds.ParquetFragmentScanOptions(
            page_checksum_verification=_READING["page_checksum_verification"]
        ),
    )
    fragment = layout.make_fragment(pa.PythonFile(source, mode="r"))
    columns, _ = _columns(file.key, fragment.physical_schema)
    chunks = read_chunks(fragment.metadata, columns)  # before the filter looks up statistics, which may abort
    wanted = None
    views = CODE in columns and pa.types.is_string_view(fragment.physical_schema.field(CODE).type)
    if codes is not None and CODE in columns and not views:  # of views Arrow has no filter
        wanted = pc.field(CODE).cast(pa.string()).isin(pa.array(sorted(codes), pa.string()))
        fragment = fragment.subset(wanted)
    groups = fragment.row_groups
    kept = [chunk for group in groups for chunk in chunks[group.id]]
    rows, promised = _promise(groups)
    admit(file.key, rows, max(promised, sum(chunk.promised for chunk in kept)))

    def check(start: int, data: memoryview) -> None:
        for chunk in kept:
            if start <= chunk.start and chunk.end <= start + len(data):
                admit(file.key, 0, check_pages(chunk, data[chunk.start - start : chunk.end - start]))

    source.on_read = check
    if (few := rows_at_once(kept)) is not None:
        admit(file.key, 0, few[1])
        parquet = pq.ParquetFile(pa.PythonFile(source, mode="r"), **_READING)
        batches = parquet.iter_batches(
            few[0], row_groups=[group.id for group in groups], columns=columns, use_threads=False
        )
        return _sliced(batches, codes, lambda size: admit(file.key, 0, size))
    table = _plain(fragment.to_table(columns=columns, filter=wanted, use_threads=False))
    return _only(table, codes) if views and codes is not None else table


def _sliced(
    batches: Iterable[pa.RecordBatch], codes: Iterable[str] | None, keep: Callable[[int], None]
) -> pa.Table:
    """A few rows at a time, where a dataset scan would decode a whole row group before it filters."""
    tables = []
    for batch in batches:
        table = _plain(pa.Table.from_batches([batch]))
        tables.append(table if codes is None or CODE not in table.column_names else _only(table, codes))
        keep(tables[-1].nbytes)
    return pa.concat_tables(tables)


def _admit_footer(file: "StoredObject", bucket: "Bucket", admit: Admit) -> None:
    """Ask whether the footer may be parsed, where that could take much."""
    size = footer_size(file.body, file.size)
    if size <= USUAL_FOOTER:
        return
    if size + 8 > len(file.body):
        admit(file.key, 0, 2 * size)
        footer = bucket.get_range(file, file.size - size - 8, file.size - 8)
    else:
        footer = file.body[len(file.body) - size - 8 : len(file.body) - 8]
    if (parsing := footer_bytes(footer)) > SLACK_BYTES:
        admit(file.key, 0, parsing)


def _columns(key: str, schema: pa.Schema) -> tuple[list[str], bool]:
    """Which columns to read, in the file's order, once they are known to be there and of a usable type.

    And whether they can stay as they are: the series code, where it is there, as plain strings.
    """
    for known, columns, is_plain in _KNOWN:
        if known.equals(schema):
            return columns, is_plain
    for name in _USABLE:
        if schema.names.count(name) > 1:
            raise InputReadError(key, f"column {name!r} stands there twice")
    for name in (TIME, VALUE):
        if schema.get_field_index(name) < 0:
            raise InputReadError(key, f"no column {name!r}; the file has {', '.join(schema.names)[:200]}")
    columns = [name for name in schema.names if name in _USABLE]
    for name in columns:
        kind = schema.field(name).type
        if not _USABLE[name](kind):
            raise InputReadError(key, f"column {name!r} is of type {kind}")
    is_plain = CODE not in columns or pa.types.is_string(schema.field(CODE).type)
    _KNOWN[:] = [(schema, columns, is_plain)]
    return columns, is_plain


def _promise(groups: Iterable[Any]) -> tuple[int, int]:
    """The rows and bytes that these row groups promise: it costs nothing to promise much.

    Their own size is that of all columns. A column's would be nearer, but to ask a damaged footer for one
    aborts the process.
    """
    promised = [(group.num_rows, group.total_byte_size) for group in groups]
    rows = sum(rows for rows, _ in promised)
    return rows, max(ROW_BYTES * rows, sum(size for _, size in promised))


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _is_number(kind: pa.DataType) -> bool:
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return bool(is_number or pa.types.is_null(kind))  # a column of nothing but nulls may have lost its type


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return bool(text)


def _plain(table: pa.Table) -> pa.Table:
    """With the series code as plain strings: tables of one layout then have one schema."""
    if CODE in table.column_names:
        at = table.schema.get_field_index(CODE)
        table = table.set_column(at, CODE, table[CODE].cast(pa.string()))
    return table


_USABLE = {TIME: _is_time, VALUE: _is_number, CODE: _is_text}
_KNOWN: list[tuple[pa.Schema, list[str], bool]] = []
"""The schema of the file before, most often that of the next too, and what is known of it: saves 20 µs."""


def _microseconds(column: pa.ChunkedArray) -> Times:
    """Times without nulls, to microseconds in UTC; a zone only says how they are shown."""
    kind = column.type
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("ms"))
        kind = column.type
    ticks: Times = column.cast(pa.int64()).to_numpy()
    if divisor := _TICKS_PER_MICROSECOND.get(kind.unit):
        return ticks // divisor
    factor = _MICROSECONDS_PER_TICK[kind.unit]
    limit = np.iinfo(np.int64).max // factor
    if ticks.size and (ticks.max() > limit or ticks.min() < -limit):
        raise pa.ArrowInvalid("a time is out of the range of microseconds")
    return ticks * factor


def _float64(column: pa.ChunkedArray) -> Values:
    """Values without nulls; whole numbers beyond 2**53 and decimals are rounded to the nearest float64."""
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.string())  # Arrow's own way to float64 is off by a last place or two
    if not pa.types.is_float64(column.type):
        column = column.cast(pa.float64(), safe=False)
    values: Values = column.to_numpy()
    return values


@contextmanager
def _readable(key: str) -> Iterator[None]:
    """Say which file it was that Arrow could not read."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:  # damaged bytes come as any of them
        reason: Any = str(error).partition("\n")[0][:300] or type(error).__name__
        raise InputReadError(key, f"not readable as Parquet: {reason}") from error

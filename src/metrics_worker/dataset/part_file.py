"""A Parquet part file as a table of its three columns.

A usual part file is small and is decoded in this process. Every other part file is decoded in a child process
(`decoder`), where a damaged or very large file cannot end the worker. Both processes use the functions of
this module, so they accept and refuse the same files. `rows` converts the tables to the rows of a series.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from metrics_worker.errors import InputReadError, cause

if TYPE_CHECKING:
    from metrics_worker.s3.bucket import StoredObject

TIME, VALUE, CODE = "obs_time", "value", "internal_series_code"

USUAL_ROWS = 100_000
"""The maximum number of rows of a usual part file. Decoding so many rows needs about 10 MB."""
USUAL_BYTES = 16 * 1024 * 1024
"""The maximum decompressed size of a usual part file whose codec can expand without bound."""
USUAL_FOOTER_BYTES = 262_144
"""The maximum footer size of a usual part file. The footer of 20 row groups with 100 columns is smaller."""
BOUNDED_CODECS = (b"\x00", b"\x02", b"\x0a", b"\x0e")
"""Codecs that expand a page by a factor of 256 at most: none, snappy, LZ4 and LZ4_RAW.

Each is the byte that a footer contains: the number of the `CompressionCodec` in parquet.thrift, in the zigzag
encoding of Thrift's compact protocol.
"""
_PATHS = {
    TIME: b"\x18\x08obs_time\x15",
    VALUE: b"\x18\x05value\x15",
    CODE: b"\x18\x14internal_series_code\x15",
}
"""The bytes before each column's codec in a footer: the field `path_in_schema` with the column's name."""
_CODECS = re.compile(b"(?:%b)(?=(.?))" % b"|".join(map(re.escape, _PATHS.values())), re.DOTALL)
"""A pattern that finds the codec of each column chunk in a footer, in one pass: a byte, or b"" at the end."""

READING: dict[str, Any] = {
    # Otherwise ParquetFile and a dataset fragment show a column of JSON text as different types.
    "arrow_extensions_enabled": False,
    # Spark and Hive write INT96 times. As nanoseconds, times from the year 2262 on would overflow.
    "coerce_int96_timestamp_unit": "us",
    "thrift_string_size_limit": 8_000_000,
    "thrift_container_size_limit": 1_000_000,
}
"""Options for opening a part file. The limits bound the memory that pyarrow needs for a damaged footer."""
WRITERS_WITHOUT_CHECKSUMS = ("Parquet.jl",)
"""Writers that put a checksum of 0 into every page header. Their pages are read without verification."""

_DECIMALS_AT_ONCE = 65_536
"""The number of decimals that are converted at once. Each decimal needs about 100 bytes as text."""

type Admit = Callable[[str, int, int], None]
"""A function of a key and the numbers of rows and bytes to decode. It raises an error to refuse the file."""


def open_part_file(source: Any, **options: Any) -> pq.ParquetFile:
    """Open a part file, and let pyarrow verify the checksums of its pages.

    Nothing is verified if the writer that the footer names is one of `WRITERS_WITHOUT_CHECKSUMS`.

    Args:
        source: a pyarrow file.
        options: more options of `pyarrow.parquet.ParquetFile`.

    Raises:
        OSError, pyarrow.ArrowException: the footer cannot be read.
    """
    parquet = pq.ParquetFile(source, pre_buffer=False, page_checksum_verification=True, **READING, **options)
    if (parquet.metadata.created_by or "").startswith(WRITERS_WITHOUT_CHECKSUMS):
        source.seek(0)
        parquet = pq.ParquetFile(source, pre_buffer=False, **READING, **options)
    return parquet


def read_usual(file: "StoredObject", codes: Iterable[str] | None, admit: Admit) -> pa.Table | None:
    """Read a usual part file: the columns `obs_time`, `value` and, if present, `internal_series_code`.

    Args:
        file: the object, or its last bytes.
        codes: the codes of the series whose rows are returned. If `codes` is None, or the file has no code
            column, all rows are returned.
        admit: called before anything is decoded. An exception that it raises ends the read.

    Returns:
        The table, or None if the file is unusual or cannot be decoded. `Decoder.read` then reads it, or
        raises an error that describes the damage.

    Raises:
        InputReadError: the file is not Parquet, or a column is missing or of the wrong type.
    """
    if len(file.body) < file.size:
        return None
    footer = _footer(file.body)
    if len(footer) > USUAL_FOOTER_BYTES:
        return None
    # With dictionary encoding, a series code takes four bytes for each row, whatever its length.
    dictionaries = [CODE] if _PATHS[CODE] in footer else None
    with read_errors(file.key, problem="its footer is missing or damaged"):
        parquet = open_part_file(pa.BufferReader(pa.py_buffer(file.body)), read_dictionary=dictionaries)
        rows = parquet.metadata.num_rows
        if rows > USUAL_ROWS or (_has_unbounded_codec(footer) and not _states_few_bytes(parquet.metadata)):
            return None
        previous = next(iter(_previous), None)  # read once: another thread may replace it at any time
        if previous is not None and not previous.stored.equals(parquet.metadata.schema):
            previous = None
        columns = previous.columns if previous else columns_of(file.key, parquet.schema_arrow)
    admit(file.key, rows, 0)
    try:
        table = parquet.read(columns, use_threads=False)
    except (pa.ArrowException, OSError):  # a damaged page, or an encoding that has no dictionary
        return None
    if previous is None or not previous.shown.equals(table.schema):
        columns_of(file.key, table.schema)  # files with the same columns can state different Arrow types
        _previous[:] = [_Schemas(parquet.metadata.schema, table.schema, columns)]
    with read_errors(file.key, problem="a series code is not text"):
        return table if codes is None or CODE not in columns else filter_codes(with_text_codes(table), codes)


def _footer(body: memoryview) -> bytes:
    """Return the footer of a Parquet file from its last bytes; b"" if they do not contain all of it."""
    size = int.from_bytes(body[-8:-4], "little")
    return bytes(body[-8 - size : -8]) if size + 8 <= len(body) else b""


def _has_unbounded_codec(footer: bytes) -> bool:
    """Return whether the column of the time, the value or the series code has an unbounded codec.

    Every compression codec outside `BOUNDED_CODECS` counts as unbounded.

    With such a codec, a few compressed bytes can expand to a page of any size.

    Args:
        footer: the bytes of the file's footer.
    """
    return not set(_CODECS.findall(footer)).issubset(BOUNDED_CODECS)


def _states_few_bytes(metadata: pq.FileMetaData) -> bool:
    """Return whether the footer states that all row groups have `USUAL_BYTES` or less when decompressed.

    Other numbers of the footer are read only in the child process, because reading them from a damaged footer
    can crash the process.
    """
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    stated = all(group.total_byte_size > 0 or group.num_rows == 0 for group in groups)
    return stated and sum(group.total_byte_size for group in groups) <= USUAL_BYTES


def columns_of(key: str, schema: pa.Schema) -> list[str]:
    """Return those names of the three columns of part files that a schema has, in the order of the schema.

    Args:
        key: the key of the part file, which is the subject of an error.
        schema: the Arrow schema of the part file.

    Raises:
        InputReadError: a required column is missing, a column is present twice, or its type is not usable.
    """
    for name in _USABLE:
        if schema.names.count(name) > 1:
            raise InputReadError(key, f"column {name!r} is present twice")
    for name in (TIME, VALUE):
        if schema.get_field_index(name) < 0:
            raise InputReadError(key, f"no column {name!r}; the file has {', '.join(schema.names)[:200]}")
    columns = [name for name in schema.names if name in _USABLE]
    for name in columns:
        kind = schema.field(name).type
        if not _USABLE[name](kind):
            raise InputReadError(key, f"column {name!r} is of type {kind}")
    return columns


def with_text_codes(table: pa.Table) -> pa.Table:
    """Return the table with its series codes as strings.

    Raises:
        pyarrow.ArrowInvalid: a code is not UTF-8 text.
    """
    if CODE in table.column_names and not pa.types.is_string(table.schema.field(CODE).type):
        column = table[CODE]
        if pa.types.is_dictionary(column.type) and not _is_string(column.type.value_type):
            column = column.cast(column.type.value_type)  # no direct cast of such dictionaries to text exists
        table = table.set_column(table.schema.get_field_index(CODE), CODE, column.cast(pa.string()))
    return table


def filter_codes(table: pa.Table, codes: Iterable[str]) -> pa.Table:
    """Return the rows of a table whose series code is one of `codes`. The table's codes must be strings."""
    import pyarrow.compute as pc  # noqa: PLC0415 - takes 25 ms, and is loaded during the first requests

    return table.filter(pc.is_in(table[CODE], pa.array(sorted(codes), pa.string())))


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_null(kind))


def _is_number(kind: pa.DataType) -> bool:
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return bool(is_number or pa.types.is_null(kind))  # a column that has only nulls may have lost its type


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_text(kind: pa.DataType) -> bool:
    """Return whether a column of this type can contain series codes.

    The types are strings, bytes (as which pyarrow shows ENUM and JSON columns), dictionaries of these, and
    null.
    """
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
    return _is_string(kind) or bool(is_bytes or pa.types.is_null(kind))


_USABLE = {TIME: _is_time, VALUE: _is_number, CODE: _is_text}


class _Schemas(NamedTuple):
    """The schemas of a usual part file, kept so that a next file with equal schemas need not be checked.

    Attributes:
        stored: the Parquet schema in the footer.
        shown: the Arrow schema of the decoded table.
        columns: the names of the columns that were read.
    """

    stored: pq.ParquetSchema
    shown: pa.Schema
    columns: list[str]


_previous: list[_Schemas] = []
"""The schemas of the previous usual file. The next file usually has the same, which saves 25 µs of 250 µs."""


def decimals_as_float64(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of decimals as the nearest float64 values. Nulls stay nulls.

    The conversion goes through text, because the result of Arrow's own conversion can differ from the nearest
    float64 by one or two units in the last place. `_DECIMALS_AT_ONCE` rows are converted at a time.
    """
    slices = [
        column.slice(start, _DECIMALS_AT_ONCE).cast(pa.string()).cast(pa.float64())
        for start in range(0, len(column), _DECIMALS_AT_ONCE)
    ]
    return pa.chunked_array([chunk for part in slices for chunk in part.chunks], pa.float64())


@contextmanager
def read_errors(key: str, *, problem: str) -> Iterator[None]:
    """Translate errors that pyarrow raises in the `with` block to an InputReadError.

    Args:
        key: the key of the part file, which is the subject of the error.
        problem: a description of the damage that an error in the block indicates.
    """
    try:
        yield
    except MemoryError as error:
        raise InputReadError(key, "decoding it needs more memory than a part file may take") from cause(error)
    except (pa.ArrowException, OSError, ValueError, KeyError, NotImplementedError) as error:
        reason: Any = str(error).partition("\n")[0][:300] or type(error).__name__
        raise InputReadError(key, f"not readable as Parquet: {problem}: {reason}") from cause(error)

"""A Parquet writer for tests, for files that other writers produce and that pyarrow cannot write.

A file has one row group with flat REQUIRED columns, each with one data page in PLAIN encoding. The numbers of
fields and enumerations are those of parquet.thrift. Structs are written in Thrift's compact protocol.
"""

import struct
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

INT64, DOUBLE, BYTE_ARRAY = 2, 5, 6
UTF8, ENUM, TIMESTAMP_MICROS, JSON = 0, 4, 10, 19
CODECS = {"none": 0, "snappy": 1, "gzip": 2, "zstd": 6}
_I32, _I64, _BINARY, _LIST, _STRUCT = 5, 6, 8, 9, 12


@dataclass(frozen=True)
class Column:
    """A column of a file that this module writes.

    Attributes:
        name: the name of the column.
        physical: the number of the physical type, such as `INT64`.
        converted: the number of the converted type, such as `UTF8`, or None.
        values: the value of each row; bytes for `BYTE_ARRAY`, otherwise numbers.
    """

    name: str
    physical: int
    converted: int | None
    values: list[Any]

    def plain(self) -> bytes:
        """Return the values of the column as the bytes of the PLAIN encoding of Parquet."""
        if self.physical == BYTE_ARRAY:
            return b"".join(struct.pack("<I", len(value)) + value for value in self.values)
        return struct.pack(f"<{len(self.values)}{'q' if self.physical == INT64 else 'd'}", *self.values)


def series_columns(count: int, code: bytes | None = None, converted: int | None = UTF8) -> list[Column]:
    """Return the columns of a series: daily times from 1970 on, and the values 0.5, 1.5, ….

    If `code` is given, another column has this series code in every row.
    """
    columns = [
        Column("obs_time", INT64, TIMESTAMP_MICROS, [day * 86_400_000_000 for day in range(count)]),
        Column("value", DOUBLE, None, [number + 0.5 for number in range(count)]),
    ]
    if code is not None:
        columns.append(Column("internal_series_code", BYTE_ARRAY, converted, [code] * count))
    return columns


def parquet_bytes(
    columns: list[Column],
    *,
    codec: str = "none",
    uncompressed_size: int | None = None,
    checksum: int | None = None,
    with_empty_group: bool = False,
    created_by: bytes = b"tests",
) -> bytes:
    """Return the bytes of a Parquet file.

    Args:
        columns: the columns, which have equal lengths.
        codec: a name in `CODECS`.
        uncompressed_size: the size in bytes that the footer states for each column; None to state the true
            one.
        checksum: the value of the field `crc` of every page header; None to omit the field.
        with_empty_group: whether the schema has, after the columns, a group without fields.
        created_by: the writer that the footer names.
    """
    count = len(columns[0].values)
    body, chunks = bytearray(b"PAR1"), []
    for column in columns:
        start, raw = len(body), column.plain()
        stored = raw if codec == "none" else pa.compress(raw, codec, asbytes=True)
        page = [(1, _I32, count), (2, _I32, 0), (3, _I32, 3), (4, _I32, 3)]
        header = [(1, _I32, 0), (2, _I32, len(raw)), (3, _I32, len(stored))]
        header += [] if checksum is None else [(4, _I32, checksum)]
        encoded = _struct([*header, (5, _STRUCT, page)])
        body += encoded + stored
        size = len(encoded) + len(raw) if uncompressed_size is None else uncompressed_size
        metadata = [
            (1, _I32, column.physical),
            (2, _LIST, (_I32, [0, 3])),
            (3, _LIST, (_BINARY, [column.name.encode()])),
            (4, _I32, CODECS[codec]),
            (5, _I64, count),
            (6, _I64, size),
            (7, _I64, len(body) - start),
            (9, _I64, start),
        ]
        chunks.append([(2, _I64, start), (3, _STRUCT, metadata)])
    schema: list[Any] = [[(4, _BINARY, b"schema"), (5, _I32, len(columns) + with_empty_group)]]
    for column in columns:
        element = [(1, _I32, column.physical), (3, _I32, 0), (4, _BINARY, column.name.encode())]
        schema.append(element + ([] if column.converted is None else [(6, _I32, column.converted)]))
    if with_empty_group:
        schema.append([(3, _I32, 1), (4, _BINARY, b"nothing"), (5, _I32, 0)])
    total = len(body) if uncompressed_size is None else uncompressed_size
    footer = _struct(
        [
            (1, _I32, 1),
            (2, _LIST, (_STRUCT, schema)),
            (3, _I64, count),
            (4, _LIST, (_STRUCT, [[(1, _LIST, (_STRUCT, chunks)), (2, _I64, total), (3, _I64, count)]])),
            (6, _BINARY, created_by),
        ]
    )
    return bytes(body) + footer + struct.pack("<I", len(footer)) + b"PAR1"


def _struct(fields: list[Any]) -> bytes:
    """Return the bytes of a Thrift struct in the compact protocol.

    Args:
        fields: the fields as (field number, type number of the compact protocol, value), in ascending order
            of the field numbers.
    """
    out, last = bytearray(), 0
    for number, kind, value in fields:
        out.append((number - last) << 4 | kind)
        out += _value(kind, value)
        last = number
    return bytes(out) + b"\x00"


def _value(kind: int, value: Any) -> bytes:
    if kind in {_I32, _I64}:
        return _varint(value << 1 if value >= 0 else (-value << 1) - 1)  # zigzag encoding
    if kind == _BINARY:
        return _varint(len(value)) + bytes(value)
    if kind == _STRUCT:
        return _struct(value)
    inner, items = value
    short = len(items) < 15
    head = bytes([(len(items) if short else 15) << 4 | inner]) + (b"" if short else _varint(len(items)))
    return head + b"".join(_value(inner, item) for item in items)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])

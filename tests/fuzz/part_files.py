"""Generators of undamaged part files: columns of any type, with any codec, encoding and page version.

A `Random` makes all choices, so that a seed always generates the same file. Values are often extreme and
tables are often unusual, but the files are valid.
"""

import io
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

TIME, VALUE, CODE = "obs_time", "value", "internal_series_code"
UNITS, ZONES = ("s", "ms", "us", "ns"), (None, "UTC", "+05:30", "America/Argentina/Buenos_Aires")
FLOATS = [0.0, -0.0, 1.0, float("nan"), float("inf"), float("-inf"), 1.7976931348623157e308, 5e-324, 1e-310]
CODECS = ["none", "snappy", "gzip", "brotli", "lz4", "zstd"]
DELTAS = ["DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"]
ENCODINGS = ["PLAIN", "BYTE_STREAM_SPLIT", "RLE", *DELTAS]
SERIES = ["A", "A", "A", "B", "A_B", "", "é", "A\0", "a" * 300]

type Column = Callable[[Random, int], pa.Array]


def written(rng: Random) -> bytes:
    """Return a random valid part file."""
    table = _table(rng)
    for _ in range(20):  # Some options are invalid for some column types.
        sink = io.BytesIO()
        try:
            pq.write_table(table, sink, **_options(rng, table))
        except (pa.ArrowException, OSError, TypeError, ValueError):
            continue
        return sink.getvalue()
    sink = io.BytesIO()
    pq.write_table(table.select([]), sink)
    return sink.getvalue()


def plain(rng: Random, count: int = 30) -> bytes:
    """Return a part file of `count` rows, with a random codec and its columns in a random order.

    Its columns are those of an ingestor's part file.
    """
    columns = {
        TIME: pa.array(np.arange(count) * 86_400 * 10**9, pa.timestamp("ns")),
        CODE: pa.array([rng.choice("AB") for _ in range(count)]),
        VALUE: pa.array(np.arange(count) / 7),
    }
    names = rng.sample(sorted(columns), 3)
    sink = io.BytesIO()
    pq.write_table(
        pa.table({name: columns[name] for name in names}),
        sink,
        compression=rng.choice(CODECS),
        use_dictionary=rng.random() < 0.5,
        data_page_version=rng.choice(["1.0", "2.0"]),
        row_group_size=rng.choice([7, 1000]),
        write_page_checksum=rng.random() < 0.2,
        write_page_index=rng.random() < 0.3,
    )
    return sink.getvalue()


def bomb(rng: Random) -> bytes:
    """Return a part file that is small, but needs much memory when it is decoded.

    It has one to 200,000 rows, whose texts are equal and up to 20 MB long.
    """
    count = rng.choice([1, 2, 1_000, 19_000, 21_000, 200_000])
    text = rng.choice(["A", "A" * 100, "A" * 20_000_000 if count < 3 else "A" * 2_000])
    count = min(count, 60_000_000 // len(text))
    columns = {
        TIME: pa.array(np.arange(count) * 10**6, pa.timestamp("us")),
        VALUE: pa.array(np.zeros(count)).cast(
            rng.choice([pa.float64(), pa.float32(), pa.decimal128(38, 30)])
        ),
        CODE: pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), [text]).cast(pa.string()),
    }
    if rng.random() < 0.3:
        columns["unit"] = pa.array(["u" * (30_000_000 // count)] * count)
    sink = io.BytesIO()
    codec, short = rng.choice(["zstd", "gzip", "brotli"]), rng.random() < 0.5
    prefixed = {CODE: "DELTA_BYTE_ARRAY"} if not short and rng.random() < 0.5 else None
    pq.write_table(pa.table(columns), sink, compression=codec, use_dictionary=short, column_encoding=prefixed)
    return sink.getvalue()


def _table(rng: Random) -> pa.Table:
    count = rng.choice([0, 0, 1, 2, 5, 30, 30, 30, 500])
    columns = [
        (TIME, _of(rng, TIMES, count)),
        (VALUE, _of(rng, VALUES, count)),
        (CODE, _of(rng, CODES, count)),
    ]
    if rng.random() < 0.2:
        columns.append((rng.choice(["unit", "", "a.b", TIME, VALUE, CODE, "Value", "é"]), _any(rng, count)))
    if rng.random() < 0.1:
        columns.pop(rng.randrange(len(columns)))
    if rng.random() < 0.1:
        at = rng.randrange(len(columns))
        columns[at] = columns[at][0], _any(rng, count)
    rng.shuffle(columns)
    many = rng.choice([3_000, 0, 0, 0]) if rng.random() < 0.05 else 0
    columns += [(f"more{n}", pa.nulls(count)) for n in range(many)]
    table = pa.Table.from_arrays([column for _, column in columns], names=[name for name, _ in columns])
    if rng.random() < 0.1:
        table = table.replace_schema_metadata({"pandas": rng.choice(["", "{", "x" * 500_000, "\0"])})
    return table


def _of(rng: Random, kinds: list[Column], count: int) -> pa.Array:
    if rng.random() < 0.05:
        return _any(rng, count)
    make = kinds[0] if rng.random() < 0.4 else rng.choice(kinds)
    return make(rng, count)


def _any(rng: Random, count: int) -> pa.Array:
    return rng.choice([*TIMES, *VALUES, *CODES, *OTHERS])(rng, count)


def _numbers(kind: pa.DataType) -> Column:
    """Return a function `(rng, count)` that generates a column of `count` random integers, some of them null.

    In one call, the integers are either all small, or any that the type allows.

    Args:
        kind: the Arrow type of the column.
    """
    bits = kind.bit_width

    def make(rng: Random, count: int) -> pa.Array:
        if rng.random() < 0.6:
            numbers = np.arange(count) % 100
        else:
            numbers = np.frombuffer(rng.randbytes(8 * count), np.int64)
        stored = numbers.astype(f"i{bits // 8}")
        nulls = np.frombuffer(rng.randbytes(count), np.uint8) < rng.choice([0, 0, 20, 255])
        return pa.array(stored, pa.from_numpy_dtype(stored.dtype), mask=nulls).view(kind)

    return make


def _floats(kind: pa.DataType) -> Column:
    def make(rng: Random, count: int) -> pa.Array:
        values = [rng.choice(FLOATS) if rng.random() < 0.2 else rng.uniform(-1e6, 1e6) for _ in range(count)]
        with np.errstate(over="ignore"):
            return pa.array(np.array(values, kind.to_pandas_dtype()), kind)

    return make


def _decimals(kind: pa.DataType) -> Column:
    width = kind.bit_width // 8

    def make(rng: Random, count: int) -> pa.Array:
        small = rng.random() < 0.5  # The large values may have more digits than the type allows.
        raw = b"".join(
            rng.randrange(10**3).to_bytes(width, "little") if small else rng.randbytes(width)
            for _ in range(count)
        )
        return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(raw)])

    return make


def _texts(kind: Any) -> Column:
    def make(rng: Random, count: int) -> pa.Array:
        chosen = ["A"] if rng.random() < 0.5 else [*SERIES, None]
        return pa.array([rng.choice(chosen) for _ in range(count)], pa.string()).cast(kind)

    return make


def _bad_texts(rng: Random, count: int) -> pa.Array:
    """Return a string column of `count` rows, some of which are not valid UTF-8."""
    raw = pa.array(
        [rng.choice([b"A", b"\xff\xfe", b"\xed\xa0\x80", b"\xc3"]) for _ in range(count)], pa.binary()
    )
    return pa.Array.from_buffers(pa.string(), count, raw.buffers())


def _short_texts(rng: Random, count: int) -> pa.Array:
    """Return a dictionary-encoded column of `count` strings, each of them "A".

    The dictionary may also contain a duplicate and a null.
    """
    return pa.DictionaryArray.from_arrays(
        pa.array([0] * count, pa.int8()), ["A", "A", None][: rng.randrange(1, 4)]
    )


def _nested(rng: Random, count: int) -> pa.Array:
    one = rng.choice([{"value": 1.0, "obs_time": 1}, [1.0], [[{"a": None}]], [], {"a": {"b": {"c": "A"}}}])
    return pa.array([rng.choice([one, None]) for _ in range(count)], pa.array([one]).type)


TIMES: list[Column] = [
    *(_numbers(pa.timestamp(unit, zone)) for unit in reversed(UNITS) for zone in ZONES),
    _numbers(pa.date32()),
    _numbers(pa.date64()),
]
VALUES: list[Column] = [
    _floats(pa.float64()),
    _floats(pa.float32()),
    _floats(pa.float16()),
    *map(_numbers, (pa.int8(), pa.int16(), pa.int32(), pa.int64())),
    *map(_numbers, (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())),
    *map(_decimals, (pa.decimal32(9, 2), pa.decimal64(18, 0), pa.decimal128(38, 10))),
    *map(_decimals, (pa.decimal128(5, -3), pa.decimal256(76, 40))),
    lambda _, count: pa.nulls(count),
]
CODES: list[Column] = [
    *map(_texts, (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary())),
    *(_texts(pa.dictionary(index, pa.string())) for index in (pa.int8(), pa.int32(), pa.uint32())),
    _short_texts,
    _bad_texts,
]
OTHERS: list[Column] = [
    _numbers(pa.time32("ms")),
    _numbers(pa.time64("ns")),
    _numbers(pa.duration("us")),
    lambda _, count: pa.array([True] * count, pa.bool_()),
    lambda _, count: pa.array([b"1234"] * count, pa.binary(4)),
    lambda _, count: pa.nulls(count),
    lambda _, count: pa.array(np.arange(count) % 9, pa.int32()).dictionary_encode(),
    lambda _, count: pa.array(np.arange(count) / 2).dictionary_encode(),
    lambda _, count: pa.array([{}] * count, pa.struct([])),
    _nested,
]


def _options(rng: Random, table: pa.Table) -> dict[str, Any]:
    options: dict[str, Any] = {
        "compression": rng.choice(CODECS),
        "version": rng.choice(["1.0", "2.4", "2.6"]),
        "data_page_version": rng.choice(["1.0", "2.0"]),
        "data_page_size": rng.choice([None, 1, 100]),
        "row_group_size": rng.choice([None, 1, 3, 64]) if len(table.column_names) < 100 else None,
        "use_dictionary": rng.random() < 0.5,
        "dictionary_pagesize_limit": rng.choice([None, 1]),
        "write_statistics": rng.random() < 0.8,
        "use_deprecated_int96_timestamps": rng.random() < 0.1,
        "store_schema": rng.random() < 0.7,
        "write_page_index": rng.random() < 0.3,
        "write_page_checksum": rng.random() < 0.3,
        "store_decimal_as_integer": rng.random() < 0.3,
    }
    if not options["use_dictionary"] and rng.random() < 0.5:
        names = rng.sample(table.column_names, rng.randrange(len(table.column_names) + 1))
        options["column_encoding"] = {name: rng.choice(ENCODINGS) for name in names}
    return {name: option for name, option in options.items() if option is not None}

"""Thrift structs, as the footers and page headers of Parquet files have them."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metrics_worker.thrift import BINARY, I32, I64, LIST, STRUCT, read_struct
from tests.fuzz import thrift


def footer() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"obs_time": [1, 2], "value": [0.5, None]}), sink)
    body = sink.getvalue()
    return body[-8 - int.from_bytes(body[-8:-4], "little") : -8]


def test_a_footer_is_read_as_another_reader_reads_it():
    encoded = footer()
    fields, end = read_struct(memoryview(encoded))
    other = {number: value for number, _, value in thrift.Reader(encoded).struct()}
    assert end == len(encoded)
    assert fields[1, I32] == other[1]
    assert fields[3, I64] == other[3] == 2
    assert fields[6, BINARY] == other[6]
    assert [element[4, BINARY] for element in fields[2, LIST]] == [b"schema", b"obs_time", b"value"]
    (group,) = fields[4, LIST]
    values = [column[3, STRUCT][5, I64] for column in group[1, LIST]]
    assert values == [2, 2]


def test_a_struct_that_is_cut_off_anywhere_is_none():
    encoded = footer()
    for size in range(len(encoded)):
        with pytest.raises(ValueError, match="Thrift"):
            read_struct(memoryview(encoded[:size]))


def test_a_field_of_another_type_is_not_the_field():
    both = thrift.encode([[2, thrift.I32, 800_000_000], [2, thrift.I64, 1]])
    fields, _ = read_struct(memoryview(both))
    assert fields == {(2, I32): 800_000_000, (2, I64): 1}


def test_numbers_wrap_as_those_of_other_readers_do():
    encoded = bytes([0x15, *[0xFF] * 9, 0x01, 0x00])  # field 1, an i32 of 64 bits
    fields, _ = read_struct(memoryview(encoded))
    assert fields[1, I32] == -(2**31)


@pytest.mark.parametrize(
    ("encoded", "problem"),
    [
        (bytes([0x1C] * 40), "nested too deep"),
        (bytes([0x19, 0xF5, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0]), "longer than its bytes"),
        (bytes([0x15, *[0x80] * 12, 0, 0]), "too many bytes"),
        (bytes([0x1B, 0, 0]), "type 11"),
    ],
)
def test_what_no_writer_writes_is_said_to_be_wrong(encoded, problem):
    with pytest.raises(ValueError, match=problem):
        read_struct(memoryview(encoded))

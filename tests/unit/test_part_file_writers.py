"""Part files that other libraries than pyarrow have written are read correctly.

They are decoded both in this process and in the child process that decodes unusual part files.
"""

import numpy as np
import pyarrow as pa
import pytest

from metrics_worker.dataset.part_file import USUAL_ROWS
from metrics_worker.dataset.rows import to_series
from metrics_worker.errors import InputReadError
from tests.builders import day, parquet, rows
from tests.decoding import BOTH_WAYS, KEY
from tests.parquet_bytes import BYTE_ARRAY, ENUM, JSON, UTF8, Column, parquet_bytes, series_columns

pytestmark = BOTH_WAYS


def values_of(read, body, code="A"):
    return to_series([(KEY, read(body))], code).series.values.tolist()


@pytest.mark.parametrize("count", [100, USUAL_ROWS + 1])
@pytest.mark.parametrize("annotation", [UTF8, ENUM, None])
def test_a_code_is_text_whatever_its_annotation(read, annotation, count):
    body = parquet_bytes(series_columns(count, b"A", annotation))
    assert len(values_of(read, body)) == count
    assert values_of(read, body, "B") == []


@pytest.mark.parametrize("count", [100, USUAL_ROWS + 1])
def test_a_code_annotated_as_json_is_the_text_of_that_json(read, count):
    body = parquet_bytes(series_columns(count, b'"A"', JSON))
    assert len(values_of(read, body, '"A"')) == count


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd"])
def test_an_uncompressed_size_of_zero_in_the_footer_is_accepted(read, codec):
    body = parquet_bytes(series_columns(20_000, b"A"), codec=codec, uncompressed_size=0)
    assert len(values_of(read, body)) == 20_000


@pytest.mark.parametrize("count", [5, 20_000, USUAL_ROWS + 1])
def test_a_group_without_fields_in_the_schema_is_ignored(read, count):
    assert len(values_of(read, parquet_bytes(series_columns(count), with_empty_group=True))) == count


def test_pages_of_a_writer_that_computes_no_checksums_are_read_without_verification(read):
    body = parquet_bytes(series_columns(100), checksum=0, created_by=b"Parquet.jl version 0.6.0")
    assert len(values_of(read, body)) == 100


def test_a_wrong_checksum_of_any_other_writer_is_an_error(read):
    with pytest.raises(InputReadError, match=f"{KEY}: not readable as Parquet: a page is damaged: "):
        read(parquet_bytes(series_columns(100), checksum=0, created_by=b"another writer 1.0"))


def test_a_large_column_that_is_not_read_takes_no_memory(read):
    bulky = Column("payload", BYTE_ARRAY, UTF8, [b"x" * 400_000] * 500)
    body = parquet_bytes([*series_columns(500, b"A"), bulky], codec="zstd")
    assert len(body) < 1_000_000
    assert len(values_of(read, body)) == 500


def test_a_file_without_rows_adds_nothing_whatever_its_types(read):
    untyped = pa.table({name: pa.nulls(0) for name in ("obs_time", "value", "internal_series_code")})
    no_codes = rows("A", [], []).set_column(1, "internal_series_code", pa.nulls(0))
    good = rows("A", [day(1), day(2)], [1.0, 2.0])
    tables = [(KEY, read(parquet(table))) for table in (untyped, good, no_codes)]
    found = to_series(tables, "A")
    assert found.series.values.tolist() == [1.0, 2.0]
    assert found.rows == 2


def test_a_code_column_that_has_only_nulls_names_no_series(read):
    table = rows("A", [day(1)], [1.0]).set_column(1, "internal_series_code", pa.nulls(1))
    assert values_of(read, parquet(table)) == []


def test_delta_encoded_codes_are_read(read):
    table = rows("A", [day(n) for n in range(1, 9)], range(8))
    options = {"use_dictionary": False, "column_encoding": {"internal_series_code": "DELTA_BYTE_ARRAY"}}
    assert values_of(read, parquet(table, **options)) == list(range(8))


def test_row_groups_of_other_series_are_skipped_without_losing_a_row(read):
    count = 3_000
    codes = np.array(["A", "B", "C"]).repeat(count // 3)
    days = np.arange(count).astype("datetime64[D]").astype("datetime64[us]")
    table = pa.table({"obs_time": days, "internal_series_code": codes, "value": np.arange(float(count))})
    for size in (7, 100, 1_000, 3_000):
        found = read(parquet(table, row_group_size=size), ["B"])
        assert found["value"].to_pylist() == list(range(1_000, 2_000))

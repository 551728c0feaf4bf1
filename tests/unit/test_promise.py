"""What a file takes is known before it is decoded: pages against the footer, the footer against itself."""

import io
from contextlib import contextmanager

import duckdb
import numpy as np
import obstore
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore.store import MemoryStore

from metrics_worker import part_file, promise, store
from metrics_worker.errors import InputReadError
from metrics_worker.part_file import CODE, TIME, VALUE, read_part_file
from metrics_worker.store import Bucket, StoredObject
from tests.builders import BUCKET, parquet
from tests.fuzz import damage, thrift
from tests.fuzz.damage import COLUMNS, NUM_ROWS, ROW_GROUPS, TOTAL_BYTE_SIZE, _field, _field_of

KEY = "datasets/fx/projections/A/data.parquet"
TYPE, CODEC, PROMISED = 1, 4, 6
COLUMN_NAMES = [TIME, VALUE, CODE]
POOLS: list[pa.MemoryPool] = []  # an allocation may outlive its test


def table(count=2_000, code="A", values=None):
    codes = pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), [code]).cast(pa.string())
    times = pa.array(np.arange(count) * 10**9, pa.timestamp("ns"))
    return pa.table({TIME: times, CODE: codes, VALUE: np.zeros(count) if values is None else values})


def read(body, codes=("A",), admit=lambda *_: None):
    file = StoredObject(KEY, memoryview(body), len(body), "")
    return read_part_file(file, Bucket(MemoryStore(), BUCKET), codes, admit)


def scan(body, monkeypatch, codes=("A",)):
    """As a file that one request does not bring."""
    monkeypatch.setattr(store, "WHOLE_BYTES", 500)
    bucket = Bucket(MemoryStore(), BUCKET)
    obstore.put(bucket.store, KEY, body, use_multipart=False)
    tails: list[StoredObject] = []
    bucket.get_many([KEY], tails.append)
    return read_part_file(tails[0], bucket, codes)


def forged(body, change):
    """The file with another footer: `change` gets each row group, and the metadata of its columns by name."""
    data, footer = damage._split(body)
    for group in _field(footer, ROW_GROUPS).items:
        chunks = [_field(column, 3) for column in _field(group, COLUMNS).items]
        change(group, {_field(chunk, 3).items[0].decode(): chunk for chunk in chunks})
    return damage._join(data, footer)


@contextmanager
def memory_of_arrow():
    """The pool that Arrow takes memory from in the context."""
    before = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(pa.system_memory_pool())
    POOLS.append(pool)
    pa.set_memory_pool(pool)
    try:
        yield pool
    finally:
        pa.set_memory_pool(before)


@pytest.mark.parametrize("codec", ["none", "snappy", "lz4"])
def test_nobody_looks_at_the_pages_of_a_small_file_in_a_codec_that_expands_little(codec):
    body = parquet(table(20), compression=codec)
    assert not promise.may_exceed(pq.read_metadata(io.BytesIO(body)), 20, len(body))


@pytest.mark.parametrize("codec", ["gzip", "brotli", "zstd"])
def test_the_pages_of_a_codec_that_makes_much_of_little_are_looked_at(codec):
    body = parquet(table(20), compression=codec)
    assert promise.may_exceed(pq.read_metadata(io.BytesIO(body)), 20, len(body))


def test_one_column_in_such_a_codec_is_enough():
    body = parquet(table(20), compression={VALUE: "zstd", TIME: "snappy", CODE: "snappy"})
    assert promise.may_exceed(pq.read_metadata(io.BytesIO(body)), 20, len(body))


def by_duckdb(found, codec, folder):
    path = folder / "data.parquet"
    with duckdb.connect() as connection:
        connection.register("found", found)
        connection.execute(
            f"COPY found TO '{path}' (FORMAT parquet, COMPRESSION {codec}, ROW_GROUP_SIZE 2048)"
        )
    return path.read_bytes()


def by_polars(found, codec, folder):
    path = folder / "data.parquet"
    pl.DataFrame(pl.from_arrow(found)).write_parquet(path, compression=codec, row_group_size=700)
    return path.read_bytes()


def by_pyarrow(found, codec, _, **options):
    return parquet(found, compression=codec, row_group_size=700, **options)


@pytest.mark.parametrize("codec", ["snappy", "gzip", "brotli", "zstd", "lz4"])
@pytest.mark.parametrize("write", [by_pyarrow, by_polars, by_duckdb])
def test_what_honest_writers_write_keeps_its_promise(write, codec, tmp_path, monkeypatch):
    if write is by_duckdb and codec == "lz4":
        codec = "lz4_raw"
    rng = np.random.default_rng(1)
    found = table(5_000, values=rng.normal(size=5_000)).set_column(1, CODE, pa.array(["A", "B"] * 2_500))
    body = write(found, codec, tmp_path)
    monkeypatch.setattr(part_file, "may_exceed", lambda *_: True)

    for read_it in (read, lambda body: scan(body, monkeypatch)):
        rows = read_it(body)
        assert rows.num_rows == 2_500
        assert rows[VALUE].to_pylist() == found[VALUE].to_pylist()[::2]


@pytest.mark.parametrize(
    "options", [{"data_page_version": "2.0"}, {"data_page_size": 64}, {"write_page_checksum": True}]
)
def test_pages_of_every_make_keep_their_promise(options, monkeypatch):
    monkeypatch.setattr(part_file, "may_exceed", lambda *_: True)
    found = table(1_000, values=np.random.default_rng(2).normal(size=1_000))
    for short in (True, False):
        body = by_pyarrow(found, "zstd", None, use_dictionary=short, **options)
        assert read(body)[VALUE].to_pylist() == found[VALUE].to_pylist()


def test_a_page_that_holds_more_than_the_footer_promises_is_not_decompressed(monkeypatch):
    honest = parquet(table(5_000_000), compression="zstd", use_dictionary=False, data_page_size=2**30)

    def promise_little(group, chunks):
        _field_of(group, TOTAL_BYTE_SIZE)[2] = 100
        for chunk in chunks.values():
            _field_of(chunk, PROMISED)[2] = 100

    body = forged(honest, promise_little)
    for read_it in (read, lambda body: scan(body, monkeypatch)):
        with (
            memory_of_arrow() as pool,
            pytest.raises(InputReadError, match="hold more than its footer promises"),
        ):
            read_it(body)
        assert pool.max_memory() < 2_000_000


def test_a_dictionary_of_long_codes_counts_for_every_row_that_has_one():
    body = parquet(table(2_000, "A" * 100_000))
    told = []
    read(body, admit=lambda _, rows, size: told.append((rows, size)))
    assert told[0][0] == 2_000
    assert told[0][1] > 200_000_000
    assert len(body) < 50_000

    def refuse(key, rows, size):
        if size > 100_000_000:
            raise InputReadError(key, f"{rows} rows")

    with pytest.raises(InputReadError):
        read(body, admit=refuse)


def test_codes_stored_by_what_they_differ_in_are_decoded_a_few_rows_at_a_time():
    long = pa.array(["A" * 100_000] * 9_999 + ["A"])
    found = table(10_000).set_column(1, CODE, long)
    body = parquet(
        found, compression="zstd", use_dictionary=False, column_encoding={CODE: "DELTA_BYTE_ARRAY"}
    )
    with memory_of_arrow() as pool:
        assert read(body).num_rows == 1
    assert pool.max_memory() < 3 * promise._SLICE_BYTES  # of 1 GB that all rows would take


def columns_of_nothing(count):
    """A footer with so many columns, of four bytes each: 680 once they are parsed."""
    chunk = [[2, thrift.I64, 0]]
    group = [
        [1, thrift.LIST, thrift.Listed(thrift.STRUCT, [chunk] * count)],
        [2, thrift.I64, 0],
        [3, thrift.I64, 0],
    ]
    data, footer = damage._split(parquet(table(1)))
    _field_of(footer, ROW_GROUPS)[2].items[:] = [group]
    return damage._join(data, footer)


@pytest.mark.parametrize("tail", [None, 1_000])
def test_a_footer_that_is_large_once_it_is_parsed_is_counted_before_it_is(tail):
    body = columns_of_nothing(300_000)
    told: list[tuple[int, int]] = []

    def refuse(_, rows, size):
        told.insert(0, (rows, size))
        if size > 200_000_000:
            raise InputReadError(KEY, "enough")

    bucket = Bucket(MemoryStore(), BUCKET)
    obstore.put(bucket.store, KEY, body, use_multipart=False)
    file = StoredObject(KEY, memoryview(body)[-tail if tail else 0 :], len(body), bucket.get(KEY).etag)
    with pytest.raises(InputReadError, match="enough"):
        read_part_file(file, bucket, ["A"], refuse)
    assert {rows for rows, _ in told} == {0}
    assert told[0][1] > 680 * 300_000


def test_an_honest_footer_counts_little_however_many_zeros_its_statistics_have():
    wide = pa.table({f"c{n}": np.zeros(300) for n in range(1_000)})
    body = parquet(table(300).append_column("more", pa.array([0] * 300)), row_group_size=3)
    for written in (body, parquet(wide, row_group_size=30)):
        size = promise.footer_size(memoryview(written), len(written))
        footer = memoryview(written)[len(written) - size - 8 : -8]
        assert 0 < promise.footer_bytes(footer) < 60 * size


@pytest.mark.parametrize("body", [b"", b"PAR1", b"<html>not found</html>", b"\xff\xff\xff\x7fPAR1"])
def test_what_is_no_footer_takes_nothing(body):
    assert promise.footer_size(memoryview(body), len(body)) == 0


NESTED = {
    "tags": pa.array([[("k", "v")]] * 2_000, pa.map_(pa.string(), pa.string())),
    "meta": pa.array([{"value": 1.0, "obs_time": 2}] * 2_000),
    "many": pa.array([[{"internal_series_code": "B"}]] * 2_000),
}


@pytest.mark.parametrize("codec", ["snappy", "zstd"])
@pytest.mark.parametrize("name", NESTED)
def test_a_nested_column_may_have_a_part_that_is_called_as_one_that_counts(name, codec, monkeypatch):
    found = table(2_000, values=np.arange(2_000.0))
    body = parquet(found.add_column(0, name, NESTED[name]), compression=codec)
    for read_it in (read, lambda body: scan(body, monkeypatch)):
        assert read_it(body)[VALUE].to_pylist() == found[VALUE].to_pylist()


def test_short_codes_stored_by_what_they_differ_in_are_read_whole_and_scanned(monkeypatch):
    codes = [f"SERIES_{n % 17:02d}" for n in range(40_000)]
    found = table(40_000, values=np.arange(40_000.0)).set_column(1, CODE, pa.array(codes))
    body = parquet(found, use_dictionary=False, column_encoding={CODE: "DELTA_BYTE_ARRAY"})
    taken = []
    assert read(body, codes=None, admit=lambda _, __, size: taken.append(size)).num_rows == 40_000
    assert sum(taken) < 400_000_000
    assert scan(body, monkeypatch, codes=["SERIES_03"]).num_rows == len(codes[3::17])


def test_a_large_file_whose_codes_are_views_is_filtered_too(monkeypatch):
    found = table(2_000).set_column(1, CODE, pa.array(["A", "B"] * 1_000, pa.string_view()))
    assert scan(parquet(found), monkeypatch).num_rows == 1_000


def test_the_longest_text_of_a_dictionary_in_hadoops_lz4_is_known():
    page = b"".join(len(text).to_bytes(4, "little") + text for text in (b"a", b"bcd" * 9, b"e"))
    raw = pa.compress(page, "lz4_raw", asbytes=True)
    framed = len(page).to_bytes(4) + len(raw).to_bytes(4) + raw
    chunk = promise.Chunk(CODE, 5, 10**9, 10**9, 4, 0, 0, is_text=True, is_prefixed=False)
    assert promise._longest(chunk, memoryview(framed), len(page)) == 27
    assert promise._longest(chunk, memoryview(raw), len(page)) == 27
    assert promise._longest(chunk, memoryview(b"?" * 20), 99) == 99


@pytest.mark.parametrize("name", COLUMN_NAMES)
@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4, 5, 6, 7, 99])
def test_a_column_that_the_footer_says_to_be_of_two_types_is_an_error(name, kind, monkeypatch):
    honest = {TIME: 2, VALUE: 5, CODE: 6}[name]
    body = forged(parquet(table(2_000)), lambda _, chunks: _field_of(chunks[name], TYPE).__setitem__(2, kind))
    if kind == honest:
        assert scan(body, monkeypatch).num_rows == 2_000
    else:
        with pytest.raises(InputReadError, match=KEY):
            scan(body, monkeypatch)


def of_another_column(chunk):
    sizes = [[1, thrift.I64, 3], [3, thrift.LIST, thrift.Listed(thrift.I64, [0, 1, 2, 3])]]
    chunk[:] = [field for field in chunk if field[0] != 16] + [[16, thrift.STRUCT, sizes]]


@pytest.mark.parametrize(
    "change",
    [
        lambda group, _: _field(group, COLUMNS).items.pop(),
        lambda group, _: _field_of(group, NUM_ROWS).__setitem__(2, 5),
        lambda _, chunks: _field_of(chunks[CODE], CODEC).__setitem__(2, 99),
        lambda _, chunks: of_another_column(chunks[CODE]),
        lambda _, chunks: _field_of(chunks[CODE], 7).__setitem__(2, -1),
    ],
)
def test_a_footer_that_contradicts_itself_is_an_error_and_not_the_end_of_the_process(change, monkeypatch):
    with pytest.raises(InputReadError, match=f"{KEY}: not readable as Parquet"):
        scan(forged(parquet(table(2_000)), change), monkeypatch)


def test_every_chunk_of_a_scan_is_looked_at_before_pyarrow_has_it(monkeypatch):
    looked_at = []

    def look(chunk, data):
        looked_at.append((chunk.name, chunk.start))
        return promise.check_pages(chunk, data)

    monkeypatch.setattr(part_file, "check_pages", look)
    found = table(200_000, values=np.random.default_rng(3).normal(size=200_000))
    body = parquet(found, row_group_size=20_000)
    assert scan(body, monkeypatch).num_rows == 200_000
    footer = pq.read_metadata(io.BytesIO(body))
    assert len(looked_at) == len(set(looked_at)) == 3 * footer.num_row_groups

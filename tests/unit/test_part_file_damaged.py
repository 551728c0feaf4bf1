"""Part files that are not what they seem: torn, forged, damaged, or of an old writer."""

from datetime import UTC, datetime

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore.store import MemoryStore

from metrics_worker.errors import InputReadError, StoreUnavailable
from metrics_worker.part_file import read_part_file, to_series
from metrics_worker.range_file import RangeFile
from metrics_worker.store import WHOLE_BYTES, Bucket, StoredObject
from tests.builders import BUCKET, day, parquet, rows

KEY = "datasets/fx/projections/A/data.parquet"


def stored(body: bytes) -> StoredObject:
    return StoredObject(KEY, memoryview(body), len(body), "")


def read(body: bytes) -> pa.Table:
    return read_part_file(stored(body), Bucket(MemoryStore(), BUCKET), None)


def large(value: float) -> bytes:
    count = 600_000
    table = rows("A", pa.array(np.arange(count) * 10**9, pa.timestamp("ns")), pa.array(np.full(count, value)))
    return parquet(table, compression="none", use_dictionary=False)


def test_a_large_file_that_is_replaced_while_it_is_read_is_given_back_and_not_mixed():
    bucket = Bucket(MemoryStore(), BUCKET)
    obstore.put(bucket.store, KEY, large(1.0))
    tails: list[StoredObject] = []
    bucket.get_many([KEY], tails.append)
    assert tails[0].size > WHOLE_BYTES
    obstore.put(bucket.store, KEY, large(2.0))

    with pytest.raises(StoreUnavailable) as failure:
        read_part_file(tails[0], bucket, ["A"])
    assert failure.value.subject == KEY


def test_a_range_is_of_the_object_that_was_found():
    bucket = Bucket(MemoryStore(), BUCKET)
    obstore.put(bucket.store, KEY, b"0123456789")
    found = StoredObject(KEY, memoryview(b"789"), 10, bucket.get(KEY).etag)
    file = RangeFile(bucket, found)
    assert file.read(4) == b"0123"
    obstore.put(bucket.store, KEY, b"abcdefghij")
    with pytest.raises(StoreUnavailable):
        file.read(2)


def test_timestamps_of_twelve_bytes_are_read_beyond_2262():
    last = datetime(9999, 12, 31, tzinfo=UTC).replace(tzinfo=None)
    table = rows("A", pa.array([day(1), last], pa.timestamp("us")), [1.0, 2.0])
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, use_deprecated_int96_timestamps=True)

    series = to_series([(KEY, read(sink.getvalue().to_pybytes()))], "A").series

    assert series.times.astype("datetime64[us]").tolist() == [day(1), last]


def test_a_page_that_fails_its_checksum_is_an_error_that_names_the_file():
    table = rows("A", [day(n) for n in range(1, 9)], [110.0] * 8)
    body = bytearray(parquet(table, compression="none", use_dictionary=False, write_page_checksum=True))
    at = body.index(np.full(8, 110.0).tobytes())
    body[at + 6] ^= 0x10

    with pytest.raises(InputReadError) as failure:
        read(bytes(body))
    assert failure.value.subject == KEY


@pytest.mark.parametrize("twice", ["obs_time", "value", "internal_series_code"])
def test_a_column_that_stands_there_twice_is_an_error(twice):
    table = rows("A", [day(1)], [1.0])
    table = pa.Table.from_arrays([*table.columns, table[twice]], names=[*table.column_names, twice])
    with pytest.raises(InputReadError, match=f"column '{twice}' stands there twice"):
        read(parquet(table))


def test_the_file_with_a_time_out_of_range_is_the_one_that_is_named():
    fine = rows("A", pa.array([0], pa.timestamp("s")), [1.0])
    bad = rows("A", pa.array([2**62], pa.timestamp("s")), [1.0])
    tables = [("first", fine), ("second", bad), ("third", fine)]
    with pytest.raises(InputReadError) as failure:
        to_series(tables, "A")
    assert failure.value.subject == "second"


def test_no_damage_to_a_file_is_taken_for_a_defect_of_the_worker():
    body = parquet(rows("A", [day(n) for n in range(1, 9)], range(8)))
    rng = np.random.default_rng(0)
    for _ in range(2000):
        damaged = bytearray(body)
        damaged[rng.integers(len(body))] ^= 1 << int(rng.integers(8))
        try:
            table = read(bytes(damaged))
            to_series([(KEY, table)], "A")
        except InputReadError:
            pass

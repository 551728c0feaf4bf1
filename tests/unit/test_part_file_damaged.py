"""Damaged part files are rejected, and part files of old writers are read correctly."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metrics_worker.dataset.rows import to_series
from metrics_worker.errors import InputReadError
from tests.builders import day, parquet, rows
from tests.decoding import BOTH_WAYS, KEY, in_this_process


@BOTH_WAYS
def test_int96_times_after_the_year_2262_are_read(read):
    last = datetime(9999, 12, 31, tzinfo=UTC).replace(tzinfo=None)
    table = rows("A", pa.array([day(1), last], pa.timestamp("us")), [1.0, 2.0])
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, use_deprecated_int96_timestamps=True)

    series = to_series([(KEY, read(sink.getvalue().to_pybytes()))], "A").series

    assert series.times.astype("datetime64[us]").tolist() == [day(1), last]


@BOTH_WAYS
def test_a_page_that_fails_its_checksum_is_an_error_that_names_the_file(read):
    table = rows("A", [day(n) for n in range(1, 9)], [110.0] * 8)
    body = bytearray(parquet(table, compression="none", use_dictionary=False, write_page_checksum=True))
    at = body.index(np.full(8, 110.0).tobytes())
    body[at + 6] ^= 0x10

    with pytest.raises(InputReadError) as failure:
        read(bytes(body))
    assert failure.value.subject == KEY


@pytest.mark.parametrize("twice", ["obs_time", "value", "internal_series_code"])
@BOTH_WAYS
def test_a_column_that_is_present_twice_is_an_error(read, twice):
    table = rows("A", [day(1)], [1.0])
    table = pa.Table.from_arrays([*table.columns, table[twice]], names=[*table.column_names, twice])
    with pytest.raises(InputReadError, match=f"column '{twice}' is present twice"):
        read(parquet(table))


def test_the_error_names_the_file_with_a_time_out_of_range():
    fine = rows("A", pa.array([0], pa.timestamp("s")), [1.0])
    bad = rows("A", pa.array([2**62], pa.timestamp("s")), [1.0])
    tables = [("first", fine), ("second", bad), ("third", fine)]
    with pytest.raises(InputReadError) as failure:
        to_series(tables, "A")
    assert failure.value.subject == "second"


@BOTH_WAYS
def test_damage_to_a_file_is_never_reported_as_a_defect_of_the_worker(read):
    body = parquet(rows("A", [day(n) for n in range(1, 9)], range(8)))
    rng = np.random.default_rng(0)
    for _ in range(2000 if read is in_this_process else 200):
        damaged = bytearray(body)
        damaged[rng.integers(len(body))] ^= 1 << int(rng.integers(8))
        try:
            table = read(bytes(damaged))
            to_series([(KEY, table)], "A")
        except InputReadError:
            pass

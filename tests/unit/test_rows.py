"""The rows of a series in the tables of its part files (`metrics_worker.dataset.rows`)."""

import pyarrow as pa
import pytest

from metrics_worker.dataset.rows import Counts, rows_of


def table(codes: pa.Array) -> pa.Table:
    """Return the table of a part file: the times and values are 0, 1, 2, …, one for each series code."""
    numbers = range(len(codes))
    times = pa.array(numbers, pa.timestamp("us"))
    values = pa.array(numbers, pa.float64())
    return pa.table({"obs_time": times, "internal_series_code": codes, "value": values})


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_each_part_file_can_have_its_own_dictionary_of_codes(kind):
    codes = [["A", "B", None], ["B", "A", "A"], [None, None, None], []]
    tables = [table(pa.array(each, pa.string()).cast(kind).dictionary_encode()) for each in codes]

    rows = rows_of([(f"{number}.parquet", each) for number, each in enumerate(tables)], "A")

    assert rows.times.tolist() == [0, 1, 2]
    assert rows.values.tolist() == [0.0, 1.0, 2.0]
    assert rows.counts == [Counts(1, 0), Counts(2, 0), Counts(0, 0), Counts(0, 0)]


def test_dictionaries_of_8_bits_can_have_more_codes_in_all_files_than_8_bits_can_count():
    tables = []
    for number in range(3):
        codes = pa.array([f"{number}-{code}" for code in range(100)])
        tables.append(table(pa.DictionaryArray.from_arrays(pa.array(range(100), pa.int8()), codes)))

    rows = rows_of([(f"{number}.parquet", each) for number, each in enumerate(tables)], "2-99")

    assert rows.times.tolist() == [99]
    assert rows.counts == [Counts(0, 0), Counts(0, 0), Counts(1, 0)]


def test_part_files_whose_codes_are_all_null_have_no_rows_of_a_series():
    empty = table(pa.nulls(3).dictionary_encode())

    rows = rows_of([("1.parquet", empty), ("2.parquet", empty)], "A")

    assert rows.counts == [Counts(0, 0), Counts(0, 0)]

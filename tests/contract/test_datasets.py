"""The worker finds the part files and the rows of a series in each layout of the ingestor."""

import pyarrow as pa
import pytest

from tests.builders import day, put_dataset, rows
from tests.contract.reading import failure, month, only

# The three layouts of datasets


@pytest.mark.parametrize(
    "segment", ["{}", "series={}", "internal_series_code={}", "daily/{}", "v=2/series={}/x"]
)
@pytest.mark.parametrize("column", [True, False])
def test_a_layout_with_one_file_for_each_series_and_month_is_read(cloud, read, segment, column):
    files = {}
    for code, first in (("A", 1), ("B", 10)):
        for m in range(3):
            path = f"{segment.format(code)}/year=2026/month={m + 1:02d}/data.parquet"
            files[path] = month(code if column else None, m, first=first + 2 * m)
    put_dataset(cloud.store, files)
    assert read() == {"A": [1, 2, 3, 4, 5, 6], "B": [10, 11, 12, 13, 14, 15]}
    assert read.traffic.gets == 1 + 6


def test_a_layout_with_one_file_for_each_month_is_read(cloud, read):
    files = {
        f"year=2026/month={m + 1:02d}/data.parquet": pa.concat_tables(
            [month("A", m, first=2 * m), month("A_B", m, first=50), month("B", m, first=10 + 2 * m)]
        )
        for m in range(3)
    }
    put_dataset(cloud.store, files)
    assert read() == {"A": [0, 1, 2, 3, 4, 5], "B": [10, 11, 12, 13, 14, 15]}
    assert read.traffic.gets == 1 + 3, "a file that holds two series is read once"


def test_a_layout_with_one_file_is_read(cloud, read):
    put_dataset(cloud.store, {"data.parquet": pa.concat_tables([month("B", 0, first=5), month("A", 0)])})
    assert read() == {"A": [1, 2], "B": [5, 6]}
    assert read.traffic.gets == 2


def test_a_dataset_can_mix_layouts(cloud, read):
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0), "all/data.parquet": month("B", 0, first=5)})
    assert read() == {"A": [1, 2], "B": [5, 6]}


# The part files of a series


@pytest.mark.parametrize("column", ["own", None])
@pytest.mark.parametrize(
    "layout", ["{}/data.parquet", "series={}/data.parquet", "internal_series_code={}/data.parquet"]
)
def test_a_series_code_matches_only_a_whole_path_segment(cloud, read, layout, column):
    codes = {"A": 1, "A_B": 10, "B_A": 20, "AA": 30, "a": 40, "A.B": 50}
    put_dataset(
        cloud.store,
        {
            layout.format(code): month(code if column else None, 0, first=first)
            for code, first in codes.items()
        },
    )
    assert read(only("A")) == {"A": [1, 2]}
    assert read.traffic.gets == 2
    assert read(only("A_B")) == {"A_B": [10, 11]}


def test_the_name_of_a_file_does_not_count_as_a_series_code(cloud, read):
    put_dataset(cloud.store, {"x/A": month("B", 0), "y/data.parquet": month("A", 0, first=7)})
    assert read(only("A")) == {"A": [7, 8]}, "x/A is an ordinary file, with rows of B"


def test_rows_of_other_series_in_a_file_are_ignored(cloud, read):
    put_dataset(cloud.store, {"A/data.parquet": pa.concat_tables([month("A", 0), month("A_B", 1)])})
    assert read(only("A")) == {"A": [1, 2]}


def test_files_of_other_series_without_a_code_column_are_ignored(cloud, read):
    files = {"series=B/data.parquet": month(None, 0), "all.parquet": month("A", 0, first=7)}
    put_dataset(cloud.store, files)
    assert read(only("A")) == {"A": [7, 8]}
    put_dataset(cloud.store, {"B/data.parquet": month(None, 0), **files}, series_codes=["A", "B"])
    assert read(only("A")) == {"A": [7, 8]}


def test_a_file_without_a_code_column_and_without_a_series_folder_is_an_error(cloud, read):
    put_dataset(cloud.store, {"year=2026/data.parquet": month(None, 0)})
    message = failure(read, only("A"))
    assert message.startswith("INPUT_READ_ERROR: Failed to read input series: A: ")
    assert "datasets/fx/projections/year=2026/data.parquet has no column 'internal_series_code'" in message


def test_a_file_listed_twice_is_read_once_and_its_rows_count_as_duplicates(cloud, read):
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0)}, parquet_files=["A/data.parquet"] * 2)
    assert read(only("A")) == {"A": [1, 2]}
    assert read.inputs["A"].cleaned.duplicate == 2
    assert read.traffic.gets == 2


# The order of part files and rows


def test_rows_and_files_can_be_in_any_order(cloud, read):
    put_dataset(
        cloud.store,
        {
            "A/2.parquet": rows("A", [day(5), day(4)], [5.0, 4.0]),
            "A/1.parquet": rows("A", [day(2), day(3), day(1)], [2.0, 3.0, 1.0]),
        },
    )
    assert read(only("A")) == {"A": [1, 2, 3, 4, 5]}


def test_the_last_row_of_a_time_wins_in_manifest_order_then_row_order(cloud, read):
    files = {
        "A/z.parquet": rows("A", [day(1), day(2), day(2)], [1.0, 2.0, 3.0]),
        "A/a.parquet": rows("A", [day(1)], [4.0]),
    }
    put_dataset(cloud.store, files)
    assert read(only("A")) == {"A": [4, 3]}
    assert read.inputs["A"].cleaned.duplicate == 2
    put_dataset(cloud.store, files, parquet_files=["A/a.parquet", "A/z.parquet"])
    assert read(only("A")) == {"A": [1, 3]}


def test_the_order_in_which_responses_arrive_does_not_matter(cloud, read):
    files = {f"A/{n:03d}.parquet": rows("A", [day(1)], [float(n)]) for n in range(200)}
    put_dataset(cloud.store, files)
    assert read(only("A")) == {"A": [199]}

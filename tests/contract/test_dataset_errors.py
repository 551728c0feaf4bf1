"""Every error about an invalid manifest or part file names the object that is invalid."""

import re
from typing import Any

import pyarrow as pa
import pytest

from metrics_worker.errors import ConfigError
from metrics_worker.s3.bucket import WHOLE_BYTES
from tests.builders import day, parquet, put_dataset, request, rows, series
from tests.contract.reading import failure, month, only, put_manifest

# Invalid manifests


@pytest.mark.parametrize("value", [None, "absent"])
def test_a_manifest_needs_only_the_list_of_part_files(cloud, read, value):
    manifest: dict[str, Any] = {"parquet_files": ["A/data.parquet"]}
    if value is None:
        names = "version_id dataset_id created_at collection_date data_points_count series_count series_codes"
        manifest |= dict.fromkeys([*names.split(), "date_range", "partitions", "partition_strategy"])
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0)})
    put_manifest(cloud, manifest)
    assert read(only("A")) == {"A": [1, 2]}
    assert read.inputs["A"].dataset_version is None


def test_the_version_of_a_dataset_is_recorded(cloud, read):
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0)}, version_id="v20251111_014138_730866")
    read(only("A"))
    assert read.inputs["A"].dataset_version == "v20251111_014138_730866"
    assert (read.inputs["A"].dataset_id, read.inputs["A"].part_files) == ("fx", 1)


def test_a_manifest_with_all_fields_of_the_ingestor_is_read(cloud, read):
    put_dataset(
        cloud.store,
        {"A/year=2026/month=01/data.parquet": month("A", 0)},
        dataset_id="fx",
        created_at="2025-11-11T05:13:32Z",
        collection_date="2025-11-11T04:41:38Z",
        data_points_count=82257,
        series_count=17,
        series_codes=["A", "B"],
        date_range={"min_obs_time": "2002-12-31T00:00:00Z", "max_obs_time": "2025-11-07T00:00:00Z"},
        partitions=["A/year=2026/month=01/"],
        partition_strategy="series_year_month",
    )
    assert read(only("A")) == {"A": [1, 2]}


MANIFEST = "INPUT_READ_ERROR: manifest datasets/fx/versions/v1/manifest.json: "


def test_the_error_names_a_missing_manifest(read):
    assert failure(read, only("A")) == MANIFEST + "GET: there is no such object"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "Invalid JSON"),
        (b"{", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"PAR1", "Invalid JSON"),
        ([], "Input should be an object"),
        (None, "Input should be an object"),
        ({}, "parquet_files Field required"),
        ({"parquet_files": None}, "parquet_files Input should be a valid array"),
        ({"parquet_files": "A/x"}, "parquet_files Input should be a valid array"),
        ({"parquet_files": [7]}, "parquet_files[0] Input should be a valid string, found 7"),
        ({"parquet_files": ["A/x", None]}, "parquet_files[1] Input should be a valid string"),
        ({"parquet_files": [], "series_codes": "A"}, "series_codes Input should be a valid array"),
        ({"parquet_files": [], "series_codes": [1]}, "series_codes[0] Input should be a valid string"),
    ],
)
def test_the_error_names_an_invalid_manifest_and_its_problem(cloud, read, body, problem):
    put_manifest(cloud, body)
    found = failure(read, only("A"))
    assert found.startswith(MANIFEST + problem)
    assert "\n" not in found


@pytest.mark.parametrize(
    "file",
    [
        "",
        "/A/x.parquet",
        "../A/x.parquet",
        "A/../../x",
        "A//x.parquet",
        "./x",
        "A/",
        "A/\n",
        "s3://b/x",
        "A/" + "x" * 1100,
    ],
)
def test_the_error_names_a_part_file_outside_the_projections(cloud, read, file):
    put_manifest(cloud, {"parquet_files": ["A/x.parquet", file]})
    found = failure(read, only("A"))
    assert found.startswith(MANIFEST + "parquet_files[1]: expected a relative key, found ")
    assert len(found) < 500


def test_a_series_that_series_codes_does_not_list_is_an_error(cloud, read):
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0)}, series_codes=["A_B", "B"])
    assert failure(read, only("A")) == (
        "INPUT_READ_ERROR: Failed to read input series: A: "
        "not in series_codes of datasets/fx/versions/v1/manifest.json"
    )


def test_a_manifest_larger_than_the_first_request_is_read_completely(cloud, read):
    files = ["A/data.parquet", *(f"Z/{n:06d}/{'x' * 180}.parquet" for n in range(25_000))]
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0)}, parquet_files=files)
    assert len(cloud.read("datasets/fx/versions/v1/manifest.json")) > WHOLE_BYTES
    assert read(only("A")) == {"A": [1, 2]}


# Invalid part files


PART = "datasets/fx/projections/A/data.parquet"


def test_the_error_names_a_missing_part_file_and_its_series(cloud, read):
    put_dataset(
        cloud.store, {"A/other.parquet": month("A", 0)}, parquet_files=["A/other.parquet", "A/data.parquet"]
    )
    message = failure(read, only("A"))
    assert (
        message == f"INPUT_READ_ERROR: Failed to read input series: A: {PART}: GET: there is no such object"
    )


WHOLE = parquet(month("A", 0))


@pytest.mark.parametrize("body", [b"", b"x", WHOLE[:-10], WHOLE[:40], b"<html>not found</html>"])
def test_the_error_names_an_unreadable_part_file_and_its_series(cloud, read, body):
    put_dataset(cloud.store, {"A/data.parquet": body})
    message = failure(read, only("A"))
    assert message.startswith(
        f"INPUT_READ_ERROR: Failed to read input series: A: {PART}: not readable as Parquet: "
    )


@pytest.mark.parametrize("column", ["obs_time", "value"])
def test_the_error_names_a_missing_column_with_its_file_and_series(cloud, read, column):
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0).drop_columns([column])})
    message = failure(read, only("A"))
    assert f"Failed to read input series: A: {PART}: no column '{column}'" in message


def test_the_error_names_a_column_of_the_wrong_type_with_its_file_and_series(cloud, read):
    table = month("A", 0)
    put_dataset(cloud.store, {"A/data.parquet": table.set_column(2, "value", pa.array(["1", "2"]))})
    message = failure(read, only("A"))
    assert message.endswith(f"Failed to read input series: A: {PART}: column 'value' is of type string")


def test_the_error_for_a_time_out_of_range_names_the_file_and_the_series(cloud, read):
    put_dataset(cloud.store, {"A/data.parquet": rows("A", pa.array([2**62], pa.timestamp("ms")), [1.0])})
    assert f"Failed to read input series: A: {PART}: " in failure(read, only("A"))


@pytest.mark.parametrize(
    "table",
    [
        rows("A", [], []),
        rows("B", [day(1)], [1.0]),
        rows("A", [day(1), day(2)], [None, float("nan")]),
    ],
)
def test_a_series_without_observations_is_an_error(cloud, read, table):
    put_dataset(cloud.store, {"A/data.parquet": table})
    message = failure(read, only("A"))
    expected = "INPUT_READ_ERROR: Failed to read input series: A: no observation in 1 part files"
    assert re.match(expected, message)


def test_a_series_of_a_dataset_without_part_files_is_an_error(cloud, read):
    put_dataset(cloud.store, {})
    assert "Failed to read input series: A: no observation in 0 part files" in failure(read, only("A"))


def test_the_error_names_a_dataset_that_is_not_in_the_catalog(cloud, read):
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0)})
    event = request(series("A"), kind="series", inputs={"A": "hx"})
    assert failure(read, event, kind=ConfigError).startswith("CONFIG_ERROR: catalog.datasets.hx: ")

"""Manifests and part files that are not what they should be: each error names its culprit."""

import re
from typing import Any

import pyarrow as pa
import pytest

from metrics_worker.errors import ConfigError
from metrics_worker.store import WHOLE_BYTES
from tests.builders import day, parquet, put_dataset, request, rows, series
from tests.contract.reading import failure, month, only, put_manifest

# The manifest


@pytest.mark.parametrize("value", [None, "absent"])
def test_only_the_list_of_files_is_needed(cloud, read, value):
    manifest: dict[str, Any] = {"parquet_files": ["A/data.parquet"]}
    if value is None:
        names = "version_id dataset_id created_at collection_date data_points_count series_count series_codes"
        manifest |= dict.fromkeys([*names.split(), "date_range", "partitions", "partition_strategy"])
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0)})
    put_manifest(cloud, manifest)
    assert read(only("A")) == {"A": [1, 2]}
    assert read.inputs["A"].dataset_version is None


def test_the_version_of_a_dataset_is_kept(cloud, read):
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0)}, version_id="v20251111_014138_730866")
    read(only("A"))
    assert read.inputs["A"].dataset_version == "v20251111_014138_730866"
    assert (read.inputs["A"].dataset_id, read.inputs["A"].part_files) == ("fx", 1)


def test_a_manifest_as_the_ingestor_writes_it(cloud, read):
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


def test_a_missing_manifest_is_named(read):
    assert failure(read, only("A")) == MANIFEST + "GET: there is no such object"


@pytest.mark.parametrize(
    ("body", "said"),
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
def test_a_bad_manifest_is_named_with_what_is_wrong(cloud, read, body, said):
    put_manifest(cloud, body)
    found = failure(read, only("A"))
    assert found.startswith(MANIFEST + said)
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
def test_a_file_outside_the_projections_is_named(cloud, read, file):
    put_manifest(cloud, {"parquet_files": ["A/x.parquet", file]})
    found = failure(read, only("A"))
    assert found.startswith(MANIFEST + "parquet_files[1]: expected a relative key, found ")
    assert len(found) < 500


def test_series_codes_must_name_the_series(cloud, read):
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0)}, series_codes=["A_B", "B"])
    assert failure(read, only("A")) == (
        "INPUT_READ_ERROR: Failed to read input series: A: "
        "not in series_codes of datasets/fx/versions/v1/manifest.json"
    )


def test_a_manifest_larger_than_one_request_brings_is_read_whole(cloud, read):
    files = ["A/data.parquet", *(f"Z/{n:06d}/{'x' * 180}.parquet" for n in range(25_000))]
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0)}, parquet_files=files)
    assert len(cloud.read("datasets/fx/versions/v1/manifest.json")) > WHOLE_BYTES
    assert read(only("A")) == {"A": [1, 2]}


# Files that are not what they should be


PART = "datasets/fx/projections/A/data.parquet"


def test_a_missing_part_file_is_named_with_its_series(cloud, read):
    put_dataset(
        cloud.store, {"A/other.parquet": month("A", 0)}, parquet_files=["A/other.parquet", "A/data.parquet"]
    )
    said = failure(read, only("A"))
    assert said == f"INPUT_READ_ERROR: Failed to read input series: A: {PART}: GET: there is no such object"


WHOLE = parquet(month("A", 0))


@pytest.mark.parametrize("body", [b"", b"x", WHOLE[:-10], WHOLE[:40], b"<html>not found</html>"])
def test_an_unreadable_part_file_is_named_with_its_series(cloud, read, body):
    put_dataset(cloud.store, {"A/data.parquet": body})
    said = failure(read, only("A"))
    assert said.startswith(
        f"INPUT_READ_ERROR: Failed to read input series: A: {PART}: not readable as Parquet: "
    )


@pytest.mark.parametrize("column", ["obs_time", "value"])
def test_a_missing_column_is_named_with_file_and_series(cloud, read, column):
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0).drop_columns([column])})
    said = failure(read, only("A"))
    assert f"Failed to read input series: A: {PART}: no column '{column}'" in said


def test_a_column_of_the_wrong_type_is_named_with_file_and_series(cloud, read):
    table = month("A", 0)
    put_dataset(cloud.store, {"A/data.parquet": table.set_column(2, "value", pa.array(["1", "2"]))})
    said = failure(read, only("A"))
    assert said.endswith(f"Failed to read input series: A: {PART}: column 'value' is of type string")


def test_a_time_that_can_not_be_represented_is_named_with_file_and_series(cloud, read):
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
def test_a_series_without_one_observation_is_an_error(cloud, read, table):
    put_dataset(cloud.store, {"A/data.parquet": table})
    said = failure(read, only("A"))
    assert re.match("INPUT_READ_ERROR: Failed to read input series: A: no observation in 1 part files", said)


def test_a_dataset_without_files_has_no_observation(cloud, read):
    put_dataset(cloud.store, {})
    assert "Failed to read input series: A: no observation in 0 part files" in failure(read, only("A"))


def test_a_dataset_that_is_not_in_the_catalog_is_named(cloud, read):
    put_dataset(cloud.store, {"A/data.parquet": month("A", 0)})
    event = request(series("A"), kind="series", inputs={"A": "hx"})
    assert failure(read, event, kind=ConfigError).startswith("CONFIG_ERROR: catalog.datasets.hx: ")

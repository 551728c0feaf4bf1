"""A run that exceeds a limit fails with an error that names the setting; other runs are not affected."""

import json

import numpy as np
import obstore
import pyarrow as pa
import pytest

from tests.builders import day, parquet, put_a_and_b, put_dataset, record, request, rows, series, window
from tests.functional.runs import given_back, outcomes, run_of


@pytest.fixture(autouse=True)
def dataset(cloud):
    put_a_and_b(cloud.store)


@pytest.fixture
def refused(cloud, invoke):
    """Return `refused(body, **settings)`, which runs a request and asserts that it ends with FAILURE.

    `body` is the parsed JSON of the request, and `settings` replace environment variables of the worker. The
    function also asserts that no run is committed, and returns the text of the error in the completed event.
    """

    def run(body, **settings):
        assert invoke(record(body), **settings) == {"batchItemFailures": []}
        (event,) = cloud.sns.completed
        assert event["status"] == "FAILURE"
        assert not [key for key in cloud.keys("metrics/") if "/runs/" in key]
        return event["error"]

    return run


def a_alone(**more):
    return request(series("A"), kind="series", inputs={"A": "fx"}, **more)


def many(code: str, count: int) -> pa.Table:
    """Return a part file's table with `count` observations of a series, at intervals of one second."""
    return rows(code, np.arange(count).astype("datetime64[s]").astype("datetime64[ns]"), np.ones(count))


def test_a_body_that_is_too_large_is_refused(refused):
    said = refused(request(note="x" * 2000), WORKER_MAX_BODY_BYTES=2000)
    assert said.startswith("CONFIG_ERROR: body: has a size of 2,")
    assert said.endswith("at most 2,000 is allowed (WORKER_MAX_BODY_BYTES)")


def test_too_many_inputs_are_refused(refused):
    said = refused(request(), WORKER_MAX_INPUTS=1)
    assert said == "CONFIG_ERROR: inputs: has a size of 2, at most 1 is allowed (WORKER_MAX_INPUTS)"


def test_too_many_datasets_in_the_catalog_are_refused(refused):
    said = refused(request(datasets=("fx", "gx", "hx")), WORKER_MAX_INPUTS=2)
    assert "catalog.datasets: has a size of 3, at most 2" in said


def test_a_manifest_that_is_too_large_is_refused(refused):
    said = refused(request(), WORKER_MAX_MANIFEST_BYTES=50)
    assert said.startswith("INPUT_READ_ERROR: manifest datasets/fx/versions/v1/manifest.json: ")
    assert said.endswith("bytes; at most 50 are read (WORKER_MAX_MANIFEST_BYTES)")


def test_too_many_part_files_are_refused_before_the_first_read(refused, faults):
    said = refused(request(), WORKER_MAX_PART_FILES=1)
    assert said == "INPUT_READ_ERROR: inputs: 2 part files; a run may read 1 (WORKER_MAX_PART_FILES)"
    assert faults.count("GET", "*.parquet") == 0


def test_too_many_part_files_are_refused_even_if_another_run_has_read_some(cloud, invoke):
    first = record(a_alone(metric="first", run_id="first"), message_id="first")
    second = record(request(metric="first", run_id="second"), message_id="second")

    invoke(first, second, WORKER_MAX_PART_FILES=1)

    assert outcomes(cloud) == {"first": "SUCCESS", "second": "FAILURE"}


def test_a_file_with_too_many_rows_is_refused(refused):
    said = refused(a_alone(), WORKER_MAX_ROWS=9)
    assert "data.parquet: has 10 rows; a run may read 9 (WORKER_MAX_ROWS)" in said


def test_too_many_rows_in_total_are_refused(refused):
    said = refused(request(), WORKER_MAX_ROWS=19)
    assert said == "INPUT_READ_ERROR: inputs: 20 rows; a run may read 19 (WORKER_MAX_ROWS)"


def test_rows_that_do_not_fit_into_memory_are_refused(cloud, refused):
    put_dataset(cloud.store, {"A/data.parquet": many("A", 20_000)})
    said = refused(a_alone(), WORKER_MAX_MEMORY_MB=1)
    assert "Failed to read input series: A: datasets/fx/projections/A/data.parquet: " in said
    assert said.endswith("would need 2 MB of memory with it, and may take 1 MB (WORKER_MAX_MEMORY_MB)")


def test_a_small_file_that_decompresses_to_many_bytes_is_refused(cloud, refused):
    """Use a part file in which 200 MB of a repeated text are compressed to a few KiB."""
    table = pa.table(
        {
            "obs_time": pa.array([day(1)], pa.timestamp("ns")),
            "internal_series_code": ["x" * 200_000_000],
            "value": [1.0],
        }
    )
    body = parquet(table, compression="zstd", use_dictionary=False, write_statistics=False)
    assert len(body) < 100_000
    put_dataset(cloud.store, {"A/data.parquet": body})
    assert "would need 200 MB of memory" in refused(a_alone(), WORKER_MAX_MEMORY_MB=100)


def test_an_expression_that_does_not_fit_into_memory_is_refused(cloud, refused):
    put_dataset(cloud.store, {"A/data.parquet": many("A", 9_000)})
    wide = {"op": "sum", "operands": [window("sma", series("A"), length) for length in range(1, 101)]}
    said = refused(request(wide, kind="composite", inputs={"A": "fx"}), WORKER_MAX_MEMORY_MB=10)
    assert said.startswith("EXPRESSION_EVAL_ERROR: expressionJson: the run would need 7")
    assert said.endswith("MB of memory with it, and may take 10 MB (WORKER_MAX_MEMORY_MB)")


def test_a_run_that_fits_only_alone_returns_and_succeeds_later(cloud, invoke, faults):
    """Run two metrics in one batch whose memory limit is sufficient for either metric, but not for both."""
    put_dataset(cloud.store, {f"{code}/data.parquet": many(code, 6_000) for code in ("A", "B")})
    first = record(a_alone(metric="m.first", run_id="first"), message_id="first")
    second = request(series("B"), kind="series", inputs={"B": "fx"}, metric="m.second", run_id="second")
    begins = faults.hold("metrics/m.second/runs/*")
    faults.before("PUT", "metrics/m.first/*/data/*", begins.open)
    commits = faults.hold("metrics/m.first/*/manifest.json", operation="PUT")
    cloud.sqs.before = lambda _: commits.open()  # The message of the second run is returned.

    response = invoke(first, record(second, message_id="second"), WORKER_MAX_MEMORY_MB=1)

    assert given_back(response) == ["second"]
    assert outcomes(cloud) == {"first": "SUCCESS"}
    faults.clear()
    invoke(record(second, message_id="second"), WORKER_MAX_MEMORY_MB=1)
    assert outcomes(cloud) == {"first": "SUCCESS", "second": "SUCCESS"}


def test_only_the_row_groups_that_are_read_from_a_large_file_count(cloud, invoke):
    count = 300_000
    codes = pa.array(["A"] * 1000 + ["B"] * (count - 1000))
    table = pa.table(
        {
            "obs_time": np.arange(count).astype("datetime64[s]").astype("datetime64[ns]"),
            "internal_series_code": codes,
            "value": np.random.default_rng(1).normal(size=count),
        }
    )
    body = parquet(table, row_group_size=1000)
    assert len(body) > 4 * 1024 * 1024
    obstore.put(cloud.store, "datasets/fx/projections/all.parquet", body, use_multipart=False)
    listed = json.dumps({"parquet_files": ["all.parquet"]}).encode()
    obstore.put(cloud.store, "datasets/fx/versions/v1/manifest.json", listed)

    invoke(record(a_alone(run_id="r")), WORKER_MAX_ROWS=1000, WORKER_MAX_MEMORY_MB=1)

    assert outcomes(cloud) == {"r": "SUCCESS"}


def test_a_run_within_the_limits_is_not_refused(cloud, invoke):
    invoke(run_of("m"), WORKER_MAX_PART_FILES=2, WORKER_MAX_ROWS=20, WORKER_MAX_INPUTS=2)
    assert outcomes(cloud) == {"m-1": "SUCCESS"}


@pytest.mark.parametrize("unknown", ['{"":0},', "[[]],", "0,"])
def test_a_manifest_that_does_not_fit_into_memory_fails_before_it_is_parsed(cloud, refused, unknown):
    body = '{"parquet_files": ["A/data.parquet"], "more": [' + unknown * 300_000 + "0]}"
    obstore.put(cloud.store, "datasets/fx/versions/v1/manifest.json", body.encode(), use_multipart=False)

    error = refused(request(), WORKER_MAX_MEMORY_MB=30)

    assert error.startswith("INPUT_READ_ERROR: manifest datasets/fx/versions/v1/manifest.json: ")
    assert "MB of memory" in error
    assert "WORKER_MAX_MEMORY_MB" in error

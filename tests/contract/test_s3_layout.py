"""The objects that a run writes to S3 have the keys, types and values on which external readers rely."""

import io
import json
import re
from datetime import UTC, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.builders import (
    NOW,
    Cloud,
    day,
    envelope,
    put_a_and_b,
    put_dataset,
    ratio,
    record,
    request,
    rows,
    series,
)

BASE = "metrics/ratio.a_to_b/"
VERSION = "2026-10-30T12-00-00"
DATA = f"{BASE}{VERSION}/data/metrics.parquet"
MANIFEST = f"{BASE}{VERSION}/manifest.json"
CURRENT = f"{BASE}current/manifest.json"
MARKER = f"{BASE}runs/run-1.ok"


@pytest.fixture
def published(cloud, invoke):
    put_a_and_b(cloud.store)
    invoke(record(envelope(request(ratio(series("A"), series("B"), scale=1))), group="ratio.a_to_b"))
    return cloud


def file_metadata(cloud: Cloud) -> pq.FileMetaData:
    return pq.ParquetFile(io.BytesIO(cloud.read(DATA))).metadata


def test_a_run_writes_exactly_four_objects(published):
    assert published.keys("metrics/") == [DATA, MANIFEST, CURRENT, MARKER]


def test_a_base_path_with_a_folder_before_the_metric_code_is_rejected(cloud, invoke):
    put_a_and_b(cloud.store)

    invoke(record(request(output={"basePath": "s3://data-bucket/metrics/team/x/ratio.a_to_b"})))

    assert cloud.keys("metrics/") == []
    assert cloud.sns.completed[0]["error"].startswith("CONFIG_ERROR: output.basePath: ")


@pytest.mark.parametrize("bucket", ["data-bucket", "bucket"])
def test_the_base_path_is_the_metrics_prefix_and_the_code(cloud, invoke, bucket):
    put_a_and_b(cloud.store)

    invoke(record(request(output={"basePath": f"s3://{bucket}/metrics/ratio.a_to_b"})))

    assert cloud.keys("metrics/") == [DATA, MANIFEST, CURRENT, MARKER]


def test_the_data_has_two_columns_without_nulls(published):
    schema = pq.read_schema(io.BytesIO(published.read(DATA)))

    assert schema.names == ["obs_time", "value"]
    assert schema.field("obs_time").equals(pa.field("obs_time", pa.timestamp("us", "UTC"), nullable=False))
    assert schema.field("value").equals(pa.field("value", pa.float64(), nullable=False))


def test_the_data_is_sorted_by_time_for_input_rows_in_any_order(cloud, invoke):
    days = [3, 1, 4, 2, 5]
    put_dataset(cloud.store, {"A/x.parquet": rows("A", [day(n) for n in days], [float(n) for n in days])})

    invoke(record(request(ratio(series("A"), series("A")), inputs={"A": "fx"})))

    times = cloud.read_table(DATA)["obs_time"].to_pylist()
    assert times == [day(n).replace(tzinfo=UTC) for n in range(1, 6)]


def test_the_metadata_of_the_data_file_identifies_the_run(published):
    metadata = pq.read_schema(io.BytesIO(published.read(DATA))).metadata

    assert metadata == {
        b"run_id": b"run-1",
        b"metric_code": b"ratio.a_to_b",
        b"version_ts": VERSION.encode(),
        b"expression": metadata[b"expression"],
    }
    assert json.loads(metadata[b"expression"]) == ratio(series("A"), series("B"), scale=1)


@pytest.mark.parametrize(
    ("setting", "codec"),
    [
        (None, "SNAPPY"),
        ("snappy", "SNAPPY"),
        ("none", "UNCOMPRESSED"),
        ("gzip", "GZIP"),
        ("brotli", "BROTLI"),
        ("lz4", "LZ4"),
        ("ZSTD", "ZSTD"),
    ],
)
def test_the_data_is_compressed_with_the_configured_codec(cloud, invoke, setting, codec):
    put_a_and_b(cloud.store)

    invoke(record(request()), **({} if setting is None else {"OUTPUT_COMPRESSION": setting}))

    columns = [file_metadata(cloud).row_group(0).column(i) for i in range(2)]
    assert {column.compression for column in columns} == {codec}
    assert cloud.read_table(DATA)["value"].to_pylist() == [n / 2 for n in range(1, 11)]


def test_the_manifest_has_exactly_these_keys_and_values(published):
    read = {"dataset_id": "fx", "dataset_version": "v1", "part_files": 1, "rows": 10, "observations": 10}
    left_out = {"null": 0, "nan": 0, "infinite": 0, "duplicate": 0}

    assert published.read_json(MANIFEST) == {
        "run_id": "run-1",
        "metric_code": "ratio.a_to_b",
        "version_ts": VERSION,
        "created_at": "2026-10-30T12:00:00Z",
        "requested_at": "2026-10-30T11:59:58.123Z",
        "row_count": 10,
        "outputs": {"data_prefix": f"{BASE}{VERSION}/data/", "files": ["metrics.parquet"]},
        "expression": ratio(series("A"), series("B"), scale=1),
        "inputs": [
            {"series_code": "A", **read, **left_out},
            {"series_code": "B", **read, **left_out},
        ],
    }
    assert isinstance(published.read_json(MANIFEST)["row_count"], int)


def test_the_manifest_counts_the_rows_without_an_observation(cloud, invoke):
    days = [day(n) for n in (1, 2, 3, 4, 5, 5)]
    values = [1.0, None, float("nan"), float("inf"), 5.0, 6.0]
    put_dataset(cloud.store, {"A/x.parquet": rows("A", days, values)}, version_id=None)

    invoke(record(request(ratio(series("A"), series("A")), inputs={"A": "fx"})))

    assert cloud.read_json(MANIFEST)["inputs"] == [
        {
            "dataset_id": "fx",
            "dataset_version": None,
            "series_code": "A",
            "part_files": 1,
            "rows": 6,
            "observations": 2,
            "null": 1,
            "nan": 1,
            "infinite": 1,
            "duplicate": 1,
        }
    ]


def test_current_is_an_exact_copy_of_the_manifest(published):
    assert published.read(CURRENT) == published.read(MANIFEST)


def test_the_marker_has_everything_that_a_repeated_success_event_needs(published):
    assert published.read_json(MARKER) == {
        "run_id": "run-1",
        "metric_code": "ratio.a_to_b",
        "version_ts": VERSION,
        "manifest": MANIFEST,
        "row_count": 10,
        "requested_at": "2026-10-30T11:59:58.123Z",
        "committed_at": "2026-10-30T12:00:00Z",
    }


def test_times_are_written_in_utc_for_any_zone_of_the_clock_and_the_notification(cloud, invoke):
    put_a_and_b(cloud.store)
    cloud.now = lambda: NOW.astimezone(timezone(timedelta(hours=-3)))

    invoke(record(envelope(request(), timestamp="2026-10-30T08:59:58-03:00"), group="ratio.a_to_b"))

    manifest = cloud.read_json(MANIFEST)
    assert manifest["version_ts"] == VERSION
    assert manifest["created_at"] == "2026-10-30T12:00:00Z"
    assert manifest["requested_at"] == "2026-10-30T11:59:58.000Z"
    assert cloud.sns.events[0]["startedAt"] == "2026-10-30T12:00:00Z"


def test_versions_are_named_by_their_time_in_a_form_that_sorts_as_text(published):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d", published.read_json(MANIFEST)["version_ts"])


def test_an_expression_without_any_value_gives_an_empty_version(cloud, invoke):
    put_dataset(
        cloud.store,
        {"A/x.parquet": rows("A", [day(1)], [1.0]), "B/x.parquet": rows("B", [day(2)], [1.0])},
    )

    assert invoke(record(request())) == {"batchItemFailures": []}

    (completed,) = cloud.sns.completed
    assert (completed["status"], completed["rowCount"]) == ("SUCCESS", 0)
    assert cloud.read_json(CURRENT)["row_count"] == 0
    table = cloud.read_table(DATA)
    assert table.num_rows == 0
    assert table.schema.field("obs_time").type == pa.timestamp("us", "UTC")

"""The objects that a run writes to S3 have the expected keys and exactly the expected content."""

import io
import json
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from metrics_worker.publication.records import InputSummary, Keys, Marker, OutputManifest, Outputs
from tests.builders import put_a_and_b, record, request

RUN_ID = "550e8400-e29b-41d4-a716-446655440000"


def test_the_key_of_each_object_of_a_run_is_fixed():
    keys = Keys("metrics/m.x/")
    assert keys.data("2025-01-15T10-30-00") == "metrics/m.x/2025-01-15T10-30-00/data/metrics.parquet"
    assert keys.manifest("2025-01-15T10-30-00") == "metrics/m.x/2025-01-15T10-30-00/manifest.json"
    assert keys.marker(RUN_ID) == f"metrics/m.x/runs/{RUN_ID}.ok"
    assert keys.current == "metrics/m.x/current/manifest.json"


def test_the_manifest_of_a_version_has_exactly_these_bytes():
    summary = InputSummary(
        dataset_id="fx",
        dataset_version="v1",
        series_code="A",
        part_files=2,
        rows=10,
        observations=5,
        null=1,
        nan=1,
        infinite=1,
        duplicate=2,
    )
    manifest = OutputManifest(
        run_id=RUN_ID,
        metric_code="m.x",
        version_ts="2025-01-15T10-30-00",
        created_at="2025-01-15T10:30:00Z",
        requested_at="2025-01-15T10:29:58.000Z",
        row_count=1000,
        outputs=Outputs(data_prefix="metrics/m.x/2025-01-15T10-30-00/data/", files=["metrics.parquet"]),
        expression={"series_code": "A"},
        inputs=[summary],
    )
    expected = {
        "run_id": RUN_ID,
        "metric_code": "m.x",
        "version_ts": "2025-01-15T10-30-00",
        "created_at": "2025-01-15T10:30:00Z",
        "requested_at": "2025-01-15T10:29:58.000Z",
        "row_count": 1000,
        "outputs": {"data_prefix": "metrics/m.x/2025-01-15T10-30-00/data/", "files": ["metrics.parquet"]},
        "expression": {"series_code": "A"},
        "inputs": [
            {
                "dataset_id": "fx",
                "dataset_version": "v1",
                "series_code": "A",
                "part_files": 2,
                "rows": 10,
                "observations": 5,
                "null": 1,
                "nan": 1,
                "infinite": 1,
                "duplicate": 2,
            }
        ],
    }
    assert manifest.encode().decode() == json.dumps(expected, indent=2)


def test_the_marker_of_a_run_has_exactly_these_fields():
    marker = Marker(
        run_id=RUN_ID,
        metric_code="m.x",
        version_ts="2025-01-15T10-30-00",
        manifest="metrics/m.x/2025-01-15T10-30-00/manifest.json",
        row_count=1000,
        requested_at="2025-01-15T10:29:58.000Z",
        committed_at="2025-01-15T10:30:01Z",
    )
    assert json.loads(marker.encode()) == {
        "run_id": RUN_ID,
        "metric_code": "m.x",
        "version_ts": "2025-01-15T10-30-00",
        "manifest": "metrics/m.x/2025-01-15T10-30-00/manifest.json",
        "row_count": 1000,
        "requested_at": "2025-01-15T10:29:58.000Z",
        "committed_at": "2025-01-15T10:30:01Z",
    }


def test_a_run_writes_exactly_four_objects(cloud, invoke):
    put_a_and_b(cloud.store)
    invoke(record(request()))
    assert cloud.keys("metrics/") == [
        "metrics/ratio.a_to_b/2026-10-30T12-00-00/data/metrics.parquet",
        "metrics/ratio.a_to_b/2026-10-30T12-00-00/manifest.json",
        "metrics/ratio.a_to_b/current/manifest.json",
        "metrics/ratio.a_to_b/runs/run-1.ok",
    ]


def test_the_manifest_lists_the_inputs_with_their_counts(cloud, invoke):
    put_a_and_b(cloud.store)
    invoke(record(request()))
    inputs = cloud.read_json("metrics/ratio.a_to_b/current/manifest.json")["inputs"]
    assert [(one["series_code"], one["dataset_id"], one["dataset_version"]) for one in inputs] == [
        ("A", "fx", "v1"),
        ("B", "fx", "v1"),
    ]
    counts = {
        "part_files": 1,
        "rows": 10,
        "observations": 10,
        "null": 0,
        "nan": 0,
        "infinite": 0,
        "duplicate": 0,
    }
    assert inputs[0] | counts == inputs[0]


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd"])
def test_the_data_file_has_the_schema_metadata_and_compression_of_the_contract(cloud, invoke, codec):
    put_a_and_b(cloud.store)
    invoke(record(request()), OUTPUT_COMPRESSION=codec)
    body = cloud.read("metrics/ratio.a_to_b/2026-10-30T12-00-00/data/metrics.parquet")
    file = pq.ParquetFile(io.BytesIO(body))
    assert (
        str(file.schema_arrow.remove_metadata())
        == "obs_time: timestamp[us, tz=UTC] not null\nvalue: double not null"
    )
    assert {name.decode(): value.decode() for name, value in file.schema_arrow.metadata.items()} == {
        "run_id": "run-1",
        "metric_code": "ratio.a_to_b",
        "version_ts": "2026-10-30T12-00-00",
        "expression": '{"op":"ratio","left":{"series_code":"A"},"right":{"series_code":"B"},"scale":1.0}',
    }
    expected = "UNCOMPRESSED" if codec == "none" else codec.upper()
    assert {file.metadata.row_group(0).column(i).compression for i in (0, 1)} == {expected}
    times = file.read()["obs_time"].to_pylist()
    assert times == sorted(times)
    assert (times[0], len(times)) == (datetime(2026, 1, 1, tzinfo=UTC), 10)

"""`metrics series` lists the series of a dataset, also in a bucket in which one of them is damaged."""

import json

import pyarrow as pa
import pytest
from obstore.store import LocalStore, MemoryStore

from metrics_tools.published import dataset_series
from metrics_tools.published.dataset_series import read_summaries
from metrics_tools.runs.computing import settings_for
from metrics_tools.validate.discovery import newest
from metrics_worker.dataset.datasets import Datasets
from metrics_worker.dataset.decoder import Decoder
from metrics_worker.dataset.snapshots import MIN_PART_FILES, Snapshots
from metrics_worker.limits import Memory
from metrics_worker.observability.traffic import Traffic
from metrics_worker.s3.s3_bucket import S3Bucket
from tests.builders import BUCKET, day, put_dataset, rows

A = rows("A", [day(n) for n in range(1, 5)], [1.0, float("nan"), 3.0, 4.0])
B = rows("B", [day(2), day(3)], [2.0, 2.0])
BY_SERIES = {"A/m1.parquet": A.slice(0, 3), "A/m2.parquet": A.slice(3), "B/m1.parquet": B}
BY_HIVE = {f"series={name}": table for name, table in BY_SERIES.items()}
BY_MONTH = {"2026-01.parquet": pa.concat_tables([A, B])}


def listed(metrics, folder):
    done = metrics("series", "fx", "--folder", folder, "--json")
    return done.exit_code, {one["series_code"]: one for one in json.loads(done.stdout)["series"]}


@pytest.mark.parametrize(
    ("layout", "manifest", "mode", "files"),
    [
        (BY_SERIES, {"series_codes": ["A", "B"]}, "manifest", 2),
        (BY_SERIES, {}, "manifest", 2),
        (BY_HIVE, {}, "manifest", 2),
        (BY_MONTH, {"series_codes": ["A", "B"]}, "manifest", 1),
        (BY_SERIES, {"parquet_files": ["B/m1.parquet"], "series_codes": ["B"]}, "listing", 2),
    ],
)
def test_each_layout_and_mode_gives_the_same_series(
    metrics, tmp_path, monkeypatch, layout, manifest, mode, files
):
    monkeypatch.setenv("WORKER_SERIES_FILES", mode)
    put_dataset(LocalStore(tmp_path / "data", mkdir=True), layout, **manifest)
    status, found = listed(metrics, tmp_path / "data")
    assert (status, list(found)) == (0, ["A", "B"])
    assert (found["A"]["part_files"], found["B"]["part_files"]) == (files, 1)
    assert found["A"] | {"part_files": 0, "part_files_read": 0} == {
        "series_code": "A",
        "part_files": 0,
        "part_files_read": 0,
        "first_observation": "2026-01-01T00:00:00Z",
        "last_observation": "2026-01-04T00:00:00Z",
        "rows": 4,
        "observations": 3,
        "null": 0,
        "nan": 1,
        "infinite": 0,
        "duplicate": 0,
        "problem": None,
    }
    text = metrics("series", "fx", "--folder", tmp_path / "data").stdout
    assert "fx v1 at" in text
    assert "2026-01-04" in text
    assert "1 row left out" in text


def test_a_damaged_series_does_not_hide_the_others(metrics, folder):
    next((folder / "datasets/fx/projections/A").rglob("*.parquet")).write_bytes(b"damaged")
    status, found = listed(metrics, folder)
    assert status == 1
    assert "footer" in found["A"]["problem"]
    assert found["B"]["observations"] == 10
    assert "footer" in metrics("series", "fx", "--folder", folder).stdout


def test_without_a_dataset_the_datasets_are_listed(metrics, folder):
    put_dataset(LocalStore(folder), BY_SERIES, dataset="gold", series_codes=["A", "B"])
    manifest = next((folder / "datasets/fx/versions").rglob("manifest.json"))
    done = metrics("series", "--folder", folder)
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, f"2 datasets at {folder}")
    manifest.write_bytes(b"{")
    done = metrics("series", "--folder", folder, "--json")
    damaged, sound = json.loads(done.stdout)["datasets"]
    assert (done.exit_code, damaged["dataset"], damaged["series"]) == (1, "fx", None)
    assert damaged["problem"] == "the manifest cannot be read"
    assert (sound["dataset"], sound["series"], sound["problem"]) == ("gold", 2, None)
    assert (folder / sound["manifest"]).is_file()
    unknown = metrics("series", "x", "--folder", folder)
    assert unknown.stderr.endswith(f"has no manifest at {folder}. There is fx, gold.\n")
    (folder / "empty").mkdir()
    none = metrics("series", "--folder", folder / "empty")
    assert (none.exit_code, "there is no datasets/*/versions/*/manifest.json" in none.stderr) == (2, True)


def test_an_unknown_dataset_and_a_damaged_manifest_are_explained(metrics, folder):
    unknown = metrics("series", "fz", "--folder", folder)
    assert (unknown.exit_code, "There is fx" in unknown.stderr) == (2, True)
    (folder / "datasets/fx/versions/v1/manifest.json").write_text("{}")
    damaged = metrics("series", "fx", "--folder", folder)
    assert (damaged.exit_code, "parquet_files" in damaged.stderr) == (2, True)


@pytest.mark.parametrize("layout", [BY_MONTH, {"year=2026/month=01/data.parquet": A}])
def test_a_manifest_that_names_no_series_is_an_error(metrics, tmp_path, layout):
    put_dataset(LocalStore(tmp_path / "data", mkdir=True), layout)
    done = metrics("series", "fx", "--folder", tmp_path / "data")
    assert (done.exit_code, "no series_codes" in done.stderr) == (2, True)


def test_a_series_with_a_snapshot_costs_two_requests():
    store, settings = MemoryStore(), settings_for(BUCKET)
    table = rows("A", [day(n) for n in range(MIN_PART_FILES)], range(MIN_PART_FILES))
    parts = {f"A/{n:02}.parquet": table.slice(n, 1) for n in range(MIN_PART_FILES)}
    put_dataset(store, parts, series_codes=["A"])
    bucket = S3Bucket(store, BUCKET)
    manifest = newest(bucket, "datasets/").manifests["fx"]
    (before,) = read_summaries(bucket, manifest, ["A"], settings)
    memory = Memory(10**9)
    snapshots = Snapshots("metrics/", memory)
    with Decoder() as decoder:
        datasets = Datasets("manifest", settings.limits, memory, decoder, snapshots)
        dataset_series._read(datasets, bucket, manifest, ["A"])
        assert datasets.save_snapshots("series", bucket).written == 1
    bucket = bucket.metered(Traffic())
    (after,) = read_summaries(bucket, manifest, ["A"], settings)
    assert before.found
    assert after.found
    assert (before.found.part_files_read, after.found.part_files_read) == (MIN_PART_FILES, 0)
    assert before.found.cleaned.rows == after.found.cleaned.rows == MIN_PART_FILES
    # The worker reads the manifest once more, to check that the series is in it.
    assert (bucket.traffic.gets, bucket.traffic.lists) == (2, 1)

"""`metrics prune` lists versions and snapshots that nothing refers to, and deletes them only with --yes."""

import json
import os
import shutil
from datetime import UTC, datetime, timedelta

import pytest

from metrics_tools.buckets.places import bucket_place
from metrics_tools.pruning import delete, find_unreferenced
from metrics_worker.s3.s3_bucket import S3Bucket

CODE = "ratio.a_to_b"
OLD = 1_790_000_000
"""A time in seconds since 1970, more than a month before the tests were written."""


@pytest.fixture
def left(metrics, folder, ask):
    """Publish a version of `ratio.a_to_b`, and copy it to an older version that no marker names.

    Returns:
        The folder of the copy.
    """
    assert metrics("run", ask(), "--folder", folder, "--publish").exit_code == 0
    (version,) = (folder / "metrics" / CODE).glob("2*")
    copy = version.with_name("2026-01-01T00-00-00")
    shutil.copytree(version, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"version_ts": copy.name, "run_id": "killed"}))
    for path in copy.rglob("*.*"):
        os.utime(path, (OLD, OLD))
    return copy


def pruned(metrics, *words):
    done = metrics("prune", *words, "--json")
    assert done.exit_code == 0
    return json.loads(done.stdout)


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_without_yes_nothing_is_deleted(metrics, folder, left, words):
    found = pruned(metrics, *words, "--folder", folder)
    (one,) = found["unreferenced"]
    assert (found["deleted"], one["deleted"], one["kept"]) == (False, False, None)
    assert one["where"] == f"metrics/{CODE}/{left.name}/"
    assert one["keys"] == [f"{one['where']}manifest.json", f"{one['where']}data/metrics.parquet"]
    assert found["bytes"] == sum(path.stat().st_size for path in left.rglob("*.*"))
    shown = metrics("prune", *words, "--folder", folder)
    assert "Nothing was deleted: --yes deletes them" in shown.stdout
    assert (left / "manifest.json").is_file()


def test_with_yes_only_the_unreferenced_version_is_deleted(metrics, folder, left):
    before = {path for path in (folder / "metrics").rglob("*") if path.is_file()}
    done = metrics("prune", "--folder", folder, "--yes")
    assert "1 unreferenced version or snapshot deleted" in done.stdout
    after = {path for path in (folder / "metrics").rglob("*") if path.is_file()}
    assert {path for path in before if left in path.parents} == before - after
    assert not left.exists()
    assert "Healthy" in metrics("doctor", CODE, "--folder", folder).stdout


def test_a_young_version_is_kept_and_shown(metrics, folder, left):
    os.utime(left / "manifest.json")
    assert "kept, because it is too young" in metrics("prune", "--folder", folder, "--yes").stdout
    assert left.exists()
    assert metrics("prune", "--folder", folder, "--days", "0.5").exit_code == 2
    assert metrics("prune", "--folder", folder, "--yes", "--dry-run").exit_code == 2


@pytest.mark.usefixtures("left")
def test_a_bucket_is_pruned_as_a_folder_is(metrics, bucket, client):
    (one,) = pruned(metrics, "--bucket", bucket, "--yes")["unreferenced"]
    assert one["kept"] == "it is too young"  # it was written by this test
    store = bucket_place(bucket).bucket
    assert isinstance(store, S3Bucket)
    before = datetime.now(UTC) + timedelta(days=1)
    (found,) = find_unreferenced(store, "metrics/", before=before)
    assert delete(store, found, before=before) == ""
    keys = [item["Key"] for item in client("s3").list_objects_v2(Bucket=bucket)["Contents"]]
    assert not set(one["keys"]).intersection(keys)
    assert sum(key.startswith("metrics/") for key in keys) == 4  # a version, a marker and current

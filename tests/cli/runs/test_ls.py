"""`metrics ls` lists the published metrics, and a damaged metric does not hide the others."""

import io
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metrics_tools.buckets.places import bucket_place
from metrics_tools.formatting import age
from metrics_tools.published.overview import last_time, summaries
from metrics_worker.s3.bucket import StoredObject
from tests.builders import series, window

CODE = "ratio.a_to_b"


@pytest.fixture
def published(metrics, folder, ask):
    """Publish the metrics `ratio.a_to_b` and `sma.a`, and return the folder that contains their folders."""
    assert metrics("run", ask(), "--folder", folder, "--publish").exit_code == 0
    mean = ask(window("sma", series("A"), 3), metric="sma.a", kind="window_op", inputs={"A": "fx"})
    assert metrics("run", mean, "--folder", folder, "--publish").exit_code == 0
    return folder / "metrics"


def listed(metrics, *place):
    done = metrics("ls", *place, "--json")
    return done.exit_code, {one["metric_code"]: one for one in json.loads(done.stdout)["metrics"]}


@pytest.mark.usefixtures("published")
def test_each_metric_has_its_version_rows_last_observation_and_age(metrics, folder):
    status, found = listed(metrics, "--folder", folder)
    assert (status, list(found)) == (0, [CODE, "sma.a"])
    one = found["sma.a"]
    assert (one["row_count"], one["last_observation"], one["problem"]) == (8, "2026-01-10T00:00:00Z", None)
    assert 0 <= one["age_seconds"] < 100
    (row,) = [line for line in metrics("ls", "--folder", folder).stdout.splitlines() if "sma.a" in line]
    assert row.split()[1:4] == [one["version_ts"], "2026-01-10", "8"]


@pytest.mark.usefixtures("published")
def test_a_bucket_is_listed_with_one_listing_and_two_requests_for_each_metric(metrics, bucket):
    assert listed(metrics, "--bucket", bucket)[0] == 0
    place = bucket_place(bucket)
    assert [one.metric_code for one in summaries(place.bucket, "metrics/")] == [CODE, "sma.a"]
    assert (place.bucket.traffic.lists, place.bucket.traffic.gets) == (1, 4)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda metric: (metric / "current/manifest.json").write_text("{"), "current is damaged"),
        (lambda metric: (metric / "current/manifest.json").unlink(), "current does not exist"),
        (lambda metric: next(metric.glob("2*/data/*")).unlink(), "the data does not exist"),
        (lambda metric: next(metric.glob("2*/data/*")).write_bytes(b"PAR1"), "the data cannot be read"),
    ],
)
def test_a_damaged_metric_is_a_row_with_the_fault(metrics, folder, published, damage, problem):
    damage(published / CODE)
    status, found = listed(metrics, "--folder", folder)
    assert status == 1
    assert problem in found[CODE]["problem"]
    assert found["sma.a"]["problem"] is None


def test_a_location_without_metrics_has_an_empty_list(metrics, folder):
    assert listed(metrics, "--folder", folder) == (0, {})
    assert "No metric is published" in metrics("ls", "--folder", folder).stdout
    assert metrics("ls").exit_code == 2


@pytest.mark.usefixtures("published")
def test_a_version_after_a_rollback_is_marked(metrics, folder, ask):
    assert metrics("run", ask(name="again.json"), "--folder", folder, "--publish").exit_code == 0
    first = min(path.name for path in (folder / "metrics" / CODE).glob("2*"))
    assert metrics("rollback", CODE, first, "--folder", folder).exit_code == 0
    assert listed(metrics, "--folder", folder)[1][CODE]["rolled_back"]
    assert "rolled back" in metrics("ls", "--folder", folder).stdout


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("statistics", [True, False])
def test_the_last_time_is_that_of_the_latest_row_in_any_row_group(unit, statistics):
    times = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 3, 2)]
    table = pa.table({"obs_time": pa.array(times, pa.timestamp(unit, "UTC")), "value": [1.0, 2.0, 3.0]})
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=1, write_statistics=statistics)
    body = sink.getvalue()
    file = StoredObject("data", memoryview(body), len(body), "")
    assert last_time(file) == times[1].timestamp() * 1_000_000
    if statistics:
        tail = memoryview(body)[-pq.ParquetFile(io.BytesIO(body)).metadata.serialized_size - 8 :]
        assert last_time(StoredObject("data", tail, len(body), "")) == times[1].timestamp() * 1_000_000


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 days")]
)
def test_an_age_has_the_largest_fitting_unit(seconds, text):
    assert age(seconds) == text

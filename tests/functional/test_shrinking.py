"""A run reports lost rows if the dataset manifest lists only the part files of the last update."""

import pytest

from tests.builders import day, put_dataset, record, request, rows

MONTHS = {
    f"{code}/month={month:02d}/data.parquet": rows(code, [day(30 * month + n) for n in range(30)], [2.0] * 30)
    for code in ("A", "B")
    for month in range(4)
}
LAST = [name for name in MONTHS if "month=03" in name]
RUNS = ("first", "second")
CURRENT = "metrics/ratio.a_to_b/current/manifest.json"


@pytest.fixture
def update(cloud, invoke):
    """Return `update(expression, **settings)`, which computes two runs of one metric.

    In the run `first`, which computes A / B, the dataset manifest is complete. In the run `second`, which
    computes `expression`, the manifest lists only the part files of the last month. `settings` replace
    environment variables of the worker. The function returns a dict from the id of each run to its completed
    event.
    """

    def run(expression=None, **settings):
        put_dataset(cloud.store, MONTHS)
        invoke(request_record("first"), **settings)
        put_dataset(cloud.store, MONTHS, parquet_files=LAST, series_codes=["A", "B"], version_id="v2")
        invoke(request_record("second", expression), **settings)
        return {event["runId"]: event for event in cloud.sns.completed}

    return run


def request_record(run, expression=None):
    event = request(expression, run_id=run)
    return record(event, message_id=run)


def warnings(lines):
    return [line for line in lines() if line["message"] == "fewer rows than the version before"]


def shrunk(blobs):
    return [value for blob in blobs for value in blob.get("metric_versions_shrunk_total", ())]


def test_a_version_that_shrank_is_published_with_a_warning(cloud, update, lines):
    completed = update()
    assert [completed[run]["status"] for run in RUNS] == ["SUCCESS", "SUCCESS"]
    assert cloud.read_json(CURRENT)["row_count"] == 30
    (warning,) = warnings(lines)
    assert (warning["level"], warning["run_id"], warning["metric_code"]) == (
        "WARNING",
        "second",
        "ratio.a_to_b",
    )
    assert warning["shrunk"].startswith(
        "30 rows, 120 in version 2026-10-30T12-00-00; A has 30 observations in "
    )
    assert "WORKER_SERIES_FILES=listing" in warning["shrunk"]


def test_the_closing_log_line_has_the_warning(update, lines):
    update()
    closing = {line["run_id"]: line for line in lines() if line.get("event_type") == "metric_run_closed"}
    assert "30 rows, 120 in version" in closing["second"]["shrunk"]
    assert "shrunk" not in closing["first"]


@pytest.mark.parametrize("mode", ["warn", "refuse"])
def test_each_version_that_shrank_is_counted(update, blobs, mode):
    update(WORKER_SHRINK=mode)
    assert shrunk(blobs()) == [0.0, 1.0]


def test_a_version_that_would_shrink_can_be_refused_before_anything_is_published(cloud, update, lines):
    completed = update(WORKER_SHRINK="refuse")
    assert completed["first"]["status"] == "SUCCESS"
    assert completed["second"]["status"] == "FAILURE"
    assert completed["second"]["error"].startswith(
        "INPUT_READ_ERROR: Failed to read input series: A: 30 rows, 120 in version 2026-10-30T12-00-00; "
    )
    assert cloud.read_json(CURRENT)["run_id"] == "first"
    versions = {key.split("/")[2] for key in cloud.keys("metrics/")} - {"current", "runs"}
    assert versions == {"2026-10-30T12-00-00"}
    assert [line["run_id"] for line in warnings(lines)] == ["second"]


def test_nothing_is_compared_if_the_setting_is_off(update, lines, blobs):
    update(WORKER_SHRINK="off")
    assert warnings(lines) == []
    assert shrunk(blobs()) == [0.0, 0.0]


def test_listing_reads_the_whole_history_so_nothing_shrinks(cloud, update, lines):
    update(WORKER_SERIES_FILES="listing")
    assert warnings(lines) == []
    assert cloud.read_json(CURRENT)["row_count"] == 120


def test_a_run_that_rolls_forward_is_not_compared_with_itself_or_others(cloud, update, invoke, lines):
    update()
    invoke(request_record("second"), WORKER_SHRINK="refuse")
    assert len(warnings(lines)) == 1
    assert [event["status"] for event in cloud.sns.completed] == ["SUCCESS"] * 3

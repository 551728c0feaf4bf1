"""The estimate of the requests and bytes of a run equals the requests and bytes of the real run.

The estimated cost and duration agree with the tables in docs/performance.md.
"""

import json
import re
from collections.abc import Container
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from obstore.store import MemoryStore

from metrics_tools.cost.needs import needs_of
from metrics_tools.cost.prices import Requests, dollars_of, seconds_of
from metrics_tools.validate.reading import Reader
from metrics_tools.validate.validation import validate
from metrics_worker.invocation import Attempt, Invocation
from metrics_worker.observability.report import RunReport
from metrics_worker.request import RunRequest, open_record
from metrics_worker.run import run_metric
from tests.builders import NOW, Cloud, day, put_a_and_b, put_dataset, ratio, request, rows, series

PERFORMANCE = (Path(__file__).parents[2] / "docs/performance.md").read_text(encoding="utf-8")
A, B, C = (series(code) for code in "ABC")


def put_everything(store: MemoryStore) -> None:
    """Write three datasets to the store: fx, more and unused.

    The dataset fx has one part file for each of the series A and B. The dataset more has two part files of
    the series C, each with two rows of the same time. The dataset unused has one part file of the series Z.
    """
    put_a_and_b(store)
    mixed = {f"{n}.parquet": rows("C", [day(n), day(n)], [1.0, 2.0]) for n in (1, 2)}
    put_dataset(store, mixed, dataset="more", series_codes=["C"])
    put_dataset(store, {"Z/x.parquet": rows("Z", [day(1)], [1.0])}, dataset="unused", series_codes=["Z"])


def ran(cloud: Cloud, event: dict[str, Any], **settings: Any) -> RunReport:
    """Run a request with the worker, assert that the run succeeds, and return the report of the attempt.

    Args:
        cloud: the fake cloud.
        event: the request.
        settings: environment variables of the worker. By default, snapshots are off.
    """
    worker = cloud.worker(**{"WORKER_SNAPSHOTS": "off"} | settings)
    run = open_record(json.dumps(event), "0")
    report = RunReport(run_id=run.run_id, metric_code=run.metric_code, attempt=1)
    with Invocation.begin(worker.settings, 1, lambda: 300_000) as invocation:
        attempt = Attempt(run=run, report=report, worker=worker, invocation=invocation)
        run_metric(RunRequest.parse(run, worker.settings.bounds), attempt)
        attempt.save_snapshots()
    assert report.outcome == "SUCCESS"
    return report


def said(cloud: Cloud, event: dict[str, Any], **settings: Any) -> Any:
    """Return the `Needs` of a run, such as its number of requests to S3, as estimated without running it.

    Args:
        cloud: the fake cloud with the datasets.
        event: the request.
        settings: the values that replace environment variables of the worker, by name.
    """
    worker = cloud.worker(**settings)
    found = validate(json.dumps(event), worker.settings.bounds, Reader(cloud.bucket, worker.settings))
    assert found.request is not None
    return needs_of(found.request, found.inputs, snapshots=worker.settings.snapshots == "on")


EVENTS = {
    "two series of one dataset": request(),
    "one series twice": request(ratio(A, A), inputs={"A": "fx"}),
    "two datasets": request(ratio(A, C), inputs={"A": "fx", "C": "more"}, datasets=("fx", "more")),
    "looked for in all": request(ratio(A, C), inputs={}, datasets=("more", "unused", "fx")),
    "declared beside what is not read": request(datasets=("fx", "unused")),
}


def test_a_run_that_lists_reads_the_manifests_of_datasets_that_have_its_series(cloud):
    put_everything(cloud.store)
    put_dataset(cloud.store, {"C/1.parquet": rows("C", [day(1)], [1.0])}, dataset="more", parquet_files=[])
    event = request(ratio(A, C), inputs={}, datasets=("more", "unused", "fx"))
    needs = said(cloud, event, WORKER_SERIES_FILES="listing")
    traffic = ran(cloud, event, WORKER_SERIES_FILES="listing").traffic
    assert needs.manifests == 2
    assert needs.requests == Requests(gets=traffic.gets, puts=traffic.puts, lists=traffic.lists)


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_the_requests_of_a_run_are_those_of_the_estimate(cloud, event):
    put_everything(cloud.store)
    needs = said(cloud, event)
    report = ran(cloud, event)
    assert needs.requests is not None
    found = report.traffic
    assert (needs.requests.gets, needs.requests.puts) == (found.gets, found.puts)
    assert (needs.requests.lists, needs.requests.publishes) == (found.lists, len(cloud.sns.messages))
    cloud.now = lambda: NOW + timedelta(hours=1)  # for another version name
    again = ran(cloud, event | {"runId": "run-2"}).traffic
    assert (again.gets, again.puts) == (found.gets, found.puts), "with a current to be swapped too"


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_the_bytes_read_are_those_of_the_estimate(cloud, event):
    put_everything(cloud.store)
    needs = said(cloud, event)
    report = ran(cloud, event)
    assert [(n.code, n.dataset_id, n.part_files, n.rows, n.observations) for n in needs.series] == [
        (i.series_code, i.dataset_id, i.part_files, i.rows, i.observations) for i in report.inputs
    ]
    assert needs.part_files == needs.requests.gets - 3 - needs.manifests
    written = cloud.read("metrics/ratio.a_to_b/runs/run-1.ok")
    assert needs.bytes_read == report.traffic.bytes_read - len(cloud.read(data_of(json.loads(written))))


def data_of(marker):
    return marker["manifest"].replace("manifest.json", "data/metrics.parquet")


def test_by_listing_each_series_needs_one_list_request(cloud):
    put_everything(cloud.store)
    needs = said(cloud, request(), WORKER_SERIES_FILES="listing")
    found = ran(cloud, request(), WORKER_SERIES_FILES="listing").traffic
    assert (needs.requests.gets, needs.requests.lists) == (found.gets, found.lists) == (6, 2)


def put_many(store: MemoryStore, months: Container[int], *, shared: bool) -> None:
    """Write the dataset fx, in which each of the series A and B has an observation in several months.

    The manifest lists part files for 40 months, but only those of `months` are written.

    Args:
        store: the store.
        months: the months, numbered from 1, whose part files are written.
        shared: whether the two series share one part file for each month.
    """
    folders = [""] if shared else ["A/", "B/"]
    names = {f"{folder}month={month:02d}.parquet": month for folder in folders for month in range(1, 41)}
    files = {
        name: pa.concat_tables(
            rows(code, [day(month)], [1.0]) for code in (name[0] if name[0] in "AB" else "AB")
        )
        for name, month in names.items()
        if month in months
    }
    put_dataset(store, files, series_codes=["A", "B"], parquet_files=list(names))


@pytest.mark.parametrize(("by", "shared"), [("manifest", False), ("manifest", True), ("listing", False)])
def test_the_needs_with_snapshots_are_those_of_a_run_after_one_part_file_has_changed(cloud, by, shared):
    put_many(cloud.store, range(41), shared=shared)
    few = {f"C/{n}.parquet": rows("C", [day(n)], [1.0]) for n in (39, 40)}
    put_dataset(cloud.store, few, dataset="more")
    event = request(
        ratio(ratio(A, B), C), inputs={"A": "fx", "B": "fx", "C": "more"}, datasets=("fx", "more")
    )
    settings = {"WORKER_SERIES_FILES": by, "WORKER_SNAPSHOTS": "on"}
    ran(cloud, event, **settings)
    put_many(cloud.store, [40], shared=shared)
    needs = said(cloud, event, **settings).with_snapshots
    cloud.now = lambda: NOW + timedelta(hours=1)  # for another version name
    report = ran(cloud, event | {"runId": "run-2"}, **settings)
    found = report.traffic
    assert (report.snapshot_hits, needs.snapshots, needs.part_files) == (2, 2, 3 if shared else 4)
    assert needs.requests == Requests(gets=found.gets, puts=found.puts, lists=found.lists)
    written = cloud.read("metrics/ratio.a_to_b/runs/run-2.ok")
    bytes_of_inputs = found.bytes_read - len(cloud.read(data_of(json.loads(written))))
    assert needs.bytes_read == pytest.approx(bytes_of_inputs, rel=0.25)
    assert needs.dollars == dollars_of(needs.requests, needs.seconds)


def test_without_snapshots_there_is_no_second_estimate(cloud):
    put_everything(cloud.store)
    assert said(cloud, request()).with_snapshots is None, "one part file of each series"
    put_many(cloud.store, range(41), shared=False)
    assert said(cloud, request()).with_snapshots is not None
    assert said(cloud, request(), WORKER_SNAPSHOTS="off").with_snapshots is None


def test_a_part_file_beyond_one_request_takes_as_many_as_the_run(cloud, monkeypatch):
    monkeypatch.setattr("metrics_worker.s3.s3_bucket.WHOLE_BYTES", 400)
    put_everything(cloud.store)
    needs = said(cloud, request())
    found = ran(cloud, request()).traffic
    assert needs.requests.gets == found.gets > 6
    assert needs.part_files == 2


def test_rows_that_are_not_observations_are_counted(cloud):
    put_everything(cloud.store)
    (need,) = said(cloud, request(C, kind="series", inputs={"C": "more"}, datasets=("more",))).series
    assert (need.rows, need.observations, need.left_out) == (4, 2, {"duplicate": 2})


def test_without_reading_only_the_series_are_known(cloud):
    event = request(inputs={"A": "fx"})
    found = validate(json.dumps(event), cloud.worker().settings.bounds)
    assert found.request is not None
    needs = needs_of(found.request)
    assert [(need.code, need.dataset_id) for need in needs.series] == [("A", "fx"), ("B", None)]
    assert (needs.requests, needs.seconds, needs.dollars, needs.manifests) == (None, None, None, 1)


# Prices


def test_a_million_single_runs_cost_what_the_table_says():
    (sum_line,) = re.findall(r"^\| sum \| .* \| \$([\d.]+) \|$", PERFORMANCE, re.MULTILINE)
    one = dollars_of(Requests(gets=278, puts=4), 0.343)
    assert one * 1e6 == pytest.approx(float(sum_line), abs=0.01)


def measured() -> list[tuple[int, float]]:
    """Return (number of part files, measured seconds) of each row of the table of part files.

    The table is in docs/performance.md.
    """
    table = PERFORMANCE.partition("### part files")[2].partition("###")[0]
    found = re.findall(r"^\| ([\d,]+) +\| ([\d.]+) \(", table, re.MULTILINE)
    return [(int(files.replace(",", "")), float(seconds)) for files, seconds in found]


@pytest.mark.parametrize(("files", "seconds"), measured())
def test_seconds_are_near_those_measured(files, seconds):
    assert seconds_of(files, 0) == pytest.approx(seconds, rel=0.12)


def test_the_estimates_of_a_single_run_and_a_large_file_are_near_the_measured_seconds():
    assert seconds_of(275, 5_800) == pytest.approx(0.343, rel=0.02)
    assert seconds_of(1, 10_000_000) == pytest.approx(1.93, rel=0.05)

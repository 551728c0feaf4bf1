"""The runs of a batch share data: each object is read once, and an error fails only the runs that need it."""

import json
import threading

import obstore
import pytest

from tests.faulty_store import denied, throttled
from tests.ten_series import (
    CHAIN,
    MONTHS,
    PARTS,
    PATIENCE,
    SAME,
    given_back,
    let_all_start_before_any_reads,
    outcomes,
    quotients,
    reads,
    run_of,
    values,
    when,
)

pytestmark = pytest.mark.usefixtures("no_thread_is_left")
NOTHING_COMES_BACK: dict[str, list[dict[str, str]]] = {"batchItemFailures": []}


# Objects that several runs need


@pytest.mark.parametrize("pairs", [SAME, CHAIN], ids=["same", "chain"])
def test_ten_metrics_read_each_manifest_and_part_file_once(cloud, invoke, faults, layout, pairs):
    let_all_start_before_any_reads(cloud, faults, 10)

    response = invoke(*(run_of(f"m.{n}", *pair) for n, pair in enumerate(pairs)))

    assert response == NOTHING_COMES_BACK
    needed = {code for pair in pairs for code in pair}
    files = [
        key
        for key in cloud.keys("datasets/fx/projections/")
        if layout == "file_a_month" or key.split("/")[3] in needed
    ]
    assert reads(faults, PARTS.format("")) == dict.fromkeys(files, 1)
    assert reads(faults, "datasets/*/manifest.json") == {"datasets/fx/versions/v1/manifest.json": 1}
    for n, pair in enumerate(pairs):
        assert values(cloud, f"m.{n}-1") == quotients(*pair)


@pytest.mark.usefixtures("file_a_month")
@pytest.mark.parametrize(("cap", "kept"), [(0, 0), (1_500, 1)])
def test_files_of_several_series_that_are_too_large_to_keep_are_read_again(
    cloud, invoke, faults, monkeypatch, cap, kept
):
    monkeypatch.setattr("metrics_worker.dataset.reading.MAX_SHARED_BYTES", cap)
    let_all_start_before_any_reads(cloud, faults, 10)

    assert invoke(*(run_of(f"m.{n}", *pair) for n, pair in enumerate(CHAIN))) == NOTHING_COMES_BACK

    for n, pair in enumerate(CHAIN):
        assert values(cloud, f"m.{n}-1") == quotients(*pair)
    counts = reads(faults, PARTS.format(""))
    assert list(counts.values()).count(1) == kept, "a file takes 1,050 bytes: the second would be too much"
    assert max(counts.values()) <= 10
    assert len(counts) == MONTHS


@pytest.mark.usefixtures("layout")
def test_files_that_are_larger_than_one_request_give_the_same_values(cloud, invoke, faults, monkeypatch):
    monkeypatch.setattr("metrics_worker.s3.s3_bucket.WHOLE_BYTES", 64)
    let_all_start_before_any_reads(cloud, faults, 10)

    assert invoke(*(run_of(f"m.{n}", *pair) for n, pair in enumerate(CHAIN))) == NOTHING_COMES_BACK

    for n, pair in enumerate(CHAIN):
        assert values(cloud, f"m.{n}-1") == quotients(*pair)


@pytest.mark.usefixtures("file_a_series")
def test_a_later_run_of_a_group_reads_nothing_again(cloud, invoke, faults):
    assert invoke(*(run_of("m", *pair, number=n) for n, pair in enumerate(SAME))) == NOTHING_COMES_BACK

    assert set(reads(faults, "datasets/*").values()) == {1}
    assert len(outcomes(cloud)) == 10


# Series that cannot be read


@pytest.mark.usefixtures("file_a_series")
@pytest.mark.parametrize("fault", [None, denied, throttled], ids=["missing", "denied", "throttled"])
def test_an_unreadable_series_fails_only_the_runs_that_use_it(cloud, invoke, faults, fault):
    """Run a batch in which the run `m.bad` reads the series A and B, of which B is unreadable.

    It fails while the run `m.good` waits for the series A, which the two runs share.
    """
    if fault:
        faults.before("GET", PARTS.format("B/"), fault, times=MONTHS)
    else:
        obstore.delete(cloud.store, PARTS.format("B/month=03/data.parquet").removesuffix("*"))
    good_begins = faults.hold("metrics/m.good/runs/*")
    faults.before("GET", PARTS.format("A/"), good_begins.open)  # when the bad run reads A
    when(cloud, "started", "m.good-1", faults.hold(PARTS.format("B/")).open)

    response = invoke(run_of("m.bad", "A", "B"), run_of("m.good", "A", "C"), run_of("m.other", "D", "E"))

    assert given_back(response) == (["m.bad-1"] if fault is throttled else [])
    failed = {} if fault is throttled else {"m.bad-1": "FAILURE"}
    assert outcomes(cloud) == {"m.good-1": "SUCCESS", "m.other-1": "SUCCESS", **failed}
    assert values(cloud, "m.good-1") == quotients("A", "C")
    if failed:
        (error,) = [event["error"] for event in cloud.sns.completed if event["status"] == "FAILURE"]
        assert error.startswith("INPUT_READ_ERROR: Failed to read input series: B: ")
    assert set(reads(faults, PARTS.format("[CDE]/")).values()) == {1}
    assert max(reads(faults, PARTS.format("A/")).values()) <= 2


@pytest.mark.usefixtures("file_a_series")
def test_an_unreadable_series_gives_each_run_an_error_of_its_own(cloud, invoke, faults):
    obstore.delete(cloud.store, PARTS.format("B/month=03/data.parquet").removesuffix("*"))
    let_all_start_before_any_reads(cloud, faults, 10)

    assert invoke(*(run_of(f"m.{n}") for n in range(10))) == NOTHING_COMES_BACK

    assert outcomes(cloud) == {f"m.{n}-1": "FAILURE" for n in range(10)}
    assert all("input series: B: " in event["error"] for event in cloud.sns.completed)


@pytest.mark.usefixtures("file_a_month")
def test_a_shared_file_that_fails_once_fails_one_run(cloud, invoke, faults):
    faults.before("GET", PARTS.format("month=03/"), throttled)
    let_all_start_before_any_reads(cloud, faults, 10)

    (failed,) = given_back(invoke(*(run_of(f"m.{n}", *pair) for n, pair in enumerate(CHAIN))))

    done = {f"m.{n}-1": pair for n, pair in enumerate(CHAIN) if f"m.{n}-1" != failed}
    assert outcomes(cloud) == dict.fromkeys(done, "SUCCESS")
    for run_id, pair in done.items():
        assert values(cloud, run_id) == quotients(*pair)


@pytest.mark.usefixtures("file_a_month")
def test_a_missing_shared_file_fails_each_run_with_an_error_that_names_a_series_of_the_run(
    cloud, invoke, faults
):
    obstore.delete(cloud.store, PARTS.format("month=03/data.parquet").removesuffix("*"))
    let_all_start_before_any_reads(cloud, faults, 10)

    assert invoke(*(run_of(f"m.{n}", *pair) for n, pair in enumerate(CHAIN))) == NOTHING_COMES_BACK

    errors = {event["runId"]: event["error"] for event in cloud.sns.completed}
    for n, pair in enumerate(CHAIN):
        assert any(f"input series: {code}: " in errors[f"m.{n}-1"] for code in pair)
        assert "month=03/data.parquet" in errors[f"m.{n}-1"]


@pytest.mark.usefixtures("file_a_series")
def test_a_run_that_waits_for_the_read_of_another_run_reports_progress(cloud, invoke, faults):
    progress: dict[str, float] = {}
    both_tell, waited = threading.Event(), list[bool]()

    def heard(message):
        event = json.loads(message["Message"])
        if event["type"] == "metric_run_heartbeat" and 0 < event["progress"] < 0.8:
            progress[event["runId"]] = event["progress"]
            if len(progress) == 2:
                both_tell.set()

    cloud.sns.before = heard
    last = PARTS.format(f"A/month={MONTHS:02d}/")
    faults.before("GET", last, lambda: waited.append(both_tell.wait(PATIENCE)))

    invoke(run_of("m.reads"), run_of("m.waits"), WORKER_HEARTBEAT_INTERVAL_SECONDS=0.01)

    assert waited == [True]
    assert outcomes(cloud) == {"m.reads-1": "SUCCESS", "m.waits-1": "SUCCESS"}

"""A batch of several metrics through the real handler: groups side by side, and what they share read once."""

import json
import threading
from collections import Counter
from fnmatch import fnmatchcase

import boto3
import obstore
import pyarrow as pa
import pytest

from metrics_worker.pipeline import Worker
from metrics_worker.request_queue import RequestQueue
from metrics_worker.settings import Settings
from metrics_worker.status import StatusTopics
from tests.builders import day, put_dataset, ratio, record, request, rows, series
from tests.faulty_store import DATA, MARKER, denied, raising, throttled

NOTHING_COMES_BACK: dict[str, list[dict[str, str]]] = {"batchItemFailures": []}
PATIENCE = 10
CODES = "ABCDEFGHIJ"
MONTHS, DAYS = 6, 5
PARTS = "datasets/fx/projections/{}*"
SAME = [("A", "B")] * 10
CHAIN = [(left, right) for left, right in zip(CODES, CODES[1:] + CODES[:1], strict=True)]
"""What ten metrics divide by what: the same two series, or each its own pair."""


def factor(code):
    """A series is this times 1, 2, 3, …, a value a day."""
    return float(CODES.index(code) + 1)


def month(code, number):
    days = range(number * DAYS + 1, (number + 1) * DAYS + 1)
    return rows(code, [day(n) for n in days], [factor(code) * n for n in days])


@pytest.fixture
def file_a_series(cloud):
    """Six part files for each of ten series."""
    names = {(code, n): f"{code}/month={n + 1:02d}/data.parquet" for code in CODES for n in range(MONTHS)}
    put_dataset(cloud.store, {name: month(code, n) for (code, n), name in names.items()})


@pytest.fixture
def file_a_month(cloud):
    """Six part files, in each of which are all ten series."""
    files = {
        f"month={n + 1:02d}/data.parquet": pa.concat_tables([month(code, n) for code in CODES])
        for n in range(MONTHS)
    }
    put_dataset(cloud.store, files, series_codes=list(CODES))


@pytest.fixture(params=["file_a_series", "file_a_month"])
def layout(request):
    """Either of the two, and its name."""
    request.getfixturevalue(request.param)
    return request.param


def run_of(metric, left="A", right="B", *, number=1):
    """A record of a run of left / right; run and message are named after metric and number."""
    name = f"{metric}-{number}"
    inputs = {left: "fx", right: "fx"}
    asked = request(ratio(series(left), series(right)), run_id=name, metric=metric, inputs=inputs)
    return record(asked, message_id=name)


def given_back(response):
    return [item["itemIdentifier"] for item in response["batchItemFailures"]]


def outcomes(cloud):
    return {event["runId"]: event["status"] for event in cloud.sns.completed}


def values(cloud, run_id):
    """What a run has published."""
    (completed,) = [event for event in cloud.sns.completed if event["runId"] == run_id]
    manifest = cloud.read_json(completed["outputManifest"])
    return cloud.read_table(manifest["outputs"]["data_prefix"] + "metrics.parquet")["value"].to_pylist()


def quotients(left, right):
    return [factor(left) * n / (factor(right) * n) for n in range(1, MONTHS * DAYS + 1)]


def reads(faults, pattern):
    """How often each key that matches was read."""
    return Counter(key for made, key in faults.calls if made == "GET" and fnmatchcase(key, pattern))


def when(cloud, kind, run, deed, *, count=1):
    """Do that as soon as so many events of a kind are announced: of one run, or of any (None)."""
    before, lock, left = cloud.sns.before, threading.Lock(), [count]

    def watch(message):
        before(message)
        event = json.loads(message["Message"])
        if event["type"] == f"metric_run_{kind}" and run in (None, event["runId"]):
            with lock:
                left[0] -= 1
                due = left[0] == 0
            if due:
                deed()

    cloud.sns.before = watch


def let_all_start_before_any_reads(cloud, faults, count):
    """The manifest comes when so many runs have announced their start, so that they need it at once."""
    when(cloud, "started", None, faults.hold("datasets/*/manifest.json").open, count=count)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


# Groups side by side


@pytest.mark.usefixtures("file_a_series")
def test_a_group_that_waits_for_sns_holds_up_no_other(cloud, invoke):
    other_is_done, waited = threading.Event(), []
    when(cloud, "started", "m.slow-1", lambda: waited.append(other_is_done.wait(PATIENCE)))
    when(cloud, "completed", "m.fast-1", other_is_done.set)

    assert invoke(run_of("m.slow"), run_of("m.fast")) == NOTHING_COMES_BACK

    assert waited == [True]
    assert outcomes(cloud) == {"m.slow-1": "SUCCESS", "m.fast-1": "SUCCESS"}


@pytest.mark.usefixtures("file_a_series")
def test_a_group_that_waits_to_write_holds_up_no_other(cloud, invoke, faults):
    other_is_done, waited = threading.Event(), []
    faults.before("PUT", "metrics/m.slow/*/data/*", lambda: waited.append(other_is_done.wait(PATIENCE)))
    when(cloud, "completed", "m.fast-1", other_is_done.set)

    assert invoke(run_of("m.slow"), run_of("m.fast")) == NOTHING_COMES_BACK

    assert waited == [True]
    assert outcomes(cloud) == {"m.slow-1": "SUCCESS", "m.fast-1": "SUCCESS"}


@pytest.mark.usefixtures("file_a_series")
def test_a_group_that_waits_for_its_part_files_holds_up_no_other(cloud, invoke, faults):
    gate = faults.hold(PARTS.format("A/"))
    when(cloud, "completed", "m.fast-1", gate.open)

    assert invoke(run_of("m.slow", "A", "B"), run_of("m.fast", "C", "D")) == NOTHING_COMES_BACK

    assert gate.reached.is_set()
    assert [event["runId"] for event in cloud.sns.completed] == ["m.fast-1", "m.slow-1"]


@pytest.mark.usefixtures("file_a_series")
def test_groups_run_at_once_and_each_in_its_own_order(cloud, invoke, faults):
    met = threading.Barrier(3)
    faults.before("PUT", DATA, lambda: met.wait(PATIENCE), times=9)  # no run of a group commits alone
    records = [run_of(metric, number=n) for n in (1, 2, 3) for metric in ("m.x", "m.y", "m.z")]

    assert invoke(*records) == NOTHING_COMES_BACK

    for metric in ("m.x", "m.y", "m.z"):
        events = [event for event in cloud.sns.events if event["runId"].startswith(metric)]
        assert [(event["runId"], event["type"]) for event in events] == [
            (f"{metric}-{n}", f"metric_run_{kind}") for n in (1, 2, 3) for kind in ("started", "completed")
        ]
        versions = [event["versionTs"] for event in events if event["type"] == "metric_run_completed"]
        assert versions == sorted(set(versions))
        assert cloud.read_json(f"metrics/{metric}/current/manifest.json")["run_id"] == f"{metric}-3"
    assert set(outcomes(cloud).values()) == {"SUCCESS"}


@pytest.mark.usefixtures("file_a_series")
def test_a_group_that_fails_ends_while_the_others_go_on(cloud, invoke, faults):
    faults.before("GET", "metrics/m.x/runs/m.x-1.ok", throttled)
    gate = faults.hold("metrics/m.x/runs/m.x-1.ok")
    when(cloud, "completed", "m.y-1", gate.open)

    response = invoke(*(run_of(metric, number=n) for n in (1, 2) for metric in ("m.x", "m.y")))

    assert given_back(response) == ["m.x-1", "m.x-2"]
    assert outcomes(cloud) == {"m.y-1": "SUCCESS", "m.y-2": "SUCCESS"}
    assert not any(event["runId"].startswith("m.x") for event in cloud.sns.events)


def test_groups_that_need_sns_and_sqs_at_once_make_each_client_once(cloud, invoke, monkeypatch):
    made, another = [], threading.Event()

    def make(service, **_):
        if service in made:
            another.set()
        made.append(service)
        another.wait(0.1)  # for a second one, which the first makes unnecessary
        return {"sns": cloud.sns, "sqs": cloud.sqs}[service]

    def worker(**given):
        settings = Settings(**given)
        topics, queue = StatusTopics(settings), RequestQueue(settings)
        return Worker(settings, cloud.bucket, topics, queue, cloud.now)

    monkeypatch.setattr(boto3, "client", make)
    monkeypatch.setattr(cloud, "worker", worker)
    poison = [record("poison", message_id=f"poison {n}", group=f"bad {n}") for n in range(5)]

    response = invoke(*(run_of(f"m.{n}") for n in range(5)), *poison)  # each without a dataset

    assert len(given_back(response)) == len(cloud.sqs.calls) == 5
    assert outcomes(cloud) == {f"m.{n}-1": "FAILURE" for n in range(5)}
    assert sorted(made) == ["sns", "sqs"]


# Each thing is read once


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
@pytest.mark.parametrize("cap", [0, 1])
def test_files_of_several_series_that_are_too_much_to_keep_are_read_again(
    cloud, invoke, faults, monkeypatch, cap
):
    monkeypatch.setattr("metrics_worker.dataset.MAX_SHARED_BYTES", cap)
    let_all_start_before_any_reads(cloud, faults, 10)

    assert invoke(*(run_of(f"m.{n}", *pair) for n, pair in enumerate(CHAIN))) == NOTHING_COMES_BACK

    for n, pair in enumerate(CHAIN):
        assert values(cloud, f"m.{n}-1") == quotients(*pair)
    counts = reads(faults, PARTS.format(""))
    assert list(counts.values()).count(1) == cap, "the first file is kept where anything may be"
    assert max(counts.values()) <= 10
    assert len(counts) == MONTHS


@pytest.mark.usefixtures("layout")
def test_files_that_come_not_whole_are_right_too(cloud, invoke, faults, monkeypatch):
    monkeypatch.setattr("metrics_worker.store.WHOLE_BYTES", 64)
    let_all_start_before_any_reads(cloud, faults, 10)

    assert invoke(*(run_of(f"m.{n}", *pair) for n, pair in enumerate(CHAIN))) == NOTHING_COMES_BACK

    for n, pair in enumerate(CHAIN):
        assert values(cloud, f"m.{n}-1") == quotients(*pair)


@pytest.mark.usefixtures("file_a_series")
def test_a_run_after_another_of_its_group_reads_nothing_again(cloud, invoke, faults):
    assert invoke(*(run_of("m", *pair, number=n) for n, pair in enumerate(SAME))) == NOTHING_COMES_BACK

    assert set(reads(faults, "datasets/*").values()) == {1}
    assert len(outcomes(cloud)) == 10


# What one run can't read


@pytest.mark.usefixtures("file_a_series")
@pytest.mark.parametrize("fault", [None, denied, throttled], ids=["missing", "denied", "throttled"])
def test_a_series_that_fails_fails_only_the_runs_that_name_it(cloud, invoke, faults, fault):
    """The bad run claims A, which the good one needs too, together with B; and fails while that one waits."""
    if fault:
        faults.before("GET", PARTS.format("B/"), fault, times=MONTHS)
    else:
        obstore.delete(cloud.store, PARTS.format("B/month=03/data.parquet").removesuffix("*"))
    good_begins = faults.hold("metrics/m.good/runs/*")
    faults.before("GET", PARTS.format("A/"), good_begins.open)  # once A is claimed
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
def test_a_series_that_all_need_and_nobody_can_read_fails_each_by_its_own_error(cloud, invoke, faults):
    obstore.delete(cloud.store, PARTS.format("B/month=03/data.parquet").removesuffix("*"))
    let_all_start_before_any_reads(cloud, faults, 10)

    assert invoke(*(run_of(f"m.{n}") for n in range(10))) == NOTHING_COMES_BACK

    assert outcomes(cloud) == {f"m.{n}-1": "FAILURE" for n in range(10)}
    assert all("input series: B: " in event["error"] for event in cloud.sns.completed)


@pytest.mark.usefixtures("file_a_month")
def test_a_file_of_all_series_that_fails_once_fails_one_run(cloud, invoke, faults):
    faults.before("GET", PARTS.format("month=03/"), throttled)
    let_all_start_before_any_reads(cloud, faults, 10)

    (failed,) = given_back(invoke(*(run_of(f"m.{n}", *pair) for n, pair in enumerate(CHAIN))))

    done = {f"m.{n}-1": pair for n, pair in enumerate(CHAIN) if f"m.{n}-1" != failed}
    assert outcomes(cloud) == dict.fromkeys(done, "SUCCESS")
    for run_id, pair in done.items():
        assert values(cloud, run_id) == quotients(*pair)


@pytest.mark.usefixtures("file_a_month")
def test_a_file_of_all_series_that_is_missing_fails_each_run_by_a_series_of_its_own(cloud, invoke, faults):
    obstore.delete(cloud.store, PARTS.format("month=03/data.parquet").removesuffix("*"))
    let_all_start_before_any_reads(cloud, faults, 10)

    assert invoke(*(run_of(f"m.{n}", *pair) for n, pair in enumerate(CHAIN))) == NOTHING_COMES_BACK

    errors = {event["runId"]: event["error"] for event in cloud.sns.completed}
    for n, pair in enumerate(CHAIN):
        assert any(f"input series: {code}: " in errors[f"m.{n}-1"] for code in pair)
        assert "month=03/data.parquet" in errors[f"m.{n}-1"]


# What operators see


@pytest.mark.usefixtures("file_a_series")
def test_no_line_of_a_batch_of_ten_bears_a_word_of_another_run(cloud, invoke, faults, lines):
    let_all_start_before_any_reads(cloud, faults, 9)
    faults.before("GET", "metrics/m.8/*", throttled)
    pairs = [*CHAIN[:8], ("A", "B"), ("A", "ZZ")]
    names = [f"m.{n}" for n in range(10)]

    runs = [run_of(name, *pair) for name, pair in zip(names, pairs, strict=True)]
    assert given_back(invoke(*runs, WORKER_HEARTBEAT_INTERVAL_SECONDS=0.001)) == ["m.8-1"]

    closing = {line["run_id"]: line for line in lines() if line.get("event_type") == "metric_run_closed"}
    assert closing.keys() == {f"{name}-1" for name in names}
    for name, pair in zip(names, pairs, strict=True):
        line = closing[f"{name}-1"]
        assert (line["metric_code"], line["message_id"], line["attempt"]) == (name, f"{name}-1", 1)
        assert line["outcome"] == {"m.8": "RETURNED", "m.9": "FAILURE"}.get(name, "SUCCESS")
        assert line["started"] is (name != "m.8")
        if line["outcome"] == "SUCCESS":
            assert [found["series_code"] for found in line["inputs"]] == list(pair)
            assert "error" not in line
        else:
            assert line["inputs"] == []
            assert "version_ts" not in line
    for line in lines():
        text = json.dumps(line)
        assert [name for name in names if name in text] == [line["metric_code"]]
    assert [line["message_id"] for line in lines() if line["message"] == "message given back"] == ["m.8-1"]


@pytest.mark.usefixtures("file_a_series")
def test_the_counts_of_a_batch_of_ten_are_exact(cloud, invoke, faults, lines, blobs):
    let_all_start_before_any_reads(cloud, faults, 9)
    faults.before("GET", "metrics/m.8/*", throttled)
    pairs = [*CHAIN[:8], ("A", "B"), ("A", "ZZ")]

    invoke(*(run_of(f"m.{n}", *pair) for n, pair in enumerate(pairs)))

    failed, batch = blobs()
    assert (failed["metric_runs_failed_total"], failed["error_code"]) == ([1.0], "INPUT_READ_ERROR")
    assert batch["metric_runs_started_total"] == [1.0] * 9
    assert batch["metric_runs_succeeded_total"] == [1.0] * 8
    assert len(batch["metric_run_duration_seconds"]) == 10
    traffic = [line["traffic"] for line in lines() if line.get("event_type") == "metric_run_closed"]
    assert sum(run["gets"] for run in traffic) == faults.count("GET", "*")
    assert sum(run["puts"] for run in traffic) == faults.count("PUT", "*") == 8 * 4
    written = {key: len(cloud.read(key)) for key in cloud.keys("metrics/")}
    assert sum(batch["s3_write_mb"]) == pytest.approx(sum(written.values()) / 1e6)
    read_back = sum(size for key, size in written.items() if "/data/" in key)
    inputs = sum(len(cloud.read(key)) * count for key, count in reads(faults, "datasets/*").items())
    assert sum(batch["s3_read_mb"]) == pytest.approx((inputs + read_back) / 1e6)


@pytest.mark.usefixtures("file_a_series")
def test_a_batch_leaves_no_thread_whatever_becomes_of_its_runs(cloud, invoke, faults):
    before = set(threading.enumerate())
    faults.before("GET", "metrics/m.returned/*", throttled)
    faults.before("PUT", "metrics/m.defect/*", raising(ZeroDivisionError("by 0")))
    poison = record("poison", message_id="poison", group="m.poison")
    seen: list[str] = []
    faults.before("PUT", MARKER, lambda: seen.extend(thread.name for thread in threading.enumerate()))

    response = invoke(
        run_of("m.good"), run_of("m.bad", "A", "ZZ"), run_of("m.returned"), run_of("m.defect"), poison
    )

    assert given_back(response) == ["m.returned-1", "poison"]
    assert outcomes(cloud) == {"m.good-1": "SUCCESS", "m.bad-1": "FAILURE", "m.defect-1": "FAILURE"}
    assert {"lane", "heartbeat"} <= set(seen)
    assert set(threading.enumerate()) == before

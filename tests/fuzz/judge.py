"""One input through the real handler, and whether it did what it must whatever it is given.

The bucket is a memory store in which nothing fails, so each record's fate is known beforehand: a run that can
be answered is announced, once; one that can't goes back, and with it the later ones of its group. Whatever is
otherwise is a finding: an AssertionError. The limits are small here, so that inputs reach them.
"""

import gc
import io
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import obstore
import pyarrow as pa
import pytest

from metrics_worker.observability.telemetry import logger
from tests import conftest  # noqa: F401 - it clears the environment, and sets what the worker needs
from tests.builders import BUCKET, Cloud, FakeContext
from tests.faulty_store import Faults
from tests.fuzz import published_events
from tests.fuzz.case import Case
from tests.invariants import no_thread_is_left

type Json = dict[str, Any]

MAX_BODY, MAX_MANIFEST, MAX_PART_FILES, MAX_ROWS, MAX_MEMORY = 65_536, 65_536, 40, 20_000, 16_000_000
LIMITS: Json = {
    "WORKER_MAX_BODY_BYTES": MAX_BODY,
    "WORKER_MAX_INPUTS": 20,
    "WORKER_MAX_MANIFEST_BYTES": MAX_MANIFEST,
    "WORKER_MAX_PART_FILES": MAX_PART_FILES,
    "WORKER_MAX_ROWS": MAX_ROWS,
    "WORKER_MAX_MEMORY_MB": MAX_MEMORY // 1_000_000,
    "WORKER_HEARTBEAT_INTERVAL_SECONDS": 0.002,  # so that there are heartbeats to judge
}
MAX_RESIDENT = MAX_MEMORY + 64_000_000
"""By which one input may make the process grow: what it may decode, and what Python needs beside."""
FEW_BYTES = 600
"""What one request brings of a part file that is to be scanned, in place of the bucket's 4 MiB."""
MAX_SECONDS = 20.0
"""Of one batch on a busy machine. A usual one takes a hundredth of a second."""
BAD_CODE = "(no usable code)"
"""The metric of every request whose code no key can be made of."""
HARD_TO_TELL = 900
"""Nesting from which two readers of JSON may differ in whether it is too deep."""

_SHAPES = (
    r"[0-9T-]{19}/data/metrics\.parquet",
    r"[0-9T-]{19}/manifest\.json",
    r"current/manifest\.json",
    r"runs/{run}\.ok",
)
_POOLS: list[pa.MemoryPool] = []
"""Kept, since what was allocated from a pool may outlive its use here."""


@dataclass(frozen=True)
class Asked:
    """A run that can be answered."""

    run: str
    metric: str
    v1: bool


@dataclass
class Verdict:
    """What became of a batch that was handled well.

    Attributes:
        outcomes: SUCCESS, an error code or GIVEN_BACK, of each record.
        decoded: the most bytes that Arrow held at once.
        grown: the most by which the process grew; 0 where the system does not tell.
    """

    outcomes: list[str] = field(default_factory=list)
    decoded: int = 0
    grown: int = 0
    seconds: float = 0.0


def judge(case: Case) -> Verdict:
    """Let the handler have the records, with the objects in the bucket.

    Raises:
        AssertionError: a finding.
    """
    cloud, calls = Cloud(), Faults()
    for key, body in case.objects.items():
        obstore.put(cloud.store, key, body)
    verdict, threads = Verdict(), threading.enumerate()
    with _standing(cloud, calls, case) as log, redirect_stdout(io.StringIO()) as blobs:
        from metrics_worker.handler import lambda_handler  # noqa: PLC0415 - it reads the environment

        with _measured(verdict):
            response = lambda_handler({"Records": list(case.records)}, FakeContext())
        lines = log().split("\n")[:-1]  # as CloudWatch tells lines apart
    no_thread_is_left(threads, threading.enumerate())
    _check_log(lines, blobs.getvalue().splitlines())
    completed = _check_events(cloud)
    _check_fates(case.records, response, completed, verdict)
    _check_keys(calls.calls, cloud)
    _check_limits(case, calls.calls, completed, cloud, verdict)
    return verdict


def asked(body: str) -> Asked | str | None:
    """Who asks, by the contract alone; None where nobody can be answered, a word where it is hard to tell."""
    if body.count("[") + body.count("{") > HARD_TO_TELL:
        return "nested too deep to tell"
    try:
        event = json.loads(body, parse_int=float)
        if isinstance(event, dict) and isinstance(event.get("Message"), str):
            event = json.loads(event["Message"], parse_int=float)
    except ValueError:
        return None
    if not isinstance(event, dict) or event.get("type") != "metric_run_requested":
        return None
    run, metric = event.get("runId"), event.get("metricCode")
    if not (isinstance(run, str) and published_events.ID.fullmatch(run)):
        return None
    if not (isinstance(metric, str) and published_events.ID.fullmatch(metric)):
        metric = BAD_CODE
    return Asked(run, metric, event.get("schema") == published_events.V1)


@contextmanager
def _standing(cloud: Cloud, calls: Faults, case: Case) -> Iterator[Any]:
    """The handler over the cloud; yields what reads the log. A line that can't be written is a finding."""
    from metrics_worker import handler  # noqa: PLC0415 - it reads the environment

    worker = cloud.worker(**{**LIMITS, **case.settings})
    (log_handler,) = logger.handlers
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, "utf-8", write_through=True)  # as strict as a process's own
    unwritten: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("metrics_worker.s3.s3_bucket.obstore", calls)
        if case.scanned:
            patch.setattr("metrics_worker.s3.s3_bucket.WHOLE_BYTES", FEW_BYTES)
        patch.setattr(handler, "worker", worker)
        patch.setattr(log_handler, "stream", stream)
        patch.setattr(log_handler, "handleError", unwritten.append)
        yield lambda: written.getvalue().decode()
    assert not unwritten, f"could not be logged: {unwritten}"


@contextmanager
def _measured(verdict: Verdict) -> Iterator[None]:
    before = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(pa.system_memory_pool())
    _POOLS.append(pool)
    pa.set_memory_pool(pool)
    resident = _resident("VmRSS", reset=True)
    began = perf_counter()
    try:
        yield
    finally:
        verdict.seconds = perf_counter() - began
        pa.set_memory_pool(before)
        verdict.decoded = pool.max_memory()
        verdict.grown = max(0, _resident("VmHWM") - resident)


def _resident(name: str, *, reset: bool = False) -> int:
    """Bytes, as Linux counts them: those held now, or the most since the last reset. 0 elsewhere."""
    try:
        if reset:
            gc.collect(0)
            Path("/proc/self/clear_refs").write_text("5", "ascii")
        status = Path("/proc/self/status").read_text("ascii")
    except OSError:
        return 0
    found = re.search(rf"^{name}:\s*(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


# What is judged


def _check_events(cloud: Cloud) -> list[Json]:
    """Every event can be parsed; those that say how a run ended."""
    events = [published_events.check(message) for message in cloud.sns.messages]
    return [event for event in events if event["type"] == "metric_run_completed"]


def _check_fates(records: Sequence[Json], response: Json, completed: list[Json], verdict: Verdict) -> None:
    assert response.keys() == {"batchItemFailures"}, f"the response is {response}"
    assert all(item.keys() == {"itemIdentifier"} for item in response["batchItemFailures"]), response
    back = [item["itemIdentifier"] for item in response["batchItemFailures"]]
    assert len(set(back)) == len(back), f"given back twice: {back}"
    failing: set[str] = set()
    answered: Counter[Asked] = Counter()
    for record in records:
        group = record["attributes"].get("MessageGroupId", record["messageId"])
        who = asked(record["body"])
        if isinstance(who, str):
            who = None if record["messageId"] in back else who
        if who is None or group in failing:
            failing.add(group)
            assert record["messageId"] in back, f"{record['messageId']} is done, and nobody was answered"
            verdict.outcomes.append("GIVEN_BACK")
            continue
        assert record["messageId"] not in back, f"{who} is given back, and nothing was wrong with AWS"
        if isinstance(who, Asked):
            answered[who] += 1
    said = Counter(Asked(e["runId"], _code(e), e.get("schema") == published_events.V1) for e in completed)
    if not any(isinstance(asked(record["body"]), str) for record in records):
        assert said == answered, f"asked for and answerable: {answered}; announced: {said}"
    verdict.outcomes += [_outcome(event) for event in completed]
    assert "INTERNAL_ERROR" not in verdict.outcomes, f"a defect: {completed}"


def _code(event: Json) -> str:
    """The metric that a run was of; of one whose request named none that can be used, `BAD_CODE`."""
    error = event.get("error") or ""
    text = f"{error['code']}: {error['message']}" if isinstance(error, dict) else error
    return BAD_CODE if text.startswith("CONFIG_ERROR: metricCode: ") else str(event["metricCode"])


def _outcome(event: Json) -> str:
    if event["status"] == "SUCCESS":
        return "SUCCESS"
    error = event["error"]
    return str(error["code"]) if isinstance(error, dict) else error.partition(":")[0]


def _check_log(lines: list[str], blobs: list[str]) -> None:
    for line in lines + blobs:
        assert isinstance(json.loads(line), dict), f"no JSON object in the log: {line[:200]}"
    parsed = [json.loads(line) for line in lines]
    bad = [line for line in parsed if "exception" in line or line["level"] in {"ERROR", "CRITICAL"}]
    assert not bad, f"a defect in the log: {str(bad[0].get('exception', bad[0]))[-1500:]}"


def _check_keys(calls: list[tuple[str, str]], cloud: Cloud) -> None:
    """Nothing outside of the prefixes was touched, and nothing written but a run's own objects."""
    runs = [
        (event["runId"], message["MessageAttributes"]["metricCode"]["StringValue"])
        for message, event in zip(cloud.sns.messages, cloud.sns.events, strict=True)
    ]
    may_write = [
        re.compile(rf"metrics/{re.escape(metric)}/{shape.replace('{run}', re.escape(run))}")
        for run, metric in set(runs)
        for shape in _SHAPES
    ]
    for operation, key in calls:
        assert key.startswith(("datasets/", "metrics/")), f"{operation} {key!r}"
        parts = key.removesuffix("/").split("/") if operation == "LIST" else key.split("/")
        assert not {"", ".", ".."} & set(parts), f"{operation} {key!r}"
        assert len(key.encode()) <= 1024, f"{operation} of a key that S3 refuses: {key!r}"
        if operation == "PUT":
            assert any(shape.fullmatch(key) for shape in may_write), f"PUT {key!r} by {runs}"


def _check_limits(
    case: Case,
    calls: list[tuple[str, str]],
    completed: list[Json],
    cloud: Cloud,
    verdict: Verdict,
) -> None:
    assert verdict.seconds <= MAX_SECONDS, f"took {verdict.seconds:.1f} s"
    if not case.lies:  # the buffer for a page is as large as the page says, and need not be filled
        assert verdict.decoded <= MAX_MEMORY, f"Arrow held {verdict.decoded:,} bytes"
    assert verdict.grown <= MAX_RESIDENT, f"the process grew by {verdict.grown:,} bytes"
    parts = {key for operation, key in calls if operation == "GET" and "/projections/" in key}
    assert len(parts) <= MAX_PART_FILES * len(case.records), f"{len(parts)} part files"
    sizes: dict[str, int] = {}  # of a run that stands there twice, the smaller one may have committed it
    for record in case.records:
        if isinstance(who := asked(record["body"]), Asked):
            size = len(record["body"].encode(errors="replace"))
            sizes[who.run] = min(size, sizes.get(who.run, size))
    for event in completed:
        if event["status"] == "SUCCESS":
            key = event["outputManifest"].removeprefix(f"s3://{BUCKET}/")
            manifest = cloud.read_json(key)
            assert manifest["row_count"] == event["rowCount"], f"{manifest} is not {event}"
            (data,) = manifest["outputs"]["files"]
            rows = cloud.read_table(manifest["outputs"]["data_prefix"] + data).num_rows
            assert rows == event["rowCount"], f"{rows} rows in the data of {event}"
            read = sum(found["rows"] for found in manifest["inputs"])
            assert read <= MAX_ROWS, f"{read:,} rows read"
            assert sizes.get(event["runId"], 0) <= MAX_BODY, "a body that is too large was taken"

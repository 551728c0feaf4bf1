"""The judge of the fuzzer: a function that passes one input to the real handler and checks the results.

The bucket is in memory and never fails, so the correct result of each record is known in advance. If a record
has a usable run id, exactly one outcome of the run must be published. If not, the message must be returned to
the queue together with the later messages of its group. Any other result is a finding, which is raised as an
AssertionError. The limits of the worker are set to small values, so that inputs exceed them.
"""

import atexit
import gc
import io
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

import obstore
import pyarrow as pa
import pytest

from metrics_worker.dataset.decoder import Decoder
from metrics_worker.observability.telemetry import logger
from tests import conftest  # noqa: F401 - It sets the environment of the worker.
from tests.builders import BUCKET, Cloud, FakeContext
from tests.faulty_store import Faults
from tests.fuzz import published_events
from tests.fuzz.case import Case
from tests.invariants import no_thread_is_left

if TYPE_CHECKING:
    from metrics_worker.deadline import Deadline

type Json = dict[str, Any]

MAX_BODY, MAX_MANIFEST, MAX_PART_FILES, MAX_ROWS, MAX_MEMORY = 65_536, 65_536, 40, 20_000, 16_000_000
LIMITS: Json = {
    "WORKER_MAX_BODY_BYTES": MAX_BODY,
    "WORKER_MAX_INPUTS": 20,
    "WORKER_MAX_MANIFEST_BYTES": MAX_MANIFEST,
    "WORKER_MAX_PART_FILES": MAX_PART_FILES,
    "WORKER_MAX_ROWS": MAX_ROWS,
    "WORKER_MAX_MEMORY_MB": MAX_MEMORY // 1_000_000,
    "WORKER_HEARTBEAT_INTERVAL_SECONDS": 0.002,  # a short interval, so that runs publish heartbeats
}
MAX_RESIDENT = MAX_MEMORY + 64_000_000
"""The bytes by which one input may make the process grow: the memory limit, and what Python itself needs."""
FEW_BYTES = 600
"""The bytes that one request reads of a part file if `Case.scanned`, instead of the bucket's 4 MiB."""
MAX_SECONDS = 20.0
"""The longest duration of one batch on a busy machine; a typical batch takes 0.01 s."""
BAD_CODE = "(no usable code)"
"""The metric code that the judge uses for every request whose own code cannot be part of a key."""
MAX_COMPARED_NESTING = 900
"""The nesting above which two JSON parsers may disagree on whether it is too deep."""

_SHAPES = (
    r"[0-9T-]{19}/data/metrics\.parquet",
    r"[0-9T-]{19}/manifest\.json",
    r"current/manifest\.json",
    r"runs/{run}\.ok",
)
_POOLS: list[pa.MemoryPool] = []
"""All pools that were used: memory from a pool may outlive its use, so no pool is released."""


@dataclass(frozen=True)
class AnswerableRun:
    """A run whose outcome the worker must publish, because the record has a usable run id.

    Attributes:
        run: the run id.
        metric: the metric code; `BAD_CODE` if the code in the request is not valid.
        v1: whether the request and therefore the events are in the wire form v1 (docs/contracts).
    """

    run: str
    metric: str
    v1: bool


@dataclass
class Verdict:
    """The outcomes and the measurements of a judged batch that is not a finding.

    Attributes:
        outcomes: SUCCESS, an error code, or GIVEN_BACK for a message that returned to the queue, for each
            record.
        decoded: the largest memory, in bytes, that Arrow had allocated at once.
        grown: the most bytes by which the process grew; 0 if the system does not report it.
        seconds: the duration of the batch.
    """

    outcomes: list[str] = field(default_factory=list)
    decoded: int = 0
    grown: int = 0
    seconds: float = 0.0


def judge(case: Case) -> Verdict:
    """Pass a case to the handler, check the results, and return the outcomes and measurements.

    Raises:
        AssertionError: the case is a finding.
    """
    cloud, calls = Cloud(), Faults()
    for key, body in case.objects.items():
        obstore.put(cloud.store, key, body)
    verdict, threads = Verdict(), threading.enumerate()
    with _environment(cloud, calls, case) as log, redirect_stdout(io.StringIO()) as blobs:
        from metrics_worker.handler import lambda_handler  # noqa: PLC0415 - It reads the environment.

        with _measured(verdict):
            response = lambda_handler({"Records": list(case.records)}, FakeContext())
        lines = log().split("\n")[:-1]  # CloudWatch splits lines only at \n.
    no_thread_is_left(threads, threading.enumerate())
    _check_log(lines, blobs.getvalue().splitlines())
    completed = _check_events(cloud)
    _check_outcomes(case.records, response, completed, verdict)
    _check_keys(calls.calls, cloud)
    _check_limits(case, calls.calls, completed, cloud, verdict)
    return verdict


def answerable_run(body: str) -> AnswerableRun | str | None:
    """Return the run in the body of a record, if the worker must publish its outcome.

    Returns:
        The run; None if the body contains no usable run id; a string with the reason if the body is nested so
        deep that the JSON parsers of this module and of the worker may disagree.
    """
    if body.count("[") + body.count("{") > MAX_COMPARED_NESTING:
        return "nested too deeply to compare"
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
    return AnswerableRun(run, metric, event.get("schema") == published_events.V1)


class _SharedDecoder(Decoder):
    """A decoder of part files that keeps its child process for later invocations.

    A new process would take 0.3 s.
    """

    def begin(self, deadline: "Deadline | None" = None) -> Self:
        """Set the deadline of the next invocation, and return the decoder."""
        self._deadline = deadline
        return self

    def __exit__(self, *_: object) -> None:
        """Keep the child process for the next invocation."""


_DECODER = _SharedDecoder()
atexit.register(Decoder.__exit__, _DECODER, None, None, None)


@contextmanager
def _environment(cloud: Cloud, calls: Faults, case: Case) -> Iterator[Callable[[], str]]:
    """Let the worker use a fake cloud in the body of the `with` statement.

    After the body, assert that the worker could write all of its log lines.

    Args:
        cloud: the fake cloud.
        calls: the replacement of the object store client, which records the requests to S3.
        case: the case, whose settings the worker gets.

    Yields:
        A function that returns the log lines so far as one text.
    """
    from metrics_worker import handler  # noqa: PLC0415 - It reads the environment.

    worker = cloud.worker(**{**LIMITS, **case.settings})
    (log_handler,) = logger.handlers
    written = io.BytesIO()
    # Like the real stderr, this stream rejects characters that UTF-8 cannot encode.
    stream = io.TextIOWrapper(written, "utf-8", write_through=True)
    unwritten: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("metrics_worker.s3.s3_bucket.obstore", calls)
        if case.scanned:
            patch.setattr("metrics_worker.s3.s3_bucket.WHOLE_BYTES", FEW_BYTES)
        patch.setattr("metrics_worker.invocation.Decoder", _DECODER.begin)
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
    """Return the resident memory of this process in bytes, or 0 on systems other than Linux.

    Args:
        name: `VmRSS` for the memory now, or `VmHWM` for its maximum since the last reset.
        reset: whether to reset the maximum first.
    """
    try:
        if reset:
            gc.collect(0)
            Path("/proc/self/clear_refs").write_text("5", "ascii")
        status = Path("/proc/self/status").read_text("ascii")
    except OSError:
        return 0
    found = re.search(rf"^{name}:\s*(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


# The checks


def _check_events(cloud: Cloud) -> list[Json]:
    """Assert that the control plane can parse every published event, and return the completed events."""
    events = [published_events.check(message) for message in cloud.sns.messages]
    return [event for event in events if event["type"] == "metric_run_completed"]


def _check_outcomes(records: Sequence[Json], response: Json, completed: list[Json], verdict: Verdict) -> None:
    assert response.keys() == {"batchItemFailures"}, f"the response is {response}"
    assert all(item.keys() == {"itemIdentifier"} for item in response["batchItemFailures"]), response
    back = [item["itemIdentifier"] for item in response["batchItemFailures"]]
    assert len(set(back)) == len(back), f"given back twice: {back}"
    failing: set[str] = set()
    answered: Counter[AnswerableRun] = Counter()
    for record in records:
        group = record["attributes"].get("MessageGroupId", record["messageId"])
        run = answerable_run(record["body"])
        if isinstance(run, str):
            run = None if record["messageId"] in back else run
        if run is None or group in failing:
            failing.add(group)
            assert record["messageId"] in back, f"{record['messageId']} is done, but no run was answered"
            verdict.outcomes.append("GIVEN_BACK")
            continue
        assert record["messageId"] not in back, f"{run} is given back, although no call to AWS failed"
        if isinstance(run, AnswerableRun):
            answered[run] += 1
    announced = Counter(
        AnswerableRun(e["runId"], _code(e), e.get("schema") == published_events.V1) for e in completed
    )
    if not any(isinstance(answerable_run(record["body"]), str) for record in records):
        assert announced == answered, f"answerable: {answered}; announced: {announced}"
    verdict.outcomes += [_outcome(event) for event in completed]
    assert "INTERNAL_ERROR" not in verdict.outcomes, f"a defect: {completed}"


def _code(event: Json) -> str:
    """Return the metric code in a completed event, or `BAD_CODE` if the code in the request was not valid."""
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
        assert isinstance(json.loads(line), dict), f"a log line is not a JSON object: {line[:200]}"
    parsed = [json.loads(line) for line in lines]
    bad = [line for line in parsed if "exception" in line or line["level"] in {"ERROR", "CRITICAL"}]
    assert not bad, f"a defect in the log: {str(bad[0].get('exception', bad[0]))[-1500:]}"


SNAPSHOT = re.compile(r"metrics/_snapshots/[A-Za-z0-9._-]+\.snapshot")
"""The key of a snapshot, which every run that reads its series may write."""


def _check_keys(calls: list[tuple[str, str]], cloud: Cloud) -> None:
    """Assert that every requested key has a permitted prefix, and that runs wrote only their own objects.

    Args:
        calls: (operation, key) of each request to S3.
        cloud: the fake cloud, whose events name the runs.
    """
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
        if operation == "PUT" and not SNAPSHOT.fullmatch(key):
            assert any(shape.fullmatch(key) for shape in may_write), f"PUT {key!r} by {runs}"


def _check_limits(
    case: Case,
    calls: list[tuple[str, str]],
    completed: list[Json],
    cloud: Cloud,
    verdict: Verdict,
) -> None:
    assert verdict.seconds <= MAX_SECONDS, f"took {verdict.seconds:.1f} s"
    if not case.may_misstate_sizes:  # A page's buffer is as large as its header states, and may stay empty.
        assert verdict.decoded <= MAX_MEMORY, f"Arrow held {verdict.decoded:,} bytes"
    assert verdict.grown <= MAX_RESIDENT, f"the process grew by {verdict.grown:,} bytes"
    parts = {key for operation, key in calls if operation == "GET" and "/projections/" in key}
    assert len(parts) <= MAX_PART_FILES * len(case.records), f"{len(parts)} part files"
    sizes: dict[str, int] = {}  # If a run occurs twice, the smaller body may have committed it.
    for record in case.records:
        if isinstance(run := answerable_run(record["body"]), AnswerableRun):
            size = len(record["body"].encode(errors="replace"))
            sizes[run.run] = min(size, sizes.get(run.run, size))
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
            assert sizes.get(event["runId"], 0) <= MAX_BODY, "a body that is too large was accepted"

"""The story of one run, in a few calls.

`run_metric()` goes from the request to the announced version; `fail_metric()` announces that there is
none. Both keep one promise: a run that is committed is never announced as failed. They raise
what `errors` calls transient where the message must come back, and decide nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from metrics_worker.errors import CommittedRunError, OutOfTime, PermanentError, StoreUnavailable
from metrics_worker.events import RunCompleted, RunHeartbeat, RunStarted
from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.grammar import dump
from metrics_worker.heartbeat import Heartbeat
from metrics_worker.publication import Draft, commit, find_marker, move_current
from metrics_worker.records import InputSummary, Keys, Marker
from metrics_worker.report import RunReport
from metrics_worker.request_queue import RequestQueue
from metrics_worker.status import StatusEvent, StatusTopics
from metrics_worker.store import Bucket

if TYPE_CHECKING:
    from metrics_worker.contract import Run, RunRequest
    from metrics_worker.dataset import Datasets, InputSeries
    from metrics_worker.settings import Settings

RESERVED_SECONDS = 3.0
"""What must remain of the invocation at each step, so that what is begun is also finished."""

_READ, _EVALUATED = 0.8, 0.85
"""The progress at which reading and evaluation are done: a run is mostly its reading."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What every run works with, made once a process. `now` is the clock, UTC."""

    settings: "Settings"
    bucket: Bucket
    status: StatusTopics
    queue: RequestQueue
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @classmethod
    def start(cls, settings: "Settings") -> "Worker":
        """A worker on the AWS, or the local server, that the settings name. Nothing is asked of it yet."""
        bucket = Bucket.connect(settings.bucket, region=settings.region, endpoint_url=settings.endpoint_url)
        return cls(settings, bucket, StatusTopics(settings), RequestQueue(settings))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery of a run's message.

    Attributes:
        report: what happened, filled in as it happens.
        receipt_handle: by which the message's visibility is extended.
        datasets: those of the invocation, shared by its runs.
        remaining_seconds: what is left of the invocation.
    """

    report: RunReport
    receipt_handle: str
    datasets: "Datasets"
    remaining_seconds: Callable[[], float]

    def check_time(self) -> None:
        """Stop before the deadline.

        Raises:
            OutOfTime: a timeout would return the whole batch, so the run is given back before it.
        """
        if (left := self.remaining_seconds()) < RESERVED_SECONDS:
            raise OutOfTime("invocation", f"{left:.1f} s left, {RESERVED_SECONDS:.0f} s are kept in reserve")


def run_metric(request: "RunRequest", worker: Worker, attempt: Attempt) -> None:
    """Compute a metric, publish its version and announce it; only announce it where it is committed.

    Raises:
        PermanentError: the run can't succeed; nothing is committed.
        TransientError: the message must come back.
    """
    keys, run, report = Keys(request.base), request.run, attempt.report
    attempt.check_time()
    with report.stage("marker"):
        marker = find_marker(_metered(worker, attempt), keys, run)
    report.rolled_forward = marker is not None
    if marker is None:
        with report.stage("started"):
            _announce(RunStarted.of(run, worker.now()), run, worker, attempt)
        report.started = True
        marker = _compute(request, keys, worker, attempt)
    _finish(marker, run, keys, worker, attempt)


def fail_metric(
    run: "Run", base: str | None, error: PermanentError, worker: Worker, attempt: Attempt
) -> None:
    """Announce that the run failed for good, unless another attempt committed it: then announce that.

    Args:
        run: the run.
        base: the metric's prefix, where the request was good enough to know it.
        error: why it failed.
        worker: what it works with.
        attempt: which delivery this is.

    Raises:
        TransientError: the message must come back.
    """
    report = attempt.report
    if base is not None:
        keys = Keys(base)
        try:
            marker = find_marker(_metered(worker, attempt), keys, run)
        except PermanentError as unknown:
            if report.started or report.attempt > 1:
                raise StoreUnavailable(
                    unknown.subject, "it can't be read whether the run is committed"
                ) from None
            marker = None  # nothing was computed, now or before
        if marker is not None:
            _finish(marker, run, keys, worker, attempt)
            return
    report.error_code, report.error = error.code, error.message
    _announce(RunCompleted.failure(run, error), run, worker, attempt)
    report.outcome = "FAILURE"


def _compute(request: "RunRequest", keys: Keys, worker: Worker, attempt: Attempt) -> Marker:
    """Read, evaluate, publish: the part with a heartbeat. It ends with the commit."""
    run, report = request.run, attempt.report

    def beat(number: int, progress: float) -> None:
        try:
            _announce(RunHeartbeat.of(run, progress, worker.now()), run, worker, attempt, number)
        finally:
            worker.queue.extend(attempt.receipt_handle)

    settings, bucket = worker.settings, _metered(worker, attempt)
    heartbeat = Heartbeat(beat, settings.heartbeat_interval_seconds if settings.heartbeat_enabled else None)

    def advance(progress: float) -> None:
        heartbeat.advance(progress)
        attempt.check_time()

    try:
        with heartbeat:
            with report.stage("read"):
                inputs = attempt.datasets.read(request, bucket, lambda part: advance(part * _READ))
            report.inputs = [_summary(found) for found in inputs.values()]
            with report.stage("evaluate"):
                series = evaluate(
                    request.expression, {code: found.cleaned.series for code, found in inputs.items()}
                )
            advance(_EVALUATED)
            draft = Draft(run, keys, series, dump(request.expression), report.inputs, settings.compression)
            with report.stage("commit"):
                return commit(bucket, draft, worker.now, attempt.check_time)
    finally:
        report.heartbeats_sent, report.heartbeats_failed = heartbeat.sent, heartbeat.failed
        report.heartbeat_error = heartbeat.last_error


def _finish(marker: Marker, run: "Run", keys: Keys, worker: Worker, attempt: Attempt) -> None:
    """Everything after the commit: idempotent, and done again by every attempt."""
    report = attempt.report
    report.version_ts, report.row_count = marker.version_ts, marker.row_count
    try:
        with report.stage("current"):
            report.moved_current = move_current(_metered(worker, attempt), keys, marker)
    except PermanentError as error:
        raise CommittedRunError(
            error.subject, f"committed, but current can't move: {error.problem}"
        ) from error
    event = RunCompleted.success(
        run, marker.version_ts, marker.manifest, marker.row_count, worker.bucket.name
    )
    with report.stage("completed"):
        _announce(event, run, worker, attempt)
    report.outcome = "SUCCESS"


def _metered(worker: Worker, attempt: Attempt) -> Bucket:
    return worker.bucket.metered(attempt.report.traffic)


def _announce(
    event: StatusEvent, run: "Run", worker: Worker, attempt: Attempt, number: int | None = None
) -> None:
    worker.status.publish(event, metric_code=run.metric_code, attempt=attempt.report.attempt, number=number)


def _summary(found: "InputSeries") -> InputSummary:
    rows = found.cleaned
    return InputSummary(
        dataset_id=found.dataset_id,
        dataset_version=found.dataset_version,
        series_code=found.code,
        part_files=found.part_files,
        rows=rows.rows,
        observations=len(rows.series),
        null=rows.null,
        nan=rows.nan,
        infinite=rows.infinite,
        duplicate=rows.duplicate,
    )

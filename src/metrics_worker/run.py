"""The story of one run, in a few calls.

`run_metric()` goes from the request to the announced version; `fail_metric()` announces that there is
none. Both keep one promise: a run that is committed is never announced as failed. They raise
what `errors` calls transient where the message must come back, and decide nothing else.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from metrics_worker.errors import (
    CommittedRunError,
    ExpressionError,
    PermanentError,
    StatusUnavailable,
    StoreUnavailable,
    UnusableMarker,
    without_traceback,
)
from metrics_worker.expression.cost import peak_bytes
from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.grammar import ROOT, dump
from metrics_worker.invocation import Attempt
from metrics_worker.messaging.heartbeat import Heartbeat
from metrics_worker.messaging.status_events import RunCompleted, RunHeartbeat, RunStarted
from metrics_worker.messaging.topics import StatusEvent
from metrics_worker.publication.commit import Draft, commit
from metrics_worker.publication.current import Committed, RunState, find_marker, look, move_current
from metrics_worker.publication.records import InputSummary, Keys
from metrics_worker.publication.shrink import check_shrink
from metrics_worker.s3.bucket import Bucket
from metrics_worker.worker import Worker

if TYPE_CHECKING:
    from metrics_worker.dataset.datasets import InputSeries
    from metrics_worker.request import Run, RunRequest
    from metrics_worker.series import Series

_READ, _EVALUATED = 0.8, 0.85
"""The progress at which reading and evaluation are done: a run is mostly its reading."""


def run_metric(request: "RunRequest", worker: Worker, attempt: Attempt) -> None:
    """Compute a metric, publish its version and announce it; only announce it where it is committed.

    Raises:
        PermanentError: this attempt can't succeed; `fail_metric` finds out whether another one has.
        TransientError: the message must come back.
    """
    run, report = request.run, attempt.report
    keys = worker.keys(run)
    attempt.invocation.deadline.check()
    with report.stage("marker"):
        state = look(_bucket(worker, attempt), keys, run)
    report.rolled_forward = state.marker is not None
    if state.marker is not None:
        committed = Committed(state.marker)
    else:
        committed = _compute(request, keys, worker, attempt, state)
    _finish(committed, run, worker, attempt, state=state)


def fail_metric(run: "Run", error: PermanentError, worker: Worker, attempt: Attempt) -> None:
    """Announce that the run failed for good, unless another attempt committed it: then announce that.

    Args:
        run: the run.
        error: why it failed.
        worker: what it works with.
        attempt: which delivery this is.

    Raises:
        TransientError: the message must come back.
    """
    report = attempt.report
    without_traceback(error)  # nobody prints it, and it would keep all that the run has read
    try:
        # No key is made of an unusable code, so no run of it was ever committed.
        bucket = _bucket(worker, attempt)
        marker = find_marker(bucket, worker.keys(run), run) if run.has_usable_code else None
        if marker is not None:
            _finish(Committed(marker), run, worker, attempt)
            return
    except UnusableMarker as unusable:
        error = without_traceback(unusable)
    except PermanentError as unknown:
        raise StoreUnavailable(unknown.subject, "it can't be read whether the run is committed") from unknown
    report.error_code, report.error = error.code, error.message
    _keep_gap(worker, attempt)
    _announce(RunCompleted.failure(run, error), run, worker, attempt)
    report.outcome = "FAILURE"


def _compute(
    request: "RunRequest", keys: Keys, worker: Worker, attempt: Attempt, state: RunState
) -> Committed:
    """Read, evaluate, publish: the part with a heartbeat. It ends with the commit."""
    run, report = request.run, attempt.report

    def publish(number: int, progress: float) -> bool:
        goes_out = report.started  # a cold start makes the SNS client first: nothing goes out before
        if goes_out:
            _announce(RunHeartbeat.of(run, progress, worker.now()), run, worker, attempt, number)
        return goes_out

    def extend() -> None:
        within = attempt.invocation.deadline.seconds_left()
        worker.queue.extend(attempt.receipt_handle, within=within)

    settings, bucket = worker.settings, _bucket(worker, attempt)
    interval = settings.heartbeat_interval_seconds if settings.heartbeat_enabled else None
    heartbeat = Heartbeat(publish, interval, extend)

    def advance(progress: float) -> None:
        heartbeat.advance(progress)
        attempt.invocation.deadline.check()

    try:
        with heartbeat:
            with report.stage("read"), _starting(run, worker, attempt):
                inputs = attempt.invocation.datasets.read(request, bucket, lambda part: advance(part * _READ))
            report.inputs = [_summary(found) for found in inputs.values()]
            with attempt.invocation.memory.claim() as claim:
                beside = sum(found.nbytes for found in inputs.values())
                counts = {code: len(found.cleaned.series) for code, found in inputs.items()}
                claim.take(peak_bytes(request.expression, counts), ROOT, ExpressionError, beside=beside)
                with report.stage("evaluate"):
                    series = _evaluated(request, inputs, attempt.invocation.deadline.check)
                advance(_EVALUATED)
                draft = Draft(
                    run, keys, series, dump(request.expression), report.inputs, settings.compression
                )
                check_shrink(draft, state.current, settings, report)
                with report.stage("commit"):
                    return commit(bucket, draft, worker.now, attempt.invocation.deadline.check)
    finally:
        report.heartbeats_sent, report.heartbeats_failed = heartbeat.sent, heartbeat.failed
        report.heartbeat_error, report.heartbeat_may_arrive = heartbeat.last_error, heartbeat.may_arrive


def _finish(
    committed: Committed,
    run: "Run",
    worker: Worker,
    attempt: Attempt,
    *,
    state: RunState | None = None,
) -> None:
    """Everything after the commit: idempotent, and done again by every attempt."""
    report, marker = attempt.report, committed.marker
    report.version_ts, report.row_count = marker.version_ts, marker.row_count
    report.committed_at = marker.committed_at
    try:
        with report.stage("current"):
            bucket = _bucket(worker, attempt)
            report.moved_current = move_current(bucket, worker.keys(run), committed, state)
    except UnusableMarker:
        raise
    except PermanentError as error:
        raise CommittedRunError(
            error.subject, f"committed, but current can't move: {error.problem}"
        ) from error
    event = RunCompleted.success(
        run, marker.version_ts, marker.manifest, marker.row_count, worker.bucket.name
    )
    if report.attempt > 1 or attempt.redriven or committed.manifest is None:  # not the first to announce it
        event = event.after_failure()
    _keep_gap(worker, attempt)
    with report.stage("completed"):
        _announce(event, run, worker, attempt)
    report.outcome = "SUCCESS"


def _evaluated(
    request: "RunRequest", inputs: dict[str, "InputSeries"], checkpoint: Callable[[], None]
) -> "Series":
    series = {code: found.cleaned.series for code, found in inputs.items()}
    try:
        return evaluate(request.expression, series, checkpoint)
    except MemoryError as error:
        raise ExpressionError(ROOT, "its evaluation needs more memory than there is") from error


@contextmanager
def _starting(run: "Run", worker: Worker, attempt: Attempt) -> Iterator[None]:
    """Announce the start meanwhile. It is out when the context ends, so before a commit or an outcome.

    Raises:
        StatusUnavailable: it could not be announced.
    """
    event = RunStarted.of(run, worker.now())

    def announce() -> None:
        _announce(event, run, worker, attempt)
        attempt.report.started, attempt.report.started_at = True, worker.clock()

    announcing = attempt.invocation.threads.submit(announce)
    try:
        yield
    finally:
        announcing.result()


def _keep_gap(worker: Worker, attempt: Attempt) -> None:
    """Wait until completed may follow this attempt's started.

    The control plane reads the two from different queues, and a start that it reads last makes the run appear
    to be running. Without a start of this attempt, a start before it was announced long ago.

    Raises:
        OutOfTime: the wait would end after the deadline.
    """
    if attempt.report.started_at is None:
        return
    left = attempt.report.started_at + worker.settings.status_gap_seconds - worker.clock()
    if left > 0:
        attempt.invocation.deadline.check(left)
        with attempt.report.stage("gap"):
            worker.pause(left)


def _bucket(worker: Worker, attempt: Attempt) -> Bucket:
    return worker.bucket.metered(attempt.report.traffic, attempt.invocation.event_loop)


def _announce(
    event: StatusEvent, run: "Run", worker: Worker, attempt: Attempt, number: int | None = None
) -> None:
    deadline, report = attempt.invocation.deadline, attempt.report
    deadline.check()  # nothing is announced after it
    if report.heartbeat_may_arrive and isinstance(event, RunCompleted):
        raise StatusUnavailable("heartbeat", "SNS has not answered it, so it might follow the outcome")
    with report.traffic.timed("PUBLISH", event.type):
        worker.status.publish(
            event,
            metric_code=run.metric_code,
            attempt=report.attempt,
            number=number,
            within=deadline.seconds_left(),
        )


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

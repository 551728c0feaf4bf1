"""All steps of one run: marker, read, evaluate, commit, `current`, completed event.

`complete_run()` decides between an outcome and a retry. `run_metric()` leads to SUCCESS and `fail_metric()`
to FAILURE. Neither ever publishes FAILURE for a run that is committed.
"""

from typing import TYPE_CHECKING

from metrics_worker.errors import (
    CommittedRunError,
    ExpressionError,
    PermanentError,
    StoreUnavailable,
    TransientError,
    UnusableMarker,
    as_permanent,
    without_traceback,
)
from metrics_worker.expression.cost import peak_bytes
from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.grammar import ROOT, dump
from metrics_worker.messaging.status_events import RunCompleted
from metrics_worker.publication.commit import Draft, commit
from metrics_worker.publication.current import (
    Committed,
    RunState,
    find_marker,
    move_current,
    read_state,
    version_of,
)
from metrics_worker.publication.records import InputSummary
from metrics_worker.publication.shrink import check_shrink
from metrics_worker.request import RunRequest

if TYPE_CHECKING:
    from metrics_worker.dataset.datasets import InputSeries
    from metrics_worker.invocation import Attempt
    from metrics_worker.messaging.heartbeat import Heartbeat
    from metrics_worker.series import Series

_READ, _EVALUATED = 0.8, 0.85
"""The progress (0-1) of a run after reading, which takes most of the time, and after evaluation."""


def complete_run(attempt: "Attempt", *, expected_seconds: float = 0.0) -> PermanentError | None:
    """Complete a run, and return the error if FAILURE was published, or None if SUCCESS was published.

    Only this function decides whether the run's message can be deleted or must be returned to the queue.

    Args:
        attempt: the attempt at the run.
        expected_seconds: the time that the run is expected to take. With less time before the deadline, the
            run is not started, and OutOfTime (a TransientError) is raised.

    Raises:
        TransientError: the run has no outcome yet, so the message must be returned to the queue.
    """
    report = attempt.report
    published = None
    try:
        try:
            attempt.deadline.check(expected_seconds)
            request = RunRequest.parse(attempt.run, attempt.worker.settings.bounds)
            run_metric(request, attempt)
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001 - the only place: every exception must lead to an outcome
            report.defect = None if isinstance(error, PermanentError) else error
            published = fail_metric(as_permanent(error), attempt)
        attempt.save_snapshots()
    except TransientError as error:
        report.error_code, report.error = type(error).__name__, error.message
        raise
    finally:
        report.close()
    return published


def run_metric(request: RunRequest, attempt: "Attempt") -> None:
    """Compute a metric, commit its version and publish SUCCESS.

    If the run is already committed, nothing is computed, but SUCCESS is published again.

    Raises:
        PermanentError: this attempt cannot succeed, but another attempt may have committed the run.
        TransientError: the message must be returned to the queue.
    """
    keys = attempt.worker.keys(attempt.run)
    attempt.deadline.check()
    with attempt.report.stage("marker"):
        state = read_state(attempt.bucket, keys, attempt.run)
    if state.marker is not None:
        attempt.report.rolled_forward = True
        committed = Committed(state.marker)
    else:
        committed = _compute(request, state, attempt)
    _finish(committed, attempt, state)


def fail_metric(error: PermanentError, attempt: "Attempt") -> PermanentError | None:
    """Publish FAILURE and return the error, or publish SUCCESS and return None if the run is committed.

    Raises:
        TransientError: the message must be returned to the queue.
    """
    run, report = attempt.run, attempt.report
    without_traceback(error)  # the traceback is not logged, and it would keep the run's input in memory
    try:
        # An unusable metric code is never part of a key, so no run of it was ever committed.
        keys = attempt.worker.keys(run) if run.has_usable_code else None
        marker = find_marker(attempt.bucket, keys, run) if keys is not None else None
        if marker is not None:
            _finish(Committed(marker), attempt)
            return None
    except UnusableMarker as unusable:
        error = without_traceback(unusable)
    except PermanentError as unknown:
        raise StoreUnavailable(unknown.subject, "it can't be read whether the run is committed") from unknown
    report.error_code, report.error = error.code, error.message
    attempt.publish_outcome(RunCompleted.failure(run, error))
    return error


def _compute(request: RunRequest, state: RunState, attempt: "Attempt") -> Committed:
    """Read the series, evaluate the expression and commit the result, while a thread publishes heartbeats.

    Args:
        request: the request of the run.
        state: the marker and `current`, as `read_state` returned them at the beginning of the attempt.
        attempt: the attempt at the run.
    """
    run, worker, deadline = attempt.run, attempt.worker, attempt.deadline
    with attempt.heartbeats() as heartbeat, attempt.invocation.memory.claim() as claim:
        inputs = _read(request, attempt, heartbeat)
        read_bytes = sum(found.nbytes for found in inputs.values())
        counts = {code: len(found.cleaned.series) for code, found in inputs.items()}
        claim.take(peak_bytes(request.expression, counts), ROOT, ExpressionError, held_elsewhere=read_bytes)
        with attempt.report.stage("evaluate"):
            series = _evaluate(request, inputs, attempt)
        heartbeat.advance(_EVALUATED)
        summaries, expression = attempt.report.inputs, dump(request.expression)
        draft = Draft(
            run,
            worker.keys(run),
            series,
            expression,
            summaries,
            worker.settings.compression,
            newest=(version_of(state.current), worker.newest_versions.find(run.metric_code)),
        )
        check_shrink(draft, state.current, worker.settings, attempt.report)
        with attempt.report.stage("commit"):
            committed = commit(attempt.bucket, draft, worker.now, deadline.check)
        worker.newest_versions.remember(run.metric_code, committed.marker.version_ts)
        return committed


def _read(request: RunRequest, attempt: "Attempt", heartbeat: "Heartbeat") -> dict[str, "InputSeries"]:
    """Return the series of the expression by code, while another thread publishes the started event.

    The heartbeats report the progress of the reading.
    """

    def on_progress(share: float) -> None:
        heartbeat.advance(share * _READ)
        attempt.deadline.check()

    with attempt.report.stage("read"), attempt.publishing_start():
        inputs = attempt.invocation.datasets.read(request, attempt.bucket, on_progress)
    attempt.report.inputs = [_summary(found) for found in inputs.values()]
    attempt.report.part_files_read = sum(found.part_files_read for found in inputs.values())
    attempt.report.snapshot_hits = sum(found.has_snapshot is True for found in inputs.values())
    attempt.report.snapshot_misses = sum(found.has_snapshot is False for found in inputs.values())
    return inputs


def _evaluate(request: RunRequest, inputs: dict[str, "InputSeries"], attempt: "Attempt") -> "Series":
    series = {code: found.cleaned.series for code, found in inputs.items()}
    try:
        return evaluate(request.expression, series, attempt.deadline.check)
    except MemoryError as error:
        raise ExpressionError(ROOT, "its evaluation needs more memory than there is") from error


def _finish(committed: Committed, attempt: "Attempt", state: RunState | None = None) -> None:
    """Update `current` and publish SUCCESS. Every attempt at a committed run repeats these steps.

    Args:
        committed: the committed run.
        attempt: the attempt at the run.
        state: the state at the beginning of the attempt, which saves a read of `current`; None to read it.

    Raises:
        UnusableMarker: the manifest of the committed version is missing, not valid or of another run.
        TransientError: the message must be returned to the queue.
    """
    run, report, marker = attempt.run, attempt.report, committed.marker
    report.version_ts, report.row_count = marker.version_ts, marker.row_count
    report.committed_at = marker.committed_at
    try:
        with report.stage("current"):
            keys = attempt.worker.keys(run)
            report.moved_current = move_current(attempt.bucket, keys, committed, state)
    except UnusableMarker:
        raise
    except PermanentError as error:
        raise CommittedRunError(
            error.subject, f"committed, but current can't move: {error.problem}"
        ) from error
    event = RunCompleted.success(
        run,
        version_ts=marker.version_ts,
        manifest_key=marker.manifest,
        row_count=marker.row_count,
        bucket=attempt.worker.bucket.name,
    )
    if report.attempt > 1 or run.resent_ms or committed.manifest is None:  # FAILURE may have been published
        event = event.after_failure()
    attempt.publish_outcome(event)


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

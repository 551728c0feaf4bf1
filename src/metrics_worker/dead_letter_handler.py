"""The second Lambda entry: the dead-letter queue in; an outcome for every run there, and the message kept.

What was given back too often lies there. A run that is committed is rolled forward to its SUCCESS, any other
ends in FAILURE, and then the message goes into S3 as it came, for a person (`make redrive` sends it back).
The outcome goes first: a kept message whose run hangs is looked for by nobody. Where a step fails the message
comes back, and all of them may be done again; where the marker can't be read, no FAILURE is announced.

Nothing here imports pyarrow: this function has no layer. Why it is so: docs/decisions/0008-dead-letters.md.
"""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from metrics_worker.batch import failures, process
from metrics_worker.deadline import Deadline
from metrics_worker.errors import (
    ConfigError,
    GaveUp,
    ObjectTaken,
    PermanentError,
    UnanswerableError,
    UnusableMarker,
)
from metrics_worker.messaging.request_queue import receive_count
from metrics_worker.messaging.status_events import RunCompleted
from metrics_worker.observability.telemetry import count, logger
from metrics_worker.observability.traffic import Traffic
from metrics_worker.publication.current import Committed, find_marker, move_current
from metrics_worker.publication.records import dead_letter
from metrics_worker.request import Run, check_code, iso, open_record
from metrics_worker.s3.bucket import Bucket
from metrics_worker.s3.event_loop import EventLoop
from metrics_worker.settings import load_settings
from metrics_worker.worker import Worker

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

type Outcome = Literal["SUCCESS", "FAILURE", "UNANSWERABLE"]


worker = Worker.start(load_settings())


@dataclass(frozen=True, slots=True)
class Invocation:
    """The resources of one invocation: a bucket whose calls are cut off at the deadline, and more."""

    bucket: Bucket
    deadline: Deadline
    function_name: str


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Settle every message of the batch, in order; what must come back is in `batchItemFailures`."""
    deadline = Deadline(context.get_remaining_time_in_millis)
    with EventLoop(deadline) as event_loop:
        invocation = Invocation(worker.bucket.metered(Traffic(), event_loop), deadline, context.function_name)
        failed = process(event["Records"], partial(settle, invocation=invocation), skip_group_on_error=True)
    handles = [(each.receipt_handle, receive_count(each.attributes)) for each, _ in failed]
    returns = worker.queue.give_back(handles, within=deadline.last_call_seconds())
    for (record, error), when in zip(failed, returns, strict=True):
        line = {"message_id": record.message_id, "reason": str(error), "comes_back": when}
        logger.warning("dead letter given back", extra=line, exc_info=error)
    return {"batchItemFailures": failures(failed)}


def settle(record: SQSRecord, invocation: Invocation) -> None:
    """Announce what became of the run, and keep the message. Whatever is raised gives it back."""
    invocation.deadline.check()
    run = None
    try:
        run = open_record(record.body, record.attributes.sent_timestamp)
        received = receive_count(record.attributes)
        attempt = worker.settings.max_receive_count + received  # SNS has seen none so high
        outcome, why = announce(run, attempt, _sent(record), invocation)
    except UnanswerableError as error:
        outcome, why = "UNANSWERABLE", str(error)
    line: dict[str, Any] = {"message_id": record.message_id, "outcome": outcome, "why": why}
    if run is not None:
        line |= {"run_id": run.run_id, "metric_code": run.metric_code}
    key = keep(record, line, invocation)
    log = logger.error if outcome == "UNANSWERABLE" else logger.warning
    log("dead letter settled", extra=line | {"kept": key})
    count("dead_letters_total", function_name=invocation.function_name, outcome=outcome)


def announce(run: Run, attempt: int, since: datetime, invocation: Invocation) -> tuple[Outcome, str]:
    """Publish how the run ended, and return that and why: as its marker says, else that it was given up.

    Args:
        run: whose message it is.
        attempt: higher than any of the worker's.
        since: when the message came to this queue: SQS sets its time of sending anew there.
        invocation: the bucket, and until when.

    Raises:
        PermanentError: S3 refuses, so it can't be told how the run ended.
        TransientError: S3 or SNS failed, or the invocation's time is used up.
    """
    event, why = _outcome(run, since, invocation.bucket)
    invocation.deadline.check()
    within = invocation.deadline.seconds_left()
    worker.status.publish(event, metric_code=run.metric_code, attempt=attempt, within=within)
    return event.status, why


def _outcome(run: Run, since: datetime, bucket: Bucket) -> tuple[RunCompleted, str]:
    """Return the event that ends the run, and why; a committed run is rolled forward before.

    The request is not parsed: what is refused now may have been committed when a limit was another.
    """
    try:
        check_code(run)
        keys = worker.keys(run)
        marker = find_marker(bucket, keys, run)
        if marker is not None:
            move_current(bucket, keys, Committed(marker))
            event = RunCompleted.success(
                run, marker.version_ts, marker.manifest, marker.row_count, bucket.name
            )
            return event.after_failure(), f"committed at {marker.committed_at}"
        error: PermanentError = GaveUp.after(
            worker.settings.max_receive_count, requested_at=iso(run.requested_at), since=iso(since)
        )
    except (ConfigError, UnusableMarker) as found:
        error = found
    return RunCompleted.failure(run, error), str(error)


def keep(record: SQSRecord, settled: dict[str, Any], invocation: Invocation) -> str:
    """Put the message into S3 as it came, beside what became of it; its key.

    The day is that of its sending: the same at every delivery, so a message is kept once.

    Raises:
        AccessDenied, StoreUnavailable, OutOfTime.
    """
    attributes: dict[str, str] = record.attributes.raw_event
    key = dead_letter(worker.settings.metrics_prefix, _sent(record).date(), record.message_id)
    letter = settled | {"kept_at": iso(worker.now()), "attributes": attributes, "body": record.body}
    with suppress(ObjectTaken):  # an earlier delivery of the same message
        invocation.bucket.create(key, json.dumps(letter, indent=2).encode())
    return key


def _sent(record: SQSRecord) -> datetime:
    return datetime.fromtimestamp(int(record.attributes.sent_timestamp or 0) / 1000, UTC)

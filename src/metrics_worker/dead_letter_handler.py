"""The Lambda entry point for the dead-letter queue: it publishes the outcome of each message's run.

The dead-letter queue contains messages that were returned to the request queue too often. For a committed
run, the function publishes SUCCESS, and for any other run FAILURE. The function then stores the unchanged
message in S3, and an operator can send the stored message back to the request queue (`metrics redrive`). The
outcome is published first, because nobody would notice a stored message whose run has no outcome. If a step
fails, the message is redelivered and all steps are repeated, which does no harm. If the marker cannot be
read, no FAILURE is published.

This module must not import pyarrow, because the function has no layer. docs/decisions/0008-dead-letters.md
explains the design.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from metrics_worker.batch import failures, open_message, process
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
from metrics_worker.publication.dead_letter import DeadLetter, Outcome, dead_letter_key, sent_at
from metrics_worker.request import Run, check_code, iso
from metrics_worker.s3.bucket import Bucket
from metrics_worker.s3.event_loop import EventLoop
from metrics_worker.settings import load_settings
from metrics_worker.worker import Worker

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

worker = Worker.start(load_settings())


@dataclass(frozen=True, slots=True)
class Invocation:
    """The resources of one invocation.

    Attributes:
        bucket: the data bucket, whose requests are cancelled at the deadline.
        deadline: the time at which work must stop.
        function_name: the name of the Lambda function, for metrics.
    """

    bucket: Bucket
    deadline: Deadline
    function_name: str


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Handle the messages of a batch, and return {"batchItemFailures": messages to return to the queue}."""
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
    """Publish the outcome of the run that a message requests, and store the message in S3.

    A message that identifies no run is only stored. If an exception is raised, the message is returned to the
    dead-letter queue.

    Raises:
        OutOfTime: the deadline has passed.
        PermanentError: S3 refused to read the marker, so the outcome is unknown.
        StoreRefusal: S3 refused to store the message.
        TransientError: S3 or SNS failed.
    """
    invocation.deadline.check()
    run = None
    try:
        run = open_message(record)
        received = receive_count(record.attributes)
        # This number is higher than the attempt of any event that the worker has published for the run.
        attempt = run.resent_ms + worker.settings.max_receive_count + received
        since = sent_at(record.attributes.raw_event)
        outcome, why = announce(run, attempt, since, invocation)
    except UnanswerableError as error:
        outcome, why = "UNANSWERABLE", str(error)
    letter = DeadLetter(
        message_id=record.message_id,
        outcome=outcome,
        why=why,
        run_id=run.run_id if run else "",
        metric_code=run.metric_code if run else "",
        kept_at=iso(worker.now()),
        attributes=record.attributes.raw_event,
        body=record.body,
    )
    key = keep(letter, invocation)
    log = logger.error if outcome == "UNANSWERABLE" else logger.warning
    about = letter.model_dump(exclude={"kept_at", "attributes", "body"}, exclude_defaults=True)
    log("dead letter settled", extra=about | {"kept": key})
    count("dead_letters_total", function_name=invocation.function_name, outcome=outcome)


def announce(run: Run, attempt: int, since: datetime, invocation: Invocation) -> tuple[Outcome, str]:
    """Publish the outcome of a run, and return the outcome and the reason for it.

    Args:
        run: The identity of the run.
        attempt: The attempt number for the event's deduplication id. It must be higher than the number of
            every earlier event of the run, because SNS drops an event whose deduplication id it already
            knows.
        since: The time at which the message became a dead letter.
        invocation: The resources of the invocation.

    Raises:
        PermanentError: S3 refused to read the marker, so the outcome is unknown.
        TransientError: S3 or SNS failed, or the time of the invocation is used up.
    """
    event, why = _outcome(run, since, invocation.bucket)
    invocation.deadline.check()
    within = invocation.deadline.seconds_left()
    worker.status.publish(event, metric_code=run.metric_code, attempt=attempt, within=within)
    return event.status, why


def _outcome(run: Run, since: datetime, bucket: Bucket) -> tuple[RunCompleted, str]:
    """Return the completed event of a run, and the reason for its outcome in words.

    If the run is committed, `current` is also updated. `since` is the time at which the run's message became
    a dead letter; the error of a FAILURE states it. Only the identity of the run is checked: even if the
    request is not valid under the present settings, the run may have been committed under earlier settings.
    """
    try:
        check_code(run)
        keys = worker.keys(run)
        marker = find_marker(bucket, keys, run)
        if marker is not None:
            move_current(bucket, keys, Committed(marker))
            event = RunCompleted.success(
                run,
                version_ts=marker.version_ts,
                manifest_key=marker.manifest,
                row_count=marker.row_count,
                bucket=bucket.name,
            )
            return event.after_failure(), f"committed at {marker.committed_at}"
        error: PermanentError = GaveUp.after(
            worker.settings.max_receive_count, requested_at=iso(run.requested_at), since=iso(since)
        )
    except (ConfigError, UnusableMarker) as found:
        error = found
    return RunCompleted.failure(run, error), str(error)


def keep(letter: DeadLetter, invocation: Invocation) -> str:
    """Store a dead letter in S3, and return its key. An existing object with this key is not replaced.

    Raises:
        AccessDenied, StoreUnavailable, OutOfTime: The dead letter could not be stored.
    """
    key = dead_letter_key(worker.settings.metrics_prefix, letter)
    with suppress(ObjectTaken):
        invocation.bucket.create(key, letter.encode())
    return key

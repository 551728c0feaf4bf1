"""Two ways to follow runs until their outcome: by a queue of status events, or by the objects in the bucket.

A queue that is subscribed to the status topics receives all status events. The bucket shows fewer outcomes: a
marker means SUCCESS, and a dead letter contains an outcome, but a run that failed with a permanent error
writes no object.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from metrics_tools.published.documents import json_object, parse_dead_letter
from metrics_tools.published.status_event import COMPLETED, StatusEvent, parse_status_event
from metrics_worker.errors import CommittedRunError
from metrics_worker.publication.dead_letter import dead_letters
from metrics_worker.publication.records import Keys
from metrics_worker.s3.bucket import Bucket

_LONGEST_POLL = 20
_HIDDEN_SECONDS = 60
"""The visibility timeout, in seconds, of messages about other runs. It matters if the command is killed."""
_LOOK_SECONDS = 2.0
"""The seconds between two searches for outcomes in the bucket."""


def follow_queue(sqs: Any, queue: str, runs: set[str], *, seconds: float) -> Iterator[StatusEvent]:
    """Yield the status events of some runs, until each run has an outcome or the time is used up.

    The yielded events are deleted from the queue. Messages about other runs are returned to the queue at the
    end.

    Args:
        sqs: a boto3 SQS client.
        queue: the URL of a queue that is subscribed to the status topics.
        runs: the ids of the runs.
        seconds: the maximum time to wait.

    Raises:
        ClientError, BotoCoreError: SQS refused a request or did not answer.
    """
    end, waiting, others = time.monotonic() + seconds, set(runs), list[str]()
    try:
        while waiting and (left := end - time.monotonic()) > 0:
            answer = sqs.receive_message(
                QueueUrl=queue,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=min(_LONGEST_POLL, math.ceil(left)),
                VisibilityTimeout=_HIDDEN_SECONDS,
            )
            for message in answer.get("Messages", ()):
                found = parse_status_event(message["Body"])
                if found is None or found.run_id not in runs:
                    others.append(message["ReceiptHandle"])
                    continue
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                if found.status is not None:
                    waiting.discard(found.run_id)
                yield found
    finally:
        for handle in others:
            with suppress(Exception):  # SQS returns the message anyway after its visibility timeout
                sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=0)


def follow_bucket(
    bucket: Bucket, bases: Mapping[str, str], *, prefix: str, seconds: float
) -> Iterator[StatusEvent]:
    """Search the bucket for the outcomes of runs, and yield a completed event for each outcome found.

    The search ends when each run has an outcome or the time is used up.

    Args:
        bucket: the bucket to which the runs publish.
        bases: run id → key prefix of the run's metric, for the runs to follow.
        prefix: the key prefix of all metrics and of the dead letters.
        seconds: the maximum time to wait.

    Raises:
        AccessDenied, StoreUnavailable: S3 refused a request or failed.
        CommittedRunError: the content of a marker is not a JSON object.
    """
    end, since = time.monotonic() + seconds, datetime.now(UTC).date()
    waiting, read = dict(bases), set[str]()
    while True:
        for run, base in list(waiting.items()):
            if (stored := bucket.find(Keys(base).marker(run))) is not None:
                if not (marker := json_object(stored)):
                    raise CommittedRunError(stored.key, "the marker cannot be parsed")
                del waiting[run]
                version, rows = marker.get("version_ts"), marker.get("row_count")
                yield _completed(runId=run, status="SUCCESS", versionTs=version, rowCount=rows)
        days = [dead_letters(prefix, day) for day in sorted({since, datetime.now(UTC).date()})]
        for found in _new_dead_letters(bucket, days, read=read, waiting=set(waiting)):
            waiting.pop(found.run_id, None)
            yield found
        left = end - time.monotonic()
        if not waiting or left <= 0:
            return
        time.sleep(min(_LOOK_SECONDS, left))


def _new_dead_letters(
    bucket: Bucket, prefixes: list[str], *, read: set[str], waiting: set[str]
) -> Iterator[StatusEvent]:
    """Make a completed event from each new dead letter of a followed run, and yield it.

    Args:
        bucket: the bucket.
        prefixes: the key prefixes to search for dead letters.
        read: the keys of the dead letters that earlier calls have read. This call adds its own keys.
        waiting: the ids of the runs that are followed and have no outcome yet.
    """
    listed = {found.key for below in bucket.list_many(prefixes).values() for found in below}
    for key, stored in bucket.find_many(sorted(listed - read)).items():
        read.add(key)
        if (letter := parse_dead_letter(stored)) is None:
            continue
        error = f"a dead letter, {letter.outcome}: {letter.why} ({key})"
        for run in waiting:
            if letter.run_id == run or run in letter.body:
                status = "SUCCESS" if letter.outcome == "SUCCESS" else "FAILURE"
                yield _completed(runId=run, status=status, error=error)


def _completed(**fields: object) -> StatusEvent:
    return StatusEvent(datetime.now(UTC), {"type": COMPLETED, **fields})

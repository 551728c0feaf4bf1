"""What became of requests that were sent: heard from a queue of status events, or seen in the bucket.

A status queue tells everything. A bucket tells less: a marker is a SUCCESS, a dead letter is what it says,
but a run that failed for good leaves nothing there. Each follower gives what it hears, and ends when every
run has its outcome or the time is over; who asks decides what that means.
"""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from metrics_tools.published.status_event import COMPLETED, StatusEvent, parse_status_event
from metrics_worker.errors import CommittedRunError
from metrics_worker.publication.dead_letter import DeadLetter, dead_letters
from metrics_worker.publication.records import Keys
from metrics_worker.s3.bucket import Bucket

_LONGEST_POLL = 20
_HIDDEN_SECONDS = 60
"""How long a message of another run is invisible to its own readers before it is given back."""
_LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Patience:
    """Until when to wait. `clock` counts seconds; a test hands in its own."""

    seconds: float
    began: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def of(cls, seconds: float) -> "Patience":
        """So many seconds from now on."""
        return cls(seconds, time.monotonic())

    @property
    def left(self) -> float:
        """Seconds; none or less when the time is over."""
        return self.began + self.seconds - self.clock()


def hear(sqs: Any, queue: str, runs: set[str], patience: Patience) -> Iterator[StatusEvent]:
    """The status events of these runs, from a queue that is subscribed to the topics.

    Theirs are deleted from it. Any other is given back when this ends, untouched but for its receive count.

    Raises:
        ClientError, BotoCoreError: SQS did not answer.
    """
    waiting, others = set(runs), list[str]()
    try:
        while waiting and patience.left > 0:
            answer = sqs.receive_message(
                QueueUrl=queue,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=min(_LONGEST_POLL, math.ceil(patience.left)),
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
            with suppress(Exception):  # its time was over: it is back already
                sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=0)


def watch(bucket: Bucket, bases: Mapping[str, str], prefix: str, patience: Patience) -> Iterator[StatusEvent]:
    """The outcomes of these runs as the bucket shows them.

    Args:
        bucket: where the runs publish.
        bases: the metric's prefix of each run.
        prefix: under which all metrics are, and the dead letters.
        patience: until when to look.

    Raises:
        AccessDenied, StoreUnavailable.
    """
    waiting, read = dict(bases), set[str]()
    since = datetime.now(UTC).date()
    while True:
        for run, base in list(waiting.items()):
            if (found := _marker(bucket, Keys(base), run)) is not None:
                del waiting[run]
                yield found
        for found in _new_letters(bucket, prefix, {since, datetime.now(UTC).date()}, read, set(waiting)):
            waiting.pop(found.run_id, None)
            yield found
        if not waiting or patience.left <= 0:
            return
        patience.sleep(min(_LOOK_SECONDS, max(0.0, patience.left)))


def _marker(bucket: Bucket, keys: Keys, run: str) -> StatusEvent | None:
    found = bucket.find(keys.marker(run))
    if found is None:
        return None
    try:
        marker = json.loads(bytes(found.body))
    except ValueError as error:
        raise CommittedRunError(found.key, "the marker can't be understood") from error
    event = {
        "type": COMPLETED,
        "runId": run,
        "status": "SUCCESS",
        "versionTs": marker.get("version_ts"),
        "rowCount": marker.get("row_count"),
    }
    return StatusEvent(datetime.now(UTC), event)


def _new_letters(
    bucket: Bucket, prefix: str, days: set[Any], read: set[str], waiting: set[str]
) -> Iterator[StatusEvent]:
    """Outcomes in dead letters that were not read before."""
    for day in sorted(days):
        for key, _, _ in bucket.list(dead_letters(prefix, day)):
            if key in read:
                continue
            read.add(key)
            found = bucket.find(key)
            if found is None:
                continue
            try:
                letter = DeadLetter.parse(bytes(found.body))
            except ValueError:  # the object is not a dead letter
                continue
            for run in waiting:
                if letter.run_id == run or run in letter.body:
                    status = "SUCCESS" if letter.outcome == "SUCCESS" else "FAILURE"
                    error = f"a dead letter, {letter.outcome}: {letter.why} ({key})"
                    event = {"type": COMPLETED, "runId": run, "status": status, "error": error}
                    yield StatusEvent(datetime.now(UTC), event)

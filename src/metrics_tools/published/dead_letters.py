"""The dead letters in a bucket, and the messages that send them back to the request queue.

A message is sent back with its message group and the time of its request, so that its version cannot replace
the version of a newer request in `current`. The deduplication id is new, because SQS would drop a message
with the old id. The message attribute `redriven` makes the worker clear the published FAILURE when the run
succeeds. Nothing is deleted. Sending a message back twice does no harm: the worker publishes a committed run
again.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import uuid4

from metrics_worker.errors import UnanswerableError
from metrics_worker.publication.dead_letter import DeadLetter
from metrics_worker.request import REDRIVEN, iso, unwrap_envelope
from metrics_worker.s3.bucket import Bucket


class StoredLetter(NamedTuple):
    """A dead letter in a bucket, and its key."""

    key: str
    letter: DeadLetter


def read_letters(bucket: Bucket, keys: Sequence[str]) -> tuple[list[StoredLetter], list[str]]:
    """Return the dead letters with these keys, and an error text for each key without a dead letter.

    Raises:
        AccessDenied, StoreUnavailable: an object cannot be read.
    """
    letters, problems = [], []
    for key, stored in bucket.find_many(keys).items():
        if stored is None:
            problems.append(f"{key}: there is no such key (try --list)")
            continue
        try:
            letters.append(StoredLetter(key, DeadLetter.parse(bytes(stored.body))))
        except ValueError as error:
            problems.append(f"{key}: not a dead letter ({error})")
    return letters, problems


def message_of(letter: DeadLetter) -> dict[str, Any]:
    """Return the arguments of SQS's SendMessage with which a dead letter is sent back to the request queue.

    The URL of the queue is missing from the arguments.
    """
    return {
        "MessageBody": _dated(letter),
        "MessageGroupId": letter.group,
        "MessageDeduplicationId": f"redrive-{uuid4().hex}",
        "MessageAttributes": {REDRIVEN: {"DataType": "String", "StringValue": "true"}},
    }


def _dated(letter: DeadLetter) -> str:
    """Return the body of a dead letter's message, with the time of the request.

    The body becomes an SNS notification that contains the time at which the message was sent. A notification
    with a usable `Timestamp` is returned unchanged, as is a body that is not a JSON object.
    """
    try:
        envelope = unwrap_envelope(letter.body)
        if envelope.published_at is not None:
            return letter.body
        bare = envelope.raw_event is not None
        notification = {"Type": "Notification", "Message": letter.body} if bare else json.loads(letter.body)
    except (UnanswerableError, ValueError):
        return letter.body
    return json.dumps(notification | {"Timestamp": iso(letter.sent_at, "milliseconds")})

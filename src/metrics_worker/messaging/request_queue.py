"""The request queue, as far as the worker touches it: when a message that is not deleted comes back.

Receiving and deleting is the event source mapping's. Failure is a QueueUnavailable, which costs time but
no message: it comes back when the queue's own visibility timeout ends.
"""

import os
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metrics_worker.errors import QueueUnavailable, TransientError
from metrics_worker.messaging.clients import client, making, service_call

if TYPE_CHECKING:
    from metrics_worker.settings import Settings

if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
    # What a snapshot was seeded with, all that are restored from it share: they would come back together.
    from snapshot_restore_py import register_after_restore

    register_after_restore(random.seed)

FIRST_BACKOFF_SECONDS = 10
LONGEST_BACKOFF_SECONDS = 300


class RequestQueue:
    """Where the requests come from. The SQS client, where none is given, is made at the first call."""

    def __init__(self, settings: "Settings", sqs: Any = None) -> None:
        self._settings = settings
        self._sqs = sqs

    def extend(self, receipt_handle: str, *, within: float | None = None) -> None:
        """Give a message the queue's whole visibility timeout again.

        Args:
            receipt_handle: of the message.
            within: seconds after which the call is cut off.

        Raises:
            QueueUnavailable: SQS did not take it.
            OutOfTime: SQS did not answer in time.
        """
        with service_call(QueueUnavailable, self._settings.request_queue_url, within):
            self._client().change_message_visibility(
                QueueUrl=self._settings.request_queue_url,
                ReceiptHandle=receipt_handle,
                VisibilityTimeout=self._settings.visibility_timeout_seconds,
            )

    def give_back(
        self, messages: Sequence[tuple[str, int]], *, at_once: bool = False, within: float | None = None
    ) -> list[str]:
        """Set when messages that are not done come back, in one call; how it went with each.

        Args:
            messages: receipt handle and receive count of each; at most ten, as in a batch.
            at_once: all at once. Otherwise each later at every attempt.
            within: seconds after which the call is cut off.
        """
        if not messages:
            return []
        waits = [0 if at_once else backoff_seconds(count) for _, count in messages]
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": wait}
            for number, ((handle, _), wait) in enumerate(zip(messages, waits, strict=True))
        ]
        later = "when the queue's own timeout ends ({})"
        try:
            with service_call(QueueUnavailable, self._settings.request_queue_url, within):
                answer = self._client().change_message_visibility_batch(
                    QueueUrl=self._settings.request_queue_url, Entries=entries
                )
        except TransientError as error:
            return [later.format(error)] * len(messages)
        refused = {item["Id"]: item["Code"] for item in answer.get("Failed", ())}
        return [
            later.format(refused[entry["Id"]]) if entry["Id"] in refused else f"in {wait} s"
            for entry, wait in zip(entries, waits, strict=True)
        ]

    def _client(self) -> Any:
        with making:
            if self._sqs is None:
                self._sqs = client("sqs", self._settings)
            return self._sqs


def receive_count(attributes: Mapping[str, Any]) -> int:
    """How often a message was received, this time included: 1 where its attributes don't say."""
    count: str = attributes.get("ApproximateReceiveCount") or ""
    return int(count) if count.isdecimal() else 1


def backoff_seconds(receive_count: int) -> int:
    """How long a message waits after its nth failed attempt: threefold, bounded, with jitter of a half."""
    longest: int = min(
        LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 3 ** max(0, min(receive_count - 1, 10))
    )
    return round(longest * random.uniform(0.5, 1))  # noqa: S311 - jitter, not a secret

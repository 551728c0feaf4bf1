"""The visibility timeouts of messages in the request queue.

The event source mapping receives and deletes the messages. If a visibility timeout cannot be changed
(QueueUnavailable), no message is lost: it is redelivered when the queue's own visibility timeout ends.
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
    # All processes that are restored from a snapshot have its random seed, so their messages would all be
    # redelivered at the same time.
    from snapshot_restore_py import register_after_restore

    register_after_restore(random.seed)

FIRST_BACKOFF_SECONDS = 10
LONGEST_BACKOFF_SECONDS = 300


class RequestQueue:
    """The request queue. If no SQS client is given, the first call creates one."""

    def __init__(self, settings: "Settings", sqs: Any = None) -> None:
        self._settings = settings
        self._sqs = sqs

    def extend(self, receipt_handle: str, *, within: float | None = None) -> None:
        """Restart the visibility timeout of a message.

        Args:
            receipt_handle: The receipt handle of the message.
            within: The time limit of the call in seconds.

        Raises:
            QueueUnavailable: SQS refused the change or failed.
            OutOfTime: SQS did not answer within `within` seconds.
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
        """Set the visibility timeouts of returned messages in one call.

        Args:
            messages: The receipt handle and the receive count of each message; at most ten.
            at_once: Whether all messages are redelivered at once; otherwise after a growing delay.
            within: The time limit of the call in seconds.

        Returns:
            For each message, the time of its redelivery, as a text for the log.
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
    """Return how often a message was received, including this time; 1 if its attributes lack the count."""
    count: str = attributes.get("ApproximateReceiveCount") or ""
    return int(count) if count.isdecimal() else 1


def backoff_seconds(receive_count: int) -> int:
    """Return the delay in seconds after the nth attempt: three times the last, limited, less up to a half."""
    longest: int = min(
        LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 3 ** max(0, min(receive_count - 1, 10))
    )
    return round(longest * random.uniform(0.5, 1))  # noqa: S311 - jitter, not a secret

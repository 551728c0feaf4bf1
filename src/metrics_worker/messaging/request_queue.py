"""The visibility timeouts of messages in the request queue.

Lambda's event source mapping receives and deletes the messages. If a visibility timeout cannot be changed
(QueueUnavailable), no message is lost: SQS redelivers the message when its present visibility timeout ends.
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
    # All processes that are restored from one SnapStart snapshot have the same random seed. Without a new
    # seed, the messages of all these processes would be redelivered at the same time.
    from snapshot_restore_py import register_after_restore

    register_after_restore(random.seed)

FIRST_BACKOFF_SECONDS = 10
LONGEST_BACKOFF_SECONDS = 300


class RequestQueue:
    """The SQS request queue. If no SQS client is passed, the first call creates one."""

    def __init__(self, settings: "Settings", sqs: Any = None) -> None:
        self._settings = settings
        self._sqs = sqs

    def extend(self, receipt_handle: str, *, within: float | None = None) -> None:
        """Set the visibility timeout of a message to its full length (`WORKER_VISIBILITY_TIMEOUT_SECONDS`).

        Args:
            receipt_handle: The receipt handle of the message.
            within: The time limit of the call in seconds; None for the usual limit, `CALL_SECONDS`.

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
        """Return messages to the queue: set the times of their redelivery with one call to SQS.

        An error of SQS is not raised, but is part of the returned texts.

        Args:
            messages: The receipt handle and the receive count of each message; at most ten.
            at_once: Whether SQS redelivers all messages immediately. Otherwise, the delay of a message grows
                with its receive count.
            within: The time limit of the call in seconds; None for the usual limit, `CALL_SECONDS`.

        Returns:
            For each message, the time of its redelivery in words, such as "in 27 s", for the log.
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
    """Return the number of times that a message was received, including this time.

    Args:
        attributes: The SQS system attributes of the message. If the count is missing, the result is 1.
    """
    count: str = attributes.get("ApproximateReceiveCount") or ""
    return int(count) if count.isdecimal() else 1


def backoff_seconds(receive_count: int) -> int:
    """Return the delay in seconds before the redelivery of a message with this receive count.

    The longest delay is `FIRST_BACKOFF_SECONDS` after the first receipt, and three times as long after each
    further receipt, up to `LONGEST_BACKOFF_SECONDS`. The result is a random time between half of the longest
    delay and the longest delay.
    """
    longest: int = min(
        LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 3 ** max(0, min(receive_count - 1, 10))
    )
    return round(longest * random.uniform(0.5, 1))  # noqa: S311 - jitter, not a secret

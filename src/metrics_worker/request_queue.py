"""The request queue, as far as the worker touches it: when a message that is not deleted comes back.

Receiving and deleting is the event source mapping's. Failure is a QueueUnavailable, which costs time but
no message: it comes back when the queue's own visibility timeout ends.
"""

import random
from typing import TYPE_CHECKING, Any

from metrics_worker.aws import client, failures, making
from metrics_worker.errors import QueueUnavailable

if TYPE_CHECKING:
    from metrics_worker.settings import Settings

FIRST_BACKOFF_SECONDS = 10
LONGEST_BACKOFF_SECONDS = 300


class RequestQueue:
    """Where the requests come from. The SQS client, where none is given, is made at the first call."""

    def __init__(self, settings: "Settings", sqs: Any = None) -> None:
        self._settings = settings
        self._sqs = sqs

    def set_visibility(self, receipt_handle: str, seconds: int) -> None:
        """Let a message that is in flight become visible so many seconds from now.

        Raises:
            QueueUnavailable: SQS did not take it.
        """
        with making:
            if self._sqs is None:
                self._sqs = client("sqs", self._settings)
        with failures(QueueUnavailable, self._settings.request_queue_url):
            self._sqs.change_message_visibility(
                QueueUrl=self._settings.request_queue_url,
                ReceiptHandle=receipt_handle,
                VisibilityTimeout=seconds,
            )

    def extend(self, receipt_handle: str) -> None:
        """Give a message the queue's whole visibility timeout again.

        Raises:
            QueueUnavailable: SQS did not take it.
        """
        self.set_visibility(receipt_handle, self._settings.visibility_timeout_seconds)

    def give_back(self, receipt_handle: str, receive_count: int, *, at_once: bool) -> str:
        """Set when a message that is not done comes back: later at each attempt, or at once; how it went."""
        wait = 0 if at_once else backoff_seconds(receive_count)
        try:
            self.set_visibility(receipt_handle, wait)
        except QueueUnavailable as refused:
            return f"when the queue's own timeout ends ({refused})"
        return f"in {wait} s"


def backoff_seconds(receive_count: int) -> int:
    """How long a message waits after its nth failed attempt: threefold, bounded, with jitter of a half."""
    longest: int = min(
        LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 3 ** max(0, min(receive_count - 1, 10))
    )
    return round(longest * random.uniform(0.5, 1))  # noqa: S311 - jitter, not a secret

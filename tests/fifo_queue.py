"""A model of an SQS FIFO queue and of Lambda's event source mapping, in memory.

The clock is a parameter, so tests do not sleep. The model has the documented behaviour of SQS that a worker
can notice: the order within a message group, a group that is blocked while one of its messages is in flight,
receive counts, visibility timeouts, delays, deduplication, and the redrive to a dead-letter queue.
`tests/unit/test_fifo_queue.py` tests the model. Methods that the worker calls have boto3's names and
parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from botocore.exceptions import ClientError

from tests.builders import NOW, QUEUE_URL

DEDUPLICATION_SECONDS = 300
LONGEST_VISIBILITY_SECONDS = 43_200
ARN = "arn:aws:sqs:us-east-1:123456789012:metric-runs.fifo"

type Handler = Callable[[dict[str, Any], Any], Any]
type Record = dict[str, Any]


class Killed(BaseException):
    """An exception that simulates the kill of the process; no code of the worker catches it."""


@dataclass
class Clock:
    """A clock in seconds since 1970 that advances only when a test calls `advance`."""

    now: float = NOW.timestamp()

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Message:
    """A message in the queue. Messages of one group are delivered in the order of their sequence numbers.

    Attributes:
        message_id: the id that SQS has assigned.
        group: the message group.
        body: the body of the message.
        sequence: the sequence number.
        sent: the time at which the message was sent, in seconds since 1970, like all times here.
        visible_at: the time from which the message can be received.
        receive_count: the number of times that the message was received.
        received: the time at which the message was last received.
        receipt_handle: the receipt handle of the last receive; None before the first one.
    """

    message_id: str
    group: str
    body: str
    sequence: int
    sent: float
    visible_at: float
    receive_count: int = 0
    received: float = 0.0
    receipt_handle: str | None = None

    def in_flight(self, now: float) -> bool:
        """Return whether the message was received and its visibility timeout has not expired."""
        return self.receipt_handle is not None and now < self.visible_at

    def record(self, arn: str) -> Record:
        """Return the SQS record that Lambda passes to a function.

        Args:
            arn: the ARN of the queue.
        """
        return {
            "messageId": self.message_id,
            "receiptHandle": self.receipt_handle,
            "body": self.body,
            "attributes": {
                "ApproximateReceiveCount": str(self.receive_count),
                "SentTimestamp": str(int(self.sent * 1000)),
                "SequenceNumber": f"{self.sequence:020d}",
                "MessageGroupId": self.group,
            },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": arn,
            "awsRegion": "us-east-1",
        }


@dataclass
class FifoQueue:
    """An SQS FIFO queue.

    Attributes:
        clock: the clock of the model.
        visibility_timeout: the seconds for which a received message is invisible.
        delay: the seconds before a sent message can be received.
        max_receive_count: the number of times that a message can be received before it moves to
            `dead_letters`.
        messages: all messages in the queue, in flight or not, in order.
    """

    clock: Clock
    visibility_timeout: float = 1800
    delay: float = 0
    max_receive_count: int | None = None
    dead_letters: "FifoQueue | None" = None
    arn: str = ARN
    messages: list[Message] = field(default_factory=list)
    _sent: dict[str, tuple[float, str]] = field(default_factory=dict)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    def send(self, body: str, *, group: str, deduplication_id: str) -> str:
        """Send a message and return its id.

        If a message with the same deduplication id was sent in the last five minutes, the new one is dropped
        and the id of the earlier one is returned.
        """
        now = self.clock.now
        if (earlier := self._sent.get(deduplication_id)) and now - earlier[0] < DEDUPLICATION_SECONDS:
            return earlier[1]
        number = next(self._numbers)
        message = Message(f"message-{number}", group, body, number, now, now + self.delay)
        self.messages.append(message)
        self._sent[deduplication_id] = now, message.message_id
        return message.message_id

    def receive(self, limit: int = 10) -> list[Record]:
        """Receive up to `limit` messages as the records of one Lambda event, in order within each group."""
        records: list[Record] = []
        for group in dict.fromkeys(message.group for message in self.messages):
            records += self._receive_group(group, limit - len(records))
        return records

    def _receive_group(self, group: str, limit: int) -> list[Record]:
        now, taken = self.clock.now, list[Record]()
        waiting = [message for message in self.messages if message.group == group]
        if any(message.in_flight(now) for message in waiting):
            return []
        for message in waiting:
            if len(taken) == limit or now < message.visible_at:
                break
            if self.dead_letters is not None and message.receive_count == self.max_receive_count:
                self.messages.remove(message)
                self.dead_letters.add_dead_letter(message)
                continue
            message.receive_count += 1
            message.received, message.visible_at = now, now + self.visibility_timeout
            message.receipt_handle = f"{message.message_id}#{message.receive_count}"
            taken.append(message.record(self.arn))
        return taken

    def add_dead_letter(self, message: Message) -> None:
        """Add a message that SQS moves from its source queue to this dead-letter queue.

        The message is immediately visible and is never dropped as a duplicate.
        """
        message.sequence, message.receipt_handle = next(self._numbers), None
        message.visible_at = self.clock.now
        self.messages.append(message)

    def change_message_visibility(
        self,
        *,
        QueueUrl: str,  # noqa: N803 - boto3's names
        ReceiptHandle: str,  # noqa: N803
        VisibilityTimeout: int,  # noqa: N803
    ) -> None:
        """Make a message in flight visible `VisibilityTimeout` seconds from now.

        Raises:
            ClientError: the receipt handle is from an earlier receive, the message is visible again or was
                deleted, or the message would be in flight for more than twelve hours.
        """
        assert QueueUrl == QUEUE_URL
        message, now = self._held(ReceiptHandle, "ChangeMessageVisibility"), self.clock.now
        longest = message.received + LONGEST_VISIBILITY_SECONDS - now
        if not 0 <= VisibilityTimeout <= longest:
            raise refusal("ChangeMessageVisibility", f"VisibilityTimeout is not within 0 and {longest:.0f}")
        message.visible_at = now + VisibilityTimeout

    def change_message_visibility_batch(
        self,
        *,
        QueueUrl: str,  # noqa: N803 - boto3's names
        Entries: list[dict[str, Any]],  # noqa: N803
    ) -> dict[str, list[dict[str, Any]]]:
        """Change the visibility of up to ten messages; an entry that fails does not affect the others.

        Return the response of SQS: the entries that succeeded under `Successful`, the others under `Failed`.
        """
        ids = [entry["Id"] for entry in Entries]
        if not 1 <= len(ids) <= 10 or len(set(ids)) < len(ids):
            raise refusal("ChangeMessageVisibilityBatch", "one to ten entries with distinct ids are required")
        answer: dict[str, list[dict[str, Any]]] = {"Successful": [], "Failed": []}
        for entry in Entries:
            change = {name: entry[name] for name in ("ReceiptHandle", "VisibilityTimeout")}
            try:
                self.change_message_visibility(QueueUrl=QueueUrl, **change)
            except ClientError as error:
                answer["Failed"].append({"Id": entry["Id"], "SenderFault": True, **error.response["Error"]})
            else:
                answer["Successful"].append({"Id": entry["Id"]})
        return answer

    def delete(self, receipt_handle: str) -> None:
        """Delete a message in flight.

        Raises:
            ClientError: the receipt handle is from an earlier receive, or the message is visible again.
        """
        self.messages.remove(self._held(receipt_handle, "DeleteMessage"))

    def seconds_until_next(self) -> float | None:
        """Return the seconds until a call of `receive` returns a message, or moves one to the dead letters.

        The result is None if the queue is empty.
        """
        now, groups = self.clock.now, dict[str, float]()
        for message in self.messages:
            if message.in_flight(now) or message.group not in groups:
                groups[message.group] = max(groups.get(message.group, 0), message.visible_at)
        return max(0, min(groups.values()) - now) if groups else None

    def _held(self, receipt_handle: str, operation: str) -> Message:
        for message in self.messages:
            if message.receipt_handle == receipt_handle and message.in_flight(self.clock.now):
                return message
        raise refusal(operation, f"{receipt_handle} is not the handle of a message in flight")


def refusal(operation: str, problem: str) -> ClientError:
    """Return the error that botocore raises if SQS rejects a parameter.

    Args:
        operation: the name of the SQS operation, such as ChangeMessageVisibility.
        problem: the text of the error.
    """
    answer = {"Error": {"Code": "InvalidParameterValue", "Message": problem}}
    return ClientError(answer, operation)


@dataclass(frozen=True)
class Delivery:
    """The delivery of one batch, and the outcome of the invocation.

    Attributes:
        records: the records that the function received.
        failed: the message ids that the function reported as failed; None if it raised an error, was killed,
            or returned an invalid response.
        error: the error, if `failed` is None.
    """

    records: list[Record]
    failed: set[str] | None
    error: BaseException | None = None


def deliver(queue: FifoQueue, handler: Handler, context: Any = None, *, limit: int = 10) -> Delivery:
    """Deliver one batch to a Lambda function: receive the batch, invoke the handler, and act on the response.

    Args:
        queue: the queue from which the messages are received.
        handler: the handler of the function.
        context: the Lambda context that is passed to the handler.
        limit: the largest number of messages in the batch.

    Returns:
        The delivery, which has no records if no message could be received.
    """
    records = queue.receive(limit)
    return hand_over(records, queue, handler, context) if records else Delivery([], set())


def hand_over(records: list[Record], queue: FifoQueue, handler: Handler, context: Any = None) -> Delivery:
    """Invoke the handler with a batch, and process the response as Lambda does with
    `ReportBatchItemFailures`.

    The messages that the response does not name are deleted, if their handles are still valid. If the
    invocation raises an error, is killed, or returns an invalid response, every message of the batch becomes
    visible again when its visibility timeout ends. As in Lambda, an empty response (`None`, `{}`) reports no
    failure.
    """
    try:
        failed = failures(handler({"Records": records}, context), {each["messageId"] for each in records})
    except (Exception, Killed) as error:  # noqa: BLE001 - After any error the batch is redelivered.
        return Delivery(records, None, error)
    for each in records:
        if each["messageId"] not in failed:
            try:
                queue.delete(each["receiptHandle"])
            except ClientError:
                continue  # The handler took too long: the message is visible again or was received again.
    return Delivery(records, failed)


def failures(answer: Any, received: set[str]) -> set[str]:
    """Return the ids of the failed messages in a Lambda function's response; an empty response has none.

    Args:
        answer: the response, with the key `batchItemFailures`.
        received: the ids of the messages in the batch.

    Raises:
        ValueError: the response is invalid or names a message that is not in the batch. Lambda treats such a
            response as a failure of the whole batch.
    """
    items = [] if not answer else answer.get("batchItemFailures", ...)
    if items is None:
        return set()
    if not isinstance(items, list) or not all(
        isinstance(item, dict) and item.get("itemIdentifier") in received for item in items
    ):
        raise ValueError(f"not a response to this batch: {answer!r:.200}")
    return {item["itemIdentifier"] for item in items}

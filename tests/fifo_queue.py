"""A model of an SQS FIFO queue, and of how Lambda's event source mapping empties it.

In memory, with a clock that is handed in, so that nothing sleeps. What SQS documents and a worker can notice
is there: order within a group, a group that waits while one of its messages is in flight, receive counts,
visibility, delay, deduplication, and the redrive to a dead-letter queue. `tests/unit/test_fifo_queue.py`
holds it to that. The words of its methods are boto3's where the worker itself calls them.
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
    """The process is gone: nothing of the worker's catches it, and no answer of its is heard."""


@dataclass
class Clock:
    """Seconds since 1970; it stands still until it is told."""

    now: float = NOW.timestamp()

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Message:
    """A message in the queue. Its place in the group is that of its sequence number, come what may."""

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
        """Whether a receiver has it, which has not given it back and whose time has not run out."""
        return self.receipt_handle is not None and now < self.visible_at

    def record(self, arn: str) -> Record:
        """As Lambda hands it to a function."""
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
        clock: what tells the time.
        visibility_timeout: seconds that a received message stays invisible.
        delay: seconds before a message that was sent can be received.
        max_receive_count: how often a message is received before it moves to `dead_letters`.
        messages: all that is in it, in flight or not, in order.
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
        """Send a message; its id. One whose deduplication id was sent within five minutes is dropped."""
        now = self.clock.now
        if (known := self._sent.get(deduplication_id)) and now - known[0] < DEDUPLICATION_SECONDS:
            return known[1]
        number = next(self._numbers)
        message = Message(f"message-{number}", group, body, number, now, now + self.delay)
        self.messages.append(message)
        self._sent[deduplication_id] = now, message.message_id
        return message.message_id

    def receive(self, limit: int = 10) -> list[Record]:
        """Up to so many messages, as the records of one Lambda event: group by group, each in order."""
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
        """Take a message over from the queue whose dead letters these are: at once, and never dropped."""
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
        """Let a message in flight become visible so many seconds from now.

        Raises:
            ClientError: the handle is of an older receipt, the message is visible again or gone, or it would
                be in flight for more than twelve hours.
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
        """The same for up to ten messages, each for itself: one that is refused holds up no other."""
        ids = [entry["Id"] for entry in Entries]
        if not 1 <= len(ids) <= 10 or len(set(ids)) < len(ids):
            raise refusal("ChangeMessageVisibilityBatch", "one to ten entries, each with an id of its own")
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
            ClientError: the handle is of an older receipt, or the message is visible again.
        """
        self.messages.remove(self._held(receipt_handle, "DeleteMessage"))

    def seconds_until_next(self) -> float | None:
        """How long until a message can be received or moves to the dead letters; None where there is none."""
        now, groups = self.clock.now, dict[str, float]()
        for message in self.messages:
            if message.in_flight(now) or message.group not in groups:
                groups[message.group] = max(groups.get(message.group, 0), message.visible_at)
        return max(0, min(groups.values()) - now) if groups else None

    def _held(self, receipt_handle: str, operation: str) -> Message:
        for message in self.messages:
            if message.receipt_handle == receipt_handle and message.in_flight(self.clock.now):
                return message
        raise refusal(operation, f"{receipt_handle} is of no message in flight")


def refusal(operation: str, problem: str) -> ClientError:
    """What botocore raises when SQS finds a parameter wrong."""
    answer = {"Error": {"Code": "InvalidParameterValue", "Message": problem}}
    return ClientError(answer, operation)


@dataclass(frozen=True)
class Delivery:
    """One batch: what was handed over, which messages were deleted then, and why none was, if so.

    Attributes:
        failed: ids that the function named as failed; None where its answer was not heard or not understood.
    """

    records: list[Record]
    failed: set[str] | None
    error: BaseException | None = None


def deliver(queue: FifoQueue, handler: Handler, context: Any = None, *, limit: int = 10) -> Delivery:
    """Receive a batch, hand it over, and do with the answer what Lambda does."""
    records = queue.receive(limit)
    return hand_over(records, queue, handler, context) if records else Delivery([], set())


def hand_over(records: list[Record], queue: FifoQueue, handler: Handler, context: Any = None) -> Delivery:
    """What Lambda does with a batch, and with the answer, where `ReportBatchItemFailures` is set.

    All but what the answer names is deleted, if its handle still holds. An invocation that raises, is killed
    or answers nonsense returns the whole batch, each message when its visibility timeout ends. An empty
    answer (`None`, `{}`) is no failure, as Lambda has it.
    """
    try:
        failed = failures(handler({"Records": records}, context), {each["messageId"] for each in records})
    except (Exception, Killed) as error:  # noqa: BLE001 - whatever it is, the batch comes back
        return Delivery(records, None, error)
    for each in records:
        if each["messageId"] not in failed:
            try:
                queue.delete(each["receiptHandle"])
            except ClientError:
                continue  # it took too long: the message is visible again, or another receiver has it
    return Delivery(records, failed)


def failures(answer: Any, received: set[str]) -> set[str]:
    """The message ids that an answer names.

    Raises:
        ValueError: Lambda takes the answer for a failure of the whole batch.
    """
    items = [] if not answer else answer.get("batchItemFailures", ...)
    if items is None:
        return set()
    if not isinstance(items, list) or not all(
        isinstance(item, dict) and item.get("itemIdentifier") in received for item in items
    ):
        raise ValueError(f"not an answer to this batch: {answer!r:.200}")
    return {item["itemIdentifier"] for item in items}

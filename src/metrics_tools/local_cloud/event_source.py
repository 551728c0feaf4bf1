"""A small substitute for Lambda's event source mapping.

It receives a batch of messages, invokes the function as Lambda does, and deletes the messages that succeeded.
The messages in `batchItemFailures` stay in the queue. The whole batch stays if the function fails, or if
Lambda would treat its answer as a failure: an item without an identifier, or one that is not in the batch.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from metrics_tools.local_cloud.cloud import REGION

MAX_BATCH = 10
"""The maximum number of messages that SQS returns at once, and that a batch of a FIFO queue has."""


class InvocationError(Exception):
    """The function raised an error, timed out or did not start: Lambda's error type and message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)

    def __str__(self) -> str:
        return ": ".join(self.args)


@dataclass(frozen=True, slots=True)
class Batch:
    """The result of one batch: the ids of the messages that were received and of those that were deleted."""

    received: list[str]
    deleted: list[str] = field(default_factory=list)
    error: InvocationError | None = None


@dataclass(frozen=True, slots=True)
class EventSource:
    """The connection of one queue to one function, with one invocation at a time.

    Attributes:
        sqs: a boto3 SQS client.
        queue: the URL of the queue.
        arn: the ARN of the queue.
        invoke: calls the function with an event and returns its answer, or raises `InvocationError`.
        batch_size: the maximum number of messages of an invocation.
    """

    sqs: Any
    queue: str
    arn: str
    invoke: Callable[[dict[str, Any]], Any]
    batch_size: int = MAX_BATCH

    def poll(self) -> Batch | None:
        """Receive one batch and invoke the function; return None if there was no message."""
        messages = self.sqs.receive_message(
            QueueUrl=self.queue,
            MaxNumberOfMessages=self.batch_size,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
            WaitTimeSeconds=0,
        ).get("Messages", [])
        if not messages:
            return None
        received = [message["MessageId"] for message in messages]
        try:
            response = self.invoke({"Records": [record(message, self.arn) for message in messages]})
            failed = failures(response, received)
        except InvocationError as error:
            return Batch(received, error=error)
        done = [message for message in messages if message["MessageId"] not in failed]
        for message in done:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return Batch(received, [message["MessageId"] for message in done])


def record(message: dict[str, Any], arn: str) -> dict[str, Any]:
    """Return a received message in the form in which Lambda passes it to the function."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {
            name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message.get("MD5OfBody") or hashlib.md5(message["Body"].encode()).hexdigest(),  # noqa: S324 - SQS's checksum
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": REGION,
    }


def failures(response: Any, received: Sequence[str]) -> set[str]:
    """Return the message ids that the answer of a function names as failed.

    Raises:
        InvocationError: Lambda would treat the answer as a failure of the whole batch.
    """
    if response is None or response == {}:
        return set()
    try:
        failed = {item["itemIdentifier"] for item in response["batchItemFailures"] or []}
    except (KeyError, TypeError) as error:
        text = f"expected {{batchItemFailures: …}}, found {json.dumps(response):.200}"
        raise InvocationError("BadResponse", text) from error
    if unknown := [str(item) for item in failed if item not in received]:
        raise InvocationError(
            "BadResponse", f"batchItemFailures has ids that are not in the batch: {unknown}"
        )
    return failed


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    """Return a message attribute with Lambda's names. Lambda encodes binary values in base64."""
    names = {"StringValue": "stringValue", "DataType": "dataType"}
    found = {name: value[key] for key, name in names.items() if key in value}
    if "BinaryValue" in value:
        found["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    return found | {"stringListValues": [], "binaryListValues": []}

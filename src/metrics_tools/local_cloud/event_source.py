"""A small substitute for Lambda's event source mapping.

The substitute receives a batch of messages, invokes the function as Lambda does, and deletes the messages
that succeeded. The messages in `batchItemFailures` stay in the queue. The whole batch stays in the queue if
the function fails, or if its response is not valid: an item of `batchItemFailures` has no identifier, or the
identifier of a message that is not in the batch.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from metrics_tools.local_cloud.cloud import REGION

MAX_BATCH = 10
"""The maximum number of messages in one SQS response, and in a batch of a FIFO queue."""


class InvocationError(Exception):
    """The function raised an error, timed out or did not start.

    The text contains Lambda's error type and error message.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)

    def __str__(self) -> str:
        return ": ".join(self.args)


@dataclass(frozen=True, slots=True)
class Batch:
    """The result of one batch.

    Attributes:
        received: the ids of all messages of the batch.
        deleted: the ids of the messages that succeeded and were deleted from the queue.
        error: the error of the whole batch, in which case no message is deleted; None if there is none.
    """

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
        invoke: calls the function with an event and returns its response, or raises `InvocationError`.
        batch_size: the maximum number of messages in one invocation.
    """

    sqs: Any
    queue: str
    arn: str
    invoke: Callable[[dict[str, Any]], Any]
    batch_size: int = MAX_BATCH

    def poll(self) -> Batch | None:
        """Receive one batch, invoke the function, and return the result; return None if the queue is empty.

        An InvocationError is not raised, but is part of the result.
        """
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
    """Return the message ids in `batchItemFailures` of a function's response.

    Args:
        response: the response of the function.
        received: the ids of the messages in the batch.

    Raises:
        InvocationError: the response is not valid, so that Lambda would return the whole batch to the queue.
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
    """Return an SQS message attribute in the form that Lambda uses, with binary values in base64."""
    names = {"StringValue": "stringValue", "DataType": "dataType"}
    found = {name: value[key] for key, name in names.items() if key in value}
    if "BinaryValue" in value:
        found["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    return found | {"stringListValues": [], "binaryListValues": []}

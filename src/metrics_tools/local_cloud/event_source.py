"""A small substitute for Lambda's event source mapping.

The messages in `batchItemFailures` of the function's response stay in the queue. The whole batch stays in
the queue if the function fails, or if its response is not valid: an item of `batchItemFailures` has no
identifier, or the identifier of a message that is not in the batch.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from metrics_tools.local_cloud.cloud import REGION


class InvocationError(Exception):
    """The error of an invocation in which the function raised an error, timed out or did not start.

    Its text contains the error type and the error message, as Lambda returns them.
    """

    def __str__(self) -> str:
        return ": ".join(self.args)


@dataclass(frozen=True, slots=True)
class Batch:
    """The result of one batch.

    Attributes:
        deleted: the ids of the messages that were deleted.
        returned: the receipt handles of the messages that stay in the queue.
        error: the error of the whole batch, whose messages all stay in the queue; None if there was none.
    """

    deleted: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    error: InvocationError | None = None


def poll(
    sqs: Any, invoke: Callable[[dict[str, Any]], Any], *, queue: str, arn: str, batch_size: int = 10
) -> Batch | None:
    """Receive one batch, invoke the function, and return the result; return None if the queue is empty.

    Args:
        sqs: a boto3 SQS client.
        invoke: calls the function with an event and returns its response, or raises `InvocationError`, which
            becomes a part of the result.
        queue: the URL of the queue.
        arn: the ARN of the queue.
        batch_size: the maximum number of messages in the invocation, at most 10.
    """
    messages = sqs.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=batch_size, AttributeNames=["All"], MessageAttributeNames=["All"]
    ).get("Messages")
    if not messages:
        return None
    try:
        response = invoke({"Records": [record(message, arn) for message in messages]})
        failed = failures(response, [message["MessageId"] for message in messages])
    except InvocationError as error:
        return Batch(error=error)
    done = [message for message in messages if message["MessageId"] not in failed]
    for message in done:
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    returned = [message["ReceiptHandle"] for message in messages if message not in done]
    return Batch([message["MessageId"] for message in done], returned)


def record(message: dict[str, Any], arn: str) -> dict[str, Any]:
    """Return a received message in the form in which Lambda passes it to the function.

    Args:
        message: the message in the response of SQS's ReceiveMessage.
        arn: the ARN of the queue.
    """
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {
            name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": REGION,
    }


def failures(response: Any, received: Sequence[str]) -> set[str]:
    """Return the message ids in `batchItemFailures` of a function's response to the messages `received`.

    Raises:
        InvocationError: the response is not valid, so that Lambda would return the whole batch to the queue.
    """
    if response in (None, {}):
        return set()
    try:
        failed = {item["itemIdentifier"] for item in response["batchItemFailures"] or ()}
    except (KeyError, TypeError) as error:
        text = f"expected {{batchItemFailures: …}}, found {json.dumps(response):.200}"
        raise InvocationError("BadResponse", text) from error
    if unknown := [str(item) for item in failed if item not in received]:
        text = f"batchItemFailures has ids that are not in the batch: {unknown}"
        raise InvocationError("BadResponse", text)
    return failed


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    """Convert an SQS message attribute to the form that Lambda uses, with binary values in base64.

    Args:
        value: the attribute in the response of SQS's ReceiveMessage.
    """
    content = (
        {"binaryValue": base64.b64encode(value["BinaryValue"]).decode()}
        if "BinaryValue" in value
        else {"stringValue": value["StringValue"]}
    )
    return content | {"dataType": value["DataType"], "stringListValues": [], "binaryListValues": []}

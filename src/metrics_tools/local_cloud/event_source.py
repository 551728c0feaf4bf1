"""A small stand-in for Lambda's event source mapping.

It receives a batch, hands it to the function as Lambda does, deletes what succeeded and leaves what
`batchItemFailures` names. An answer that is an error leaves the whole batch, as does one that Lambda would
take for a failure: an item without an identifier, or with one that is not in the batch. One invocation at a
time.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from metrics_tools.local_cloud.cloud import REGION

BATCH = 10
"""The most messages that SQS gives at once, and that a batch of a FIFO queue has."""


class InvocationError(Exception):
    """The function raised, timed out or did not start: Lambda's error type and message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of one batch: message ids."""

    received: list[str]
    deleted: list[str] = field(default_factory=list)
    error: InvocationError | None = None


class EventSource:
    """Polls one queue for one function.

    Args:
        sqs: a boto3 SQS client, or what looks like one.
        queue: the queue's URL.
        arn: the queue's ARN.
        invoke: takes the event, gives the function's answer, raises `InvocationError`.
        batch_size: messages an invocation at most.
    """

    def __init__(
        self, sqs: Any, queue: str, arn: str, invoke: Callable[[dict[str, Any]], Any], batch_size: int = BATCH
    ) -> None:
        self._sqs = sqs
        self._queue = queue
        self._arn = arn
        self._invoke = invoke
        self._batch_size = batch_size

    def poll(self) -> Batch | None:
        """Receive and invoke once; None where there is nothing to receive."""
        answer = self._sqs.receive_message(
            QueueUrl=self._queue,
            MaxNumberOfMessages=self._batch_size,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
            WaitTimeSeconds=0,
        )
        messages = answer.get("Messages", [])
        if not messages:
            return None
        received = [message["MessageId"] for message in messages]
        try:
            response = self._invoke({"Records": [record(message, self._arn) for message in messages]})
            failed = failures(response, received)
        except InvocationError as error:
            return Batch(received, error=error)
        done = [message for message in messages if message["MessageId"] not in failed]
        for message in done:
            self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return Batch(received, [message["MessageId"] for message in done])


def record(message: dict[str, Any], arn: str) -> dict[str, Any]:
    """A received message as Lambda hands it to the function."""
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
    """The message ids that a function's answer names as failed.

    Raises:
        InvocationError: Lambda would take the answer for a failure of the whole batch.
    """
    if response is None or response == {}:
        return set()
    try:
        items = response["batchItemFailures"] or []
        failed = {item["itemIdentifier"] for item in items}
    except (KeyError, TypeError) as error:
        raise InvocationError(
            "BadResponse", f"not {{batchItemFailures: …}}: {json.dumps(response):.200}"
        ) from error
    if unknown := [str(item) for item in failed if item not in received]:
        raise InvocationError("BadResponse", f"batchItemFailures names what is not in the batch: {unknown}")
    return failed


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    """A message attribute with Lambda's names; binary values are base64 there."""
    found = {
        name: value[key]
        for key, name in (("StringValue", "stringValue"), ("DataType", "dataType"))
        if key in value
    }
    if "BinaryValue" in value:
        found["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode()
    return found | {"stringListValues": [], "binaryListValues": []}

"""The event source of the local cloud, which takes the role of Lambda's event source mapping."""

import hashlib
from functools import partial

import pytest

from metrics_tools.local_cloud.event_source import InvocationError, failures, poll, record

QUEUE, ARN = "http://localhost/q.fifo", "arn:aws:sqs:us-east-1:123456789012:q.fifo"


class FakeQueue:
    """A fake SQS client for one queue, with the calls that the event source makes.

    A message remains in the queue until it is deleted, and is returned by each receive until then.

    Args:
        ids: the message ids.

    Attributes:
        messages: the messages in the queue, in the form of boto3.
        asked: the arguments of the last receive.
    """

    def __init__(self, *ids):
        self.messages = [message(name) for name in ids]
        self.asked = {}

    def receive_message(self, **asked):
        self.asked = asked
        found = self.messages[: asked["MaxNumberOfMessages"]]
        return {"Messages": found} if found else {}

    def delete_message(self, QueueUrl, ReceiptHandle):  # noqa: N803 - boto3's names
        assert QueueUrl == QUEUE
        self.messages = [kept for kept in self.messages if kept["ReceiptHandle"] != ReceiptHandle]

    @property
    def left(self):
        return [kept["MessageId"] for kept in self.messages]


def message(name):
    return {
        "MessageId": name,
        "ReceiptHandle": f"handle-{name}",
        "Body": "{}",
        "MD5OfBody": hashlib.md5(b"{}").hexdigest(),
        "Attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": "m"},
    }


def source(queue, answer, batch_size=10):
    def invoke(event):
        if isinstance(answer, Exception):
            raise answer
        return answer(event) if callable(answer) else answer

    return partial(poll, queue, invoke, queue=QUEUE, arn=ARN, batch_size=batch_size)


def test_messages_that_succeeded_are_deleted():
    queue = FakeQueue("a", "b")
    batch = source(queue, {"batchItemFailures": []})()
    assert (queue.left, batch.deleted, batch.error) == ([], ["a", "b"], None)


def test_messages_that_the_answer_names_as_failed_stay():
    queue = FakeQueue("a", "b", "c")
    batch = source(queue, {"batchItemFailures": [{"itemIdentifier": "b"}]})()
    assert queue.left == ["b"]
    assert (batch.deleted, batch.returned) == (["a", "c"], ["handle-b"])


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_an_empty_answer_means_that_all_messages_succeeded(answer):
    queue = FakeQueue("a")
    source(queue, answer)()
    assert queue.left == []


def test_an_invocation_that_fails_leaves_the_whole_batch():
    queue = FakeQueue("a", "b")
    batch = source(queue, InvocationError("ValueError", "no"))()
    assert queue.left == ["a", "b"]
    assert str(batch.error) == "ValueError: no"


@pytest.mark.parametrize(
    "answer",
    [
        {"batchItemFailures": [{"itemIdentifier": "another"}]},
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{}]},
        {"batchItemFailures": ["a"]},
        {"failures": []},
        "done",
    ],
)
def test_an_answer_that_lambda_would_not_accept_leaves_the_whole_batch(answer):
    queue = FakeQueue("a", "b")
    assert source(queue, answer)().error is not None
    assert queue.left == ["a", "b"]


def test_without_messages_the_function_is_not_invoked():
    assert source(FakeQueue(), InvocationError("never", ""))() is None


def test_a_batch_is_bounded_and_has_all_attributes():
    queue = FakeQueue("a", "b", "c")
    source(queue, {}, batch_size=2)()
    assert queue.left == ["c"]
    assert (queue.asked["AttributeNames"], queue.asked["MessageAttributeNames"]) == (["All"], ["All"])


def test_a_record_has_the_field_names_of_lambda():
    found = record(
        message("a")
        | {
            "MessageAttributes": {
                "x": {"DataType": "String", "StringValue": "1"},
                "b": {"DataType": "Binary", "BinaryValue": b"\x00"},
            }
        },
        ARN,
    )
    empty: dict[str, list[str]] = {"stringListValues": [], "binaryListValues": []}
    assert found == {
        "messageId": "a",
        "receiptHandle": "handle-a",
        "body": "{}",
        "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": "m"},
        "messageAttributes": {
            "x": {"stringValue": "1", "dataType": "String", **empty},
            "b": {"binaryValue": "AA==", "dataType": "Binary", **empty},
        },
        "md5OfBody": "99914b932bd37a50b983c5e7c90ae93b",
        "eventSource": "aws:sqs",
        "eventSourceARN": ARN,
        "awsRegion": "us-east-1",
    }


def test_failures_are_the_named_identifiers():
    assert failures({"batchItemFailures": [{"itemIdentifier": "b"}]}, ["a", "b"]) == {"b"}

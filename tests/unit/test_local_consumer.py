"""The consumers of the local cloud deliver the messages of its queues to its Lambda functions.

On request, a consumer makes returned messages visible again at once, and the server of the local cloud
throttles calls to S3.
"""

from typing import Any

from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.test import Client

from metrics_tools.local_cloud import THROTTLED_PREFIX
from metrics_tools.local_cloud.consumer import Consumer, Consumers
from metrics_tools.local_cloud.moto_server import Application


class Sqs:
    """A fake SQS client that returns the same messages at each receive.

    Args:
        names: the message ids.

    Attributes:
        changed: the entries of all batches of changed visibility timeouts, in the form of boto3.
    """

    def __init__(self, *names: str) -> None:
        self.names = names
        self.changed: list[dict[str, Any]] = []

    def receive_message(self, **_: Any) -> dict[str, Any]:
        received = [
            {"MessageId": name, "ReceiptHandle": f"handle-{name}", "Body": "", "MD5OfBody": ""}
            for name in self.names
        ]
        return {"Messages": received} if received else {}

    def change_message_visibility_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> None:  # noqa: N803
        assert QueueUrl == "queue"
        self.changed += Entries


def consumer(sqs: Sqs) -> Consumer:
    def returns_everything(event: dict[str, Any]) -> dict[str, Any]:
        return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in event["Records"]]}

    return Consumer(sqs, returns_everything, "queue", "arn", 10)


def test_returned_messages_are_redelivered_at_once_only_on_request() -> None:
    sqs = Sqs("a")
    functions = Consumers(consumer(sqs), consumer(Sqs()))
    batch = functions.receive()
    assert batch is not None
    assert batch.returned == ["handle-a"]
    assert not sqs.changed
    functions.receive(at_once=True)
    assert sqs.changed == [{"Id": "0", "ReceiptHandle": "handle-a", "VisibilityTimeout": 0}]


def test_dead_letters_are_received_when_the_request_queue_is_empty() -> None:
    batch = Consumers(consumer(Sqs()), consumer(Sqs("dead"))).receive()
    assert batch is not None
    assert batch.returned == ["handle-dead"]
    assert Consumers(consumer(Sqs()), consumer(Sqs())).receive() is None


def test_the_server_throttles_only_keys_below_the_prefix() -> None:
    client = Client(Application(create_backend_app))
    throttled = client.get(f"/bucket/{THROTTLED_PREFIX}manifest.json")
    assert (throttled.status_code, b"<Code>SlowDown</Code>" in throttled.data) == (503, True)
    headers = {"Host": "s3.amazonaws.com"}
    assert client.get("/bucket/datasets/other/manifest.json", headers=headers).status_code == 404

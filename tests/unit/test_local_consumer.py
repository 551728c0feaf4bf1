"""The consumers of the local cloud deliver the messages of its queues to its Lambda functions.

On request, a consumer makes returned messages visible again at once. The server of the local cloud throttles
calls to S3 for some keys, and puts many objects with one request.
"""

import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from threading import Thread
from typing import Any

import pytest
from moto.moto_server.werkzeug_app import create_backend_app
from moto.sqs.models import Message, SQSBackend
from werkzeug.test import Client

from metrics_tools.local_cloud import LOADING_PATH, THROTTLED_PREFIX, LocalError
from metrics_tools.local_cloud.cloud import put_objects
from metrics_tools.local_cloud.consumer import Consumer, Consumers
from metrics_tools.local_cloud.moto_server import Application, add_message


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


def test_a_message_that_becomes_a_dead_letter_gets_a_new_time() -> None:
    backend: Any = SQSBackend("us-east-1", "123456789012")
    queue = backend.create_queue("dead.fifo", {}, FifoQueue="true")
    messages: list[Any] = [Message(name, "{}") for name in ("sent", "moved")]
    sent, moved = messages
    sent.sent_timestamp = moved.sent_timestamp = 1
    moved.approximate_receive_count = 5
    add_message(queue, sent)
    add_message(queue, moved)
    kept, reset = queue.messages
    assert kept.sent_timestamp == 1
    assert reset.sent_timestamp > 1


def test_an_object_that_is_loaded_equals_an_object_of_a_put() -> None:
    client = Client(Application(create_backend_app))
    scope = "Credential=key/20261030/us-east-1/s3/aws4_request"
    headers = {"Host": "s3.amazonaws.com", "Authorization": f"AWS4-HMAC-SHA256 {scope}, Signature=unchecked"}
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("a/month=01/loaded", b"content")
    client.put("/loading", headers=headers)
    assert client.put(f"{LOADING_PATH}loading", data=archive.getvalue()).status_code == 204
    client.put("/loading/a/month%3D01/put", data=b"content", headers=headers)
    loaded, put = (client.get(f"/loading/a/month%3D01/{name}", headers=headers) for name in ("loaded", "put"))
    assert loaded.data == put.data == b"content"
    assert loaded.headers["ETag"] == put.headers["ETag"]


def test_objects_that_the_server_refuses_are_an_error() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        Thread(target=server.handle_request).start()
        with pytest.raises(LocalError, match="answered 501"):
            put_objects(f"http://127.0.0.1:{server.server_port}", "bucket", {})

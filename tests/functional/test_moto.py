"""A request passes through the whole system over HTTP, with real AWS clients and a moto server as AWS.

A request goes to a FIFO topic and through the request queue to the handler; its status events go through
their topics to queues of the control plane. The moto server listens on the loopback interface.
"""

import json
import logging
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from metrics_worker import handler
from metrics_worker.settings import Settings
from metrics_worker.worker import Worker
from tests.builders import BUCKET, Cloud, FakeContext, put_a_and_b, ratio, request, series

ACCOUNT = "arn:aws:sqs:us-east-1:123456789012"


@pytest.fixture(scope="module")
def endpoint():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # The server would otherwise log every request.
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Aws:
    """The bucket, queues and topics of a test on the moto server, and clients to use them.

    With the clients, the test acts as control plane, ingestor and event source mapping.

    Attributes:
        queues: the URL of each queue, by name: `requests`, `started`, `heartbeat` and `completed`.
        topics: the ARN of each topic, by the name of the queue that is subscribed to it.
    """

    def __init__(self, endpoint: str) -> None:
        self._clients = {
            name: boto3.client(name, endpoint_url=endpoint, region_name="us-east-1")
            for name in ("s3", "sns", "sqs")
        }
        self.s3, self.sns, self.sqs = self._clients.values()
        self.s3.create_bucket(Bucket=BUCKET)
        self.queues = {name: self._queue(name) for name in ("requests", "started", "heartbeat", "completed")}
        self.topics = {name: self._topic(name) for name in self.queues}

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _queue(self, name: str) -> str:
        attributes = {"FifoQueue": "true", "VisibilityTimeout": "1800"}
        return str(self.sqs.create_queue(QueueName=f"{name}.fifo", Attributes=attributes)["QueueUrl"])

    def _topic(self, name: str) -> str:
        arn = self.sns.create_topic(Name=f"{name}.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
        raw = "false" if name == "requests" else "true"
        self.sns.subscribe(
            TopicArn=arn,
            Protocol="sqs",
            Endpoint=f"{ACCOUNT}:{name}.fifo",
            Attributes={"RawMessageDelivery": raw},
        )
        return str(arn)

    def request_run(self, event: dict[str, Any]) -> None:
        """Publish a request, given as JSON object, to the request topic."""
        self.sns.publish(
            TopicArn=self.topics["requests"],
            Message=json.dumps(event),
            MessageGroupId=event["metricCode"],
            MessageDeduplicationId=event["runId"],
        )

    def receive(self, name: str) -> list[dict[str, Any]]:
        """Receive all visible messages of a queue, without deleting them, and return them as SQS does.

        Args:
            name: the name of the queue, a key of `queues`.
        """
        found = []
        while more := self.sqs.receive_message(
            QueueUrl=self.queues[name],
            MaxNumberOfMessages=10,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages"):
            found += more
        return found

    def requests(self) -> list[dict[str, Any]]:
        """Receive the waiting requests, and return them as records of the event source mapping."""
        return [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": f"{ACCOUNT}:requests.fifo",
                "awsRegion": "us-east-1",
            }
            for message in self.receive("requests")
        ]

    def keys(self, prefix: str):
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for item in found.get("Contents", [])]

    def read(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())


@pytest.fixture(scope="module")
def aws(endpoint):
    aws = Aws(endpoint)
    cloud = Cloud()
    put_a_and_b(cloud.store)
    for key in cloud.keys("datasets/"):
        aws.s3.put_object(Bucket=BUCKET, Key=key, Body=cloud.read(key))
    yield aws
    aws.close()


@pytest.fixture
def deployed(aws, endpoint, monkeypatch):
    """Return `deployed(records)`, which passes SQS records to the worker's handler and returns its response.

    The moto server takes the place of AWS.
    """
    settings = Settings(
        AWS_ENDPOINT_URL=endpoint,
        AWS_SQS_RUN_REQUEST_QUEUE_URL=aws.queues["requests"],
        AWS_SNS_METRIC_RUN_STARTED_TOPIC_ARN=aws.topics["started"],
        AWS_SNS_METRIC_RUN_HEARTBEAT_TOPIC_ARN=aws.topics["heartbeat"],
        AWS_SNS_METRIC_RUN_COMPLETED_TOPIC_ARN=aws.topics["completed"],
        WORKER_HEARTBEAT_INTERVAL_SECONDS=0.01,
        WORKER_STATUS_GAP_SECONDS=0,
    )
    monkeypatch.setattr(handler, "worker", Worker.start(settings))
    return lambda records: handler.lambda_handler({"Records": records}, FakeContext())


def test_the_control_plane_receives_the_status_events_of_each_requested_run(aws, deployed):
    aws.request_run(request(run_id="plain", metric="m.plain"))
    aws.request_run(request(run_id="v1", metric="m.v1", schema="metrics.run.v1"))
    aws.request_run(request(ratio(series("A"), series("ZZ")), run_id="wrong", metric="m.wrong"))
    records = aws.requests()
    assert len(records) == 3

    assert deployed(records) == {"batchItemFailures": []}

    started = aws.receive("started")
    completed = {message["Attributes"]["MessageGroupId"]: message for message in aws.receive("completed")}
    assert sorted(message["Attributes"]["MessageGroupId"] for message in started) == ["plain", "v1", "wrong"]
    plain, v1, wrong = (json.loads(completed[run]["Body"]) for run in ("plain", "v1", "wrong"))
    version = plain["versionTs"]
    assert plain == {
        "type": "metric_run_completed",
        "runId": "plain",
        "metricCode": "m.plain",
        "status": "SUCCESS",
        "versionTs": version,
        "outputManifest": f"metrics/m.plain/{version}/manifest.json",
        "rowCount": 10,
    }
    assert next(iter(v1)) == "schema"
    assert v1["outputManifest"] == f"s3://{BUCKET}/metrics/m.v1/{v1['versionTs']}/manifest.json"
    assert wrong["error"].startswith("INPUT_READ_ERROR: Failed to read input series: ZZ")
    attributes = completed["plain"]["MessageAttributes"]
    assert {name: value["StringValue"] for name, value in attributes.items()} == {
        "type": "metric_run_completed",
        "metricCode": "m.plain",
    }
    assert completed["plain"]["Attributes"]["MessageDeduplicationId"] == "plain:metric_run_completed:1"
    for message in aws.receive("heartbeat"):
        event = json.loads(message["Body"])
        assert message["Attributes"]["MessageGroupId"] == event["runId"]
        assert 0 <= event["progress"] <= 1
    assert aws.keys("metrics/m.plain/") == [
        f"metrics/m.plain/{version}/data/metrics.parquet",
        f"metrics/m.plain/{version}/manifest.json",
        "metrics/m.plain/current/manifest.json",
        "metrics/m.plain/runs/plain.ok",
    ]
    current = json.loads(aws.read("metrics/m.plain/current/manifest.json"))
    assert (current["run_id"], current["row_count"]) == ("plain", 10)


def test_a_redelivery_over_http_announces_the_same_version(aws, deployed):
    aws.request_run(request(run_id="twice", metric="m.twice"))
    (record,) = aws.requests()
    deployed([record])
    written = aws.keys("metrics/m.twice/")
    record["attributes"]["ApproximateReceiveCount"] = "2"

    deployed([record])

    first, second = aws.receive("completed")
    assert json.loads(second["Body"]) == json.loads(first["Body"]) | {"error": None}
    assert aws.keys("metrics/m.twice/") == written


def test_a_newer_run_swaps_current_by_its_etag(aws, deployed):
    aws.request_run(request(run_id="1", metric="m.moved"))
    aws.request_run(request(run_id="2", metric="m.moved"))
    records = aws.requests()

    assert deployed(records) == {"batchItemFailures": []}

    assert json.loads(aws.read("metrics/m.moved/current/manifest.json"))["run_id"] == "2"


def test_a_message_that_is_given_back_can_be_received_at_once(aws, deployed):
    aws.sqs.send_message(
        QueueUrl=aws.queues["requests"], MessageBody="?", MessageGroupId="g", MessageDeduplicationId="poison"
    )
    (record,) = aws.requests()
    assert aws.receive("requests") == []

    assert deployed([record]) == {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}

    (again,) = aws.sqs.receive_message(QueueUrl=aws.queues["requests"])["Messages"]
    assert again["MessageId"] == record["messageId"]

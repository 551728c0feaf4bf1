"""The local cloud: bucket, topics and queues on loopback, as template.yaml has them, and gone at the end.

It lives in a process of its own (`moto_server`) for the length of a context. Credentials are random, and the
environment that children get holds nothing of the caller's AWS set-up: no profile, no file under `~/.aws`, no
proxy. Failure is a `LocalError` that says what to do.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3

from metrics_tools.local_cloud.errors import LocalError
from metrics_tools.local_cloud.leash import leashed
from metrics_tools.local_cloud.template import REQUEST_QUEUE, Template

REGION = "us-east-1"
BUCKET = "metrics-data-local"
_PREFIX = "metrics-worker-local"


@dataclass(frozen=True, slots=True)
class Cloud:
    """Where things are. Queues are URLs, topics ARNs."""

    endpoint: str
    request_topic: str
    request_queue: str
    request_queue_arn: str
    dead_letter_queue: str
    started_topic: str
    heartbeat_topic: str
    completed_topic: str
    status_queue: str

    def template_values(self) -> dict[str, str]:
        """What the template's references to resources and required parameters mean here."""
        return {
            "DataBucketName": BUCKET,
            "RequestQueue": self.request_queue,
            "StartedTopic": self.started_topic,
            "HeartbeatTopic": self.heartbeat_topic,
            "CompletedTopic": self.completed_topic,
        }


def isolated(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment with random AWS credentials, and nothing of the caller's that AWS clients read."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(("AWS_", "BOTO")) and not name.lower().endswith("_proxy")
    }
    return kept | {
        "AWS_ACCESS_KEY_ID": f"LOCAL{secrets.token_hex(8).upper()}",
        "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(30),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@cache
def client(service: str, endpoint: str) -> Any:
    """A boto3 client for the local cloud. Clients may be shared by threads."""
    return boto3.client(service, endpoint_url=endpoint, region_name=REGION)


@contextmanager
def local_cloud(template: Template, log: Path) -> Iterator[Cloud]:
    """Start the local cloud; it ends with the context.

    Args:
        template: the queues' properties are taken from here.
        log: where the server's own messages go.

    Raises:
        LocalError: the server does not start.
    """
    command = [sys.executable, "-P", str(Path(__file__).with_name("moto_server.py"))]
    with ExitStack() as stack:
        messages = stack.enter_context(log.open("wb"))
        server = stack.enter_context(leashed(command, os.environ, stdout=subprocess.PIPE, stderr=messages))
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        if not port.isdigit():
            raise LocalError(f"The local cloud (moto's server) did not start: see {log}.")
        yield _furnish(f"http://127.0.0.1:{port.decode()}", template)


def _furnish(endpoint: str, template: Template) -> Cloud:
    """Make the bucket, topics, queues and subscriptions."""
    client("s3", endpoint).create_bucket(Bucket=BUCKET)
    dead_letters = _queue(endpoint, "run-requests-dead")
    requests = _queue(endpoint, "run-requests", **_queue_attributes(template, _arn(endpoint, dead_letters)))
    status = _queue(endpoint, "status-events")
    return Cloud(
        endpoint=endpoint,
        request_topic=_topic(endpoint, "run-requests", requests),
        request_queue=requests,
        request_queue_arn=_arn(endpoint, requests),
        dead_letter_queue=dead_letters,
        started_topic=_topic(endpoint, "metric-run-started", status),
        heartbeat_topic=_topic(endpoint, "metric-run-heartbeat", status),
        completed_topic=_topic(endpoint, "metric-run-completed", status),
        status_queue=status,
    )


def _queue_attributes(template: Template, dead_letters_arn: str) -> dict[str, str]:
    """The request queue's, as the template has them."""
    redrive = template.given({"DeadLetterQueue.Arn": dead_letters_arn}).of(REQUEST_QUEUE, "RedrivePolicy")
    return {
        "DelaySeconds": str(template.of(REQUEST_QUEUE, "DelaySeconds")),
        "VisibilityTimeout": str(template.of(REQUEST_QUEUE, "VisibilityTimeout")),
        "RedrivePolicy": json.dumps(redrive),
    }


def _topic(endpoint: str, name: str, subscriber: str) -> str:
    """Make a FIFO topic that a queue is subscribed to, in SNS's envelopes; its ARN."""
    sns = client("sns", endpoint)
    attributes = {"FifoTopic": "true", "ContentBasedDeduplication": "false"}
    arn: str = sns.create_topic(Name=f"{_PREFIX}-{name}.fifo", Attributes=attributes)["TopicArn"]
    sns.subscribe(
        TopicArn=arn,
        Protocol="sqs",
        Endpoint=_arn(endpoint, subscriber),
        Attributes={"RawMessageDelivery": "false"},
    )
    return arn


def _queue(endpoint: str, name: str, **attributes: str) -> str:
    """Make a FIFO queue; its URL."""
    url: str = client("sqs", endpoint).create_queue(
        QueueName=f"{_PREFIX}-{name}.fifo", Attributes={"FifoQueue": "true", **attributes}
    )["QueueUrl"]
    return url


def _arn(endpoint: str, queue: str) -> str:
    answer = client("sqs", endpoint).get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    arn: str = answer["Attributes"]["QueueArn"]
    return arn


def waiting(cloud: Cloud, queue: str) -> int:
    """How many messages a queue holds: visible, in flight or delayed."""
    names = [f"ApproximateNumberOfMessages{state}" for state in ("", "NotVisible", "Delayed")]
    answer = client("sqs", cloud.endpoint).get_queue_attributes(QueueUrl=queue, AttributeNames=names)
    return sum(int(answer["Attributes"][name]) for name in names)

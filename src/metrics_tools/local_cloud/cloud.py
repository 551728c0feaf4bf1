"""The local cloud: a moto server on the loopback interface, with the resources of template.yaml.

The server is a separate process (`moto_server`), which the context manager `local_cloud()` starts and stops.
Its credentials are random. Processes that use the server do not use the caller's AWS configuration: no
profile, no file of `~/.aws`, no proxy.
"""

import json
import os
import secrets
import socket
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from typing import Any

from metrics_tools.ecb import BUCKET
from metrics_tools.local_cloud import LOADING_PATH, LocalError
from metrics_tools.local_cloud.subprocess_guard import guarded
from metrics_tools.local_cloud.template import REQUEST_QUEUE, Template

LOOPBACK = "127.0.0.1"
REGION = "us-east-1"
_START_SECONDS = 30
_LOAD_SECONDS = 60
_PREFIX = "metrics-worker-local"


@dataclass(frozen=True, slots=True)
class Cloud:
    """The addresses of a running local cloud.

    The endpoint is the URL of the server. Topics are given by their ARNs. Queues are given by their URLs, and
    the request queue and the dead-letter queue also by their ARNs.
    """

    endpoint: str
    request_topic: str
    request_queue: str
    request_queue_arn: str
    dead_letter_queue: str
    dead_letter_queue_arn: str
    started_topic: str
    heartbeat_topic: str
    completed_topic: str
    status_queue: str

    def template_values(self) -> dict[str, str]:
        """Return the values of the references `!Ref NAME` in the template, by NAME.

        They are the bucket's name, the URLs of the queues and the ARNs of the status topics.
        """
        return {
            "DataBucketName": BUCKET,
            "RequestQueue": self.request_queue,
            "DeadLetterQueue": self.dead_letter_queue,
            "StartedTopic": self.started_topic,
            "HeartbeatTopic": self.heartbeat_topic,
            "CompletedTopic": self.completed_topic,
        }


def isolated(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of an environment with random AWS credentials and without its AWS and proxy settings."""
    other = {
        name: value
        for name, value in environment.items()
        if not name.startswith(("AWS_", "BOTO")) and not name.lower().endswith("_proxy")
    }
    return other | {
        "AWS_ACCESS_KEY_ID": f"LOCAL{secrets.token_hex(8).upper()}",
        "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(30),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def isolate_this_process() -> None:
    """Apply `isolated()` to the environment of this process, which later child processes inherit."""
    environment = isolated(os.environ)
    os.environ.clear()
    os.environ.update(environment)


@cache
def client(service: str, endpoint: str) -> Any:
    """Return the boto3 client for a service of the local cloud. Threads can share the client."""
    import boto3  # noqa: PLC0415 - half a second, which the commands that import BUCKET need not spend

    return boto3.client(service, endpoint_url=endpoint, region_name=REGION)


@contextmanager
def local_cloud(template: Template, log: Path, host: str = LOOPBACK) -> Iterator[Cloud]:
    """Start the local cloud with the resources of the template, yield it, and stop it after the `with` block.

    The server listens on the address `host` of this machine, and writes its messages to the file `log`.

    Raises:
        LocalError: the server does not start.
    """
    port, _ = free_ports(host)
    command = [sys.executable, "-P", "-m", "metrics_tools.local_cloud.moto_server", host, str(port)]
    with server("The local cloud (a moto server)", command, os.environ, address=(host, port), log=log):
        yield _create_resources(f"http://{host}:{port}", template)


def free_ports(host: str) -> tuple[int, int]:
    """Return two different free TCP ports at an address of this machine."""
    with socket.create_server((host, 0)) as one, socket.create_server((host, 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@contextmanager
def server(
    name: str, command: Sequence[str], environment: Mapping[str, str], *, address: tuple[str, int], log: Path
) -> Iterator[None]:
    """Start a server, wait until it listens on its address, and stop it after the `with` block.

    Args:
        name: the name of the server in the text of the error.
        command: the command that starts the server.
        environment: all environment variables of the server.
        address: the host and the port at which the server will listen.
        log: the file to which the output of the server is written.

    Raises:
        LocalError: the server has ended, or does not listen after 30 seconds.
    """
    with log.open("wb") as output, guarded(command, environment, stdout=output, stderr=output) as process:
        deadline = time.monotonic() + _START_SECONDS
        while not _is_listening(address):
            if process.poll() is not None or time.monotonic() > deadline:
                raise LocalError(f"{name} did not start: see {log}.")
            time.sleep(0.02)
        yield


def _is_listening(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(address) == 0


def _create_resources(endpoint: str, template: Template) -> Cloud:
    """Create the bucket, topics, queues and subscriptions, and return their addresses.

    Args:
        endpoint: the URL of the moto server.
        template: the template with the properties of the resources.
    """
    client("s3", endpoint).create_bucket(Bucket=BUCKET)
    dead_letters, dead_letters_arn = _create_queue(endpoint, "run-requests-dead")
    redrive = template.with_values({"DeadLetterQueue.Arn": dead_letters_arn})
    requests, requests_arn = _create_queue(
        endpoint,
        "run-requests",
        DelaySeconds=str(template.property(REQUEST_QUEUE, "DelaySeconds")),
        VisibilityTimeout=str(template.property(REQUEST_QUEUE, "VisibilityTimeout")),
        RedrivePolicy=json.dumps(redrive.property(REQUEST_QUEUE, "RedrivePolicy")),
    )
    status, status_arn = _create_queue(endpoint, "status-events")
    return Cloud(
        endpoint=endpoint,
        request_topic=_create_topic(endpoint, "run-requests", subscriber=requests_arn),
        request_queue=requests,
        request_queue_arn=requests_arn,
        dead_letter_queue=dead_letters,
        dead_letter_queue_arn=dead_letters_arn,
        started_topic=_create_topic(endpoint, "metric-run-started", subscriber=status_arn),
        heartbeat_topic=_create_topic(endpoint, "metric-run-heartbeat", subscriber=status_arn),
        completed_topic=_create_topic(endpoint, "metric-run-completed", subscriber=status_arn),
        status_queue=status,
    )


def _create_topic(endpoint: str, name: str, *, subscriber: str) -> str:
    """Create a FIFO topic, subscribe a queue to it without raw delivery, and return the topic's ARN.

    Args:
        endpoint: the URL of the local cloud.
        name: the topic's name, to which a common prefix and `.fifo` are added.
        subscriber: the ARN of the queue.
    """
    sns = client("sns", endpoint)
    attributes = {"FifoTopic": "true", "ContentBasedDeduplication": "false"}
    arn: str = sns.create_topic(Name=f"{_PREFIX}-{name}.fifo", Attributes=attributes)["TopicArn"]
    raw = {"RawMessageDelivery": "false"}
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=subscriber, Attributes=raw)
    return arn


def _create_queue(endpoint: str, name: str, **attributes: str) -> tuple[str, str]:
    """Create a FIFO queue, and return its URL and its ARN.

    Args:
        endpoint: the URL of the local cloud.
        name: the queue's name, to which a common prefix and `.fifo` are added.
        attributes: further SQS attributes of the queue, such as `VisibilityTimeout`.
    """
    sqs, attributes = client("sqs", endpoint), {"FifoQueue": "true", **attributes}
    url = sqs.create_queue(QueueName=f"{_PREFIX}-{name}.fifo", Attributes=attributes)["QueueUrl"]
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return url, answer["Attributes"]["QueueArn"]


def put_objects(endpoint: str, bucket: str, objects: Mapping[str, bytes]) -> None:
    """Put objects into a bucket of the local cloud with one request.

    A PUT of each object would take ten times as long, because moto examines every request.

    Args:
        endpoint: the URL of the local cloud.
        bucket: the name of the bucket.
        objects: the content of each object, by key.

    Raises:
        LocalError: the local cloud refused the objects.
    """
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        for key, body in objects.items():
            files.writestr(key, body)
    connection = HTTPConnection(endpoint.removeprefix("http://"), timeout=_LOAD_SECONDS)
    with closing(connection):
        connection.request("PUT", f"{LOADING_PATH}{bucket}", archive.getvalue())
        if (status := connection.getresponse().status) != HTTPStatus.NO_CONTENT:
            raise LocalError(f"The local cloud answered {status} when the dataset was loaded.")


def message_count(cloud: Cloud, queue: str) -> int:
    """Return the number of messages in the queue with this URL, also those that are in flight or delayed."""
    names = [f"ApproximateNumberOfMessages{state}" for state in ("", "NotVisible", "Delayed")]
    answer = client("sqs", cloud.endpoint).get_queue_attributes(QueueUrl=queue, AttributeNames=names)
    return sum(int(answer["Attributes"][name]) for name in names)

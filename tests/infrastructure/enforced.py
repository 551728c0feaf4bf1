"""Deployments of the template's queues, topics and roles on a moto server that enforces permissions.

The code of a Lambda function runs in the process of the test, with the environment of the template and the
credentials of the function's role. Before and after this, permissions are not enforced, so that the test can
act as control plane, ingestor and operator. The server runs in another process, so that its changes to moto
do not affect other tests.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

import boto3
from botocore.exceptions import ClientError

from metrics_tools.local_cloud.event_source import poll
from metrics_tools.local_cloud.subprocess_guard import guarded
from tests.infrastructure.stack import BUCKET, PSEUDO, ROOT, Stack

REGION = PSEUDO["AWS::Region"]
ANOTHER_BUCKET, ANOTHER_TOPIC = "another-bucket", "AnotherTopic"
_HERE = {"LocationConstraint": REGION}
# In the template, only Lambda may assume the roles (test_template_function.py checks that). Here, the test
# assumes the roles.
_ANYBODY = [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]


class Server:
    """A moto server and its boto3 clients. Except within `enforcing()`, everything is permitted."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._session = boto3.Session(region_name=REGION)
        self._open: list[Any] = []
        self.s3, self.sns, self.sqs, self.iam, self.sts = (
            self.client(service) for service in ("s3", "sns", "sqs", "iam", "sts")
        )

    @classmethod
    @contextmanager
    def start(cls) -> Iterator["Server"]:
        command = [sys.executable, "-P", "-m", "tests.infrastructure.iam_server"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        with guarded(command, environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            server = cls(f"http://127.0.0.1:{int(process.stdout.readline())}")
            try:
                yield server
            finally:
                for client in server._open:
                    client.close()

    def client(self, service: str, **credentials: str) -> Any:
        made = self._session.client(service, endpoint_url=self.endpoint, **credentials)
        self._open.append(made)
        return made

    def forget(self) -> None:
        """Delete everything on the server."""
        self._control("reset", b"")

    @contextmanager
    def enforcing(self) -> Iterator[None]:
        """Let the server refuse every request without permission, during the body of the `with` statement."""
        self._control("reset-auth", b"0")
        try:
            yield
        finally:
            self._control("reset-auth", b"inf")

    def _control(self, action: str, body: bytes) -> None:
        address = f"{self.endpoint}/moto-api/{action}"
        with urlopen(Request(address, body, {"Content-Type": "text/plain"}, method="POST")) as answer:
            assert answer.status == 200


class Deployment:
    """The deployed stack on an empty server. One permission of the template can be left out.

    Args:
        server: the server; all its resources are deleted first.
        stack: the stack to deploy.
        lost: the permission to leave out, as (logical id of the function, action, name of the resource as
            `named` returns it); None to leave out none.
    """

    def __init__(self, server: Server, stack: Stack, lost: tuple[str, str, str] | None = None) -> None:
        self.server = server
        self.stack = stack
        self._lost = lost
        server.forget()
        for bucket in (BUCKET, ANOTHER_BUCKET):
            server.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=_HERE)
        self._made = self._queues() | self._topics() | self._log_groups()
        self._credentials = {name: self._role(name) for name in self.stack.of_type("AWS::Lambda::Function")}

    def _queues(self) -> dict[str, dict[str, str]]:
        """Create the queues of the template.

        Returns:
            A dict from the logical id of each queue to `{"Ref": url, "Arn": arn}`.
        """
        return {
            name: self._queue(properties["QueueName"], str(properties["VisibilityTimeout"]))
            for name, properties in self.stack.of_type("AWS::SQS::Queue").items()
        }

    def _queue(self, name: str, hidden: str) -> dict[str, str]:
        sqs, attributes = self.server.sqs, {"FifoQueue": "true", "VisibilityTimeout": hidden}
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        return {"Ref": url, "Arn": arn}

    def _topics(self) -> dict[str, dict[str, str]]:
        """Create the topics of the template, and one more topic, to which no function may publish.

        To each topic, a queue is subscribed that receives its messages; its name is `heard-` and the name of
        the topic.

        Returns:
            A dict from the logical id of each topic to `{"Ref": arn}`, and from the name of each of these
            queues to `{"Ref": url, "Arn": arn}`.
        """
        sns = self.server.sns
        made: dict[str, dict[str, str]] = {}
        topics = {name: topic["TopicName"] for name, topic in self.stack.of_type("AWS::SNS::Topic").items()}
        for name, full_name in {**topics, ANOTHER_TOPIC: "another.fifo"}.items():
            arn = sns.create_topic(Name=full_name, Attributes={"FifoTopic": "true"})["TopicArn"]
            heard = self._queue(f"heard-{name}.fifo", "30")
            raw = {"RawMessageDelivery": "true"}
            sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=heard["Arn"], Attributes=raw)
            made |= {name: {"Ref": arn}, f"heard-{name}": heard}
        return made

    def _log_groups(self) -> dict[str, dict[str, str]]:
        """Return a dict from the logical id of each log group to `{"Arn": arn}`.

        No log group is created, because only the policies use the ARNs.
        """
        prefix = f"arn:aws:logs:{REGION}:{PSEUDO['AWS::AccountId']}:log-group"
        return {
            name: {"Arn": f"{prefix}:{properties['LogGroupName']}:*"}
            for name, properties in self.stack.of_type("AWS::Logs::LogGroup").items()
        }

    def _role(self, function: str) -> dict[str, str]:
        """Create the role of a Lambda function with its policy.

        Args:
            function: the logical id of the function.

        Returns:
            Credentials of the role, as keyword arguments for a boto3 client.
        """
        iam, sts = self.server.iam, self.server.sts
        role = iam.create_role(RoleName=function, AssumeRolePolicyDocument=_document(_ANYBODY))["Role"]
        # One statement for each action: `Stack.permissions` asserts that statements have no other elements.
        statements = [
            {"Effect": "Allow", "Action": action, "Resource": [self.resolve(node) for node in kept]}
            for action, resources in self.stack.permissions(function).items()
            if (kept := [node for node in resources if (function, action, named(node)) != self._lost])
        ]
        iam.put_role_policy(RoleName=function, PolicyName="template", PolicyDocument=_document(statements))
        taken = sts.assume_role(RoleArn=role["Arn"], RoleSessionName=function)["Credentials"]
        return {
            "aws_access_key_id": taken["AccessKeyId"],
            "aws_secret_access_key": taken["SecretAccessKey"],
            "aws_session_token": taken["SessionToken"],
        }

    def resolve(self, node: Any) -> str:
        """Return the value of a reference in the template, such as the URL of a deployed queue.

        Args:
            node: a Ref or Fn::GetAtt; a plain string is returned unchanged.
        """
        if isinstance(node, str):
            return node
        ((kind, target),) = node.items()
        name, attribute = target if kind == "Fn::GetAtt" else (target, "Ref")
        return self._made[name][attribute]

    def environment(self, function: str) -> dict[str, str]:
        """Return the environment variables of a Lambda function: the template's, the region and credentials.

        Two settings differ from the template: the interval of heartbeats is 1 ms, so that even a short run
        publishes one, and there is no wait between the started and the completed event.

        Args:
            function: the logical id of the function.
        """
        given = self.stack.properties(function, "AWS::Lambda::Function")["Environment"]["Variables"]
        return {
            **{name: self.resolve(value) for name, value in given.items()},
            **{name.upper(): value for name, value in self._credentials[function].items()},
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.server.endpoint,
            "WORKER_HEARTBEAT_INTERVAL_SECONDS": "0.001",
            "WORKER_STATUS_GAP_SECONDS": "0",
        }

    def client(self, service: str, function: str) -> Any:
        """Return a boto3 client that has the credentials of a Lambda function's role.

        Args:
            service: the AWS service, such as `sqs`.
            function: the logical id of the function.
        """
        return self.server.client(service, **self._credentials[function])

    def poll(self, queue: str, function: str, handler: Callable[[dict[str, Any]], Any]) -> set[str]:
        """Pass one batch from a queue to a handler as the event source mapping does.

        All calls to SQS are made with the credentials of the function's role: get the attributes of the
        queue, receive the batch, and delete the messages that succeeded.

        Args:
            queue: the logical id of the queue.
            function: the logical id of the function.
            handler: the handler of the function.

        Returns:
            A set with the name of the SQS operation that was denied; an empty set if none was denied.
        """
        sqs = self.client("sqs", function)
        url = self.url(queue)
        try:
            with self.server.enforcing():
                sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
                poll(sqs, handler, queue=url, arn=self._made[queue]["Arn"])
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 403:
                raise
            return {error.operation_name}
        return set()

    def url(self, queue: str) -> str:
        return self._made[queue]["Ref"]

    def put(self, key: str, body: bytes, *, storage: str = "STANDARD") -> None:
        self.server.s3.put_object(Bucket=BUCKET, Key=key, Body=body, StorageClass=storage)

    def keys(self, prefix: str) -> list[str]:
        found = self.server.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for item in found.get("Contents", [])]

    def read_json(self, key: str) -> Any:
        return json.load(self.server.s3.get_object(Bucket=BUCKET, Key=key)["Body"])

    def send(self, queue: str, body: str, name: str) -> None:
        """Send a message to a queue.

        Args:
            queue: the logical id of the queue.
            body: the body of the message.
            name: the message group id and the deduplication id.
        """
        self.server.sqs.send_message(
            QueueUrl=self.url(queue), MessageBody=body, MessageGroupId=name, MessageDeduplicationId=name
        )

    def receive(self, queue: str) -> list[str]:
        """Return the bodies of all visible messages of a queue, which is given by its logical id."""
        url, found = self.url(queue), []
        while more := self.server.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            found += [message["Body"] for message in more]
        return found


def named(resource: Any) -> str:
    """Return a short name of a resource in a policy of the template.

    Args:
        resource: a Ref or Fn::GetAtt, whose name is its logical id; or the ARN of S3 objects or a bucket as a
            string, whose name is the ARN without `arn:aws:s3:::`.
    """
    if isinstance(resource, str):
        return resource.removeprefix("arn:aws:s3:::")
    ((kind, target),) = resource.items()
    return str(target[0] if kind == "Fn::GetAtt" else target)


def _document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})

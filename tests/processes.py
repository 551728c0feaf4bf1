"""A model of the whole system with real processes: a Lambda function in its emulator, and a local AWS.

`World` has the roles of the control plane and of the event source mapping, and checks the state of the bucket
and the topics against `tests/invariants.py`. The model never sleeps: it waits on a condition until each
forwarded call has had its effect, and makes messages visible again at once. When a `Lambda` is closed, all
its processes have ended.
"""

import json
import os
import signal
import uuid
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http.client import HTTPResponse
from pathlib import Path
from threading import Condition
from typing import Any

from metrics_tools.ecb import BUCKET
from metrics_tools.local_cloud.cloud import Cloud, client
from metrics_tools.local_cloud.emulator import Emulator, emulator
from metrics_tools.local_cloud.event_source import InvocationError, failures, record
from tests import invariants
from tests.builders import request
from tests.faulty_proxy import PASS, Call, Fault, FaultyProxy
from tests.picture import Picture

ROOT = Path(__file__).parents[1]
TIMEOUT = 30
LANDING_SECONDS = 10


class Lambda:
    """One Lambda function in real processes: the Runtime Interface Emulator, and the runtime that it starts.

    An invocation starts the processes if they have not been started yet or have died.

    Args:
        environment: the environment variables of the function.
        log: the file to which the emulator and the function write their output.
    """

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment_marker = f"METRICS_WORKER_UNDER_TEST={uuid.uuid4().hex}"
        self._environment = {**environment, **dict([self._environment_marker.split("=")])}
        self._log = log
        self._running = ExitStack()
        self._emulator: Emulator | None = None

    def invoke(self, event: dict[str, Any]) -> Any:
        """Invoke the function and return its response.

        Raises:
            InvocationError: the function raised an error, or its process died.
        """
        if self._emulator is None:
            started = emulator(ROOT, self._environment, log=self._log, timeout=TIMEOUT)
            self._emulator = self._running.enter_context(started)
        try:
            return self._emulator.invoke(event)
        except InvocationError:
            self.close()
            raise

    def kill(self) -> None:
        """Send SIGKILL to every process of the function, and return when they have ended."""
        while alive := self.processes():
            for pid in alive:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def processes(self) -> list[int]:
        """Return the process ids of the function's processes: the watchdog, the emulator and the runtime.

        The processes are found by an environment variable, because the runtime has a process group of its
        own.
        """
        found = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):  # The process belongs to another user, or has ended in the meantime.
                if self._environment_marker.encode() in environ.read_bytes().split(b"\0"):
                    found.append(int(environ.parent.name))
        return found

    def close(self) -> None:
        """End the processes; the next invocation starts new ones."""
        self._emulator = None
        self._running.close()


class LandingProxy(FaultyProxy):
    """A proxy that knows which of the forwarded calls have not had their effect on the local cloud yet.

    A call may take effect after the process that made the call was killed, so a test waits for all effects.
    """

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self._changed = Condition()
        self._forwarded: set[int] = set()

    def let_through(self, call: Call) -> Fault:
        """Remember the call as one without an effect so far, and return the decision to forward it."""
        with self._changed:
            self._forwarded.add(id(call))
        return PASS

    def forward(self, call: Call) -> tuple[HTTPResponse, bytes]:
        try:
            return super().forward(call)
        finally:
            with self._changed:
                self._forwarded.discard(id(call))
                self._changed.notify_all()

    def wait_for_landings(self) -> None:
        """Wait until every call that was forwarded has had its effect."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self._forwarded, LANDING_SECONDS)


@dataclass
class World:
    """A model of the system in one test, with real processes: requested runs, messages and outcomes.

    Attributes:
        requested: the metric code of each requested run, by run id.
        events: the status events that the topics delivered, as arguments of a publication to SNS.
        deleted: the ids of the runs whose message was deleted from the request queue.
        picture: the latest picture of the visible state.
    """

    cloud: Cloud
    proxy: LandingProxy
    function: Lambda
    requested: dict[str, str] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    picture: Picture = field(default_factory=Picture)

    def __post_init__(self) -> None:
        self.s3, self.sns, self.sqs = (client(name, self.cloud.endpoint) for name in ("s3", "sns", "sqs"))

    def request_run(self, metric: str, run: str, **more: Any) -> None:
        """Publish the request of a run to the request topic; `more` are arguments of `builders.request`."""
        self.requested[run] = metric
        self.sns.publish(
            TopicArn=self.cloud.request_topic,
            Message=json.dumps(request(run_id=run, metric=metric, **more)),
            MessageGroupId=metric,
            MessageDeduplicationId=run,
        )

    def deliver(self, *, delete: bool = True) -> bool:
        """Deliver the waiting messages to the function as one batch; return whether no message failed.

        Messages that are not deleted become visible again at once, as if their visibility timeout had
        expired.

        Args:
            delete: whether messages that succeeded are deleted.
        """
        queue = self.cloud.request_queue
        messages = self.sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["All"], WaitTimeSeconds=0
        ).get("Messages", [])
        assert messages, "no message is visible in the request queue"
        records = [record(message, self.cloud.request_queue_arn) for message in messages]
        failed = {found["messageId"] for found in records}
        with suppress(InvocationError):
            failed = failures(self.function.invoke({"Records": records}), sorted(failed))
        self.proxy.wait_for_landings()  # A late heartbeat would make the message invisible again.
        for message in messages:
            found = {"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]}
            if delete and message["MessageId"] not in failed:
                self.sqs.delete_message(**found)
                self.deleted.add(json.loads(json.loads(message["Body"])["Message"])["runId"])
            else:
                self.sqs.change_message_visibility(**found, VisibilityTimeout=0)
        return not failed

    def observe(self) -> Picture:
        """Take a picture of the visible state, check the picture against all invariants, and return it.

        The events are read before the objects, because an event announces objects that must already exist.
        """
        self._receive_events()
        objects = {}
        for metric in sorted(self.requested.values()):
            found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"metrics/{metric}/")
            for key in [item["Key"] for item in found.get("Contents", [])]:
                objects[key] = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        before, self.picture = (
            self.picture,
            Picture(objects, list(self.events), dict(self.requested), self.requested.keys() - self.deleted),
        )
        invariants.check(self.picture, before)
        return self.picture

    def forget(self) -> None:
        """Remove the remaining messages and the recorded calls, so that they do not reach a later test."""
        self.proxy.forget()
        self._take(self.cloud.request_queue)

    def _receive_events(self) -> None:
        """Move the status events from the queue that is subscribed to the topics to the list `events`."""
        self.events += [
            {
                "Message": json.loads(message["Body"])["Message"],
                "MessageDeduplicationId": message["Attributes"]["MessageDeduplicationId"],
            }
            for message in self._take(self.cloud.status_queue)
        ]

    def _take(self, queue: str) -> list[dict[str, Any]]:
        """Receive and delete all visible messages of a queue, and return them in the form of boto3."""
        taken: list[dict[str, Any]] = []
        while messages := self.sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["All"], WaitTimeSeconds=0
        ).get("Messages"):
            for message in messages:
                self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            taken += messages
        return taken

    def check_all_succeeded(self) -> None:
        """Assert that the request queue is empty and that each run ended with SUCCESS."""
        picture = self.observe()
        invariants.check_when_idle(picture)
        for run in self.requested:
            assert {event["status"] for event in picture.completed(run)} == {"SUCCESS"}

"""All that a run meets, in processes of their own: the function in its emulator, and an AWS that speaks HTTP.

`World` is the control plane's and the event source mapping's side of it. What it sees, it holds against
`tests/invariants.py`. Nothing sleeps, and no process is left when a `Lambda` is closed.
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

from metrics_tools.local_cloud.cloud import BUCKET, Cloud, client
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
    """Emulator and runtime. They start with the first invocation, and with the first after their death."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._mark = f"METRICS_WORKER_UNDER_TEST={uuid.uuid4().hex}"
        self._environment = {**environment, **dict([self._mark.split("=")])}
        self._log = log
        self._running = ExitStack()
        self._emulator: Emulator | None = None

    def invoke(self, event: dict[str, Any]) -> Any:
        """The function's answer.

        Raises:
            InvocationError: it raised, or died.
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
        """SIGKILL to each process there is; they have ended when it returns."""
        while alive := self.processes():
            for pid in alive:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def processes(self) -> list[int]:
        """Leash, emulator and runtime, by their environment: the last is in a group of its own."""
        found = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):  # another user's, or it has ended in between
                if self._mark.encode() in environ.read_bytes().split(b"\0"):
                    found.append(int(environ.parent.name))
        return found

    def close(self) -> None:
        self._emulator = None
        self._running.close()


class LandingProxy(FaultyProxy):
    """A proxy that knows which calls are on their way: a process's last ones may land after its death."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self._changed = Condition()
        self._on_their_way: set[int] = set()

    def let_through(self, call: Call) -> Fault:
        with self._changed:
            self._on_their_way.add(id(call))
        return PASS

    def forward(self, call: Call) -> tuple[HTTPResponse, bytes]:
        try:
            return super().forward(call)
        finally:
            with self._changed:
                self._on_their_way.discard(id(call))
                self._changed.notify_all()

    def wait_for_landings(self) -> None:
        """Return when all that was let through has had its effect."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self._on_their_way, LANDING_SECONDS)


@dataclass
class World:
    """One test's view of the cloud: the runs that it asks for, their messages, and what comes of them."""

    cloud: Cloud
    proxy: LandingProxy
    function: Lambda
    asked: dict[str, str] = field(default_factory=dict)
    heard: list[dict[str, Any]] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    picture: Picture = field(default_factory=Picture)

    def __post_init__(self) -> None:
        self.s3, self.sns, self.sqs = (client(name, self.cloud.endpoint) for name in ("s3", "sns", "sqs"))

    def ask(self, metric: str, run: str) -> None:
        """The control plane asks for a run of the metric."""
        self.asked[run] = metric
        self.sns.publish(
            TopicArn=self.cloud.request_topic,
            Message=json.dumps(request(run_id=run, metric=metric)),
            MessageGroupId=metric,
            MessageDeduplicationId=run,
        )

    def deliver(self, *, delete: bool = True) -> bool:
        """Give what waits to the function, as one batch; whether all of it is done.

        What is not deleted can be received again at once: its visibility timeout is taken to have ended.
        """
        queue = self.cloud.request_queue
        messages = self.sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["All"], WaitTimeSeconds=0
        ).get("Messages", [])
        assert messages, "no message waits"
        records = [record(message, self.cloud.request_queue_arn) for message in messages]
        failed = {found["messageId"] for found in records}
        with suppress(InvocationError):
            failed = failures(self.function.invoke({"Records": records}), sorted(failed))
        self.proxy.wait_for_landings()  # a heartbeat among them would hide the message again
        for message in messages:
            found = {"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]}
            if delete and message["MessageId"] not in failed:
                self.sqs.delete_message(**found)
                self.deleted.add(json.loads(json.loads(message["Body"])["Message"])["runId"])
            else:
                self.sqs.change_message_visibility(**found, VisibilityTimeout=0)
        return not failed

    def look(self) -> Picture:
        """See everything, and hold it against all promises: events first, whose causes must be there then."""
        self._listen()
        objects = {}
        for metric in sorted(self.asked.values()):
            found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"metrics/{metric}/")
            for key in [item["Key"] for item in found.get("Contents", [])]:
                objects[key] = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        before, self.picture = (
            self.picture,
            Picture(objects, list(self.heard), dict(self.asked), self.asked.keys() - self.deleted),
        )
        invariants.check(self.picture, before)
        return self.picture

    def forget(self) -> None:
        """No later test is given what is left of this one's messages."""
        self.proxy.forget()
        self._take(self.cloud.request_queue)

    def _listen(self) -> None:
        """Hear what the topics have given to the control plane's queue."""
        self.heard += [
            {
                "Message": json.loads(message["Body"])["Message"],
                "MessageDeduplicationId": message["Attributes"]["MessageDeduplicationId"],
            }
            for message in self._take(self.cloud.status_queue)
        ]

    def _take(self, queue: str) -> list[dict[str, Any]]:
        """All that can be received from a queue; it is no longer there."""
        taken: list[dict[str, Any]] = []
        while messages := self.sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["All"], WaitTimeSeconds=0
        ).get("Messages"):
            for message in messages:
                self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            taken += messages
        return taken

    def check_all_succeeded(self) -> None:
        """The control plane has heard of a SUCCESS of each run, and its message is done."""
        picture = self.look()
        invariants.check_quiet(picture)
        for run in self.asked:
            assert {event["status"] for event in picture.completed(run)} == {"SUCCESS"}

"""The status events, heard as the control plane hears them: from a queue that is subscribed to the topics."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from metrics_tools.local_cloud.cloud import Cloud, client

_PAUSE_SECONDS = 0.1
STARTED, HEARTBEAT, COMPLETED = "metric_run_started", "metric_run_heartbeat", "metric_run_completed"


@dataclass(frozen=True, slots=True)
class Heard:
    """A status event: when its topic took it, and what it says."""

    at: datetime
    event: dict[str, Any]

    @property
    def type(self) -> str:
        """The event's type."""
        return str(self.event.get("type", ""))

    @property
    def run_id(self) -> str:
        """The run that it is about."""
        return str(self.event.get("runId", ""))


@dataclass(slots=True)
class Story:
    """What was heard of one run, in the order of arrival."""

    heard: list[Heard] = field(default_factory=list)

    def first(self, kind: str) -> Heard | None:
        """The first event of a type."""
        return next((heard for heard in self.heard if heard.type == kind), None)

    def count(self, kind: str) -> int:
        """How many events of a type there were."""
        return sum(heard.type == kind for heard in self.heard)

    @property
    def seconds(self) -> float | None:
        """From started to completed; None where one of them is missing."""
        started, completed = self.first(STARTED), self.first(COMPLETED)
        return (completed.at - started.at).total_seconds() if started and completed else None


class Ear:
    """Listens in a thread of its own for the length of a context.

    Args:
        cloud: where the status queue is.
        on_event: called in that thread with each event as it arrives.
    """

    def __init__(self, cloud: Cloud, on_event: Callable[[Heard], None]) -> None:
        self._cloud = cloud
        self._on_event = on_event
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="status events", daemon=True)
        self.stories: dict[str, Story] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(10)

    def story(self, run_id: str) -> Story:
        """What was heard of a run so far."""
        return self.stories.get(run_id, Story())

    def _listen(self) -> None:
        while not self._over.wait(_PAUSE_SECONDS):
            while self._take():
                pass

    def _take(self) -> bool:
        """Take what has arrived; whether anything had."""
        sqs = client("sqs", self._cloud.endpoint)
        answer = sqs.receive_message(
            QueueUrl=self._cloud.status_queue, MaxNumberOfMessages=10, WaitTimeSeconds=0
        )
        for message in answer.get("Messages", []):
            envelope = json.loads(message["Body"])
            heard = Heard(datetime.fromisoformat(envelope["Timestamp"]), json.loads(envelope["Message"]))
            self.stories.setdefault(heard.run_id, Story()).heard.append(heard)
            self._on_event(heard)
            sqs.delete_message(QueueUrl=self._cloud.status_queue, ReceiptHandle=message["ReceiptHandle"])
        return bool(answer.get("Messages"))

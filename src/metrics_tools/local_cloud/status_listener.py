"""A listener for status events, which receives them from a queue like the control plane."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from metrics_tools.local_cloud.cloud import Cloud, client
from metrics_tools.published.status_event import COMPLETED, STARTED, StatusEvent, parse_status_event

_POLL_SECONDS = 0.1
_JOIN_SECONDS = 10


@dataclass(slots=True)
class RunEvents:
    """The status events of one run that have arrived, in the order of their arrival."""

    events: list[StatusEvent] = field(default_factory=list)

    def first(self, kind: str) -> StatusEvent | None:
        """Return the first event of a type, such as `metric_run_started`; None if none has arrived."""
        return next((event for event in self.events if event.type == kind), None)

    def count(self, kind: str) -> int:
        """Return the number of events of a type that have arrived."""
        return sum(event.type == kind for event in self.events)

    @property
    def seconds(self) -> float | None:
        """Return the seconds from the started to the completed event; None if either has not arrived."""
        started, completed = self.first(STARTED), self.first(COMPLETED)
        return (completed.at - started.at).total_seconds() if started and completed else None


class StatusListener:
    """A context manager that receives all status events in a thread while its context is open.

    Args:
        cloud: the local cloud with the status queue.
        on_event: a function that the thread calls with each event when the event arrives.
    """

    def __init__(self, cloud: Cloud, on_event: Callable[[StatusEvent], None]) -> None:
        self._cloud = cloud
        self._on_event = on_event
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="status events", daemon=True)
        self._runs: dict[str, RunEvents] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join(_JOIN_SECONDS)

    def of_run(self, run_id: str) -> RunEvents:
        """Return the status events of a run that have arrived so far; without events for an unknown run."""
        return self._runs.get(run_id, RunEvents())

    def _listen(self) -> None:
        sqs, queue = client("sqs", self._cloud.endpoint), self._cloud.status_queue
        while not self._stopped.wait(_POLL_SECONDS):
            while messages := sqs.receive_message(
                QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=0
            ).get("Messages"):
                for message in messages:
                    if event := parse_status_event(message["Body"]):
                        self._runs.setdefault(event.run_id, RunEvents()).events.append(event)
                        self._on_event(event)
                    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])

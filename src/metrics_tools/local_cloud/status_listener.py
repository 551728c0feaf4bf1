"""A listener for status events, which receives them from a queue like the control plane."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from metrics_tools.local_cloud.cloud import Cloud, client
from metrics_tools.published.status_event import COMPLETED, STARTED, StatusEvent, parse_status_event

_POLL_SECONDS = 0.1
_JOIN_SECONDS = 10


class RunEvents(list[StatusEvent]):
    """The status events of one run that have arrived, in the order of their arrival."""

    def first(self, kind: str) -> StatusEvent | None:
        """Return the first event of a type, such as `metric_run_started`; None if none has arrived."""
        return next((event for event in self if event.type == kind), None)

    def number(self, kind: str) -> int:
        """Return the number of events of a type that have arrived."""
        return sum(event.type == kind for event in self)

    @property
    def seconds(self) -> float | None:
        """Return the seconds from the started to the completed event; None if either has not arrived."""
        started, completed = self.first(STARTED), self.first(COMPLETED)
        return (completed.at - started.at).total_seconds() if started and completed else None


@contextmanager
def status_events(cloud: Cloud, on_event: Callable[[StatusEvent], None]) -> Iterator[Mapping[str, RunEvents]]:
    """Receive all status events in a thread during the `with` block.

    Args:
        cloud: the local cloud.
        on_event: called by the thread with each event.

    Yields:
        The events that have arrived, by run id; the thread adds further events. Looking up a run without
        events gives an empty `RunEvents`.
    """
    runs: defaultdict[str, RunEvents] = defaultdict(RunEvents)
    stopped = threading.Event()

    def listen() -> None:
        sqs, queue = client("sqs", cloud.endpoint), cloud.status_queue
        while not stopped.wait(_POLL_SECONDS):
            while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
                for message in messages:
                    if event := parse_status_event(message["Body"]):
                        runs[event.run_id].append(event)
                        on_event(event)
                    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])

    thread = threading.Thread(target=listen, name="status events", daemon=True)
    thread.start()
    try:
        yield runs
    finally:
        stopped.set()
        thread.join(_JOIN_SECONDS)

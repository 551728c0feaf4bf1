"""`World`, a model of the whole system in one process: queues, Lambda functions, the bucket and the topics.

After every write and every event, the model takes a `Picture` (tests/picture.py) of the state that is visible
to other systems, and checks the picture against `tests/invariants.py`. The clock does not advance within an
invocation. Tests advance the clock between invocations, so no test sleeps.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Self

import pytest

from metrics_worker.messaging.request_queue import RequestQueue
from metrics_worker.messaging.topics import StatusTopics
from metrics_worker.publication.dead_letter import DeadLetter
from metrics_worker.worker import Worker
from tests import invariants
from tests.builders import Cloud, FakeContext, day, envelope, parquet, put_dataset, request, rows
from tests.edge import Call, Edge, EdgeSns, EdgeSqs, EdgeStore
from tests.fifo_queue import Clock, Delivery, FifoQueue, Handler, deliver
from tests.picture import Picture

MAX_RECEIVES = 3
"""Fewer receives than in the template, so that a message with a permanent fault has fewer attempts."""
MAX_DELIVERIES = 40


@dataclass
class World:
    """A model of the system in which runs are requested, delivered and published.

    Attributes:
        requested: a dict from the id of each requested run to its metric code.
        functions: (handler of the worker, handler of the dead-letter queue).
        violation: the first violation of an invariant that was found during a call, if any.
    """

    clock: Clock = field(default_factory=Clock)
    edge: Edge = field(default_factory=Edge)
    requested: dict[str, str] = field(default_factory=dict)
    functions: tuple[Handler, Handler] = field(init=False)
    violation: AssertionError | None = None

    def __post_init__(self) -> None:
        self.dead = FifoQueue(self.clock)
        self.queue = FifoQueue(self.clock, max_receive_count=MAX_RECEIVES, dead_letters=self.dead)
        self.cloud = Cloud(
            sns=EdgeSns(edge=self.edge), sqs=EdgeSqs(edge=self.edge, queue=self.queue), now=self.time
        )
        self.picture = Picture()
        self._bodies: dict[str, bytes] = {}
        self._observing = threading.Lock()

    @classmethod
    @contextmanager
    def started(cls, **settings: Any) -> Iterator[Self]:
        """Yield a world with both Lambda functions, whose bucket has the part files of two series.

        Args:
            settings: the values that replace environment variables of both functions, by name.
        """
        from metrics_worker import (  # noqa: PLC0415 - They read the environment when they are imported.
            dead_letter_handler,
            handler,
        )

        world = cls()
        world.edge.observer = world._observe_write
        put_dataset(world.cloud.store, _part_files())
        with pytest.MonkeyPatch.context() as patch:
            worker = world.cloud.worker(WORKER_MAX_RECEIVE_COUNT=MAX_RECEIVES, **settings)
            patch.setattr("metrics_worker.s3.s3_bucket.obstore", EdgeStore(world.edge))
            patch.setattr(handler, "worker", worker)
            dead_letter_worker = Worker(
                worker.settings,
                worker.bucket,
                StatusTopics(worker.settings, world.cloud.sns),
                RequestQueue(worker.settings, EdgeSqs(edge=world.edge, queue=world.dead)),
                world.time,
            )
            patch.setattr(dead_letter_handler, "worker", dead_letter_worker)
            world.functions = handler.lambda_handler, dead_letter_handler.lambda_handler
            yield world

    def time(self) -> datetime:
        """Return the time of the model's clock in UTC."""
        return datetime.fromtimestamp(self.clock.now, UTC)

    def request_run(
        self, metric: str, run: str, *, seconds_ago: float = 1.0, group: str | None = None, **more: Any
    ) -> None:
        """Send the request of a run to the request queue.

        Args:
            metric: the metric code.
            run: the run id, which is also the deduplication id of the message.
            seconds_ago: the age of the request in seconds.
            group: the message group; the default is the metric code.
            more: arguments of `builders.request`.
        """
        at = datetime.fromtimestamp(self.clock.now - seconds_ago, UTC)
        body = envelope(request(run_id=run, metric=metric, **more), timestamp=f"{at:%Y-%m-%dT%H:%M:%S.%f}Z")
        self.requested[run] = metric
        self.queue.send(json.dumps(body), group=group or metric, deduplication_id=run)

    # The role of Lambda's event source mapping

    def deliver(self, limit: int = 10) -> Delivery:
        """Deliver one batch of at most `limit` requests to the worker."""
        return self._deliver(self.queue, self.functions[0], limit)

    def deliver_dead_letters(self, limit: int = 10) -> Delivery:
        """Deliver one batch of at most `limit` dead letters to their handler."""
        return self._deliver(self.dead, self.functions[1], limit)

    def deliver_next(self, limit: int = 10) -> None:
        """Advance the clock until a message of either queue is visible, and deliver its batch.

        If both queues are empty, do nothing. The batch has at most `limit` messages.
        """
        waiting = [queue.seconds_until_next() for queue in (self.queue, self.dead)]
        due = min((seconds for seconds in waiting if seconds is not None), default=None)
        if due is not None:
            self.clock.advance(due + 1)
            (self.deliver if due == waiting[0] else self.deliver_dead_letters)(limit)

    def deliver_all(self) -> None:
        """Deliver requests until the queue is empty, then deliver dead letters.

        At most `MAX_DELIVERIES` batches of requests and `MAX_RECEIVES` batches of dead letters are delivered.
        """
        for _ in range(MAX_DELIVERIES):
            if not self.queue.messages:
                break
            self.deliver_next()
        for _ in range(MAX_RECEIVES):
            if self.dead.messages:
                self.deliver_next()

    def _deliver(self, queue: FifoQueue, function: Handler, limit: int) -> Delivery:
        self.edge.dead = False
        before, threads = self.observe(), threading.enumerate()
        delivery = deliver(queue, self._answering(function), FakeContext(), limit=limit)
        self.edge.dead = False
        after = self.check_invariants()
        invariants.no_thread_is_left(threads, threading.enumerate())
        if delivery.failed is not None and queue is self.queue:
            invariants.after_a_failure_the_rest_of_its_group_is_untouched(
                delivery.records, delivery.failed, before, after
            )
        return delivery

    def _answering(self, function: Handler) -> Handler:
        """Return a handler that calls `function` and passes its response through the edge.

        A test can therefore inject a fault between the end of the handler and the receipt of the response by
        Lambda, as at a call to AWS.
        """

        def answer(event: Any, context: Any) -> Any:
            response = function(event, context)
            with self.edge.around(Call("ANSWER", "")):
                return response

        return answer

    # The visible state

    def observe(self) -> Picture:
        """Take a picture of the visible state, check the picture against all invariants, and return it."""
        with self._observing:
            before, self.picture = self.picture, self._take_picture()
            invariants.check(self.picture, before)
            return self.picture

    def check_invariants(self) -> Picture:
        """Check the present state against the invariants, and return a picture of it.

        A violation that was found during an earlier call of the worker is raised now.
        """
        picture = self.observe()
        if self.violation:
            raise self.violation
        return picture

    def _observe_write(self, call: Call) -> None:
        if call.writes and self.violation is None:
            try:
                self.observe()
            except AssertionError as violation:
                # The violation is raised later, because the worker must not handle it as an error.
                violation.add_note(f"found after {call}")
                self.violation = violation

    def _take_picture(self) -> Picture:
        """Return a picture of the present state.

        Other threads may write meanwhile. The events and each `current` are therefore read first, and the
        objects to which they refer last: such an object must already exist.
        """
        waiting, dead = _runs(self.queue), _runs(self.dead)
        messages = list(self.cloud.sns.messages)
        objects = {}
        for key in self.cloud.keys("metrics/"):
            if key.endswith("/current/manifest.json"):
                objects[key] = self.cloud.read(key)
        for key in self.cloud.keys("metrics/"):
            if key.startswith("metrics/_snapshots/"):  # A cache, which readers of metrics never see.
                continue
            if key not in objects and not key.endswith("/current/manifest.json"):
                objects[key] = self._bodies[key] = self._bodies.get(key) or self.cloud.read(key)
        letters = [body for key, body in objects.items() if key.startswith("metrics/_dead-letters/")]
        kept = {_run(DeadLetter.parse(body).body) for body in letters}
        return Picture(objects, messages, dict(self.requested), waiting, dead | kept)

    def check_all_ended(self) -> None:
        """Assert that the request queue is empty and that each run has a completed event."""
        picture = self.observe()
        invariants.check_when_idle(picture)
        for run in self.requested:
            assert picture.completed(run), f"{run} has no completed event: it never ends in the control plane"

    def check_all_succeeded(self) -> None:
        """Assert that the request queue is empty and that each run ended with SUCCESS."""
        self.check_all_ended()
        for run in self.requested:
            assert self.picture.completed(run)[0]["status"] == "SUCCESS", f"{run} failed"


@cache
def _part_files() -> dict[str, bytes]:
    """Return the content of the part files of the series A and B, by key relative to the dataset's prefix.

    Each series has one part file for each of two months, with five daily observations each.
    """
    return {
        f"{code}/month={month}/data.parquet": parquet(
            rows(code, [day(5 * month + n) for n in range(5)], [value] * 5)
        )
        for code, value in (("A", 3.0), ("B", 2.0))
        for month in (1, 2)
    }


def _run(body: str) -> str:
    """Return the run id in the body of a request's message."""
    return str(json.loads(json.loads(body)["Message"])["runId"])


def _runs(queue: FifoQueue) -> set[str]:
    return {_run(message.body) for message in queue.messages}

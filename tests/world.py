"""All that a run meets, in one process: the two queues, the two functions, the bucket and the topics.

Readers look after every write and event, and hold what they see against `tests/invariants.py`. The clock
stands still within an invocation and is moved on between them, so nothing waits.
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
from metrics_worker.worker import Worker
from tests import invariants
from tests.builders import Cloud, FakeContext, day, envelope, parquet, put_dataset, request, rows
from tests.edge import Call, Edge, EdgeSns, EdgeSqs, EdgeStore
from tests.fifo_queue import Clock, Delivery, FifoQueue, Handler, deliver
from tests.picture import Picture

MAX_RECEIVES = 3
"""Fewer than the template's, so that a fault that stays costs fewer attempts."""
MAX_DELIVERIES = 40


@dataclass
class World:
    """What a run meets.

    Attributes:
        requested: metric by run.
        functions: the worker, and the one that settles dead letters.
        broken: the first promise that a reader saw broken.
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
        self._looking = threading.Lock()

    @classmethod
    @contextmanager
    def started(cls, **settings: Any) -> Iterator[Self]:
        """A world with both functions in it; settings by their variable's name."""
        from metrics_worker import dead_letter_handler as dead_letters  # noqa: PLC0415 - they read the environment
        from metrics_worker import handler  # noqa: PLC0415 - they read the environment

        world = cls()
        world.edge.observer = world._seen
        put_dataset(world.cloud.store, _part_files())
        with pytest.MonkeyPatch.context() as patch:
            worker = world.cloud.worker(WORKER_MAX_RECEIVE_COUNT=MAX_RECEIVES, **settings)
            patch.setattr("metrics_worker.s3.s3_bucket.obstore", EdgeStore(world.edge))
            patch.setattr(handler, "worker", worker)
            burying = Worker(
                worker.settings,
                worker.bucket,
                StatusTopics(worker.settings, world.cloud.sns),
                RequestQueue(worker.settings, EdgeSqs(edge=world.edge, queue=world.dead)),
                world.time,
            )
            patch.setattr(dead_letters, "worker", burying)
            world.functions = handler.lambda_handler, dead_letters.lambda_handler
            yield world

    def time(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now, UTC)

    def request_run(
        self, metric: str, run: str, *, seconds_ago: float = 1.0, group: str | None = None, **more: Any
    ) -> None:
        """The control plane asks for a run; its message lies in the queue now, in the metric's group."""
        at = datetime.fromtimestamp(self.clock.now - seconds_ago, UTC)
        body = envelope(request(run_id=run, metric=metric, **more), timestamp=f"{at:%Y-%m-%dT%H:%M:%S.%f}Z")
        self.requested[run] = metric
        self.queue.send(json.dumps(body), group=group or metric, deduplication_id=run)

    # What Lambda does

    def deliver(self, limit: int = 10) -> Delivery:
        """One batch to the worker."""
        return self._deliver(self.queue, self.functions[0], limit)

    def deliver_dead_letters(self, limit: int = 10) -> Delivery:
        """One batch of dead letters to the function that settles them."""
        return self._deliver(self.dead, self.functions[1], limit)

    def deliver_next(self, limit: int = 10) -> None:
        """Wait for the next message, if there is one, and deliver its batch."""
        waiting = [queue.seconds_until_next() for queue in (self.queue, self.dead)]
        due = min((seconds for seconds in waiting if seconds is not None), default=None)
        if due is not None:
            self.clock.advance(due + 1)
            (self.deliver if due == waiting[0] else self.deliver_dead_letters)(limit)

    def deliver_all(self) -> None:
        """Deliver until no message is left, but dead letters that come back again and again."""
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
            invariants.after_a_failure_its_group_is_left_alone(
                delivery.records, delivery.failed, before, after
            )
        return delivery

    def _answering(self, function: Handler) -> Handler:
        """The function, whose answer is a call at the edge like any other."""

        def answer(event: Any, context: Any) -> Any:
            response = function(event, context)
            with self.edge.around(Call("ANSWER", "")):
                return response

        return answer

    # What can be seen

    def observe(self) -> Picture:
        """See everything, and hold it against all promises."""
        with self._looking:
            before, self.picture = self.picture, self._take_picture()
            invariants.check(self.picture, before)
            return self.picture

    def check_invariants(self) -> Picture:
        """The same, and raise what readers have seen broken meanwhile."""
        picture = self.observe()
        if self.violation:
            raise self.violation
        return picture

    def _seen(self, call: Call) -> None:
        if call.writes and self.violation is None:
            try:
                self.observe()
            except AssertionError as broken:  # not to be taken by the worker for an answer
                broken.add_note(f"seen after {call}")
                self.violation = broken

    def _take_picture(self) -> Picture:
        """What a reader could see: effects before their causes, since others write meanwhile."""
        waiting, dead = _runs(self.queue), _runs(self.dead)
        messages = list(self.cloud.sns.messages)
        objects = {}
        for key in self.cloud.keys("metrics/"):
            if key.endswith("/current/manifest.json"):
                objects[key] = self.cloud.read(key)
        for key in self.cloud.keys("metrics/"):
            if key not in objects and not key.endswith("/current/manifest.json"):
                objects[key] = self._bodies[key] = self._bodies.get(key) or self.cloud.read(key)
        letters = [body for key, body in objects.items() if key.startswith("metrics/_dead-letters/")]
        kept = {_run(json.loads(body)["body"]) for body in letters}
        return Picture(objects, messages, dict(self.requested), waiting, dead | kept)

    def check_all_ended(self) -> None:
        """Nothing waits, and the control plane has heard how each run ended."""
        picture = self.observe()
        invariants.check_when_idle(picture)
        for run in self.requested:
            assert picture.completed(run), f"{run} hangs in the control plane for ever"

    def check_all_succeeded(self) -> None:
        """The same, and that was a SUCCESS."""
        self.check_all_ended()
        for run in self.requested:
            assert self.picture.completed(run)[0]["status"] == "SUCCESS", f"{run} failed"


@cache
def _part_files() -> dict[str, bytes]:
    """Two months of two series, five days each."""
    return {
        f"{code}/month={month}/data.parquet": parquet(
            rows(code, [day(5 * month + n) for n in range(5)], [value] * 5)
        )
        for code, value in (("A", 3.0), ("B", 2.0))
        for month in (1, 2)
    }


def _run(body: str) -> str:
    return str(json.loads(json.loads(body)["Message"])["runId"])


def _runs(queue: FifoQueue) -> set[str]:
    return {_run(message.body) for message in queue.messages}

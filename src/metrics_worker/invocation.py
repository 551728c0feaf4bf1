"""The resources that the runs of one batch share, and one attempt at a run within the batch."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from metrics_worker.dataset.datasets import Datasets
from metrics_worker.dataset.decoder import Decoder
from metrics_worker.dataset.snapshots import WRITE_SECONDS, Snapshots
from metrics_worker.deadline import Deadline
from metrics_worker.errors import StatusUnavailable
from metrics_worker.limits import Memory
from metrics_worker.messaging.heartbeat import Heartbeat
from metrics_worker.messaging.status_events import RunCompleted, RunHeartbeat, RunStarted
from metrics_worker.s3.event_loop import EventLoop

if TYPE_CHECKING:
    from metrics_worker.messaging.topics import StatusEvent
    from metrics_worker.observability.report import RunReport
    from metrics_worker.request import Run
    from metrics_worker.s3.bucket import Bucket
    from metrics_worker.settings import Settings
    from metrics_worker.worker import Worker


LARGE_BYTES = 64 * 1024 * 1024
"""If an invocation reserved more bytes than this, pyarrow returns its free memory to the system at the end.

This takes milliseconds, so it is omitted after a small invocation.
"""


@dataclass(frozen=True, slots=True)
class Invocation:
    """The resources that the runs of one batch share.

    Attributes:
        datasets: the manifests and series that were read, so that each is read once.
        memory: the memory for decoded rows and evaluations, with its limit.
        event_loop: the event loop in which requests to S3 are made.
        threads: a pool of two threads for each message group. One thread handles the messages of the group;
            the other publishes the started event of a run while the run reads.
        deadline: the time at which work must stop.
    """

    datasets: Datasets
    memory: Memory
    event_loop: EventLoop
    threads: Executor
    deadline: Deadline

    @classmethod
    @contextmanager
    def begin(
        cls, settings: "Settings", groups: int, remaining_ms: Callable[[], int]
    ) -> "Iterator[Invocation]":
        """Yield the resources of a new invocation. Their threads end at the end of the `with` block.

        Args:
            settings: the worker's settings.
            groups: the number of message groups in the batch.
            remaining_ms: a function that returns the milliseconds until Lambda's timeout.
        """
        deadline, memory = Deadline(remaining_ms), Memory(settings.memory_bytes)
        with (
            Decoder(deadline) as decoder,
            EventLoop(deadline) as event_loop,
            ThreadPoolExecutor(2 * groups or 1, "run") as threads,
        ):
            snapshots = Snapshots(settings.metrics_prefix, memory) if settings.snapshots == "on" else None
            datasets = Datasets(settings.series_files, settings.limits, memory, decoder, snapshots)
            # Only decoding needs pyarrow.compute, so it is loaded during the first requests, not with the
            # handler.
            threads.submit(import_module, "pyarrow.compute")
            yield cls(datasets, memory, event_loop, threads, deadline)
        if memory.most > LARGE_BYTES:
            import pyarrow as pa  # noqa: PLC0415 - already loaded, because the invocation has read part files

            pa.default_memory_pool().release_unused()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt at a run: one delivery of its message, and everything that is published for it.

    Attributes:
        run: the run.
        report: the record of the attempt, filled in as the attempt proceeds.
        worker: the connections to S3, SNS and SQS.
        invocation: the resources of the batch in which the message arrived.
        receipt_handle: the handle by which the message's visibility timeout is extended.
    """

    run: "Run"
    report: "RunReport"
    worker: "Worker"
    invocation: Invocation
    receipt_handle: str = ""

    @property
    def deadline(self) -> Deadline:
        """The time at which the work of the attempt's invocation must stop."""
        return self.invocation.deadline

    @property
    def bucket(self) -> "Bucket":
        """The data bucket. Requests are counted in the report and are cancelled at the deadline."""
        return self.worker.bucket.metered(self.report.traffic, self.invocation.event_loop)

    @contextmanager
    def publishing_start(self) -> Iterator[None]:
        """Publish the started event in another thread while the body of a `with` statement runs.

        The end of the `with` block waits for that thread, so after the block the event has been published.

        Raises:
            StatusUnavailable: SNS refused the event or failed.
            OutOfTime: the deadline has passed, or passed before SNS answered.
        """
        event = RunStarted.of(self.run, self.worker.now())

        def publish() -> None:
            self._publish(event)
            self.report.started, self.report.started_at = True, self.worker.clock()

        publishing = self.invocation.threads.submit(publish)
        try:
            yield
        finally:
            publishing.result()

    @contextmanager
    def heartbeats(self) -> Iterator[Heartbeat]:
        """Publish heartbeats and extend the message's visibility timeout until the end of a `with` block.

        Errors of the heartbeats are not raised; the attempt's report receives their number and the last one.
        """
        settings, report = self.worker.settings, self.report
        interval = settings.heartbeat_interval_seconds if settings.heartbeat_enabled else None
        heartbeat = Heartbeat(self._publish_heartbeat, interval, self._extend_visibility)
        try:
            with heartbeat:
                yield heartbeat
        finally:
            report.heartbeats_sent, report.heartbeats_failed = heartbeat.sent, heartbeat.failed
            report.heartbeat_error, report.heartbeat_may_arrive = heartbeat.last_error, heartbeat.may_arrive

    def publish_outcome(self, event: RunCompleted) -> None:
        """Publish the completed event, not sooner than `WORKER_STATUS_GAP_SECONDS` after the started event.

        The control plane reads the two events from different queues. If it reads the started event last, it
        shows a run that has ended as running. There is no wait if this attempt has not published the started
        event: an earlier attempt published one long ago.

        Raises:
            OutOfTime: the wait would end after the deadline.
            StatusUnavailable: SNS did not accept the event, or a heartbeat might still arrive after it.
        """
        if self.report.started_at is not None:
            left = self.report.started_at + self.worker.settings.status_gap_seconds - self.worker.clock()
            if left > 0:
                self.deadline.check(left)
                with self.report.stage("gap"):
                    self.worker.pause(left)
        if self.report.heartbeat_may_arrive:
            raise StatusUnavailable("heartbeat", "SNS has not answered it, so it might follow the outcome")
        with self.report.stage("completed"):
            self._publish(event)
        self.report.outcome = event.status

    def save_snapshots(self) -> None:
        """Write the snapshots of the run's series if there is time left. A failure is not raised, but logged.

        The outcome is published and the heartbeats have ended, so nothing depends on these writes.
        """
        report = self.report
        is_off = self.worker.settings.snapshots == "off"
        if is_off or self.deadline.seconds_left() < 2 * WRITE_SECONDS:
            return
        try:
            with report.stage("snapshots"):
                saved = self.invocation.datasets.save_snapshots(self.run.run_id, self.bucket)
        except Exception as error:  # noqa: BLE001 - a defect here must not change the outcome
            report.snapshots_failed, report.snapshot_error = 1, f"{type(error).__name__}: {error}"
        else:
            report.snapshots_written, report.snapshots_failed = saved.written, saved.failed
            report.snapshot_error = saved.problem

    def _publish_heartbeat(self, number: int, progress: float) -> bool:
        """Publish a heartbeat and return True, or return False if the started event is not published yet.

        Args:
            number: the number of the heartbeat within the attempt.
            progress: the progress of the run, from 0 to 1.
        """
        if self.report.started:
            event = RunHeartbeat.of(self.run, progress, self.worker.now())
            self._publish(event, number=number)
        return self.report.started

    def _extend_visibility(self) -> None:
        self.worker.queue.extend(self.receipt_handle, within=self.deadline.seconds_left())

    def _publish(self, event: "StatusEvent", *, number: int | None = None) -> None:
        """Publish an event to the topic of its type.

        Args:
            event: the event.
            number: the number of a heartbeat within the attempt; None for other events.

        Raises:
            OutOfTime: the deadline has passed, or passed before SNS answered.
            StatusUnavailable: SNS refused the event or failed.
        """
        self.deadline.check()
        with self.report.traffic.timed("PUBLISH", key=event.type):
            self.worker.status.publish(
                event,
                metric_code=self.run.metric_code,
                attempt=self.run.resent_ms + self.report.attempt,
                number=number,
                within=self.deadline.seconds_left(),
            )

"""The report of one attempt at a run, from which its closing log line and its metrics are written.

`run_metric()` fills in the report step by step, so the report is correct even if the attempt ends early.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from metrics_worker.errors import without_traceback
from metrics_worker.observability.traffic import Traffic
from metrics_worker.publication.records import InputSummary


@dataclass(slots=True, kw_only=True)
class RunReport:
    """The report of one attempt at a run.

    Attributes:
        attempt: The number of times that the message of the run was received, including this time.
        requested_at: The time of the control plane's request.
        outcome: The status of the published completed event (SUCCESS or FAILURE); RETURNED if no completed
            event was published, so that the message is returned to the queue.
        started: Whether this attempt published the started event.
        started_at: The time of the started event's publication, in seconds of the worker's monotonic clock.
        stages: The duration of each stage in seconds, by the name of the stage.
        rolled_forward: Whether an earlier attempt had already committed the run.
        committed_at: The time of the commit according to the marker (ISO 8601).
        shrunk: The number of lost rows, compared with the previous version, and the probable cause; None if
            no loss was found.
        moved_current: Whether `current` refers to the version of this run after the attempt; None if the
            attempt ended before the update of `current`.
        heartbeat_may_arrive: Whether a heartbeat was sent but never answered.
        part_files_read: The number of part files of the run's series that were read, by this run or an
            earlier run of the batch. The rows of the other part files are from snapshots.
        snapshot_hits: The number of series for which a snapshot was used.
        snapshot_misses: The number of series for which a snapshot was looked up and none could be used.
        snapshots_written: The number of snapshots that were written after the outcome.
        snapshots_failed: The number of snapshots that could not be written.
        snapshot_error: The error of the first snapshot that could not be written.
        defect: An exception that is not one of the worker's own errors; the log line has its traceback.
        began: The start of the attempt, by `time.perf_counter()`.
        seconds: The duration of the attempt in seconds; 0 before `close()`.
    """

    run_id: str
    metric_code: str
    attempt: int
    message_id: str = ""
    requested_at: datetime | None = None
    outcome: Literal["SUCCESS", "FAILURE", "RETURNED"] = "RETURNED"
    started: bool = False
    started_at: float | None = None
    error_code: str | None = None
    error: str | None = None
    defect: Exception | None = None
    version_ts: str | None = None
    row_count: int | None = None
    shrunk: str | None = None
    rolled_forward: bool = False
    committed_at: str | None = None
    moved_current: bool | None = None
    heartbeats_sent: int = 0
    heartbeats_failed: int = 0
    heartbeat_error: str = ""
    heartbeat_may_arrive: bool = False
    part_files_read: int = 0
    snapshot_hits: int = 0
    snapshot_misses: int = 0
    snapshots_written: int = 0
    snapshots_failed: int = 0
    snapshot_error: str = ""
    stages: dict[str, float] = field(default_factory=dict)
    inputs: list[InputSummary] = field(default_factory=list)
    traffic: Traffic = field(default_factory=Traffic)
    began: float = 0.0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.began = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the duration of the `with` block, even if it fails, to the attempt's stage with this name."""
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            self.stages[name] = round(self.stages.get(name, 0.0) + seconds, 4)
            if self.traffic.trace is not None:
                self.traffic.trace.stage(name, began=began, seconds=seconds)

    @property
    def freshness(self) -> float | None:
        """The seconds from the control plane's request to the commit; None if either time is unknown.

        The time of the commit is a whole second. A negative difference is reported as 0.
        """
        if self.requested_at is None or self.committed_at is None:
            return None
        try:
            committed = datetime.fromisoformat(self.committed_at)
            return max(0.0, round((committed - self.requested_at).total_seconds(), 3))
        except (TypeError, ValueError):  # the marker of another writer has no time, or one without a zone
            return None

    def close(self) -> None:
        """Set `seconds` to the time since the report was created."""
        self.seconds = round(time.perf_counter() - self.began, 4)


@dataclass(slots=True)
class GroupReport:
    """The results of one message group in one invocation.

    Attributes:
        runs: The attempts, one for each message that identifies a run.
        given_back: For each message that is returned to the queue: the message id, the error, and the time of
            the redelivery in words, such as "in 27 s".
        failures: The entries of `batchItemFailures` for the messages of the group.
    """

    runs: list[RunReport] = field(default_factory=list)
    given_back: list[tuple[str, object, str]] = field(default_factory=list)
    failures: list[Any] = field(default_factory=list)

    def give_back(self, message_id: str, error: BaseException, *, returns: str) -> None:
        """Add a message that is returned to the queue.

        Args:
            message_id: The SQS message id.
            error: The reason for the return; its traceback is removed.
            returns: The time of the redelivery in words, such as "in 27 s".
        """
        self.given_back.append((message_id, without_traceback(error), returns))

    @property
    def longest(self) -> float:
        """The duration of the longest ended attempt of this message group, in seconds; 0 without one."""
        return max((run.seconds for run in self.runs), default=0.0)

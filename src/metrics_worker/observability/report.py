"""The report of one attempt at a run, from which its closing log line and its metrics are written.

`run_metric()` fills in the report step by step, so it is correct at whatever point the attempt ends.
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
        attempt: How often the message of the run was received, including this time.
        requested_at: The time of the control plane's request.
        outcome: SUCCESS or FAILURE if that event was published; RETURNED if the message was returned.
        started: Whether this attempt published the started event.
        started_at: The time of that publication, in seconds of the worker's monotonic clock.
        stages: The duration of each stage in seconds.
        rolled_forward: Whether an earlier attempt had already committed the run.
        committed_at: The time of the commit according to the marker (ISO 8601).
        shrunk: The rows lost since the previous version and the probable cause; None if none were lost.
        moved_current: Whether `current` now names the version of this run.
        heartbeat_may_arrive: Whether a heartbeat was sent but never answered.
        part_files_read: The number of part files of the run's series that were read, by this run or an
            earlier run of the batch. The rows of the other part files are from snapshots.
        snapshot_hits: The number of series for which a snapshot was used.
        snapshot_misses: The number of series for which a snapshot was looked up and none could be used.
        snapshots_written: The number of snapshots that were written after the outcome.
        snapshots_failed: The number of snapshots that could not be written.
        snapshot_error: The first reason for that.
        defect: An exception that is not one of the worker's own errors; the log line has its traceback.
        began: The start of the attempt, by `time.perf_counter()`.
        seconds: The duration of the attempt.
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
        """Add the duration of the context to the stage with this name, also if the context raises."""
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
        """The seconds from the request to the commit, whose time has no fraction; None if unknown."""
        if self.requested_at is None or self.committed_at is None:
            return None
        try:
            committed = datetime.fromisoformat(self.committed_at)
            return max(0.0, round((committed - self.requested_at).total_seconds(), 3))
        except (TypeError, ValueError):  # the marker of another writer has no time, or one without a zone
            return None

    def close(self) -> None:
        """Record the duration of the attempt, which has ended."""
        self.seconds = round(time.perf_counter() - self.began, 4)


@dataclass(slots=True)
class GroupReport:
    """The results of one message group in one invocation.

    Attributes:
        runs: The attempts, one for each message that identifies a run.
        given_back: The returned messages: message id, error, and the time of the redelivery as a text.
        failures: The entries of the group in `batchItemFailures`.
    """

    runs: list[RunReport] = field(default_factory=list)
    given_back: list[tuple[str, object, str]] = field(default_factory=list)
    failures: list[Any] = field(default_factory=list)

    def give_back(self, message_id: str, error: BaseException, *, returns: str) -> None:
        """Add a returned message with its error and the time of its redelivery."""
        self.given_back.append((message_id, without_traceback(error), returns))

    @property
    def longest(self) -> float:
        """The longest duration of a closed attempt in seconds: an estimate for the next one."""
        return max((run.seconds for run in self.runs), default=0.0)

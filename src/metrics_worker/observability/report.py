"""The report of one attempt at a run: what its closing log line and its metrics say.

`run_metric()` fills it in as it goes, so that it is true whatever happens; it decides nothing.
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


@dataclass(slots=True)
class RunReport:
    """One attempt at a run.

    Attributes:
        requested_at: when the control plane asked.
        outcome: SUCCESS and FAILURE were announced; RETURNED gave the message back.
        started: whether this attempt announced a start.
        started_at: when it had, in seconds of the worker's clock.
        stages: seconds by stage.
        rolled_forward: the run was committed before this attempt.
        committed_at: when the run was committed, by this attempt or an earlier one, as its marker says.
        shrunk: what the run lost since the version before, and the probable cause; None if nothing.
        moved_current: whether `current` names this run's version now.
        heartbeat_may_arrive: a heartbeat was sent and never answered.
        defect: an exception that is none of ours, for its traceback.
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
    stages: dict[str, float] = field(default_factory=dict)
    inputs: list[InputSummary] = field(default_factory=list)
    traffic: Traffic = field(default_factory=Traffic)
    began: float = 0.0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.began = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage, to its end or its failure."""
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            self.stages[name] = round(self.stages.get(name, 0.0) + seconds, 4)
            if self.traffic.trace is not None:
                self.traffic.trace.stage(name, began, seconds)

    @property
    def freshness(self) -> float | None:
        """Seconds from the request to the commit, which is known to the second; None if unknown."""
        if self.requested_at is None or self.committed_at is None:
            return None
        try:
            committed = datetime.fromisoformat(self.committed_at)
            return max(0.0, round((committed - self.requested_at).total_seconds(), 3))
        except (
            TypeError,
            ValueError,
        ):  # a marker of another writer: a time without a zone, or none
            return None

    def close(self) -> None:
        """The attempt is over."""
        self.seconds = round(time.perf_counter() - self.began, 4)


@dataclass(slots=True)
class GroupReport:
    """What became of a message group's records in one invocation.

    Attributes:
        runs: an attempt each, of the messages that could be answered.
        given_back: message id, why, and when it comes back.
        failures: for the response's `batchItemFailures`.
    """

    runs: list[RunReport] = field(default_factory=list)
    given_back: list[tuple[str, object, str]] = field(default_factory=list)
    failures: list[Any] = field(default_factory=list)

    def give_back(self, message_id: str, error: BaseException, returns: str) -> None:
        """Note that a message goes back, why, and when it returns."""
        self.given_back.append((message_id, without_traceback(error), returns))

    @property
    def longest(self) -> float:
        """Seconds that the longest of the runs took which are closed: what the next one may take."""
        return max((run.seconds for run in self.runs), default=0.0)

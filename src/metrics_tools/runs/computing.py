"""A run here and now: the worker's own `run_metric()`, commit and all, at a place.

Nothing is reimplemented: this room stands where the handler stands. What is written goes into memory, over
the place, unless it is to be published. Status events are kept here and sent to nobody: the control plane
knows of no such run.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

from pydantic import ValidationError

from metrics_tools.buckets.overlay import Overlay
from metrics_tools.buckets.places import Place
from metrics_tools.console import impossible
from metrics_tools.local_cloud.samples import Sample
from metrics_tools.published.versions import Version, read_version
from metrics_worker.dataset.datasets import Datasets, InputSeries
from metrics_worker.dataset.decoder import Decoder
from metrics_worker.errors import (
    CommittedRunError,
    MetricsWorkerError,
    PermanentError,
    TransientError,
    UnanswerableError,
    as_permanent,
    first_problem,
)
from metrics_worker.invocation import Attempt, Invocation
from metrics_worker.limits import Limits, Memory
from metrics_worker.messaging.request_queue import RequestQueue
from metrics_worker.messaging.topics import StatusTopics
from metrics_worker.observability.report import RunReport
from metrics_worker.observability.traffic import Trace, Traffic
from metrics_worker.request import Run, RunRequest, open_record
from metrics_worker.run import fail_metric, run_metric
from metrics_worker.s3.bucket import Bucket
from metrics_worker.settings import Settings
from metrics_worker.worker import Worker

type Progress = Callable[[str, float], None]
"""Told the run id, and the part (0-1) of its part files that is read."""

_ANY_TIME_MS = 10**9
_NOBODY = "arn:aws:sns:us-east-1:000000000000:nobody"
_NOWHERE = "https://nowhere.invalid/000000000000/nobody"


@dataclass(frozen=True, slots=True)
class Computed:
    """What became of a request.

    Attributes:
        request: the event, with the run id that it had here.
        report: of the worker's attempt.
        events: the status events, with their times (UTC), as they would have gone out.
        inputs: the series that were read, by code.
        version: what was committed, read back; None where nothing was.
        error: why it failed.
    """

    request: dict[str, Any]
    report: RunReport
    events: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    inputs: dict[str, InputSeries] = field(default_factory=dict)
    version: Version | None = None
    error: MetricsWorkerError | None = None

    @property
    def outcome(self) -> Literal["SUCCESS", "FAILURE", "RETURNED"]:
        """How it ended. RETURNED: what failed may pass, and the worker would have given the message back."""
        if self.error is None:
            return "SUCCESS"
        return "RETURNED" if isinstance(self.error, TransientError) else "FAILURE"

    @property
    def code(self) -> str:
        """The wire code of the error; of one that may pass, its kind."""
        if self.error is None:
            return ""
        return self.error.code if isinstance(self.error, PermanentError) else type(self.error).__name__


class _Told:
    """Stands for SNS and SQS: keeps what is published, and lets messages be."""

    def __init__(self) -> None:
        self.events: list[tuple[datetime, dict[str, Any]]] = []

    def publish(self, **message: Any) -> None:
        """Keep an event."""
        self.events.append((datetime.now(UTC), json.loads(message["Message"])))

    def change_message_visibility(self, **_: Any) -> None:
        """There is no message."""


class _Watched(Datasets):
    """Datasets that tell how far they are, and keep what they have read, by run id."""

    def __init__(self, settings: Settings, decoder: Decoder, on_progress: Progress) -> None:
        limits = Limits(settings.max_part_files, settings.max_rows, settings.max_manifest_bytes)
        super().__init__(settings.series_files, limits, Memory(settings.memory_bytes), decoder)
        self.inputs: dict[str, dict[str, InputSeries]] = {}
        self._tell = on_progress

    def read(
        self, request: RunRequest, bucket: Bucket, on_progress: Callable[[float], None]
    ) -> dict[str, InputSeries]:
        """Every series that the request's expression names, as with `Datasets`."""
        run_id = request.run.run_id

        def both(part: float) -> None:
            on_progress(part)
            self._tell(run_id, part)

        found = super().read(request, bucket, both)
        self.inputs[run_id] = found
        return found


@dataclass(frozen=True, slots=True)
class Bench:
    """Where requests are computed one after the other; what one has read is shared by the next. Use `at`."""

    worker: Worker
    invocation: Invocation
    told: _Told
    watched: _Watched

    @classmethod
    @contextmanager
    def at(cls, place: Place, *, publish: bool, on_progress: Progress = lambda *_: None) -> "Iterator[Bench]":
        """A bench at a place.

        Args:
            place: where the datasets are.
            publish: write there, too; else in memory.
            on_progress: told how far the reading is.
        """
        bucket = place.bucket if publish else Overlay.over(place.bucket)
        settings, told = settings_for(bucket.name), _Told()
        worker = Worker(settings, bucket, StatusTopics(settings, told), RequestQueue(settings, told))
        with Decoder() as decoder, Invocation.begin(settings, 1, lambda: _ANY_TIME_MS) as invocation:
            watched = _Watched(settings, decoder, on_progress)
            yield cls(worker, replace(invocation, datasets=watched), told, watched)

    def compute(self, sample: Sample, *, run_id: str | None = None) -> Computed:
        """Compute a request to its outcome; whatever goes wrong is in the answer.

        Args:
            sample: what is asked.
            run_id: under which run id; a fresh one where there is none.
        """
        request = sample.request | {"runId": run_id or str(uuid4())}
        report, told = RunReport(request["runId"], sample.metric_code, 1), len(self.told.events)
        report.traffic.trace = Trace()
        computed = Computed(request, report)
        try:
            run = open_record(json.dumps(request), str(time.time_ns() // 1_000_000))
            error = self._attempt(run, report)
        except (TransientError, UnanswerableError) as failed:
            report.close()
            return replace(computed, error=failed, events=self.told.events[told:])
        report.close()
        computed = replace(computed, error=error, events=self.told.events[told:])
        if report.version_ts is None:
            return computed
        bucket, keys = self.worker.bucket.metered(Traffic()), self.worker.keys(run)
        try:
            version = read_version(bucket, keys, report.version_ts)
        except MetricsWorkerError as failed:
            text = f"committed as version {report.version_ts}, but it can't be read back: {failed.problem}"
            return replace(computed, error=CommittedRunError(failed.subject, text))
        return replace(computed, version=version, inputs=self.watched.inputs.get(run.run_id, {}))

    def _attempt(self, run: Run, report: RunReport) -> PermanentError | None:
        """What the handler does with a message; the error that was announced, if one was.

        Raises:
            TransientError: the message would come back.
        """
        attempt = Attempt(report, "", self.invocation)
        try:
            request = RunRequest.parse(run, self.worker.bounds)
            run_metric(request, self.worker, attempt)
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001 - as in the handler: whatever it is, the run gets an outcome
            report.defect = None if isinstance(error, PermanentError) else error
            permanent = as_permanent(error)
            fail_metric(run, permanent, self.worker, attempt)
            return None if report.outcome == "SUCCESS" else permanent
        return None


def settings_for(bucket: str) -> Settings:
    """The worker's settings on a bucket, as the environment has them; without topics and a queue.

    A variable that can't be used ends the command.
    """
    given: dict[str, Any] = {
        "AWS_S3_BUCKET": bucket,
        "AWS_SNS_EVENTS_TOPIC_ARN": _NOBODY,
        "AWS_SQS_RUN_REQUEST_QUEUE_URL": _NOWHERE,
        "WORKER_STATUS_GAP_SECONDS": 0,  # nobody reads the events
    }
    try:
        return Settings(**given)
    except ValidationError as error:
        variable, problem = first_problem(error.errors(include_url=False), "")
        raise impossible(f"The environment's {variable} can't be used: {problem}") from error


def all_of(samples: Sequence[Sample], dataset_id: str) -> bool:
    """Whether every request reads this dataset alone."""
    return all(_datasets(sample) == {dataset_id} for sample in samples)


def _datasets(sample: Sample) -> set[str]:
    catalog = sample.request.get("catalog")
    datasets = catalog.get("datasets") if isinstance(catalog, dict) else None
    return set(datasets) if isinstance(datasets, dict) else set()

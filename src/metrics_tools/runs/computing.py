"""Local computation of requests with the worker's own code, as `metrics run` does it.

A request passes through the same function as in Lambda (`complete_run`), commit included. Unless the version
is to be published, all writes go to memory. Status events are recorded and not sent, since the control plane
does not know the run.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

from pydantic import ValidationError

from metrics_tools.buckets.overlay import Overlay
from metrics_tools.buckets.places import Place
from metrics_tools.console import impossible
from metrics_tools.published.versions import Version, read_version
from metrics_tools.request_files import Sample
from metrics_tools.validate.problems import Problem
from metrics_worker.dataset.datasets import Datasets, InputSeries
from metrics_worker.dataset.decoder import Decoder
from metrics_worker.errors import (
    CommittedRunError,
    MetricsWorkerError,
    PermanentError,
    TransientError,
    UnanswerableError,
)
from metrics_worker.invocation import Attempt, Invocation
from metrics_worker.limits import Memory
from metrics_worker.messaging.request_queue import RequestQueue
from metrics_worker.messaging.topics import StatusTopics
from metrics_worker.observability.report import RunReport
from metrics_worker.observability.traffic import Trace, Traffic
from metrics_worker.problem import first_problem
from metrics_worker.request import RunRequest, open_record
from metrics_worker.run import complete_run
from metrics_worker.s3.bucket import Bucket
from metrics_worker.settings import Settings
from metrics_worker.worker import Worker

type OnProgress = Callable[[float], None]
"""A function that is called with the share (0-1) of a run's part files that has been read."""

_NO_DEADLINE_MS = 10**9
_UNUSED_TOPIC = "arn:aws:sns:us-east-1:000000000000:unused"
_UNUSED_QUEUE = "https://unused.invalid/000000000000/unused"


@dataclass(frozen=True, slots=True)
class Computed:
    """The result of computing a request.

    Attributes:
        report: the worker's report of the attempt, with the durations of its stages and its S3 requests.
        events: the recorded status events, each with the time (UTC) at which it would have been published.
        inputs: the series that were read, by series code.
        version: the committed version, read back; None if nothing was committed.
        error: the error of the run; None after a SUCCESS.
        warnings: the warnings of `metrics validate` about the request, if the command looked for them.
    """

    report: RunReport
    events: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    inputs: dict[str, InputSeries] = field(default_factory=dict)
    version: Version | None = None
    error: MetricsWorkerError | None = None
    warnings: tuple[Problem, ...] = ()

    @property
    def outcome(self) -> Literal["SUCCESS", "FAILURE", "RETURNED"]:
        """Return the outcome of the run.

        It is FAILURE after a permanent error, and RETURNED after a transient error, after which a queue would
        deliver the message again.
        """
        if self.error is None:
            return "SUCCESS"
        return "RETURNED" if isinstance(self.error, TransientError) else "FAILURE"

    @property
    def code(self) -> str:
        """Return the wire code of a permanent error, or the class name of another error.

        The result is an empty string if the run had no error.
        """
        if self.error is None:
            return ""
        return self.error.code if isinstance(self.error, PermanentError) else type(self.error).__name__


@dataclass(frozen=True, slots=True)
class _RecordingClient:
    """A stand-in for the SNS and SQS clients that records published events."""

    events: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)

    def publish(self, **message: Any) -> None:
        """Record a status event in place of sending it to a topic.

        Args:
            message: the arguments of SNS's Publish.
        """
        self.events.append((datetime.now(UTC), json.loads(message["Message"])))

    def change_message_visibility(self, **_: Any) -> None:
        """Do nothing, because the request did not come from a queue."""


class _ReportingDatasets(Datasets):
    """A reader of datasets that keeps the series of each run, and reports its progress to a second function.

    The second function is `on_progress` of the constructor; the worker passes the first one to `read`.

    Attributes:
        inputs: the series of each run, by run id and series code.
    """

    def __init__(self, settings: Settings, decoder: Decoder, on_progress: OnProgress) -> None:
        super().__init__(settings.series_files, settings.limits, Memory(settings.memory_bytes), decoder)
        self.inputs: dict[str, dict[str, InputSeries]] = {}
        self._on_progress = on_progress

    def read(
        self, request: RunRequest, bucket: Bucket, on_progress: Callable[[float], None]
    ) -> dict[str, InputSeries]:
        """Read every series of the request's expression, as `Datasets` does, and keep the series.

        Args:
            request: the request.
            bucket: the bucket with the datasets.
            on_progress: called with the progress of the reading, from 0 to 1, after each part file.
        """

        def report(share: float) -> None:
            on_progress(share)
            self._on_progress(share)

        found = self.inputs[request.run.run_id] = super().read(request, bucket, report)
        return found


@dataclass(frozen=True, slots=True)
class LocalWorker:
    """A worker that computes requests in this process. Later requests reuse what earlier ones have read."""

    worker: Worker
    invocation: Invocation
    client: _RecordingClient
    datasets: _ReportingDatasets

    @classmethod
    @contextmanager
    def at(
        cls, place: Place, *, publish: bool, on_progress: OnProgress = lambda _: None
    ) -> "Iterator[LocalWorker]":
        """Yield a worker that reads from a location and computes requests.

        Args:
            place: the location, from which the worker reads.
            publish: whether the worker also writes to the location; otherwise, it writes to memory.
            on_progress: called with the progress of reading the series, 0 to 1, after each part file.
        """
        bucket = place.bucket if publish else Overlay(place.bucket)
        # Every part file is read, and nothing is written but the version.
        settings = settings_for(bucket.name).model_copy(update={"snapshots": "off"})
        client = _RecordingClient()
        worker = Worker(settings, bucket, StatusTopics(settings, client), RequestQueue(settings, client))
        with Decoder() as decoder, Invocation.begin(settings, 1, lambda: _NO_DEADLINE_MS) as invocation:
            datasets = _ReportingDatasets(settings, decoder, on_progress)
            yield cls(worker, replace(invocation, datasets=datasets), client, datasets)

    def compute(self, sample: Sample, *, run_id: str | None = None) -> Computed:
        """Compute a request. An error of the run is not raised, but is part of the result.

        Args:
            sample: the request.
            run_id: the run id; None for a new one.
        """
        request = sample.request | {"runId": run_id or str(uuid4())}
        report = RunReport(run_id=request["runId"], metric_code=sample.metric_code, attempt=1)
        first_event = len(self.client.events)
        report.traffic.trace = Trace()
        error: MetricsWorkerError | None = None
        try:
            run = open_record(json.dumps(request), str(time.time_ns() // 1_000_000))
            attempt = Attempt(run=run, report=report, worker=self.worker, invocation=self.invocation)
            error = complete_run(attempt)
        except (TransientError, UnanswerableError) as failed:
            error = failed
        computed = Computed(report, self.client.events[first_event:], error=error)
        if report.version_ts is None or isinstance(error, TransientError):
            return computed
        bucket, keys = self.worker.bucket.metered(Traffic()), self.worker.keys(run)
        try:
            version = read_version(bucket, keys, report.version_ts)
        except MetricsWorkerError as failed:
            text = f"committed as version {report.version_ts}, but it can't be read back: {failed.problem}"
            return replace(computed, error=CommittedRunError(failed.subject, text))
        return replace(computed, version=version, inputs=self.datasets.inputs.get(run.run_id, {}))


def settings_for(bucket: str) -> Settings:
    """Return the worker's settings from the environment variables, with a bucket as the data bucket.

    The topics and the queue are placeholders, because nothing is sent to them. The command ends with an error
    if an environment variable is not valid.
    """
    given: dict[str, Any] = {
        "AWS_S3_BUCKET": bucket,
        "AWS_SNS_EVENTS_TOPIC_ARN": _UNUSED_TOPIC,
        "AWS_SQS_RUN_REQUEST_QUEUE_URL": _UNUSED_QUEUE,
        "WORKER_STATUS_GAP_SECONDS": 0,  # events are not sent
    }
    try:
        return Settings(**given)
    except ValidationError as error:
        variable, problem = first_problem(error)
        raise impossible(f"The environment's {variable} can't be used: {problem}") from error

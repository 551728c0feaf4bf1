"""The settings, connections and clocks that both Lambda entry points use for the lifetime of the process.

This module and the modules that it imports do not import pyarrow, because the dead-letter function has no
layer.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from metrics_worker.messaging.request_queue import RequestQueue
from metrics_worker.messaging.topics import StatusTopics
from metrics_worker.names import metric_base
from metrics_worker.publication.records import Keys
from metrics_worker.publication.versions import NewestVersions
from metrics_worker.s3.bucket import Bucket
from metrics_worker.s3.s3_bucket import S3Bucket

if TYPE_CHECKING:
    from metrics_worker.request import Run
    from metrics_worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Worker:
    """The settings, connections and clocks of a process.

    Attributes:
        settings: the values of the environment variables.
        bucket: the data bucket.
        status: the SNS topics for status events.
        queue: the SQS queue from which requests come.
        now: a function that returns the current time in UTC.
        clock: a function that returns the seconds of a monotonic clock.
        pause: a function that waits for the given number of seconds.
        newest_versions: for each metric, the newest version that the process has written.
    """

    settings: "Settings"
    bucket: Bucket
    status: StatusTopics
    queue: RequestQueue
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    newest_versions: NewestVersions = field(default_factory=NewestVersions)

    @classmethod
    def start(cls, settings: "Settings") -> "Worker":
        """Return a worker that uses AWS, or the endpoint in the settings. No request is made yet."""
        bucket = S3Bucket.connect(settings.bucket, region=settings.region, endpoint_url=settings.endpoint_url)
        return cls(settings, bucket, StatusTopics(settings), RequestQueue(settings))

    def keys(self, run: "Run") -> Keys:
        """Return an object that builds the S3 keys of the run's metric.

        Raises:
            ConfigError: the metric code cannot be a part of a key.
        """
        return Keys(metric_base(self.settings.metrics_prefix, run.metric_code))

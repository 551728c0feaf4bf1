"""What both Lambda entries share for the life of the process: settings, bucket, topics, queue and clock.

Nothing here imports pyarrow: the dead-letter function has no layer.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from metrics_worker.messaging.request_queue import RequestQueue
from metrics_worker.messaging.topics import StatusTopics
from metrics_worker.names import metric_base
from metrics_worker.publication.records import Keys
from metrics_worker.s3.bucket import Bucket
from metrics_worker.s3.s3_bucket import S3Bucket

if TYPE_CHECKING:
    from metrics_worker.request import Run
    from metrics_worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Worker:
    """The connections that every run uses, made once a process.

    Attributes:
        now: the wall clock, UTC.
        clock: seconds that only ever grow, to measure with.
        pause: waits for a number of seconds.
    """

    settings: "Settings"
    bucket: Bucket
    status: StatusTopics
    queue: RequestQueue
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep

    @classmethod
    def start(cls, settings: "Settings") -> "Worker":
        """Return a worker on AWS, or on the local server that the settings name. No request is made yet."""
        bucket = S3Bucket.connect(settings.bucket, region=settings.region, endpoint_url=settings.endpoint_url)
        return cls(settings, bucket, StatusTopics(settings), RequestQueue(settings))

    def keys(self, run: "Run") -> Keys:
        """Return the keys of the run's metric.

        Raises:
            ConfigError: the metric's code may not become a part of keys.
        """
        return Keys(metric_base(self.settings.metrics_prefix, run.metric_code))

"""The three topics: the status events that the control plane hears.

On a FIFO topic a run is a message group, and the deduplication id names run, type and attempt, so that SNS
drops neither the second heartbeat nor a SUCCESS after a FAILURE. Failure is a StatusUnavailable, always
transient: an outcome that was not announced is announced by the next attempt.
"""

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from metrics_worker.errors import StatusUnavailable
from metrics_worker.messaging.clients import client, making, service_call
from metrics_worker.messaging.status_events import RunCompleted, RunHeartbeat, RunStarted

if TYPE_CHECKING:
    from metrics_worker.settings import Settings

type StatusEvent = RunStarted | RunHeartbeat | RunCompleted

MAX_DEDUPLICATION_ID = 128


class StatusTopics:
    """The topics, by type of event. The SNS client, where none is given, is made at the first event."""

    def __init__(self, settings: "Settings", sns: Any = None) -> None:
        self._settings = settings
        self._sns = sns
        self._arns = {
            "metric_run_started": settings.started_topic_arn,
            "metric_run_heartbeat": settings.heartbeat_topic_arn,
            "metric_run_completed": settings.completed_topic_arn,
        }

    def publish(
        self,
        event: StatusEvent,
        *,
        metric_code: str,
        attempt: int,
        number: int | None = None,
        within: float | None = None,
    ) -> None:
        """Publish an event.

        Args:
            event: what to say.
            metric_code: of the run, for subscribers that filter.
            attempt: how often the request's message was received, 1 the first time.
            number: of a heartbeat within its attempt.
            within: seconds after which the call is cut off.

        Raises:
            StatusUnavailable: SNS did not take it.
            OutOfTime: SNS did not answer in time.
        """
        arn = self._arns[event.type] or self._settings.events_topic_arn or ""
        message: dict[str, Any] = {
            "TopicArn": arn,
            "Message": event.wire(),
            "MessageAttributes": {
                "type": {"DataType": "String", "StringValue": event.type},
                "metricCode": {"DataType": "String", "StringValue": metric_code},
            },
        }
        if arn.endswith(".fifo"):
            message["MessageGroupId"] = event.run_id
            message["MessageDeduplicationId"] = deduplication_id(event.run_id, event.type, attempt, number)
        with making:
            if self._sns is None:
                self._sns = client("sns", self._settings)
        with service_call(StatusUnavailable, arn, within):
            self._sns.publish(**message)


def deduplication_id(run_id: str, event_type: str, attempt: int, number: int | None = None) -> str:
    """`{runId}:{type}:{attempt}`, with a number for heartbeats; hashed where SNS finds that too long."""
    plain = f"{run_id}:{event_type}:{attempt}" + ("" if number is None else f":{number}")
    return plain if len(plain) <= MAX_DEDUPLICATION_ID else sha256(plain.encode()).hexdigest()

"""The SNS topics to which the worker publishes status events.

On a FIFO topic, the message group is the run, and the deduplication id contains the run, the type and the
attempt, so that SNS drops neither a second heartbeat nor a SUCCESS after a FAILURE. A failed
publication raises StatusUnavailable, which is always transient: the next attempt publishes the outcome.
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
    """The SNS topics by type of event. If no SNS client is passed, the first publication creates one."""

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
        """Publish an event to the topic of its type.

        Args:
            event: The event.
            metric_code: The metric code of the run, for subscribers with a filter policy.
            attempt: The number of times that the message was received, including this time, plus
                `Run.resent_ms`. It is a part of the deduplication id, and differs between all attempts.
            number: The number of a heartbeat within its attempt; None for other events.
            within: The time limit of the call in seconds; None for the usual limit, `CALL_SECONDS`.

        Raises:
            StatusUnavailable: SNS refused the event or failed.
            OutOfTime: SNS did not answer within `within` seconds.
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
            message["MessageDeduplicationId"] = deduplication_id(
                run_id=event.run_id, event_type=event.type, attempt=attempt, number=number
            )
        with making:
            if self._sns is None:
                self._sns = client("sns", self._settings)
        with service_call(StatusUnavailable, arn, within):
            self._sns.publish(**message)


def deduplication_id(*, run_id: str, event_type: str, attempt: int, number: int | None = None) -> str:
    """Return the deduplication id of an event: `{runId}:{type}:{attempt}`, and `:{number}` for a heartbeat.

    If this text is too long for SNS, the id is the SHA-256 hash of the text.
    """
    plain = f"{run_id}:{event_type}:{attempt}" + ("" if number is None else f":{number}")
    return plain if len(plain) <= MAX_DEDUPLICATION_ID else sha256(plain.encode()).hexdigest()

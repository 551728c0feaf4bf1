"""The stored form of a dead letter: the unchanged message, and the outcome of the run that it requested.

    {metrics prefix}_dead-letters/{YYYY-MM-DD}/{messageId}.json

A dead letter is a message that SQS moved to the dead-letter queue because it was returned to the request
queue too often. The dead-letter function writes these objects, and tools read them. The document is a public
contract, to which later versions may add fields. Metric codes never begin with an underscore, so the key of a
dead letter is never under the prefix of a metric.
"""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from metrics_worker.problem import first_problem

type Outcome = Literal["SUCCESS", "FAILURE", "UNANSWERABLE"]


class DeadLetter(BaseModel):
    """A message from the dead-letter queue, and the outcome of its run.

    Attributes:
        message_id: The SQS message id.
        outcome: The published outcome of the run; UNANSWERABLE if the message does not identify a run.
        why: The reason for the outcome, in words for operators.
        run_id: The run id; an empty string if the message does not identify a run.
        metric_code: The metric code; an empty string if `run_id` is empty.
        kept_at: The time at which the dead letter was stored (ISO 8601, UTC).
        attributes: The SQS system attributes of the message.
        body: The unchanged body of the message.
    """

    model_config = ConfigDict(frozen=True)

    message_id: str
    outcome: Outcome
    why: str
    run_id: str = ""
    metric_code: str = ""
    kept_at: str
    attributes: dict[str, str]
    body: str

    @property
    def group(self) -> str:
        """The SQS message group id of the message."""
        return self.attributes["MessageGroupId"]

    @property
    def sent_at(self) -> datetime:
        """The time, in UTC, at which the message was sent to the request queue."""
        return sent_at(self.attributes)

    def encode(self) -> bytes:
        """Return the dead letter as a JSON document, without empty fields.

        The document contains only ASCII characters, because a message can contain half of a surrogate pair,
        which UTF-8 cannot encode.
        """
        return json.dumps(self.model_dump(exclude_defaults=True), indent=2).encode()

    @classmethod
    def parse(cls, document: bytes) -> Self:
        """Return the dead letter that a stored JSON document contains.

        Raises:
            ValueError: The document is not a dead letter. The text of the error is one line.
        """
        try:
            letter = cls.model_validate(json.loads(document))
            _ = letter.group, letter.sent_at
        except ValidationError as error:
            path, problem = first_problem(error)
            raise ValueError(f"{path}: {problem}" if path else problem) from None
        except KeyError as error:
            raise ValueError(f"attributes.{error.args[0]}: missing") from None
        except RecursionError as error:
            raise ValueError(str(error)) from None
        return letter


def sent_at(attributes: Mapping[str, str]) -> datetime:
    """Return the time, in UTC, at which a message was sent.

    Args:
        attributes: The SQS system attributes of the message.

    Raises:
        KeyError: The attributes do not contain `SentTimestamp`.
    """
    return datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC)


def dead_letters(metrics_prefix: str, day: date | None = None) -> str:
    """Return the key prefix of all dead letters; with `day`, of the messages sent on this day (UTC)."""
    return f"{metrics_prefix}_dead-letters/" + (f"{day.isoformat()}/" if day else "")


def dead_letter_key(metrics_prefix: str, letter: DeadLetter) -> str:
    """Return the S3 key of a dead letter. The key is the same at every delivery of the message."""
    return f"{dead_letters(metrics_prefix, letter.sent_at.date())}{letter.message_id}.json"

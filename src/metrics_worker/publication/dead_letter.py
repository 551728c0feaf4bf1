"""The stored form of a dead letter: a message that was given up, unchanged, and the outcome of its run.

    {metrics prefix}_dead-letters/{YYYY-MM-DD}/{messageId}.json

The dead-letter function writes these objects, and tools read them. The document is a public contract: fields
may be added. The prefix begins with an underscore, which no metric code does.
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
        why: The reason for the outcome, in words.
        run_id: The run id; empty, and not stored, if the message does not identify a run.
        metric_code: The metric code; empty, and not stored, if `run_id` is empty.
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
        """The message group of the message."""
        return self.attributes["MessageGroupId"]

    @property
    def sent_at(self) -> datetime:
        """The time at which the message was sent, in UTC."""
        return sent_at(self.attributes)

    def encode(self) -> bytes:
        """Return the stored document.

        It contains only ASCII characters, because a message may hold half of a surrogate pair, which UTF-8
        cannot encode.
        """
        return json.dumps(self.model_dump(exclude_defaults=True), indent=2).encode()

    @classmethod
    def parse(cls, document: bytes) -> Self:
        """Read a stored document.

        Raises:
            ValueError: The document is not a dead letter; the text is one line.
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
    """Return the time at which a message was sent, in UTC, from its SQS system attributes.

    Raises:
        KeyError: The message has no such time.
    """
    return datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC)


def dead_letters(metrics_prefix: str, day: date | None = None) -> str:
    """Return the key prefix of the dead letters that were sent on one day (UTC), or of all dead letters."""
    return f"{metrics_prefix}_dead-letters/" + (f"{day.isoformat()}/" if day else "")


def dead_letter_key(metrics_prefix: str, letter: DeadLetter) -> str:
    """Return the key of a dead letter. It is the same at every delivery of the message."""
    return f"{dead_letters(metrics_prefix, letter.sent_at.date())}{letter.message_id}.json"

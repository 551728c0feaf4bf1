"""The time at which the work of an invocation must stop.

Lambda kills an invocation that exceeds its timeout and delivers the whole batch again, finished messages
included. Therefore work stops `RESERVED_SECONDS` before the timeout: no step begins after that time, and
calls to S3, SNS and SQS that are in flight are cut off. The reserved time is for the one call that returns
messages to the queue, and for the log lines.
"""

from collections.abc import Callable
from dataclasses import dataclass

from metrics_worker.errors import OutOfTime

RESERVED_SECONDS = 20.0
"""The seconds before Lambda's timeout in which no step begins. Returning messages takes at most 9 s."""
ANSWER_SECONDS = 1.0
"""The seconds that must remain after the call that returns messages, for the log lines and the response."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The time at which the work of one invocation must stop.

    Attributes:
        remaining_ms: a function that returns the milliseconds until Lambda's timeout.
    """

    remaining_ms: Callable[[], int]

    def seconds_left(self) -> float:
        """Return the seconds until work must stop; a negative number after the deadline."""
        return self.remaining_ms() / 1000 - RESERVED_SECONDS

    def last_call_seconds(self) -> float:
        """Return the time limit, in seconds, of the call that returns messages to the queue."""
        return self.remaining_ms() / 1000 - ANSWER_SECONDS

    def check(self, needed: float = 0.0) -> None:
        """Raise OutOfTime if there is too little time for the next step.

        Args:
            needed: the seconds that the next step is expected to take.

        Raises:
            OutOfTime: fewer seconds than `needed` are left until the deadline.
        """
        if (left := self.seconds_left()) < needed:
            ahead = f", {needed:.0f} s would be needed" if needed else ""
            raise OutOfTime(
                "invocation",
                f"{left + RESERVED_SECONDS:.1f} s left, {RESERVED_SECONDS:.0f} s are kept in reserve{ahead}",
            )

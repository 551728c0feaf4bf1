"""The end of an invocation, and how long before it work must stop.

Lambda kills what overruns and returns the whole batch, what is done included. So no step begins within the
reserve, and every call to S3, SNS or SQS that is under way is cut off where the reserve begins. The reserve
covers the one call that is made in it, which gives messages back, and the log lines.
"""

from collections.abc import Callable
from dataclasses import dataclass

from metrics_worker.errors import OutOfTime

RESERVED_SECONDS = 20.0
"""What must remain of the invocation at each step: the last call takes at most 9 s (`aws`)."""
ANSWER_SECONDS = 1.0
"""What must remain after the last call, for the log lines and the answer to Lambda."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """When work must stop. `remaining_ms` is what is left of the invocation."""

    remaining_ms: Callable[[], int]

    def seconds_left(self) -> float:
        """Until the reserve begins; below zero within it."""
        return self.remaining_ms() / 1000 - RESERVED_SECONDS

    def last_call_seconds(self) -> float:
        """Return how long the call may take that gives messages back, within the reserve."""
        return self.remaining_ms() / 1000 - ANSWER_SECONDS

    def check(self, needed: float = 0.0) -> None:
        """Stop before it is too late.

        Args:
            needed: seconds that what comes next is expected to take.

        Raises:
            OutOfTime: there are not so many left.
        """
        if (left := self.seconds_left()) < needed:
            ahead = f", {needed:.0f} s would be needed" if needed else ""
            raise OutOfTime(
                "invocation",
                f"{left + RESERVED_SECONDS:.1f} s left, {RESERVED_SECONDS:.0f} s are kept in reserve{ahead}",
            )

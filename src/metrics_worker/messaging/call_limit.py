"""The time limit of one call to AWS, which the connection obeys at every step.

botocore's timeouts count per connection and per read, so a service that sends a byte now and then holds a
call without end. Therefore a call carries the moment at which it is cut off, and every wait for the network
asks how long it may last. The limit belongs to the calling thread, which makes its calls one at a time.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

RETRY_SECONDS = 1.0
"""The longest that botocore waits before its second attempt."""


class CutOffError(Exception):
    """The call's time is used up. botocore does not know this error, so it does not try again."""


@dataclass(slots=True)
class CallLimit:
    """The end of one call, by the monotonic clock, and what is known of its requests.

    Attributes:
        ends: when the call is cut off.
        sent: whether the current request has begun to leave.
        unanswered: requests that left and were never answered: they may still take effect.
    """

    ends: float
    sent: bool = False
    unanswered: int = 0

    def left(self) -> float:
        """Return the seconds that are left; zero or less if none are."""
        return self.ends - time.monotonic()


_limit: ContextVar[CallLimit | None] = ContextVar("_limit", default=None)


@contextmanager
def limited(seconds: float) -> Iterator[CallLimit]:
    """Limit the calls of this thread to so many seconds in all."""
    limit = CallLimit(time.monotonic() + seconds)
    token = _limit.set(limit)
    try:
        yield limit
    finally:
        _limit.reset(token)


def current_limit() -> CallLimit:
    """Return the limit of the call that is under way; one without an end if it has none."""
    return _limit.get() or CallLimit(float("inf"))


def at_most(seconds: float | None) -> float:
    """Return how long the next step may wait: so many seconds, or less if the call's end comes first.

    Raises:
        TimeoutError: the call's time is used up.
    """
    left = current_limit().left()
    if left <= 0:
        raise TimeoutError("the call's time is used up")
    return left if seconds is None else min(seconds, left)

"""The time limit of one call to AWS, which applies to every step of the call.

botocore's timeouts apply to each connection and to each read, so a service that sends one byte at a time can
delay a call without limit. Therefore each call has a time limit, and no wait for the network exceeds the time
that is left. The limit belongs to the calling thread, which makes one call at a time.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

RETRY_SECONDS = 1.0
"""The maximum time in seconds that botocore waits before its second attempt."""


class CutOffError(Exception):
    """The error of a call that reached its time limit. botocore does not retry after it."""


@dataclass(slots=True)
class CallLimit:
    """The time limit of one call to AWS, and the state of the HTTP requests that the call makes.

    Attributes:
        ends: The time at which the call must have ended, in seconds of the monotonic clock.
        sent: Whether any part of the current request was sent.
        unanswered: The number of requests that were sent but not answered. Such a request may still take
            effect.
    """

    ends: float
    sent: bool = False
    unanswered: int = 0

    def left(self) -> float:
        """Return the seconds that are left for the call; zero or a negative number after the time limit."""
        return self.ends - time.monotonic()


_limit: ContextVar[CallLimit | None] = ContextVar("_limit", default=None)


@contextmanager
def limited(seconds: float) -> Iterator[CallLimit]:
    """Limit the total time of this thread's calls to AWS in the `with` block, and yield the limit."""
    limit = CallLimit(time.monotonic() + seconds)
    token = _limit.set(limit)
    try:
        yield limit
    finally:
        _limit.reset(token)


def current_limit() -> CallLimit:
    """Return the time limit of this thread's current call; without one, a limit that is never reached."""
    return _limit.get() or CallLimit(float("inf"))


def at_most(seconds: float | None) -> float:
    """Return the number of seconds that the next step of this thread's call may wait.

    This is `seconds`, or less if the call must end earlier; with None, it is the time that is left for the
    call.

    Raises:
        TimeoutError: The call has reached its time limit.
    """
    left = current_limit().left()
    if left <= 0:
        raise TimeoutError("the call's time is used up")
    return left if seconds is None else min(seconds, left)

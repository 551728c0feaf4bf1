"""The time limit of one call to AWS, which applies to every step of the call.

botocore's timeouts apply to each connection and to each read, so a service that sends one byte at a time can
delay a call without limit. Therefore each call has an end, and every wait for the network is limited by the
time that is left. The limit belongs to the calling thread, which makes one call at a time.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

RETRY_SECONDS = 1.0
"""The maximum time in seconds that botocore waits before its second attempt."""


class CutOffError(Exception):
    """The error of a call that reached its time limit. botocore does not know it, so it does not retry."""


@dataclass(slots=True)
class CallLimit:
    """The time limit of one call, and the state of its requests.

    Attributes:
        ends: The end of the call, in seconds of the monotonic clock.
        sent: Whether a part of the current request was sent.
        unanswered: The number of requests that were sent but not answered; they may still take effect.
    """

    ends: float
    sent: bool = False
    unanswered: int = 0

    def left(self) -> float:
        """Return the seconds until the end of the call; zero or negative after it."""
        return self.ends - time.monotonic()


_limit: ContextVar[CallLimit | None] = ContextVar("_limit", default=None)


@contextmanager
def limited(seconds: float) -> Iterator[CallLimit]:
    """Limit the calls that this thread makes in the context to this total time."""
    limit = CallLimit(time.monotonic() + seconds)
    token = _limit.set(limit)
    try:
        yield limit
    finally:
        _limit.reset(token)


def current_limit() -> CallLimit:
    """Return the limit of the current call, or a limit without an end if no call is limited."""
    return _limit.get() or CallLimit(float("inf"))


def at_most(seconds: float | None) -> float:
    """Return how many seconds the next step may wait: the given number, or less if the call ends earlier.

    Raises:
        TimeoutError: The call has reached its time limit.
    """
    left = current_limit().left()
    if left <= 0:
        raise TimeoutError("the call's time is used up")
    return left if seconds is None else min(seconds, left)

"""Heartbeats: a background thread as a context manager.

From the start of a run to its end it publishes the run's true progress and keeps its message invisible.
It can neither fail nor outlive the run: what goes wrong is counted for the run's log line, and leaving
the context waits for the thread, since Lambda freezes a process between invocations.

A heartbeat that was sent and not answered may arrive later, even after the run's outcome. So it is sent again
under its own number until SNS answers: of two with one deduplication id, SNS drops the one that comes later.
"""

from collections.abc import Callable
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self


class Heartbeat:
    """A thread that calls `publish(number, progress)` and `extend()` every `interval` seconds.

    Args:
        publish: publishes one heartbeat, and returns whether it did: before the run's start it does not.
            Numbers run from 1. After a heartbeat that was not due, or not answered, the same number comes
            again. Progress is 0-1 and never falls.
        interval: seconds; None for no heartbeats.
        extend: keeps the run's message invisible.

    Attributes:
        sent: heartbeats that went out.
        failed: heartbeats of which something failed.
        last_error: what failed last.
        may_arrive: one was sent and has not been answered yet, so it may still arrive.
    """

    def __init__(
        self,
        publish: Callable[[int, float], bool],
        interval: float | None,
        extend: Callable[[], None] = lambda: None,
    ) -> None:
        self._publish = publish
        self._extend = extend
        self._interval = interval
        self._number = 1
        self._progress = 0.0
        self._advancing = Lock()
        self._over = Event()
        self._thread = Thread(target=self._run, name="heartbeat", daemon=True) if interval else None
        self.sent = 0
        self.failed = 0
        self.last_error = ""
        self.may_arrive = False

    def advance(self, progress: float) -> None:
        """Note that the run has come so far (0-1). Several threads may call this."""
        with self._advancing:
            self._progress = max(self._progress, min(progress, 1.0))

    def __enter__(self) -> Self:
        try:
            if self._thread:
                self._thread.start()
        except RuntimeError as error:  # no thread to be had: the run does without heartbeats
            self._thread, self.failed, self.last_error = None, 1, f"{type(error).__name__}: {error}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()  # bounded by the deadline: nothing may follow the completed event

    def _run(self) -> None:
        while not self._over.wait(self._interval):
            problems = [problem for problem in (self._beat(), _problem_of(self._extend)) if problem]
            self._count(problems)
        if self.may_arrive:
            self._count([problem for problem in (self._beat(),) if problem])

    def _beat(self) -> Exception | None:
        """Publish one heartbeat, and return what it failed with."""
        try:
            went_out = self._publish(self._number, self._progress)
        except Exception as error:  # noqa: BLE001 - a heartbeat that fails must not fail the run
            self.may_arrive |= bool(getattr(error, "may_arrive", False))
            # A refused heartbeat may have been taken all the same, so its number is used up.
            self._number += not self.may_arrive
            return error
        self.sent += went_out
        self._number += went_out
        self.may_arrive &= not went_out
        return None

    def _count(self, problems: list[Exception]) -> None:
        if problems:
            self.failed += 1
            self.last_error = f"{type(problems[-1]).__name__}: {problems[-1]}"


def _problem_of(work: Callable[[], None]) -> Exception | None:
    """Do it, and return what it failed with."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - as above
        return error
    return None

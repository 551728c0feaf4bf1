"""Heartbeats: a background thread, controlled by a context manager.

During a run, the thread publishes the actual progress and extends the visibility timeout of the message.
Errors of the thread do not fail the run; they are counted for the closing log line. At the end of the
context, the run waits for the thread to end, because Lambda freezes the process between invocations.

A heartbeat that was sent but not answered may arrive late, even after the outcome of the run. Such a
heartbeat is sent again with the same number until SNS answers, because SNS drops the second of two events
with the same deduplication id.
"""

from collections.abc import Callable
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self


class Heartbeat:
    """A thread that calls `publish(number, progress)` and `extend()` every `interval` seconds.

    Args:
        publish: A function that publishes one heartbeat and returns True, or returns False if the started
            event is not published yet. Numbers begin at 1; the number of a heartbeat that was not published
            or not answered is used again. Progress is between 0 and 1 and never falls.
        interval: The time between two heartbeats in seconds; None for no heartbeats.
        extend: A function that extends the visibility timeout of the run's message.

    Attributes:
        sent: The number of published heartbeats.
        failed: The number of heartbeats with an error in `publish` or `extend`.
        last_error: The class name and text of the last error in `publish` or `extend`; "" if none.
        may_arrive: Whether a heartbeat was sent but not answered yet. Such a heartbeat may arrive later.
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
        """Set the progress of the run to this value (0 to 1), unless it is higher already.

        Several threads can call this method.
        """
        with self._advancing:
            self._progress = max(self._progress, min(progress, 1.0))

    def __enter__(self) -> Self:
        try:
            if self._thread:
                self._thread.start()
        except RuntimeError as error:  # if no thread can be started, the run has no heartbeats
            self._thread, self.failed, self.last_error = None, 1, f"{type(error).__name__}: {error}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()  # at most until the deadline; nothing may follow the completed event

    def _run(self) -> None:
        while not self._over.wait(self._interval):
            problems = [problem for problem in (self._beat(), _problem_of(self._extend)) if problem]
            self._count(problems)
        if self.may_arrive:
            self._count([problem for problem in (self._beat(),) if problem])

    def _beat(self) -> Exception | None:
        """Publish one heartbeat. Return the exception if the publication failed, otherwise None."""
        try:
            went_out = self._publish(self._number, self._progress)
        except Exception as error:  # noqa: BLE001 - a heartbeat that fails must not fail the run
            self.may_arrive |= bool(getattr(error, "may_arrive", False))
            # SNS may have accepted the heartbeat despite the error, so its number is not used again.
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
    """Call a function, and return the exception that it raises, or None."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - as above
        return error
    return None

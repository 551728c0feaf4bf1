"""Heartbeats: a background thread as a context manager.

From the start of a run to its end it publishes the run's true progress and keeps its message invisible.
It can neither fail nor outlive the run: what goes wrong is counted for the run's log line, and leaving
the context waits for the thread, since Lambda freezes a process between invocations.
"""

from collections.abc import Callable
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self


class Heartbeat:
    """Calls `beat(number, progress)` every `interval` seconds, in a thread of its own.

    Args:
        beat: publishes one heartbeat, and tells whether it did: before the run's start it does not. Numbers
            run from 1, and the one of a heartbeat that did not go out is given again; progress is 0-1 and
            never falls.
        interval: seconds; None for no heartbeats.

    Attributes:
        sent: heartbeats that went out.
        failed: those that did not.
        last_error: of the last that did not.
    """

    def __init__(self, beat: Callable[[int, float], bool], interval: float | None) -> None:
        self._beat = beat
        self._interval = interval
        self._progress = 0.0
        self._advancing = Lock()
        self._over = Event()
        self._thread = Thread(target=self._run, name="heartbeat", daemon=True) if interval else None
        self.sent = 0
        self.failed = 0
        self.last_error = ""

    def advance(self, progress: float) -> None:
        """The run has come so far (0-1). May be called by several threads."""
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
            self._thread.join()  # bounded by the clients' timeouts: nothing may follow the completed event

    def _run(self) -> None:
        while not self._over.wait(self._interval):
            try:
                # One that failed may have gone out all the same: its number is used up.
                self.sent += self._beat(self.sent + self.failed + 1, self._progress)
            except Exception as error:  # noqa: BLE001 - a heartbeat that fails must not fail the run
                self.failed += 1
                self.last_error = f"{type(error).__name__}: {error}"

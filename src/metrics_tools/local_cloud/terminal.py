"""What is printed: plain lines, with a little colour where standard output is a terminal that wants it."""

import os
import sys
import time
from threading import Lock

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


_REDRAW_SECONDS = 0.1


class Terminal:
    """Prints lines, and progress that is overwritten in place. Threads may print side by side.

    Colour and progress in place are for terminals; `NO_COLOR` (https://no-color.org) switches colour off.
    """

    def __init__(self) -> None:
        self._interactive = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._colour = self._interactive and not os.environ.get("NO_COLOR")
        self._lock = Lock()
        self._open = ""
        self._drawn_at = 0.0
        self.began = time.monotonic()

    def styled(self, text: str, *styles: str) -> str:
        """The text in a style: bold, dim, red, green, yellow, cyan."""
        if not self._colour:
            return text
        return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"

    def line(self, text: str = "") -> None:
        """Print a line."""
        with self._lock:
            self._erase()
            print(text, flush=True)

    def step(self, text: str) -> None:
        """Print the heading of a step, with the seconds since the beginning."""
        clock = self.styled(f"{time.monotonic() - self.began:5.1f} s", "dim")
        self.line(f"{clock}  {self.styled(text, 'bold')}")

    def progress(self, text: str) -> None:
        """Show how far a step is, in place, ten times a second at most; only on a terminal."""
        with self._lock:
            now = time.monotonic()
            if not self._interactive or now - self._drawn_at < _REDRAW_SECONDS:
                return
            self._erase()
            self._open = "         " + text
            self._drawn_at = now
            print(self._open, end="", flush=True)

    def _erase(self) -> None:
        if self._open:
            print("\r\x1b[K", end="")
            self._open = ""

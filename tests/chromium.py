"""The Chromium with which tests look at pages: one that the machine has; none is downloaded.

`python -m tests.chromium` prints where it is, and fails where there is none.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find() -> str | None:
    """Its program: `CHROME` of the environment, or what is on PATH."""
    chosen = os.environ.get("CHROME")
    return shutil.which(chosen) if chosen else next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def browser(program: str) -> Iterator[Browser]:
    """A browser with nothing of the user's: its profile is new, and gone at the end."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield running
        finally:
            running.close()


if __name__ == "__main__":
    print(find() or "none")  # noqa: T201 - that is its job
    sys.exit(find() is None)

"""The installed Chromium, in which the browser tests open pages. The tests never download a browser.

`python -m tests.chromium` prints the path of Chromium, or fails if no Chromium is installed.
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
    """Return the path of the browser, or None if no browser is installed.

    The environment variable `CHROME` has precedence over the browsers on PATH.
    """
    chosen = os.environ.get("CHROME")
    return shutil.which(chosen) if chosen else next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def browser(program: str) -> Iterator[Browser]:
    """Start the browser at a path with an empty temporary profile, and close it after the `with` block."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield running
        finally:
            running.close()


if __name__ == "__main__":
    print(find() or "none")  # noqa: T201 - the output of the command
    sys.exit(find() is None)

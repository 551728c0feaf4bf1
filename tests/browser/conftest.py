"""Fixtures that open pages in a browser.

A test fails if its page logs a message, opens a dialog or uses the network.
"""

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from tests import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def browser():
    program = chromium.find()
    if program is None:
        pytest.skip("no Chromium: `apt-get install chromium`, or set CHROME=/path/to/it")
    with chromium.browser(program) as running:
        yield running


@pytest.fixture(scope="module")
def unused(browser):  # noqa: ARG001 - close the pages before the browser
    """Yield the empty pages that no test uses at the moment, from which the fixture `look` takes pages.

    The result is a dict from the sorted (name, value) pairs of the options with which a page was opened to a
    list of pages. The tests of a module use the same pages again, because a new page takes half a second of
    processor time.
    """
    pages: defaultdict[tuple[tuple[str, Any], ...], list[Page]] = defaultdict(list)
    yield pages
    for page in itertools.chain.from_iterable(pages.values()):
        page.context.close()


@pytest.fixture
def look(browser, unused):
    """Yield `look(path, width=…, height=…, …)`, which opens a file in a browser and returns the `Page`.

    The width and the height of the page are in pixels. Further arguments are options of Playwright's browser
    context. At the end, the test fails if a page logged a message, opened a dialog or made a network request.
    """
    opened, complaints, requested = [], [], []

    def refuse(dialog):
        complaints.append(dialog.message)
        dialog.dismiss()

    listeners = {
        "console": lambda message: complaints.append(message.text),
        "pageerror": lambda error: complaints.append(str(error)),
        "dialog": refuse,
        "request": lambda request: requested.append(request.url),
    }

    def open_it(path, *, width=1100, height=900, **options):
        kind = tuple(sorted(options.items()))
        page = unused[kind].pop() if unused[kind] else browser.new_context(**options).new_page()
        opened.append((kind, page))
        page.set_viewport_size({"width": width, "height": height})
        page.set_default_timeout(10_000)
        for event, listener in listeners.items():
            page.on(event, listener)
        page.goto(path.as_uri())
        return page

    yield open_it
    for kind, page in opened:
        for event, listener in listeners.items():
            page.remove_listener(event, listener)
        page.mouse.move(0, 0)
        page.evaluate("() => localStorage.clear()")
        page.goto("about:blank")
        unused[kind].append(page)
    assert complaints == []
    assert [url for url in requested if not url.startswith(("file://", "blob:"))] == []

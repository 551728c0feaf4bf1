"""Fixtures that open pages in a browser.

A test fails if its page logs a message, opens a dialog or uses the network.
"""

import pytest

from tests import chromium


@pytest.fixture(scope="module")
def browser():
    program = chromium.find()
    if program is None:
        pytest.skip("no Chromium: `apt-get install chromium`, or set CHROME=/path/to/it")
    with chromium.browser(program) as running:
        yield running


@pytest.fixture
def look(browser):
    """Return a function that opens a page: `look(path, width=…, height=…, …)`. Sizes are in pixels.

    At the end, the test fails if a page logged a message, opened a dialog or made a network request.
    """
    contexts, complaints, requested = [], [], []

    def refuse(dialog):
        complaints.append(dialog.message)
        dialog.dismiss()

    def open_it(path, *, width=1100, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", refuse)
        page.on("request", lambda request: requested.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requested if not url.startswith(("file://", "blob:"))] == []

"""The page of runs that are not usual: texts like markup, values at the ends of float64, many of all."""

import re

import numpy as np
import pytest

from explain.nodes import counted
from explain.page import ShownEvent, ShownRun, write
from metrics_worker.expression.grammar import parse
from metrics_worker.series import Series
from metrics_worker.traffic import MAX_REQUESTS, Timed, Trace
from tests.browser.pages import NOW

DAY = 86_400_000_000
NASTY = "</script><script>alert(1)</script><!--\"><img src=x onerror=alert(2)>'&amp;"
HUGE, TINY = 1.7976931348623157e308, 5e-324


def series(values, times=None):
    return Series(
        np.arange(len(values)) * DAY if times is None else np.array(times), np.array(values, dtype=float)
    )


@pytest.fixture
def show(look, tmp_path):
    """The page of one run."""

    def show_it(metric, **fields):
        path = tmp_path / "page.html"
        write(path, [ShownRun("m.x", "r-1", status="SUCCESS", metric=metric, **fields)], now=NOW)
        return look(path)

    return show_it


def told(page):
    """What a screen reader is told at the cursor."""
    return page.locator(".plot").get_attribute("aria-valuetext")


def paths(page):
    return page.locator(".plot path").evaluate_all("all => all.map((one) => one.getAttribute('d'))")


@pytest.mark.parametrize(
    "values",
    [[HUGE, -HUGE, 1.0], [TINY, -TINY, 0.0], [5.0], [0.0, -0.0], [1e15, 1e15 + 0.25], [1e-7, 2e-7]],
    ids=str,
)
def test_values_of_any_size_are_drawn_and_told_exactly(show, values):
    page = show(series(values), inputs={"A": series(values), "B": series([1.0, 2.0])})
    for scale in ("each over its own range", "as they are"):
        page.locator(".scale select").select_option(scale)
        drawn = [*paths(page), *page.locator(".plot text").all_text_contents()]
        assert not any(re.search("NaN|Infinity|undefined", text) for text in drawn)
    page.locator(".plot").focus()
    page.keyboard.press("Home")
    for value in values:
        told = page.locator(".reading b").first.inner_text()
        assert float(told.replace("\N{MINUS SIGN}", "-")) == value
        page.keyboard.press("ArrowRight")


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "1970-01-01"),
        (3 * 3_600_000_000, "1970-01-01 03:00"),
        (1_500_000, "1970-01-01 00:00:01.500"),
        (1_000_001, "1970-01-01 00:00:01.000001"),
        (-1, "1969-12-31 23:59:59.999999"),
        (253_402_300_800_000_000, "+010000-01-01"),
    ],
)
def test_times_are_told_as_fine_as_they_are(show, microseconds, text):
    page = show(series([1.0], [microseconds]))
    assert told(page) == f"{text}: m.x 1"


def test_observations_of_every_minute_can_be_read_one_by_one(show):
    minutes = np.arange(3000) * 60_000_000
    page = show(series(np.arange(3000.0), minutes))
    page.locator(".plot").focus()
    for _ in range(12):
        page.keyboard.press("+")
    labels = page.locator(".plot text").all_text_contents()
    assert any(re.fullmatch(r"\d\d:\d\d", label) for label in labels)
    page.keyboard.press("ArrowLeft")
    assert told(page) == "1970-01-03 01:58: m.x 2998"


def test_texts_that_would_be_markup_are_texts(show):
    expression = parse({"op": "add", "left": {"series_code": "A<b>"}, "right": {"series_code": "A<b>"}})
    inputs = {"A<b>": series([1.0, 2.0])}
    page = show(
        series([2.0, 4.0]),
        title=NASTY,
        unit=NASTY,
        error=NASTY,
        complaints=["that " + NASTY[:20]],
        inputs=inputs | {NASTY: series([1.0])},
        expression=counted(expression, inputs),
        facts=[(NASTY, NASTY)],
        keys=[NASTY],
        events=[ShownEvent(NOW, NASTY, NASTY)],
        manifest={NASTY: NASTY},
        trace=Trace(0.0, NOW.timestamp(), [Timed("GET", NASTY, 0.0, 0.1, 0, NASTY)], [(NASTY, 0.0, 0.1)]),
    )
    page.evaluate("() => { for (const fold of document.querySelectorAll('details')) fold.open = true; }")
    page.locator("caption", has_text="Requests").wait_for()
    page.locator("svg.lanes").first.hover()
    assert page.locator("script").count() == 2
    assert page.locator("main img, main b:not(.reading b)").count() == 0
    assert page.locator("h2").inner_text() == NASTY
    assert NASTY in page.locator(".asked").inner_text()


def test_many_inputs_are_named_and_eight_of_them_drawn(show):
    page = show(series([1.0, 2.0]), inputs={f"S{number}": series([1.0, 2.0]) for number in range(40)})
    assert len(paths(page)) == 1 + 8
    assert "and 32 more inputs, in the table" in page.locator(".reading").inner_text()
    page.locator("figure summary").click()
    assert page.locator("figure thead th").count() == 1 + 1 + 40
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_long_series_is_drawn_with_few_points_and_read_whole(show):
    values = np.sin(np.arange(150_000.0))
    values[77_777] = 9.0
    page = show(series(values))
    (path,) = paths(page)
    assert path.count("L") < 5000
    assert page.locator(".plot").get_attribute("aria-valuemax") == "149999"


def test_a_series_beyond_the_page_says_how_much_of_it_is_there(show):
    page = show(series(np.arange(250_000.0)))
    assert re.search(r"m\.x \([\d,]+ of 250,000 observations\)", page.locator(".reading").inner_text())


def test_the_most_requests_that_a_trace_has_make_one_page_of_rows(show):
    asked = [Timed("GET", f"k/{number}", number / 100, 0.5, 10) for number in range(MAX_REQUESTS)]
    page = show(series([1.0]), trace=Trace(0.0, NOW.timestamp(), asked, []))
    page.locator("details.waterfall-of > summary").click()
    assert page.locator("svg.lanes").count() == 1
    page.locator("details.waterfall-of details summary").click()
    page.get_by_role("button", name="Later").click()
    assert page.locator("details.waterfall-of caption").inner_text() == "Requests: 51 to 100 of 2,000"


def test_a_version_without_observations_has_a_page_without_a_chart(show):
    page = show(series([]), inputs={"A": series([])})
    assert page.locator("figure").count() == 0

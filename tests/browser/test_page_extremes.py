"""The page shows unusual runs correctly: texts that look like markup, extreme values, many inputs."""

import re

import numpy as np
import pytest
from playwright.sync_api import Page

from metrics_tools.describe.nodes import counted
from metrics_tools.page import ShownEvent, ShownRun, page
from metrics_worker.expression.grammar import parse
from metrics_worker.observability.traffic import MAX_REQUESTS, Timed, Trace
from metrics_worker.series import Series
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
    """Return `show(metric, **fields)`, which opens the HTML page of one run and returns Playwright's `Page`.

    `metric` is the `Series` that the run has computed, and `fields` are further fields of the `ShownRun`.
    """

    def show_it(metric, **fields):
        path = tmp_path / "page.html"
        run = ShownRun("m.x", "r-1", status="SUCCESS", metric=metric, **fields)
        path.write_text(page([run], now=NOW), encoding="utf-8")
        return look(path)

    return show_it


def reading(page: Page) -> str | None:
    """Return the text that a screen reader announces for the date that is selected in the only chart."""
    return page.locator(".plot").get_attribute("aria-valuetext")


def paths(page):
    return page.locator(".plot path").evaluate_all("all => all.map((one) => one.getAttribute('d'))")


@pytest.mark.parametrize(
    "values",
    [[HUGE, -HUGE, 1.0], [TINY, -TINY, 0.0], [5.0], [0.0, -0.0], [1e15, 1e15 + 0.25], [1e-7, 2e-7]],
    ids=str,
)
def test_values_of_any_size_are_drawn_and_displayed_exactly(show, values):
    page = show(series(values), inputs={"A": series(values), "B": series([1.0, 2.0])})
    for scale in ("each over its own range", "actual values"):
        page.locator(".scale select").select_option(scale)
        drawn = [*paths(page), *page.locator(".plot text").all_text_contents()]
        assert not any(re.search("NaN|Infinity|undefined", text) for text in drawn)
    page.locator(".plot").focus()
    page.keyboard.press("Home")
    for value in values:
        shown = page.locator(".reading b").first.inner_text()
        assert float(shown.replace("\N{MINUS SIGN}", "-")) == value
        page.keyboard.press("ArrowRight")


@pytest.mark.parametrize(
    "values",
    [[TINY, 1.0, HUGE], [TINY, 2 * TINY], [TINY], [HUGE, HUGE / 2], [HUGE]],
    ids=str,
)
def test_a_linear_and_a_log_axis_reach_the_limits_of_float64(show, values):
    page = show(series(values))
    for _ in range(2):
        labels = page.locator(".plot text[text-anchor=end]").all_text_contents()
        assert labels
        assert not any(re.search("NaN|Infinity|∞", label) for label in labels)
        (path,) = paths(page)
        heights = [float(y) for y in re.findall(r"[ML]\S+ ([-\d.]+)", path)]
        assert len(heights) == len(values)
        assert 10 <= min(heights) <= max(heights) <= 10 + 230, "the line is inside the axis"
        page.get_by_role("button", name="Log scale").click()
    assert len(values) == 1 or heights[0] != heights[-1]


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
def test_times_are_displayed_with_full_precision(show, microseconds, text):
    page = show(series([1.0], [microseconds]))
    assert reading(page) == f"{text}: m.x 1"


def test_the_cursor_reaches_every_observation_of_a_minutely_series(show):
    minutes = np.arange(3000) * 60_000_000
    page = show(series(np.arange(3000.0), minutes))
    page.locator(".plot").focus()
    for _ in range(12):
        page.keyboard.press("+")
    labels = page.locator(".plot text").all_text_contents()
    assert any(re.fullmatch(r"\d\d:\d\d", label) for label in labels)
    page.keyboard.press("ArrowLeft")
    assert reading(page) == "1970-01-03 01:58: m.x 2998"


def test_text_that_looks_like_markup_is_shown_as_text(show):
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
    assert NASTY in page.locator(".hovered").inner_text()


def test_eight_of_many_inputs_are_drawn_and_all_are_in_the_table(show):
    page = show(series([1.0, 2.0]), inputs={f"S{number}": series([1.0, 2.0]) for number in range(40)})
    assert len(paths(page)) == 1 + 8
    assert "and 32 more inputs, in the table" in page.locator(".reading").inner_text()
    page.locator("figure summary").click()
    page.locator("figure thead").wait_for()  # the table is filled after the event of the opening
    assert page.locator("figure thead th").count() == 1 + 1 + 40
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_long_series_is_drawn_with_few_points_but_the_cursor_reaches_all(show):
    values = np.sin(np.arange(150_000.0))
    values[77_777] = 9.0
    page = show(series(values))
    (path,) = paths(page)
    assert path.count("L") < 5000
    assert page.locator(".plot").get_attribute("aria-valuemax") == "149999"


def test_a_series_too_long_for_the_page_shows_how_many_observations_are_left(show):
    page = show(series(np.arange(250_000.0)))
    assert re.search(r"m\.x \([\d,]+ of 250,000 observations\)", page.locator(".reading").inner_text())


def test_the_requests_of_the_largest_trace_are_shown_in_one_row_and_a_paged_table(show):
    requests = [Timed("GET", f"k/{number}", number / 100, 0.5, 10) for number in range(MAX_REQUESTS)]
    page = show(series([1.0]), trace=Trace(0.0, NOW.timestamp(), requests, []))
    page.locator("details.waterfall-of > summary").click()
    page.locator("svg.lanes").first.wait_for()
    assert page.locator("svg.lanes").count() == 1
    page.locator("details.waterfall-of details summary").click()
    page.get_by_role("button", name="Later").click()
    assert page.locator("details.waterfall-of caption").inner_text() == "Requests: 51 to 100 of 2,000"


def test_the_page_of_a_version_without_observations_has_no_chart(show):
    page = show(series([]), inputs={"A": series([])})
    assert page.locator("figure").count() == 0

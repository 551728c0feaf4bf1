"""The page is usable with zoom, with a keyboard, in both themes, on a phone and with a screen reader."""

from datetime import date
from itertools import pairwise

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.browser.pages import write_pages

PHONE = {"width": 390, "height": 844}
AA = 4.5

SEEN_TEXTS = """() => {
  const seen = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const ground = (one) => getComputedStyle(one).backgroundColor;
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const parent = node.parentElement, style = getComputedStyle(parent), range = document.createRange();
    if (!node.data.trim() || !parent.checkVisibility()) continue;
    if (parent.closest("script, noscript, :disabled, .sr")) continue;
    let below = parent;
    while (below && /, 0\\)$|transparent/.test(ground(below))) below = below.parentElement;
    range.selectNodeContents(node);
    seen.push({ text: node.data.trim(), color: parent.closest("svg") ? style.fill : style.color,
      ground: ground(below), right: range.getBoundingClientRect().right,
      framed: Boolean(parent.closest(".frame")) });
  }
  return seen;
}"""
SMALL_TARGETS = """() => [...document.querySelectorAll("button, select, summary")]
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 24)
  .map((one) => one.outerHTML)"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_pages(tmp_path_factory.mktemp("page") / "page.html")


@pytest.fixture
def page(look, path):
    return look(path)


@pytest.fixture
def figure(page):
    found = page.locator("#run-0 figure")
    found.locator(".plot").scroll_into_view_if_needed()
    return found


def unfolded(page: Page) -> Page:
    """Expand all collapsible sections of a page, and return the page."""
    page.evaluate("() => { for (const fold of document.querySelectorAll('details')) fold.open = true; }")
    page.locator("caption", has_text="Requests").first.wait_for()
    page.locator("caption", has_text="Observations").first.wait_for()
    return page


def view(figure: Locator) -> tuple[date, date]:
    """Return the first and the last day of the period that a chart shows at its present zoom."""
    first, last = figure.locator(".zoom output").inner_text().split(" to ")
    return date.fromisoformat(first), date.fromisoformat(last)


def day_at(figure, x: float):
    """Return the `date` at a horizontal position in a chart.

    Args:
        figure: the chart.
        x: the position, in pixels from the left edge of the chart.
    """
    first, last = view(figure)
    box = figure.locator(".plot").bounding_box()
    return first + (x - 58) / (box["width"] - 66) * (last - first)


def drag(page, figure, start, end):
    box = figure.locator(".plot").bounding_box()
    page.mouse.move(box["x"] + start, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + end, box["y"] + 60, steps=4)
    page.mouse.up()


def test_a_drag_zooms_to_the_selected_days_and_a_double_click_shows_all(page, figure):
    whole = view(figure)
    expected = day_at(figure, 300), day_at(figure, 500)
    drag(page, figure, 300, 500)
    assert all(abs((day - at).days) <= 1 for day, at in zip(view(figure), expected, strict=True))
    assert figure.locator(".plot path").count() == 3
    figure.locator(".plot").dblclick()
    assert view(figure) == whole


def test_a_click_does_not_zoom(page, figure):
    whole = view(figure)
    drag(page, figure, 300, 302)
    assert view(figure) == whole


def test_the_wheel_zooms_around_the_pointer_with_ctrl_and_scrolls_without(page, figure):
    whole, at, scrolled = view(figure), day_at(figure, 400), page.evaluate("scrollY")
    box = figure.locator(".plot").bounding_box()
    page.mouse.move(box["x"] + 400, box["y"] + 140)
    page.mouse.wheel(0, 40)
    page.wait_for_function("before => scrollY > before", arg=scrolled)
    assert view(figure) == whole
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    expect(figure.locator(".zoom output")).not_to_have_text(f"{whole[0]} to {whole[1]}")
    page.keyboard.up("Control")
    first, last = view(figure)
    assert (last - first) < 0.7 * (whole[1] - whole[0])
    assert abs((day_at(figure, 400) - at).days) < 60


def test_two_fingers_zoom_and_one_finger_moves_the_cursor(look, path):
    page = look(path, **PHONE, has_touch=True)
    figure = page.locator("#run-0 figure")
    figure.locator(".plot").scroll_into_view_if_needed()
    whole, box = view(figure), figure.locator(".plot").bounding_box()
    touch = page.context.new_cdp_session(page)

    def send(kind, *places):
        points = [{"x": box["x"] + x, "y": box["y"] + 60, "id": number} for number, x in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    send("touchStart", 150)
    send("touchEnd")
    assert figure.locator(".reading time").inner_text() < "2014"
    send("touchStart", 150, 220)
    send("touchMove", 120, 250)
    send("touchMove", 90, 290)
    send("touchEnd")
    first, last = view(figure)
    assert whole[0] < first < last < whole[1]
    assert 0.2 < (last - first) / (whole[1] - whole[0]) < 0.6


def test_the_button_of_the_selected_period_is_marked_as_pressed(page, figure):
    figure.get_by_role("button", name="1 year").click()
    first, last = view(figure)
    assert (last - first).days in {365, 366}
    assert last == date(2026, 10, 30)
    pressed = figure.get_by_role("button", pressed=True)
    assert pressed.all_inner_texts() == ["1 year"]
    figure.get_by_role("button", name="Zoom out").click()
    assert pressed.count() == 0
    figure.get_by_role("button", name="All").click()
    assert pressed.all_inner_texts() == ["All"]
    assert page.locator("#run-1 figure").get_by_role("button", pressed=True).all_inner_texts() == ["All"]


def test_keys_move_the_cursor_zoom_and_show_the_whole_period(page, figure):
    plot, whole = figure.get_by_role("slider", name="fx.usd_per_brl"), view(figure)
    plot.focus()

    def press(*keys):
        for key in keys:
            page.keyboard.press(key)
        return plot.get_attribute("aria-valuetext")

    assert press("End").startswith("2026-10-30: fx.usd_per_brl 0.18407")
    assert press("ArrowLeft").startswith("2026-10-29: ")
    assert press("ArrowRight").startswith("2026-10-30: ")
    assert press("Home") == (
        "1999-01-04: fx.usd_per_brl none, ECB_USD_EUR_D 1.1789 (index 80), ECB_BRL_EUR_D none"
    )
    assert press("PageUp") > "2001"
    press("+", "+")
    assert (view(figure)[1] - view(figure)[0]) < 0.3 * (whole[1] - whole[0])
    press("0")
    assert view(figure) == whole
    press("End", "+", "+", "+", *["ArrowLeft"] * 3)
    assert figure.locator(".reading time").inner_text() == "2026-10-27"


def test_the_view_follows_the_cursor(page, figure):
    figure.get_by_role("button", name="1 year").click()
    figure.locator(".plot").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    at = date.fromisoformat(figure.locator(".reading time").inner_text())
    assert view(figure)[0] <= at <= view(figure)[1]


def test_inputs_are_drawn_on_the_selected_scale(page, figure):
    scale, caption = figure.get_by_label("Inputs"), figure.locator(".plot .caption")
    assert caption.text_content() == "Inputs, 2008-01-02 = 100"
    drawn = figure.locator("path.input").last.get_attribute("d")
    scale.select_option("actual values")
    assert caption.text_content() == "Inputs, actual values"
    assert figure.locator("path.input").last.get_attribute("d") != drawn
    scale.select_option("each over its own range")
    assert page.locator("#run-1 figure label.scale").is_hidden(), "one input needs no choice"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{}, PHONE], ids=["desk", "phone"])
def test_all_text_has_the_contrast_that_wcag_aa_requires(look, path, scheme, size):
    page = unfolded(look(path, color_scheme=scheme, **size))
    seen = page.evaluate(SEEN_TEXTS)
    assert len(seen) > 300
    weak = {one["text"]: ratio for one in seen if (ratio := contrast(one["color"], one["ground"])) < AA}
    assert weak == {}


def contrast(*colours: str):
    """Return the WCAG contrast ratio of two colours, which have the form `rgb(1, 2, 3)`, as a float."""

    def luminance(colour):
        parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        red, green, blue = linear
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted(map(luminance, colours))
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_function_agrees_with_wcag():
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(118, 118, 118)", "rgb(255, 255, 255)") == pytest.approx(4.54, abs=0.01)


def test_the_theme_is_that_of_the_system_until_the_button_is_pressed(look, path):
    grounds = {}
    for scheme in ("light", "dark"):
        page = look(path, color_scheme=scheme)
        grounds[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor"), page.screenshot()
    assert contrast(grounds["light"][0], grounds["dark"][0]) > 10
    assert grounds["light"][1] != grounds["dark"][1]
    page.get_by_role("button", name="Light theme").click()
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == grounds["light"][0]
    assert page.get_by_role("button", name="Dark theme").is_visible()


def test_the_page_fits_the_width_of_a_phone(look, path):
    page = unfolded(look(path, **PHONE))
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    seen = [one for one in page.evaluate(SEEN_TEXTS) if not one["framed"]]
    assert [one["text"] for one in seen if one["right"] > PHONE["width"]] == []
    assert page.evaluate(SMALL_TARGETS) == [], "WCAG 2.5.8: a target is at least 24 pixels high"


@pytest.mark.parametrize("options", [{"color_scheme": "light"}, {"color_scheme": "dark", **PHONE}], ids=str)
def test_axe_finds_no_accessibility_violations(look, path, options):
    results = Axe().run(unfolded(look(path, **options)))
    assert results.response["violations"] == []


def test_the_page_has_roles_and_headings_for_screen_readers(page):
    roles = {role: page.get_by_role(role) for role in ("banner", "main", "contentinfo", "article", "slider")}
    assert {role: found.count() for role, found in roles.items()} == {
        "banner": 1,
        "main": 1,
        "contentinfo": 1,
        "article": 2,
        "slider": 2,
    }
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map((one) => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    overview = page.get_by_role("table").first
    columns = overview.get_by_role("columnheader").all_inner_texts()
    assert columns == ["Metric", "Trend", "Last", "Rows", "Outcome"]
    assert overview.get_by_role("rowheader").count() == 2
    chart = "Line chart of US dollars per Brazilian real, a cross rate: 4,822 observations from 2008-01-02"
    assert page.get_by_role("figure", name=chart).count() == 1
    snapshot = page.locator("#run-0").aria_snapshot()
    assert 'heading "US dollars per Brazilian real, a cross rate" [level=2]' in snapshot
    assert 'slider "fx.usd_per_brl"' in snapshot


def test_nothing_moves_if_the_reader_prefers_reduced_motion(look, path):
    page = look(path, reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    assert page.evaluate("document.getAnimations().length") == 0


def test_without_scripts_the_page_shows_everything_except_the_chart(look, path):
    page = look(path, java_script_enabled=False)
    assert page.locator("#run-0 noscript p").is_visible()
    assert page.locator("#run-0 .plot").is_hidden()
    assert page.locator("#run-0 dl").inner_text().count("4,822") == 1
    assert page.locator("#run-0 .node").count() == 3

"""A reader can choose the scales and the lines of a chart, link to the view, and read the page on a phone."""

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from metrics_tools.describe.nodes import outlined
from metrics_tools.page import ShownRun, page
from metrics_worker.expression.grammar import parse
from metrics_worker.series import Series
from tests.browser.pages import NOW

DAY = 86_400_000_000
START = 18_262  # 2020-01-01, in days since 1970
RISING = np.geomspace(1, 5000, 400)


def series(values, first=0, step=1):
    days = START + first + step * np.arange(len(values))
    return Series(days * DAY, np.array(values, dtype=float))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an HTML page with three runs, and return the path of its file.

    The first two runs compute one metric. The two inputs of the first run begin at different times. Those of
    the second run cover the same period but have no time in common. Those of the third run cover different
    periods.
    """
    formula = outlined(parse({"op": "avg", "operands": [{"series_code": f"S{n}"} for n in range(40)]}))
    runs = [
        ShownRun(
            "m.x",
            "r-1",
            status="SUCCESS",
            expression=formula,
            metric=series(RISING),
            inputs={"A": series(RISING), "B": series(RISING[:300] / 1000, first=100)},
        ),
        ShownRun(
            "m.x",
            "r-2",
            status="SUCCESS",
            metric=series([-2.5, 1.0]),
            inputs={"C": series(RISING, step=2), "D": series(1000 + RISING, first=1, step=2)},
        ),
        ShownRun("m.y", "r-3", inputs={"E": series([1.0, 2.0]), "F": series([500.0, 502.0], first=9)}),
    ]
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(page(runs, now=NOW), encoding="utf-8")
    return path


def charts(page):
    return [page.locator(f"#run-{number} figure") for number in range(page.locator("figure").count())]


def caption(figure):
    return figure.locator(".plot .caption").text_content()


def labels(figure: Locator) -> list[str]:
    """Return the labels of a chart's value axes: those of the metric, then those of the inputs."""
    return figure.locator(".panel text:not(.caption)").all_text_contents()


def test_an_index_shows_which_observations_are_100_and_the_value_on_its_axis(look, path):
    page = look(path)
    late, alternating, apart = charts(page)
    for figure in (late, alternating, apart):
        figure.get_by_label("Inputs").select_option("100 at a common start")
    assert caption(late) == "Inputs, 2020-04-10 = 100"
    assert caption(alternating) == "Inputs, first value of each line from 2020-01-02 = 100"
    assert caption(apart) == "Inputs, first value of each line in view = 100"
    late.get_by_role("button", name="All").click()
    late.locator(".plot").focus()
    page.keyboard.press("End")
    entry = late.locator(".reading li", has_text=re.compile("^A"))
    assert re.fullmatch(r"A\s+5000 \(index 59,144\)", entry.inner_text())
    late.get_by_label("Inputs").select_option("each over its own range")
    assert re.fullmatch(r"A\s+5000 \(100% of range\)", entry.inner_text())
    late.get_by_label("Inputs").select_option("actual values")
    assert re.fullmatch(r"A\s+5000", entry.inner_text().strip())


def test_an_entry_of_the_legend_hides_and_shows_its_line(look, path):
    page = look(path)
    figure = charts(page)[0]
    lines, plot = figure.locator(".plot path"), figure.locator(".plot")
    entries = {name: figure.get_by_role("switch", name=name, exact=True) for name in ("m.x", "A", "B")}
    figure.get_by_label("Inputs").select_option("100 at a common start")
    entries["B"].click()
    expect(entries["B"]).to_have_attribute("aria-checked", "false")
    assert lines.count() == 2
    assert caption(figure) == "Inputs, 2020-01-01 = 100", "only visible lines determine the common start"
    assert "B" not in plot.get_attribute("aria-valuetext")
    for name in ("m.x", "A"):
        entries[name].focus()
        page.keyboard.press("Enter")
    assert lines.count() == 0
    plot.focus()
    page.keyboard.press("Home")
    for entry in entries.values():
        entry.focus()
        page.keyboard.press("Space")
    assert lines.count() == 3
    assert figure.get_by_role("switch", checked=True).count() == 3


def test_positive_values_can_have_a_log_scale_and_others_show_why_they_cannot(look, path):
    page = look(path)
    positive, negative, _ = charts(page)
    positive.get_by_label("Inputs").select_option("actual values")
    log = positive.get_by_role("button", name="Log scale")
    log.click()
    assert labels(positive)[:4] == ["1", "10", "100", "1,000"]
    assert caption(positive) == "Inputs, actual values, log scale"
    positive.get_by_label("Inputs").select_option("each over its own range")
    assert log.is_disabled()
    assert "not with each line over its own range" in positive.locator(".log").inner_text()
    positive.get_by_label("Inputs").select_option("actual values")
    assert log.get_attribute("aria-pressed") == "true", "the choice is kept while it is not possible"
    assert negative.get_by_role("button", name="Log scale").is_disabled()
    assert "needs values above 0; m.x reaches \N{MINUS SIGN}2.5" in negative.locator(".log").inner_text()
    negative.get_by_role("switch", name="m.x").click()
    negative.get_by_role("button", name="Log scale").click()
    assert "log scale" in caption(negative)


OPEN_HASH = """hash => new Promise((done) => {
  addEventListener("hashchange", done, { once: true });
  location.hash = hash;
})"""
LINK = "#metric=m.x&from=2020-02-01&to=2020-05-01&scale=own&log=1&hide=A"


def state(figure: Locator) -> tuple[str, str, list[str]]:
    """Return what a reader has chosen in a chart: (period, scale, hidden).

    The period is the text that the chart shows for it, `scale` is the value of the control for the scale of
    the inputs, and `hidden` has the names of the hidden lines.
    """
    return (
        figure.locator(".zoom output").inner_text(),
        figure.get_by_label("Inputs").input_value(),
        figure.get_by_role("switch", checked=False).all_inner_texts(),
    )


def read(figure: Locator) -> tuple[str, dict[str, str]]:
    """Return the time in the legend of a chart, and the text of each line there by the name of the line."""
    entries = [entry.split(maxsplit=1) for entry in figure.locator(".reading li").all_inner_texts()]
    return figure.locator(".reading time").inner_text(), {name: text.strip() for name, text in entries}


DAMAGED = (
    "",
    "#run-1",
    "#metric=m.z&hide=A",
    "#metric=m.x&from=2020-02-01&to=2019-01-01",
    "#metric=m.x&from=NaN&to=1e99&scale=__proto__&log=yes&hide=Z&hide",
    "#metric=m.x&from=2020-99-99&to=-999999-01-01&scale=",
    "#metric=%E0%A4%A&&&=%&from=%00",
    "#" + "%" * 10_000,
)


def test_the_address_has_the_view_of_the_chart_that_the_reader_changed(look, path):
    page = look(path)
    first, second, _ = charts(page)
    whole = state(first)
    first.get_by_role("switch", name="A", exact=True).click()
    first.get_by_label("Inputs").select_option("each over its own range")
    first.get_by_role("button", name="1 year").click()
    page.wait_for_url(re.compile("#metric=m.x&from=2020-02-03T18%3A00&to=2021-02-03&scale=own&hide=A$"))
    changed, address = state(first), page.url
    page.goto("about:blank")
    page.goto(address)
    assert state(first) == changed
    second.get_by_role("button", name="Log scale").scroll_into_view_if_needed()
    second.get_by_role("switch", name="D").click()
    page.wait_for_url(re.compile(r"#metric=m.x%3A2&hide=D$"))
    page.evaluate(OPEN_HASH, LINK)
    assert state(first) == ("2020-02-01 to 2020-05-01", "own", ["A"])
    for damaged in DAMAGED:
        page.evaluate(OPEN_HASH, damaged)
    assert state(first) == whole
    assert page.locator(".plot path").count() == 7


def test_a_link_shows_the_last_observation_in_its_view(look, path):
    page = look(path)
    first, _, apart = charts(page)
    page.evaluate(OPEN_HASH, LINK)
    assert read(first) == (
        "2020-05-01",
        {"m.x": f"{RISING[121]}", "A": "hidden", "B": f"{RISING[21] / 1000} (100% of range)"},
    )
    assert first.locator(".cursor line").count() == 1
    first.get_by_role("button", name="1 year").click()
    assert read(first)[0] == "2020-05-01", "the cursor does not move while it is in view"
    first.locator(".plot").focus()
    for key in ("Home", "+", "+"):
        page.keyboard.press(key)
    assert read(first)[0] == "2020-02-04"
    page.evaluate(OPEN_HASH, LINK + "&hide=B")
    assert read(first)[0] == "2020-05-01"
    page.evaluate(OPEN_HASH, "#metric=m.y&from=2020-01-04&to=2020-01-08")
    assert read(apart) == ("no observation in view", {"E": "none", "F": "none"})
    assert apart.locator(".plot").get_attribute("aria-valuetext") == "no observation in view"
    assert apart.locator(".cursor line").count() == 0
    apart.get_by_role("button", name="All").click()
    assert read(apart)[0] == "2020-01-11"


def test_a_phone_shows_no_keys_and_a_long_formula_only_on_request(look, path):
    page = look(path, width=390, height=844)
    formula = page.locator("#run-0 details.formula code").last
    assert "Keys:" not in page.locator("main").inner_text()
    assert formula.is_hidden()
    page.get_by_text("Formula of m.x").click()
    assert formula.is_visible()
    page.set_viewport_size({"width": 1100, "height": 900})
    page.reload()
    assert formula.is_visible()
    assert page.locator("#keys-0").is_visible()

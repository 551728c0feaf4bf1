"""In a browser, the page of a local run shows the same numbers as the Parquet file of the run."""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Locator

from metrics_tools.ecb import read_rates

ROOT = Path(__file__).parents[2]
MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def out(browser, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001 - skip the run if there is no browser
    """Return the folder with the output of `make run` for two requests, one of which must fail."""
    folder = tmp_path_factory.mktemp("out")
    events = [f"events/{name}.json" for name in ("momentum", "fails-no-such-series")]
    done = subprocess.run(
        [sys.executable, "-m", "metrics_tools.local_cloud", *events, "--out", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"src{os.pathsep}."},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def parquet(out) -> dict[date, float]:
    """Return the value of the successful run's metric on each date, read from the published Parquet file."""
    (path,) = out.glob("s3/metrics/fx.eur_usd_momentum/*/data/metrics.parquet")
    table = pq.read_table(path).to_pydict()
    return dict(zip([time.date() for time in table["obs_time"]], table["value"], strict=True))


@pytest.fixture(scope="module")
def usd() -> Mapping[date, float]:
    """Return a dict from each date to the ECB's rate of the dollar, in US dollars per euro.

    The metric of the successful run is computed from this series.
    """
    return read_rates()["USD"]


@pytest.fixture
def page(look, out):
    return look(out / "metrics.html")


@pytest.fixture
def figure(page):
    return page.locator("#run-0 figure")


def reading(figure: Locator) -> tuple[date, dict[str, str]]:
    """Return the date and the values that the page shows for the position of the chart's cursor.

    Returns:
        The date at the cursor, and a dict from the name of each line to the text of its value there.
    """
    day = date.fromisoformat(figure.locator(".reading time").inner_text())
    names = figure.locator(".reading li .name").all_inner_texts()
    values = figure.locator(".reading b").all_inner_texts()
    return day, dict(zip(names, values, strict=True))


def number(text):
    return None if text in {"none", ""} else float(text.replace(MINUS, "-"))


def test_every_value_of_the_chart_equals_the_value_in_the_parquet_file(page, figure, parquet, usd, tmp_path):
    figure.locator("summary").click()
    with page.expect_download() as saving:
        figure.get_by_role("button", name="Save all as CSV").click()
    saving.value.save_as(tmp_path / "saved.csv")
    with (tmp_path / "saved.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    days = {date.fromisoformat(row["time"]): row for row in rows}
    assert len(days) == len(rows) == len(usd)
    metric = {day: number(row["fx.eur_usd_momentum"]) for day, row in days.items()}
    assert {day: value for day, value in metric.items() if value is not None} == parquet
    assert {day: number(row["ECB_USD_EUR_D"]) for day, row in days.items()} == usd


@pytest.mark.parametrize("part", [0.02, 0.3, 0.71, 0.99])
def test_the_reading_shows_the_values_of_the_day_under_the_pointer(page, figure, parquet, usd, part):
    box = figure.locator(".plot").bounding_box()
    x = box["x"] + 60 + part * (box["width"] - 70)
    page.mouse.move(x, box["y"] + 50)
    day, values = reading(figure)
    assert number(values["fx.eur_usd_momentum"]) == parquet.get(day)
    assert number(values["ECB_USD_EUR_D"]) == usd[day]
    cursor = figure.locator(".cursor line").bounding_box()
    assert abs(cursor["x"] - x) < 2


def test_the_table_shows_the_same_values_with_the_newest_first(figure, parquet, usd):
    figure.locator("summary").click()
    older = figure.get_by_role("button", name="Older")
    older.click()
    rows = figure.locator("tbody tr").all()
    newest = sorted(usd, reverse=True)[50:100]
    assert len(rows) == 50
    for row, day in list(zip(rows, newest, strict=True))[::10]:
        cells = row.locator("th, td").all_inner_texts()
        assert cells[0] == day.isoformat()
        assert [number(cell) for cell in cells[1:]] == [parquet[day], usd[day]]


def test_the_facts_and_the_tree_show_the_number_of_rows_in_the_file(page, parquet):
    facts = page.locator("#run-0 dl").inner_text()
    assert f"{len(parquet):,}" in facts
    tree = page.locator("#run-0 .tree").inner_text()
    assert f"{len(parquet):,} observations" in tree
    last = parquet[max(parquet)]
    assert f"{last:.6g} on {max(parquet)}".replace("-", MINUS, 1) in " ".join(facts.split())


def test_the_waterfall_shows_every_request_of_the_worker(page, out):
    lines = [json.loads(line) for line in (out / "worker.log").read_text().splitlines() if line[0] == "{"]
    (closed,) = [line for line in lines if line.get("outcome") == "SUCCESS"]
    traffic = closed["traffic"]
    card = page.locator("#run-0")
    card.locator("details.waterfall-of > summary").click()
    summary = card.locator("details.waterfall-of > p").inner_text()
    assert f"{traffic['gets']} GET" in summary
    assert f"{traffic['puts']} PUT" in summary
    names = card.locator(".waterfall .stage th").all_inner_texts()
    assert (
        set(names)
        == set(closed["stages"])
        == {"marker", "read", "evaluate", "commit", "current", "completed", "snapshots"}
    )
    table = card.locator(".waterfall tbody")
    assert re.search(r"ECB_USD_EUR_D\s*334 requests", table.inner_text())
    for kind, name in (("listing", "listing"), ("snapshot", "snapshot"), ("write", "snapshot written")):
        assert table.locator(f".{kind} th").filter(has_text=f"ECB_USD_EUR_D, {name}").count() == 1
    card.locator("details.waterfall-of details summary").click()
    caption = card.locator("details.waterfall-of caption").inner_text()
    assert caption.endswith(f" of {len(closed['trace']['requests'])}")


def test_the_waterfall_shows_the_key_of_the_request_under_the_pointer(page):
    card = page.locator("#run-0")
    card.locator("details.waterfall-of > summary").click()
    lanes = card.locator("svg.lanes").nth(3)
    lanes.scroll_into_view_if_needed()
    lanes.hover()
    details = card.locator(".hovered").inner_text()
    assert re.fullmatch(r"(GET|PUT|PUBLISH) \S+: at \d+ ms, [\d.]+ ms, [\d,]+ bytes(, \w+)?", details)


def test_status_events_are_listed_with_their_times(page):
    card = page.locator("#run-0")
    card.locator("details.events > summary").click()
    card.locator("table.events tbody tr").first.wait_for()
    rows = card.locator("table.events tbody tr").all()
    kinds = [row.locator("td").nth(1).inner_text() for row in rows]
    assert (kinds[0], kinds[-1]) == ("started", "completed")
    times = [datetime.fromisoformat(row.locator("time").get_attribute("datetime")) for row in rows]
    assert times == sorted(times)
    manifest = json.loads(card.locator("details.manifest pre").text_content())
    assert manifest["version_ts"] in rows[-1].inner_text()


def test_a_failed_run_shows_its_error_and_the_existing_input(page):
    card = page.locator("#run-1")
    assert "INPUT_READ_ERROR" in card.locator(".error").inner_text()
    assert card.locator(".badge").inner_text() == "FAILURE, as it should"
    assert card.locator(".plot path").count() == 1
    assert list(reading(card)[1]) == ["ECB_USD_EUR_D"]

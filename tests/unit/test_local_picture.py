"""The page of the local run: charts, formulas and facts, in one file."""

# ruff: noqa: RUF001 - formulas as in print

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import ClassVar

import pytest

from explain.formula import formula
from local.chart import COLUMNS, Chart, date_ticks, nice_step
from local.outcome import Outcome
from local.picture import page
from local.recomputed import Difference
from local.samples import Sample
from metrics_worker.expression.grammar import parse

START = datetime(2020, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
A, B = {"series_code": "A"}, {"series_code": "B"}


def days(count, step=1):
    return [START + timedelta(days=number * step) for number in range(count)]


def sample(**fields):
    request = {
        "runId": "r-1",
        "metricCode": "m.x",
        "expressionJson": {"op": "ratio", "left": A, "right": B},
        **fields,
    }
    return Sample(Path("x.json"), "", request)


def success(**fields):
    return Outcome(
        sample(**fields),
        status="SUCCESS",
        version="2026-11-02T09-29-00",
        seconds=1.25,
        keys=["metrics/m.x/runs/r-1.ok"],
        times=days(3),
        values=[-1.0, 3.0, 2.0],
        check=Difference(3, 0.0, None),
    )


class Checker(HTMLParser):
    """Tags open and close in order, and nothing is fetched."""

    VOID: ClassVar = {"meta"}

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attributes):
        assert tag not in {"link", "img", "iframe"}
        assert not ({"src", "srcset"} & {name for name, _ in attributes})
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, _attributes):
        assert tag in {"line", "path"}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_no_network():
    text = page([success()], NOW)
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert "@import" not in text
    assert "url(" not in text
    assert "fetch(" not in text


def test_the_page_tells_what_a_run_was_and_left():
    text = page([success(description="A over B", unit="A per B")], NOW)
    for expected in (
        "<title>Metrics of the local run</title>",
        "1 of 1 runs ended as they should",
        "A over B",
        "A per B",
        "A ÷ B",
        "2 on <time>2020-01-03</time>",
        "2026-11-02T09-29-00",
        "1.25 s",
        "metrics/m.x/runs/r-1.ok",
        "https://www.ecb.europa.eu/",
        "every row as recomputed",
        "data to <time>2020-01-03</time>",
        "<dt>Minimum and maximum</dt><dd>−1 and 3</dd>",
        '<div class="wide"><dt>Run</dt><dd>r-1</dd></div>',
        "prefers-color-scheme: dark",
    ):
        assert expected in text


def test_a_failed_run_shows_its_error_and_no_chart():
    failed = Outcome(sample(), status="FAILURE", error="INPUT_READ_ERROR: no <such> series")
    text = page([failed], NOW)
    assert "INPUT_READ_ERROR: no &lt;such&gt; series" in text
    assert "<svg" not in text
    assert "data to" not in text


def test_a_failure_that_was_expected_is_not_shown_as_an_alarm():
    text = page([Outcome(sample(), status="FAILURE", error="INPUT_READ_ERROR: none")], NOW)
    assert "FAILURE, as it should" in text
    assert '<article class="expected"' in text


def test_an_error_is_told_once_a_card():
    wrong = Outcome(sample(), status="FAILURE", error="INPUT_READ_ERROR: none")
    wrong.complaints.append(f"FAILURE where SUCCESS was expected: {wrong.error}")
    text = page([wrong], NOW)
    assert text.count("INPUT_READ_ERROR: none") == 1
    assert '<article class="FAILURE"' in text


def test_what_is_wrong_with_a_run_is_shown():
    wrong = success()
    wrong.complaints.append("row counts differ")
    text = page([wrong], NOW)
    assert "row counts differ" in text
    assert "0 of 1 runs" in text


def test_text_of_a_request_can_not_become_markup():
    text = page([success(description="<script>alert(1)</script>", unit='"><b>')], NOW)
    assert "<script>alert" not in text
    assert '"><b>' not in text


def test_an_expression_that_is_none_does_not_spoil_the_page():
    assert "not a valid expression" in page([success(expressionJson={"op": "sma"})], NOW)


@pytest.mark.parametrize("values", [[5.0], [0.0], [-2.0, -2.0], [1e-9, 2e-9], [1e12, -1e12]])
def test_a_chart_has_room_for_its_values(values):
    chart = Chart.of(days(len(values)), values)
    assert chart.low < chart.high
    assert all(chart.low <= value <= chart.high for value in values)
    assert "nan" not in chart.html("x")


def test_a_chart_keeps_its_extremes_and_few_points():
    values = [float(number % 97) for number in range(20_000)]
    values[7_777], values[13_331] = 1e4, -1e4
    chart = Chart.of(days(20_000), values)
    drawn = [value for _, value in chart.points]
    assert {1e4, -1e4} <= set(drawn)
    assert drawn[0] == values[0]
    assert drawn[-1] == values[-1]
    assert len(drawn) <= 4 * (COLUMNS + 1)
    assert [second for second, _ in chart.points] == sorted(second for second, _ in chart.points)


def line(chart):
    (path,) = re.findall(r'<path d="([^"]*)"', chart.html("x"))
    return path


def test_a_line_breaks_where_observations_are_missing_for_long():
    times = days(30) + [time + timedelta(days=900) for time in days(30)]
    assert line(Chart.of(times, [1.0, 2.0] * 30)).count("M") == 2


def test_a_line_of_monthly_observations_does_not_break():
    assert line(Chart.of(days(40, step=31), [1.0, 2.0] * 20)).count("M") == 1


@pytest.mark.parametrize(
    ("rough", "nice"), [(1.0, 1), (1.1, 2), (3, 5), (7, 10), (0.03, 0.05), (0.2, 0.2), (1234, 2000)]
)
def test_steps_are_nice(rough, nice):
    assert nice_step(rough) == pytest.approx(nice)


@pytest.mark.parametrize(
    ("first", "last", "labels"),
    [
        ("1999-01-04", "2026-10-30", ["2000", "2005", "2010", "2015", "2020", "2025"]),
        ("2008-01-02", "2026-10-30", ["2010", "2015", "2020", "2025"]),
        ("2020-01-01", "2026-01-01", ["2020", "2021", "2022", "2023", "2024", "2025", "2026"]),
        ("2025-01-10", "2025-12-01", ["Apr 2025", "Jul 2025", "Oct 2025"]),
        ("2025-01-01", "2025-01-05", ["01 Jan", "02 Jan", "03 Jan", "04 Jan", "05 Jan"]),
    ],
)
def test_dates_on_the_axis_are_round(first, last, labels):
    seconds = [datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() for day in (first, last)]
    assert [label for _, label in date_ticks(*seconds)] == labels


def math(op, left, right, scale=1):
    return {"op": op, "left": left, "right": right, "scale": scale}


@pytest.mark.parametrize(
    ("node", "written"),
    [
        (A, "A"),
        (math("add", math("add", A, B), A), "A + B + A"),
        (math("subtract", A, math("subtract", A, B)), "A − (A − B)"),
        (math("subtract", A, math("ratio", A, B)), "A − A ÷ B"),
        (math("ratio", math("subtract", A, B), A), "(A − B) ÷ A"),
        (math("ratio", A, math("multiply", A, B)), "A ÷ (A × B)"),
        (math("multiply", math("ratio", A, B), A), "(A ÷ B) × A"),
        (math("multiply", A, B, 2), "A × B × 2"),
        (math("ratio", A, B, 100), "(A ÷ B) × 100"),
        (math("add", A, B, 0.5), "(A + B) × 0.5"),
        (math("add", math("add", A, B, 0.5), A), "(A + B) × 0.5 + A"),
        ({"op": "sma", "series": math("ratio", A, B), "window": 14}, "sma(A ÷ B, 14)"),
        ({"op": "avg", "operands": [A, math("ratio", A, B)]}, "avg(A, A ÷ B)"),
    ],
)
def test_a_formula_has_the_brackets_it_needs(node, written):
    assert formula(parse(node)) == written

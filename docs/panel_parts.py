"""The parts of the plots of grammar.md: lines, shaded ranges and panels, and the series that they show.

The series are the results of the JSON expressions in grammar.md, which the worker's code evaluates on the
ECB's rates.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from metrics_tools.ecb import read_rates, series_code
from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.grammar import parse, series_codes
from metrics_worker.expression.nodes import Node
from metrics_worker.series import Series

PAGE = Path(__file__).parent / "grammar.md"

INK, SOFT = "#1f2328", "#59636e"
BLUE, ORANGE, GREEN = "#0969da", "#bc4c00", "#1a7f37"


@dataclass(frozen=True, slots=True)
class Line:
    """A series in a panel.

    Attributes:
        series: the observations to draw.
        label: the text of the series in the legend.
        colour: the colour of the line or of the markers, in a form that matplotlib accepts.
        marks: the matplotlib marker of each observation; if it is empty, a line is drawn.
    """

    series: Series
    label: str
    colour: str
    marks: str = ""


@dataclass(frozen=True, slots=True)
class Shade:
    """A shaded range of days with a text.

    Attributes:
        first: the first day, such as 2026-01-31.
        last: the last day.
        text: the text.
        height: the height of the text in the panel, from 0 (bottom) to 1 (top).
    """

    first: str
    last: str
    text: str
    height: float = 0.86


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a plot with its own vertical axis.

    Attributes:
        lines: the series in the panel.
        shade: a range of days that is shaded, or None.
    """

    lines: Sequence[Line]
    shade: Shade | None = None


@cache
def rates() -> dict[str, Series]:
    """Return the exchange rates of the ECB as series, by series code."""
    return {
        series_code(currency): Series(
            np.array(
                [int(datetime.combine(day, time(), UTC).timestamp()) * 1_000_000 for day in days], np.int64
            ),
            np.array(list(days.values())),
        )
        for currency, days in read_rates().items()
    }


def expressions(section: str) -> list[dict[str, Any]]:
    """Return the JSON expressions in a section of grammar.md, in order; `section` is its heading."""
    text = re.split(rf"^#+ {re.escape(section)}$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1]
    own = re.split(r"^#+ ", text, flags=re.MULTILINE)[0]
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", own, re.DOTALL)]


def value(expression: Mapping[str, Any] | Node) -> Series:
    """Return the series to which an expression evaluates on the ECB's rates."""
    node = parse(expression)
    return evaluate(node, {code: rates()[code] for code in series_codes(node)})


def by_observations(expression: Mapping[str, Any]) -> Series:
    """Return the series to which an expression evaluates if its window is replaced by 250 observations.

    Args:
        expression: the JSON of an operation with a window or a lag by the calendar.
    """
    return value({**expression, "window": 250, "unit": "observations"})


def dollar_line(prefix: str = "", marks: str = "") -> Line:
    """Return a line with the rate of the US dollar.

    Args:
        prefix: a text before the label. With it, the line is blue, otherwise grey.
        marks: the matplotlib marker of each observation; if it is empty, a line is drawn.
    """
    colour = BLUE if prefix else SOFT
    return Line(rates()["ECB_USD_EUR_D"], f"{prefix}ECB_USD_EUR_D (US dollars per euro)", colour, marks)


def krona_line(series: Series, colour: str, prefix: str = "", marks: str = "") -> Line:
    """Return a line with the rate of the Icelandic króna.

    Args:
        series: the observations to draw.
        colour: the colour of the line or of the markers.
        prefix: a text before the label.
        marks: the matplotlib marker of each observation; if it is empty, a line is drawn.
    """
    return Line(series, f"{prefix}ECB_ISK_EUR_D (krónur per euro)", colour, marks)


def krona_gap(text: str) -> Shade:
    """Return a shaded range over the years in which the ECB published no rate of the Icelandic króna.

    Args:
        text: the text in the shaded range.
    """
    return Shade("2008-12-10", "2018-01-31", text)


def part(panel: Panel, first: str, last: str) -> Panel:
    """Return a copy of a panel with only the observations of some days.

    Args:
        panel: the panel.
        first: the first of the days, such as 2026-01-31.
        last: the last of the days.
    """
    low, high = (
        int(datetime.fromisoformat(f"{day}T00:00Z").timestamp()) * 1_000_000 for day in (first, last)
    )

    def within(series: Series) -> Series:
        chosen = (series.times >= low) & (series.times <= high)
        return Series(series.times[chosen], series.values[chosen])

    return Panel([replace(line, series=within(line.series)) for line in panel.lines], panel.shade)

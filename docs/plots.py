"""Draw the plots of grammar.md into docs/img/ (`make plots`).

Each plot evaluates the JSON expressions of its own section of the page, with the worker's code, on the ECB's
rates. The same page and the same rates always produce the same bytes: the files contain no dates and no
random ids, and text is stored as text. The colours suit a light page; a style sheet in each file replaces
them on a dark page.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from metrics_tools.ecb import read_rates, series_code
from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.grammar import parse, series_codes
from metrics_worker.expression.nodes import Node
from metrics_worker.series import Series

HERE = Path(__file__).parent
PAGE = HERE / "grammar.md"

BACK, INK, SOFT, GRID, SHADE = "#ffffff", "#1f2328", "#59636e", "#d1d9e0", "#eef1f4"
BLUE, ORANGE, GREEN = "#0969da", "#bc4c00", "#1a7f37"
_DARK = {
    BACK: "#0d1117",
    INK: "#e6edf3",
    SOFT: "#9198a1",
    GRID: "#3d444d",
    SHADE: "#1b222b",
    BLUE: "#58a6ff",
    ORANGE: "#f0883e",
    GREEN: "#3fb950",
}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "grammar",
    "font.size": 9,
    "figure.facecolor": BACK,
    "axes.facecolor": BACK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": SOFT,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.3,
    "path.simplify_threshold": 0.5,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
}
_LAST_YEAR = "2025-11-01", "2026-10-30"
_GAP = 31 * 86_400_000_000
"""The distance between two observations, in microseconds, above which a line is interrupted."""


@dataclass(frozen=True, slots=True)
class Line:
    """A series in a panel: its label, its colour and its matplotlib marker (an empty marker draws a line)."""

    series: Series
    label: str
    colour: str
    marks: str = ""


@dataclass(frozen=True, slots=True)
class Shade:
    """A shaded range of days with a text; `height` is the height of the text in the panel, from 0 to 1."""

    first: str
    last: str
    text: str
    height: float = 0.86


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines that share one time axis."""

    lines: Sequence[Line]
    shade: Shade | None = None


@cache
def rates() -> dict[str, Series]:
    """Return the ECB's series by series code."""
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
    """Return the JSON expressions of the section of the page that has this heading."""
    text = re.split(rf"^#+ {re.escape(section)}$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1]
    own = re.split(r"^#+ ", text, flags=re.MULTILINE)[0]
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", own, re.DOTALL)]


def value(expression: Mapping[str, Any] | Node) -> Series:
    """Return the result of an expression on the ECB's rates."""
    node = parse(expression)
    return evaluate(node, {code: rates()[code] for code in series_codes(node)})


def series() -> list[Panel]:
    """Show one series and the gap in it."""
    (krona,) = expressions("series")
    return [Panel([_krona(value(krona), BLUE)], _krona_gap("no observations"))]


def series_math() -> list[Panel]:
    """Show two series and their ratio, which exists only at the times that both have."""
    (cents,) = expressions("series_math")
    return [
        Panel([_dollar("left: ")]),
        Panel([_krona(rates()["ECB_ISK_EUR_D"], ORANGE, "right: ")]),
        Panel(
            [Line(value(cents), "ratio: US cents per króna", GREEN)], _krona_gap("no right side, no ratio")
        ),
    ]


def averages() -> list[Panel]:
    """Show the first months of the euro: sma starts after its warm-up, ema starts at once."""
    mean, smooth = (value(one) for one in expressions("sma and ema"))
    lines = [
        _dollar(marks="o"),
        Line(mean, "sma, 20 observations", BLUE),
        Line(smooth, "ema, 20 observations", ORANGE),
    ]
    warm_up = Shade("1999-01-04", "1999-01-29", "19 observations of warm-up", height=0.08)
    return [_part(Panel(lines, warm_up), "1999-01-04", "1999-05-31")]


def extremes() -> list[Panel]:
    """Show one year of a series between its rolling maximum and minimum."""
    high, low = (value(one) for one in expressions("max and min"))
    lines = [
        _dollar(),
        Line(high, "max, 60 observations", BLUE),
        Line(low, "min, 60 observations", ORANGE),
    ]
    return [_part(Panel(lines), *_LAST_YEAR)]


def sums() -> list[Panel]:
    """Show a series and its lag, and the rolling sum of its daily changes."""
    past, total = (value(one) for one in expressions("lag and sum"))
    shifted = Panel([_dollar(), Line(past, "lag, 20 observations", BLUE)])
    changes = Panel([Line(total, "sum of the last 20 daily changes", GREEN)])
    return [_part(panel, *_LAST_YEAR) for panel in (shifted, changes)]


def composite() -> list[Panel]:
    """Show two series, one of them with a gap, with their average and their maximum."""
    mean, highest = (value(one) for one in expressions("composite"))
    yen = Line(rates()["ECB_JPY_EUR_D"], "ECB_JPY_EUR_D (yen per euro)", SOFT)
    return [
        Panel([yen, _krona(rates()["ECB_ISK_EUR_D"], ORANGE)]),
        Panel([Line(mean, "avg of the operands that have an observation", GREEN)], _krona_gap("yen only")),
        Panel([Line(highest, "max of the operands that have an observation", BLUE)], _krona_gap("yen only")),
    ]


def division() -> list[Panel]:
    """Show a ratio whose right side is sometimes zero, and mark the observations without a ratio."""
    (place,) = expressions("Division by zero")
    krona, result = rates()["ECB_ISK_EUR_D"], value(place)
    left_out = ~np.isin(krona.times, result.times)
    lost = Series(krona.times[left_out], krona.values[left_out])
    above = [
        _krona(krona, SOFT, marks="o"),
        Line(lost, "equal to the four before: the range is zero, no ratio", ORANGE, "o"),
    ]
    below = [Line(result, "position in the range of 5 observations, percent", GREEN, "o")]
    return [_part(Panel(lines), "2008-09-01", "2008-12-09") for lines in (above, below)]


def _dollar(prefix: str = "", marks: str = "") -> Line:
    colour = BLUE if prefix else SOFT
    return Line(rates()["ECB_USD_EUR_D"], f"{prefix}ECB_USD_EUR_D (US dollars per euro)", colour, marks)


def _krona(series: Series, colour: str, prefix: str = "", marks: str = "") -> Line:
    return Line(series, f"{prefix}ECB_ISK_EUR_D (krónur per euro)", colour, marks)


def _krona_gap(text: str) -> Shade:
    """Return a shade over the years in which the ECB did not quote the króna."""
    return Shade("2008-12-10", "2018-01-31", text)


def _part(panel: Panel, first: str, last: str) -> Panel:
    """Return the panel restricted to the days from `first` to `last`."""
    low, high = (
        int(datetime.fromisoformat(f"{day}T00:00Z").timestamp()) * 1_000_000 for day in (first, last)
    )

    def within(series: Series) -> Series:
        chosen = (series.times >= low) & (series.times <= high)
        return Series(series.times[chosen], series.values[chosen])

    return Panel([replace(line, series=within(line.series)) for line in panel.lines], panel.shade)


PLOTS: dict[str, tuple[Callable[[], list[Panel]], float]] = {
    "series": (series, 2.3),
    "series-math": (series_math, 4.6),
    "averages": (averages, 2.8),
    "extremes": (extremes, 2.6),
    "sums": (sums, 3.8),
    "composite": (composite, 5.0),
    "division": (division, 3.4),
}
"""For each plot (file grammar-….svg): the function that makes its panels, and its height in inches."""


def draw(name: str, folder: Path) -> Path:
    """Draw one plot into a folder and return the path of its SVG file."""
    make, height = PLOTS[name]
    panels = make()
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.2, height), layout="constrained")
        axes = figure.subplots(len(panels), sharex=True, squeeze=False)
        for panel, axis in zip(panels, axes.flat, strict=True):
            _draw(panel, axis)
        path = folder / f"grammar-{name}.svg"
        figure.savefig(path, metadata={"Date": None, "Creator": None})
    path.write_text(_with_dark_colours(path.read_text(encoding="utf-8")), encoding="utf-8")
    return path


def _draw(panel: Panel, axis: Any) -> None:
    for line in panel.lines:
        times, values = _with_gaps(line.series)
        look = {"linestyle": "", "markersize": 2.6} if line.marks else {}
        axis.plot(times, values, color=line.colour, label=line.label, marker=line.marks or None, **look)
    if panel.shade:
        ends = np.array([panel.shade.first, panel.shade.last], "datetime64[us]")
        axis.axvspan(*ends, color=SHADE, lw=0, zorder=0)
        place, near = (date2num(ends[0]), panel.shade.height), axis.get_xaxis_transform()
        said = axis.annotate(panel.shade.text, place, (5, 0), near, "offset points", color=SOFT)
        said.set_in_layout(False)  # the text lies within the panel and needs no extra space
    locator = AutoDateLocator(maxticks=9)
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axis.margins(x=0.01, y=0.12)
    axis.legend(
        loc="lower left", ncols=len(panel.lines), bbox_to_anchor=(0, 1), borderpad=0, borderaxespad=0.2
    )


def _with_gaps(series: Series) -> tuple[np.ndarray, np.ndarray]:
    """Return times and values for plotting, with a NaN in each long gap so that the line is interrupted."""
    before = np.flatnonzero(np.diff(series.times) > _GAP) + 1
    times = np.insert(series.times, before, series.times[before] - 1).astype("datetime64[us]")
    return times, np.insert(series.values, before, np.nan)


def _with_dark_colours(svg: str) -> str:
    """Return the SVG text with a style sheet that replaces its colours on a dark page."""
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark}!important}}'
        for light, dark in _DARK.items()
        for kind in ("fill", "stroke")
    )
    return svg.replace("</style>", f"@media (prefers-color-scheme: dark){{{rules}}}</style>", 1)


if __name__ == "__main__":
    for each in PLOTS:
        print(draw(each, Path(sys.argv[1]) if sys.argv[1:] else HERE / "img"))

"""The plots of grammar.md: `make plots` draws them again, into img/.

What a plot shows is what the page says: the expressions are the JSON of the plot's own section, evaluated by
the worker over the ECB's rates. The same page and rates give the same bytes: no dates, no random ids, text
left as text. Colours suit a light page; a style sheet in the file changes them where the page is dark.
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

from local.ecb import read_rates, series_code
from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.grammar import Node, parse, series_codes
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
"""Microseconds without an observation at which a line breaks."""


@dataclass(frozen=True, slots=True)
class Line:
    """A series in a panel, with its label, its colour, and its marks (none: a line)."""

    series: Series
    label: str
    colour: str
    marks: str = ""


@dataclass(frozen=True, slots=True)
class Shade:
    """A stretch of days, what is to be said of it, and how high in the panel (0-1) that stands."""

    first: str
    last: str
    text: str
    height: float = 0.86


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines above one axis of time."""

    lines: Sequence[Line]
    shade: Shade | None = None


@cache
def rates() -> dict[str, Series]:
    """The ECB's series by series code."""
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
    """The JSON of a section of the page, by its heading."""
    text = re.split(rf"^#+ {re.escape(section)}$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1]
    own = re.split(r"^#+ ", text, flags=re.MULTILINE)[0]
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", own, re.DOTALL)]


def value(expression: Mapping[str, Any] | Node) -> Series:
    """What an expression means over the ECB's rates."""
    node = parse(expression)
    return evaluate(node, {code: rates()[code] for code in series_codes(node)})


def series() -> list[Panel]:
    """One series, with the pause that it made."""
    (krona,) = expressions("series")
    return [Panel([_krona(value(krona), BLUE)], _pause("no observations"))]


def series_math() -> list[Panel]:
    """Two series and what is left of them: the times that both have."""
    (cents,) = expressions("series_math")
    return [
        Panel([_dollar("left: ")]),
        Panel([_krona(rates()["ECB_ISK_EUR_D"], ORANGE, "right: ")]),
        Panel([Line(value(cents), "ratio: US cents per króna", GREEN)], _pause("no partner, no observation")),
    ]


def averages() -> list[Panel]:
    """The first months of the euro: an average that waits for its window, and one that does not."""
    mean, smooth = (value(one) for one in expressions("sma and ema"))
    lines = [
        _dollar(marks="o"),
        Line(mean, "sma, 20 observations", BLUE),
        Line(smooth, "ema, 20 observations", ORANGE),
    ]
    warm_up = Shade("1999-01-04", "1999-01-29", "19 observations of warm-up", height=0.08)
    return [_part(Panel(lines, warm_up), "1999-01-04", "1999-05-31")]


def extremes() -> list[Panel]:
    """A year between its running maximum and minimum."""
    high, low = (value(one) for one in expressions("max and min"))
    lines = [
        _dollar(),
        Line(high, "max, 60 observations", BLUE),
        Line(low, "min, 60 observations", ORANGE),
    ]
    return [_part(Panel(lines), *_LAST_YEAR)]


def sums() -> list[Panel]:
    """A series beside its past, and the changes between the two added up."""
    past, total = (value(one) for one in expressions("lag and sum"))
    shifted = Panel([_dollar(), Line(past, "lag, 20 observations", BLUE)])
    changes = Panel([Line(total, "sum of the last 20 daily changes", GREEN)])
    return [_part(panel, *_LAST_YEAR) for panel in (shifted, changes)]


def composite() -> list[Panel]:
    """Two series of which one pauses, and their average."""
    mean, highest = (value(one) for one in expressions("composite"))
    yen = Line(rates()["ECB_JPY_EUR_D"], "ECB_JPY_EUR_D (yen per euro)", SOFT)
    return [
        Panel([yen, _krona(rates()["ECB_ISK_EUR_D"], ORANGE)]),
        Panel([Line(mean, "avg: of those that have an observation", GREEN)], _pause("the yen alone")),
        Panel([Line(highest, "max: the larger of those that are there", BLUE)], _pause("the yen alone")),
    ]


def division() -> list[Panel]:
    """A ratio whose right side is often zero, and the observations that have none for it."""
    (place,) = expressions("Division by zero")
    krona, result = rates()["ECB_ISK_EUR_D"], value(place)
    left_out = ~np.isin(krona.times, result.times)
    lost = Series(krona.times[left_out], krona.values[left_out])
    above = [
        _krona(krona, SOFT, marks="o"),
        Line(lost, "the same as the four before: a range of zero, no ratio", ORANGE, "o"),
    ]
    below = [Line(result, "its place in the range of 5 observations, per cent", GREEN, "o")]
    return [_part(Panel(lines), "2008-09-01", "2008-12-09") for lines in (above, below)]


def _dollar(prefix: str = "", marks: str = "") -> Line:
    colour = BLUE if prefix else SOFT
    return Line(rates()["ECB_USD_EUR_D"], f"{prefix}ECB_USD_EUR_D (US dollars per euro)", colour, marks)


def _krona(series: Series, colour: str, prefix: str = "", marks: str = "") -> Line:
    return Line(series, f"{prefix}ECB_ISK_EUR_D (krónur per euro)", colour, marks)


def _pause(text: str) -> Shade:
    """The years without a rate of the króna."""
    return Shade("2008-12-10", "2018-01-31", text)


def _part(panel: Panel, first: str, last: str) -> Panel:
    """The same, from a day to a day."""
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
"""What the files are called (grammar-….svg), what they show, and how high they are, in inches."""


def draw(name: str, folder: Path) -> Path:
    """Draw one plot."""
    make, height = PLOTS[name]
    panels = make()
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.2, height), layout="constrained")
        axes = figure.subplots(len(panels), sharex=True, squeeze=False)
        for panel, axis in zip(panels, axes.flat, strict=True):
            _draw(panel, axis)
        path = folder / f"grammar-{name}.svg"
        figure.savefig(path, metadata={"Date": None, "Creator": None})
    path.write_text(_for_both(path.read_text(encoding="utf-8")), encoding="utf-8")
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
        said.set_in_layout(False)  # it stands within the panel
    locator = AutoDateLocator(maxticks=9)
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axis.margins(x=0.01, y=0.12)
    axis.legend(
        loc="lower left", ncols=len(panel.lines), bbox_to_anchor=(0, 1), borderpad=0, borderaxespad=0.2
    )


def _with_gaps(series: Series) -> tuple[np.ndarray, np.ndarray]:
    """Times and values for a line that breaks where there is nothing for long."""
    before = np.flatnonzero(np.diff(series.times) > _GAP) + 1
    times = np.insert(series.times, before, series.times[before] - 1).astype("datetime64[us]")
    return times, np.insert(series.values, before, np.nan)


def _for_both(svg: str) -> str:
    """The file with the colours of a dark page beside its own."""
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark}!important}}'
        for light, dark in _DARK.items()
        for kind in ("fill", "stroke")
    )
    return svg.replace("</style>", f"@media (prefers-color-scheme: dark){{{rules}}}</style>", 1)


if __name__ == "__main__":
    for each in PLOTS:
        print(draw(each, Path(sys.argv[1]) if sys.argv[1:] else HERE / "img"))

"""Draw the plots of grammar.md into docs/img/ (`make plots`).

The same page and the same rates always produce the same bytes: the files contain no dates and no random ids,
and text is stored as text. The colours suit a light page; a style sheet in each file replaces them on a dark
page.
"""

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from docs.panel_parts import BLUE, GREEN, INK, ORANGE, SOFT, Panel
from docs.panels import PLOTS
from metrics_worker.series import Series

HERE = Path(__file__).parent

BACK, GRID, SHADE = "#ffffff", "#d1d9e0", "#eef1f4"
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
_GAP = 31 * 86_400_000_000
"""The distance between two observations, in microseconds, above which a line is interrupted."""


def draw(name: str, folder: Path) -> Path:
    """Draw a plot, and write it to an SVG file.

    Args:
        name: the name of the plot, a key of `PLOTS`.
        folder: the existing folder in which the file is written.

    Returns:
        The path of the file.
    """
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
    """Return (times, values) of a series for matplotlib, which interrupts a line at a NaN.

    The times are datetime64[us]. In each gap of more than 31 days, a time with the value NaN is added.
    """
    before = np.flatnonzero(np.diff(series.times) > _GAP) + 1
    times = np.insert(series.times, before, series.times[before] - 1).astype("datetime64[us]")
    return times, np.insert(series.values, before, np.nan)


def _with_dark_colours(svg: str) -> str:
    """Return an SVG document with an added style sheet, which replaces the colours on pages in dark mode."""
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}:{dark}!important}}'
        for light, dark in _DARK.items()
        for kind in ("fill", "stroke")
    )
    return svg.replace("</style>", f"@media (prefers-color-scheme: dark){{{rules}}}</style>", 1)


if __name__ == "__main__":
    for each in PLOTS:
        print(draw(each, Path(sys.argv[1]) if sys.argv[1:] else HERE / "img"))

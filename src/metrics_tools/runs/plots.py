"""Plots of series: as braille characters in the terminal, and as PNG images."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from rich.text import Text

from metrics_tools import console
from metrics_tools.console import impossible, out, visible
from metrics_tools.formatting import count
from metrics_tools.page.numbers import thinned
from metrics_worker.series import Series

_MAX_INPUTS = 6
"""The most inputs that a PNG shows below the metric."""
_HEIGHT, _LEAST_WIDTH, _MOST_WIDTH = 16, 30, 120
_LARGEST = 1e300
"""The largest absolute value that is drawn; the range of an axis is a little wider and must not overflow."""
_FIRST, _LAST = (int(np.datetime64(day, "us").astype(int)) for day in ("0001-01-02", "9999-12-30"))
_POINTS = 4
"""The most observations that the terminal draws for each of its columns."""


def plot(lines: Sequence[tuple[str, Series]], title: str) -> None:
    """Print a plot of labelled series in one panel. For a series that cannot be drawn, print the reason."""
    import plotext  # noqa: PLC0415 - only plots need it

    drawn = []
    for label, series in lines:
        if reason := undrawable(series):
            console.print_line(f"{label}: {reason} for a plot", "dim")
        else:
            drawn.append((label, series))
    if not drawn:
        return
    width = max(_LEAST_WIDTH, min(out.width - 1, _MOST_WIDTH))
    figure = plotext.figure
    figure.clear()
    figure.plot_size(width, _HEIGHT)
    figure.date().activate(form="%Y-%m-%d")
    figure.theme("simple" if out.is_terminal else "colorless")
    figure.title(visible(title)[: width - 4])
    for label, series in drawn:
        part = thinned(series, _POINTS * width)
        signal = figure.signal(_datetimes(part).tolist(), part.values.tolist(), marker="braille")
        signal.lines()
        if len(drawn) > 1:
            signal.label(visible(label)[: width // 2])
        figure.draw(signal)
    out.print(Text.from_ansi(figure.build().string(colorless=not out.is_terminal)))


def png_of(title: str, unit: str, metric: Series, inputs: Mapping[str, Series]) -> bytes:
    """Return a PNG with a panel of the metric and, on the same time axis, panels for its first inputs.

    An input that cannot be drawn is skipped, and at most `_MAX_INPUTS` are shown. If the metric has several
    observations and cannot be drawn, the command ends with an error.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - takes a second to import, and only pictures need it

    if (reason := undrawable(metric)) and len(metric) > 1:
        raise impossible(f"The metric cannot be drawn: {reason}.")
    shown = [(code, series) for code, series in inputs.items() if len(series) == 1 or not undrawable(series)]
    panels = [(unit, metric), *shown[:_MAX_INPUTS]]
    figure = Figure(figsize=(11, 2.7 + 1.3 * len(panels)), layout="constrained")
    heights = [3.0, *[1.0] * (len(panels) - 1)]
    axes = figure.subplots(len(panels), sharex=True, squeeze=False, height_ratios=heights)
    for axis, (label, series) in zip(axes[:, 0], panels, strict=True):
        colour, rotation = ("#1f4e79", 90) if series is metric else ("#777777", 0)
        axis.plot(_datetimes(series), series.values, linewidth=0.9, color=colour)
        axis.set_ylabel(label, fontsize=8, rotation=rotation, ha="right")
        axis.grid(alpha=0.3)
        axis.margins(x=0.01)
    axes[0, 0].set_title(title, loc="left", fontsize=11)
    file = io.BytesIO()
    figure.savefig(file, dpi=120, format="png")
    return file.getvalue()


def undrawable(series: Series) -> str:
    """Return the reason why a series cannot be drawn as a line; an empty string if it can be drawn."""
    if len(series) < 2:  # noqa: PLR2004 - a line has two ends
        return f"{count(len(series), 'observation')}: too few"
    if series.times[0] < _FIRST or series.times[-1] > _LAST:
        return "its times are outside of the years 1 to 9999"
    return "its values are too large" if abs(series.values).max() > _LARGEST else ""


def _datetimes(series: Series) -> np.ndarray:
    return series.times.astype("datetime64[us]")

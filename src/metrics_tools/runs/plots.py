"""Series as a plot in the terminal, of braille dots."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from rich.text import Text

from metrics_tools import console
from metrics_tools.console import out, visible
from metrics_worker.series import Series

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEIGHT, _LEAST_WIDTH, _MOST_WIDTH = 16, 30, 120
_LARGEST = 1e300
"""The scale of a plot goes a little beyond what is drawn, and must not overflow."""
_FIRST, _LAST = (int(np.datetime64(day, "us").astype(int)) for day in ("0001-01-02", "9999-12-30"))
_POINTS = 4
"""Observations for each column that are drawn: of more, the lowest and the highest of each stretch."""


def moment(microseconds: int) -> datetime:
    """An observation's time, UTC."""
    return _EPOCH + timedelta(microseconds=int(microseconds))


def shown_time(microseconds: int) -> str:
    """An observation's time, for people: the day alone where it is midnight."""
    text = iso_time(microseconds).removesuffix("Z").replace("T", " ")
    return text.removesuffix(" 00:00:00")


def iso_time(microseconds: int) -> str:
    """An observation's time, for machines: ISO 8601 with `Z`."""
    text = str(np.datetime_as_string(np.datetime64(int(microseconds), "us")))  # of any year
    return f"{text.removesuffix('.000000')}Z"


def plot(lines: Sequence[tuple[str, Series]], title: str) -> None:
    """Draw lines over one another. One that can't be drawn is left out, and says so."""
    import plotext  # noqa: PLC0415 - for plots alone

    drawn = [(label, series) for label, series in lines if not hindrance(series)]
    for label, series in lines:
        if why := hindrance(series):
            console.print_line(f"{label}: {why} for a plot", "dim")
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
        thin = thinned(series, _POINTS * width)
        days = [moment(time).replace(tzinfo=None) for time in thin.times]
        signal = figure.signal(days, thin.values.tolist(), marker="braille")
        signal.lines()
        if len(drawn) > 1:
            signal.label(visible(label)[: width // 2])
        figure.draw(signal)
    out.print(Text.from_ansi(figure.build().string(colorless=not out.is_terminal)))


def hindrance(series: Series) -> str:
    """What keeps a series from being drawn; empty where nothing does."""
    if len(series) < 2:  # noqa: PLR2004 - a line has two ends
        return f"{console.count(len(series), 'observation')}: too few"
    if series.times[0] < _FIRST or series.times[-1] > _LAST:
        return "its times are outside of the years 1 to 9999"
    return "its values are too large" if abs(series.values).max() > _LARGEST else ""


def thinned(series: Series, points: int) -> Series:
    """So many observations at most that nothing which would be seen is lost: ends, lows and highs."""
    if len(series) <= points:
        return series
    import numpy as np  # noqa: PLC0415 - loaded by then

    kept = {0, len(series) - 1}
    for stretch in np.array_split(np.arange(len(series)), points // 2):
        kept |= {int(stretch[series.values[stretch].argmin()]), int(stretch[series.values[stretch].argmax()])}
    at = sorted(kept)
    return Series(series.times[at], series.values[at])

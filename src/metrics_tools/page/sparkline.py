"""A small line chart without axes, as an SVG that stretches to any width."""

import numpy as np

from metrics_tools.page.numbers import extremes
from metrics_worker.series import Series

COLUMNS = 120
_HEIGHT = 32
_GAP_STEPS, _GAP_MICROSECONDS = 10, 31 * 86_400_000_000
"""The longest gap that the line bridges: this many median steps or this time, whichever is longer."""


def sparkline(series: Series) -> str:
    """Return a series of at least one observation as an SVG; it is hidden from screen readers.

    For a long series, the line shows only the extreme values of each section. Long gaps interrupt the line.
    """
    # The values are scaled down because the difference of two large values may exceed the range of float64.
    times, values = series.times.astype(float), series.values / 4
    span, low = times[-1] - times[0], values.min()
    x = (times - times[0]) / span * COLUMNS if span else np.full(times.size, COLUMNS / 2)
    y = _HEIGHT - 2 - (values - low) / ((values.max() - low) or 1.0) * (_HEIGHT - 4)
    steps = np.diff(times)
    usual = float(np.median(steps)) if steps.size else 0
    gap = max(_GAP_STEPS * usual, _GAP_MICROSECONDS, 1.01 * span / COLUMNS)
    part = np.append(0, np.cumsum(steps > gap))  # the number of gaps before each observation
    path, before = [], -1
    for place in extremes(values, 4 * COLUMNS):
        path.append(f"{'L' if part[place] == before else 'M'}{x[place]:.1f} {y[place]:.1f}")
        before = part[place]
    return (
        f'<svg class="spark" viewBox="0 0 {COLUMNS} {_HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
        f'<path d="{"".join(path)}h.1"/></svg>'
    )

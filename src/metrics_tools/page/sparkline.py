"""A small line chart without axes, as an SVG that stretches to any width.

The line has at most four points in each column of pixels: the first, the last, the least and the greatest
observation. It therefore looks like a line through all observations. The line is interrupted where no
observations exist for a long time.
"""

import numpy as np

from metrics_worker.series import Series

COLUMNS = 120
_HEIGHT = 32
_GAP_STEPS, _GAP_MICROSECONDS = 10, 31 * 86_400_000_000
"""The longest gap that the line bridges: this many median steps or this time, whichever is longer."""


def sparkline(series: Series) -> str:
    """Return a series of at least one observation as an SVG; it is hidden from screen readers."""
    # The values are scaled down because the difference of two large values may exceed the range of float64.
    times, values = series.times.astype(float), series.values / 4
    span, low = times[-1] - times[0], values.min()
    height = (values.max() - low) or 1.0
    x = (times - times[0]) / span * COLUMNS if span else np.full(times.size, COLUMNS / 2)
    y = _HEIGHT - 2 - (values - low) / height * (_HEIGHT - 4)
    kept = _kept(x, values)
    steps = np.diff(times)
    gap = max(
        _GAP_STEPS * float(np.median(steps)) if steps.size else 0, _GAP_MICROSECONDS, 1.01 * span / COLUMNS
    )
    path, before = [], -np.inf
    for place in kept:
        path.append(f"{'M' if times[place] - before > gap else 'L'}{x[place]:.1f} {y[place]:.1f}")
        before = times[place]
    return (
        f'<svg class="spark" viewBox="0 0 {COLUMNS} {_HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
        f'<path d="{"".join(path)}h.1"/></svg>'
    )


def _kept(x: np.ndarray, values: np.ndarray) -> list[int]:
    """Return the indices of the observations that are drawn, ascending."""
    columns = x.astype(int)
    starts = np.flatnonzero(np.append(True, columns[1:] != columns[:-1]))
    kept: set[int] = set()
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), x.size], strict=True):
        part = values[start:end]
        kept |= {start, end - 1, start + int(part.argmin()), start + int(part.argmax())}
    return sorted(kept)

"""The kernels of fixed windows that are computed from squared deviations: variance, z-score, correlation.

A kernel takes n finite float64 values (or two such series) and a window of 1 observation or more, and returns
a new array of max(0, n - window + 1) results. Result i depends only on the values of its own window,
`values[i : i + window]`, bit for bit, and an undefined result is NaN. No kernel raises an exception or gives
a warning. `spread.py` describes the arithmetic.
"""

from collections.abc import Callable

import numpy as np

from metrics_worker.kernels import spread
from metrics_worker.kernels.rolling import Values
from metrics_worker.kernels.spread import Moments, Spread

# Windows per block: the eight to ten arrays in use at once fit into the level 2 cache.
_BLOCK = 8_192


def rolling_var(values: Values, window: int) -> Values:
    """Return the variances of windows, with the divisor n - 1; exactly 0 if a window is constant."""
    return _by_block(values, window, spread.variance)


def rolling_std(values: Values, window: int) -> Values:
    """Return the standard deviations of windows, with the divisor n - 1; 0 if a window is constant."""
    return _by_block(values, window, spread.deviation)


def rolling_zscore(values: Values, window: int) -> Values:
    """Return (last value - mean) / standard deviation of windows; NaN if a window is constant."""
    return _by_block(values, window, spread.zscore)


@np.errstate(all="ignore")
def _by_block(values: Values, window: int, finish: Callable[[Moments, int], Values]) -> Values:
    """Return the results of `finish` for the moments of `values[i : i + window]`, for every i."""
    total = max(0, len(values) - window + 1)
    if window == 1:
        return np.full(total, np.nan)
    result = np.empty(total)
    block = max(_BLOCK, window)
    for start in range(0, len(result), block):
        out = result[start : start + block]
        part = values[start : start + len(out) + window - 1]
        out[:] = finish(spread.within_range(part, lambda scaled: _moments(scaled, window)), window)
    return result


def _moments(values: Values, window: int) -> tuple[Values, Values]:
    """Return the deviations of the last values and the squares of windows, which may overflow."""
    total = len(values) - window + 1
    result = Spread(np.empty(total), np.empty(total))
    spread.spread_of_spans(values, window, result)
    deviations = values[window - 1 :] - values[:total]
    deviations -= result.offset
    return deviations, result.squares

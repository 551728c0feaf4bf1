"""The kernels of fixed windows that are computed from squared deviations: variance, z-score, correlation.

A kernel takes n finite float64 values (or two such series) and a window of 1 observation or more, and returns
a new array of max(0, n - window + 1) results. Result i is computed from `values[i : i + window]` alone, so
later observations never change a bit of it; its rounding can depend on i. An undefined result is NaN. No
kernel raises an exception or gives a warning. `centred.py` and `spread.py` describe the arithmetic.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from metrics_worker.kernels import spread
from metrics_worker.kernels.centred import centred_moments, chunk_size, merged_spread
from metrics_worker.kernels.rolling import Values
from metrics_worker.kernels.spread import Moments, Spread

type Exponents = NDArray[np.int64]

# Windows per block, unless the window is longer: for one series, for two series, and for merging.
_BLOCK = 65_536
_BLOCK_OF_PAIRS = 32_768
_MERGED_BLOCK = 16_384
# The longest windows whose moments are merged, for one series and for two series. Those of longer windows are
# computed from centred sums, whose rounding depends on the position of the window in its chunk.
_MERGED = 5
_MERGED_PAIRS = 10


def rolling_var(values: Values, window: int) -> Values:
    """Return the variances of windows, with the divisor n - 1; exactly 0 if a window is constant."""
    return _by_block(values, window, spread.variance)


def rolling_std(values: Values, window: int) -> Values:
    """Return the standard deviations of windows, with the divisor n - 1; 0 if a window is constant."""
    return _by_block(values, window, spread.deviation)


def rolling_zscore(values: Values, window: int) -> Values:
    """Return (last value - mean) / standard deviation of windows; NaN if a window is constant."""
    return _by_block(values, window, spread.zscore, last=True)


def rolling_cov(left: Values, right: Values, window: int) -> Values:
    """Return the covariances of pairs of windows, with the divisor n - 1."""

    def finish(squares: Values, exponents: Exponents) -> Values:
        covariances: Values = np.ldexp(squares[2] / (window - 1), -exponents.sum(axis=0))
        return covariances

    return _pairs(left, right, window, finish)


def rolling_corr(left: Values, right: Values, window: int) -> Values:
    """Return the correlations of pairs of windows, from -1 to 1; NaN if one of the windows is constant."""

    def finish(squares: Values, _: Exponents) -> Values:
        correlations: Values = np.clip(squares[2] / (np.sqrt(squares[0]) * np.sqrt(squares[1])), -1, 1)
        return correlations

    return _pairs(left, right, window, finish)


def rolling_beta(left: Values, right: Values, window: int) -> Values:
    """Return covariance / variance of `right` for pairs of windows; NaN if the right window is constant."""

    def finish(squares: Values, exponents: Exponents) -> Values:
        betas: Values = np.ldexp(squares[2] / squares[1], exponents[1] - exponents[0])
        return betas

    return _pairs(left, right, window, finish)


@np.errstate(all="ignore")
def _by_block(
    values: Values, window: int, finish: Callable[[Moments, int], Values], *, last: bool = False
) -> Values:
    """Return the results of `finish` for the moments of all windows; `deviation` is None unless `last`."""
    total = max(0, len(values) - window + 1)
    if window == 1:
        return np.full(total, np.nan)
    result = np.empty(total)
    block = _MERGED_BLOCK if window <= _MERGED else _block(window, _BLOCK)
    for start in range(0, len(result), block):
        out = result[start : start + block]
        part = values[start : start + len(out) + window - 1]
        out[:] = finish(spread.within_range(part, lambda scaled: _moments(scaled, window, last=last)), window)
    return result


def _block(window: int, longest: int) -> int:
    """Return the number of windows per block, whole chunks: results do not depend on the blocks."""
    size = chunk_size(window)
    return max(longest, window) // size * size


def _moments(values: Values, window: int, *, last: bool) -> tuple[Values | None, Values]:
    """Return the deviations of the last values, if needed, and the squares of windows, which may overflow."""
    if window > _MERGED:
        deviations, products = centred_moments(values[None], window, last=last)
        return deviations, products[0]
    total = len(values) - window + 1
    result = Spread(np.empty(total), np.empty(total))
    spread.spread_of_spans(values, window, result)
    deviations = values[window - 1 :] - values[:total]
    deviations -= result.offset
    return deviations, result.squares


@np.errstate(all="ignore")
def _pairs(left: Values, right: Values, window: int, finish: Callable[[Values, Exponents], Values]) -> Values:
    """Return the results of `finish` for the squares of the pairs of windows and for their exponents."""
    total = max(0, len(left) - window + 1)
    if window == 1:
        return np.full(total, np.nan)
    result = np.empty(total)
    block = _MERGED_BLOCK if window <= _MERGED_PAIRS else _block(window, _BLOCK_OF_PAIRS)
    for start in range(0, total, block):
        out = result[start : start + block]
        part = slice(start, start + len(out) + window - 1)
        out[:] = finish(*_pairs_within_range(np.stack([left[part], right[part]]), window))
    return result


def _pairs_within_range(pairs: Values, window: int) -> tuple[Values, Exponents]:
    """Return the squares as `_squares_of_pairs` does, and the exponents of both series, in two rows.

    The squares are of the values times 2 ** exponent; the exponents are chosen as in `spread.within_range`.
    """
    squares = _squares_of_pairs(pairs, window)
    if spread.is_within_range(squares[:2]):
        return squares, np.zeros((2, 1), dtype=np.int64)
    squares = squares.copy()
    exponents = np.stack([spread.exponents(squares[row], pairs[row]) for row in range(2)])
    if not exponents.any():
        return squares, exponents
    for shifts in np.unique(exponents, axis=1).T:
        if shifts.any():
            windows = (exponents == shifts[:, None]).all(axis=0)
            scaled = _squares_of_pairs(np.ldexp(pairs, shifts[:, None]), window)
            exponents[:, windows & ~np.isfinite(scaled).all(axis=0)] = 0
            windows &= np.isfinite(scaled).all(axis=0)
            squares[:, windows] = scaled[:, windows]
    return squares, exponents


def _squares_of_pairs(pairs: Values, window: int) -> Values:
    """Return, in three rows, the squared deviations of both series and the products of their deviations."""
    if window > _MERGED_PAIRS:
        return centred_moments(pairs, window)[1]
    return merged_spread(pairs, np.zeros((5, pairs.shape[1])), 1, window)[2:]

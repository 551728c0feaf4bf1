"""The kernels of fixed windows that are computed from squared deviations: variance, z-score, correlation.

A kernel takes n finite float64 values (or two such series) and a window of 1 observation or more, and returns
a new array of max(0, n - window + 1) results. Result i depends only on the values of its own window,
`values[i : i + window]`, bit for bit, and an undefined result is NaN. No kernel raises an exception or gives
a warning. `spread.py` describes the arithmetic.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from metrics_worker.kernels import spread
from metrics_worker.kernels.rolling import Values, doublings
from metrics_worker.kernels.spread import Moments, Spread

type Exponents = NDArray[np.int64]

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


@np.errstate(all="ignore")
def _pairs(left: Values, right: Values, window: int, finish: Callable[[Values, Exponents], Values]) -> Values:
    """Return the results of `finish` for the squares of the pairs of windows and for their exponents."""
    total = max(0, len(left) - window + 1)
    if window == 1:
        return np.full(total, np.nan)
    result = np.empty(total)
    block = max(_BLOCK, window)
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
    exponents = np.stack([spread.exponents(squares[row], pairs[row]) for row in range(2)])
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
    offsets = {1: np.zeros(pairs.shape)}
    squares = {1: np.zeros((3, pairs.shape[1]))}
    for before, after in doublings(window):
        span = before + after
        length = pairs.shape[1] - span + 1
        gap = pairs[:, before : before + length] - pairs[:, :length]
        gap += offsets[after][:, before : before + length] - offsets[before][:, :length]
        offsets[span] = offsets[before][:, :length] + gap * (after / span)
        merged = np.stack([gap[0] * gap[0], gap[1] * gap[1], gap[0] * gap[1]])
        merged *= before * after / span
        merged += squares[before][:, :length]
        merged += squares[after][:, before : before + length]
        squares[span] = merged
    return squares[window]

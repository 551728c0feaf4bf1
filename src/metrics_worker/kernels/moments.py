"""The kernels of fixed windows that are computed from squared deviations.

They are the variance, standard deviation and z-score of one series, and the covariance, correlation and beta
of two series.

A kernel takes n finite float64 values (or two series of n values) and a window of 1 observation or more, and
returns a new array of max(0, n - window + 1) results. Result i is computed from `values[i : i + window]`
alone, so later observations never change a bit of it. The rounding of a result can depend on the position i.
An undefined result is NaN. No kernel raises an exception or gives a warning. `centred.py` and `spread.py`
describe the arithmetic.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from metrics_worker.kernels import spread
from metrics_worker.kernels.centred import centred_sums, centres
from metrics_worker.kernels.rolling import Values, doublings
from metrics_worker.kernels.spread import Moments, Spread

type Exponents = NDArray[np.int64]

# Windows per block, unless the window is longer. Merging uses more arrays, which fit into the level 2 cache.
_BLOCK = 32_768
_MERGED_BLOCK = 8_192
# The longest windows whose moments are merged. Those of longer windows are computed from centred sums.
_MERGED = 10
# A variance is the mean square of the deviations from a centre minus the squared distance of the mean from
# the centre. If it is less than a fifteenth of that square, the moments of the window are merged, because the
# relative error of the difference could exceed 16 times that of the mean square.
_LEAST_SHARE = 1 / 15


def rolling_var(values: Values, window: int) -> Values:
    """Return the variance of each window (divisor window - 1); exactly 0 if the window's values are equal."""
    return _by_block(values, window, spread.variance)


def rolling_std(values: Values, window: int) -> Values:
    """Return the standard deviation of each window (divisor window - 1); 0 if its values are equal."""
    return _by_block(values, window, spread.deviation)


def rolling_zscore(values: Values, window: int) -> Values:
    """Return the z-score of the last value of each window; NaN if the window's values are equal.

    The z-score is (last value - mean of the window) / standard deviation of the window.
    """
    return _by_block(values, window, spread.zscore, last=True)


def rolling_cov(left: Values, right: Values, window: int) -> Values:
    """Return the covariance (divisor window - 1) of each window of `left` and the same window of `right`."""

    def finish(squares: Values, exponents: Exponents | None) -> Values:
        covariances: Values = squares[2] / (window - 1)
        return covariances if exponents is None else np.ldexp(covariances, -exponents.sum(axis=0))

    return _pairs(left, right, window, finish)


def rolling_corr(left: Values, right: Values, window: int) -> Values:
    """Return the correlation, from -1 to 1, of each window of `left` and the same window of `right`.

    The correlation is NaN if all values of one of the two windows are equal.
    """

    def finish(squares: Values, _: Exponents | None) -> Values:
        np.sqrt(squares[:2], out=squares[:2])
        squares[0] *= squares[1]
        squares[2] /= squares[0]
        correlations: Values = np.clip(squares[2], -1, 1, out=squares[2])
        return correlations

    return _pairs(left, right, window, finish)


def rolling_beta(left: Values, right: Values, window: int) -> Values:
    """Return covariance(left, right) / variance(right) of each window; NaN if that variance is 0."""

    def finish(squares: Values, exponents: Exponents | None) -> Values:
        betas: Values = squares[2] / squares[1]
        return betas if exponents is None else np.ldexp(betas, exponents[1] - exponents[0])

    return _pairs(left, right, window, finish)


@np.errstate(all="ignore")
def _by_block(
    values: Values, window: int, finish: Callable[[Moments, int], Values], *, last: bool = False
) -> Values:
    """Return one result of `finish` for each window. Blocks of windows limit the memory in use.

    Args:
        values: the series.
        window: the number of values of a window.
        finish: returns the results of a block of windows, given the moments of the block and `window`.
        last: whether `finish` needs `Moments.deviation`; if False, the deviation may be None.
    """
    total = max(0, len(values) - window + 1)
    if window == 1:
        return np.full(total, np.nan)
    result = np.empty(total)
    block = _block(window)
    for start in range(0, len(result), block):
        out = result[start : start + block]
        part = values[start : start + len(out) + window - 1]
        out[:] = finish(spread.within_range(part, lambda scaled: _moments(scaled, window, last=last)), window)
    return result


def _block(window: int) -> int:
    """Return the number of windows that a kernel computes in one block.

    The number is a multiple of the window, so that the division into blocks does not influence the results.
    """
    return window * max(1, (_MERGED_BLOCK if window <= _MERGED else _BLOCK) // window)


def _moments(values: Values, window: int, *, last: bool) -> tuple[Values | None, Values]:
    """Return (deviations, squares) with one element for each window.

    Args:
        values: the series.
        window: the number of values of a window.
        last: whether the deviations are needed; if False, they may be None.

    Returns:
        For each window, the deviation of its last value from its mean, and the sum of the squared deviations
        of all its values from its mean. The sum is infinite or NaN if a square overflows.
    """
    if window <= _MERGED:
        return _merged_moments(values, window)
    sums = centred_sums(values[None], window)[0]
    deviations = None
    if last:
        deviations = values[window - 1 :] - centres(values, window)
        deviations -= sums.real * (1 / window)
    distances = sums.real * sums.real
    distances *= 1 / window
    squares = sums.imag - distances
    distances *= _LEAST_SHARE
    accurate = squares >= distances
    for windows in _runs(np.flatnonzero(~accurate), window):
        low, high = windows[0], windows[-1] + window
        merged = _merged_moments(values[low:high], window)
        squares[windows] = merged[1][windows - low]
        if deviations is not None:
            deviations[windows] = merged[0][windows - low]
    return deviations, squares


def _runs(windows: NDArray[np.int64], window: int) -> list[NDArray[np.int64]]:
    """Divide increasing positions of windows into runs, so that the windows of a run are computed together.

    A new run begins at each position that is more than `window` greater than the previous position.
    """
    if not len(windows):
        return []
    return np.split(windows, np.flatnonzero(np.diff(windows) > window) + 1)


def _merged_moments(values: Values, window: int) -> tuple[Values, Values]:
    """Return (deviations, squares) as `_moments` does; compute them by merging spans, see `spread.py`."""
    total = len(values) - window + 1
    result = Spread(np.empty(total), np.empty(total))
    spread.spread_of_spans(values, window, result)
    deviations = values[window - 1 :] - values[:total]
    deviations -= result.offset
    return deviations, result.squares


@np.errstate(all="ignore")
def _pairs(
    left: Values, right: Values, window: int, finish: Callable[[Values, Exponents | None], Values]
) -> Values:
    """Return one result of `finish` for each window of two series of equal length; NaN if the window is 1.

    `finish` gets the three rows of sums and the two rows of exponents that `_pairs_within_range` returns.
    """
    total = max(0, len(left) - window + 1)
    if window == 1:
        return np.full(total, np.nan)
    result = np.empty(total)
    block = _block(window)
    for start in range(0, total, block):
        out = result[start : start + block]
        part = slice(start, start + len(out) + window - 1)
        out[:] = finish(*_pairs_within_range(np.stack([left[part], right[part]]), window))
    return result


def _pairs_within_range(pairs: Values, window: int) -> tuple[Values, Exponents | None]:
    """Return (sums, exponents) of the windows of two series, and scale values to avoid overflow.

    Args:
        pairs: one row for each of the two series.
        window: the number of values of a window.

    Returns:
        The three rows of `_squares_of_pairs`, and two rows of exponents; both have one column for each
        window. The sums of a window are computed from the values of each series times 2 ** (the series'
        exponent for this window). The exponent is 0 if no scaling is needed; `spread.exponents` chooses it.
        Instead of the exponents, None is returned if they are 0 for all windows.
    """
    squares = _squares_of_pairs(pairs, window)
    if spread.is_within_range(squares[:2]):
        return squares, None
    exponents = np.stack([spread.exponents(squares[row], pairs[row]) for row in range(2)])
    if not exponents.any():
        return squares, None
    for shifts in np.unique(exponents, axis=1).T:
        if shifts.any():
            windows = (exponents == shifts[:, None]).all(axis=0)
            scaled = _squares_of_pairs(np.ldexp(pairs, shifts[:, None]), window)
            exponents[:, windows & ~np.isfinite(scaled).all(axis=0)] = 0
            windows &= np.isfinite(scaled).all(axis=0)
            squares[:, windows] = scaled[:, windows]
    return squares, exponents


def _squares_of_pairs(pairs: Values, window: int) -> Values:
    """Return three rows of sums, with one column for each window of the two series.

    The sums are those of the squared deviations of the left series, of the squared deviations of the right
    series, and of the products of the left and right deviations. A deviation is a value minus the mean of the
    window. `pairs` has one row for each of the two series.
    """
    if window <= _MERGED:
        return _merged_pairs(pairs, window)
    sums = centred_sums(pairs, window)
    deviations, products = sums.real[:2], (sums.imag[0], sums.imag[1], sums.real[2])
    means = deviations * (1 / window)
    squares, correction = np.empty((3, sums.shape[1])), np.empty(sums.shape[1])
    accurate = np.ones(sums.shape[1], dtype=np.bool_)
    for row, (left, right) in enumerate([(0, 0), (1, 1), (0, 1)]):
        np.multiply(deviations[left], means[right], out=correction)
        np.subtract(products[row], correction, out=squares[row])
        if left == right:
            correction *= _LEAST_SHARE
            accurate &= squares[row] >= correction
    for windows in _runs(np.flatnonzero(~accurate), window):
        low, high = windows[0], windows[-1] + window
        squares[:, windows] = _merged_pairs(pairs[:, low:high], window)[:, windows - low]
    return squares


def _merged_pairs(pairs: Values, window: int) -> Values:
    """Return the same sums as `_squares_of_pairs`, computed by merging spans as `spread.py` describes."""
    offsets = {1: np.zeros(pairs.shape)}
    squares = {1: np.zeros((3, pairs.shape[1]))}
    merges = doublings(window)
    last_merges = {part: index for index, merge in enumerate(merges) for part in merge}
    for index, (before, after) in enumerate(merges):
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
        # A long window has up to forty spans. Only those that a later merge needs stay in memory.
        for part in {before, after}:
            if last_merges[part] == index:
                del offsets[part], squares[part]
    return squares[window]

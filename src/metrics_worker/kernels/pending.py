"""Slow versions of the kernels of pairs and orders and of cumulative kernels, until the fast ones are there.

The functions have the names and arguments of the later kernels and compute one window after another. They
take finite float64 values and return new arrays, in which an undefined result is NaN.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

type Values = NDArray[np.float64]
type Positions = NDArray[np.int64]


@np.errstate(all="ignore")
def _each(statistic: Callable[[Values], float], values: Values, first: Positions, stop: Positions) -> Values:
    bounds = zip(first.tolist(), stop.tolist(), strict=True)
    return np.array([statistic(values[a:b]) if b > a else np.nan for a, b in bounds], np.float64)


def _fixed(values: Values, window: int) -> tuple[Positions, Positions]:
    first = np.arange(max(0, values.size - window + 1), dtype=np.int64)
    return first, first + window


def _mean(values: Values) -> float:
    scaled = float(np.ldexp(np.ldexp(values, -64).sum() / values.size, 64))
    plain = float(values.sum() / values.size)
    return plain if np.isfinite(plain) else scaled


def _covariance(left: Values, right: Values) -> float:
    if left.size < 2:  # noqa: PLR2004 - the divisor is n - 1
        return np.nan
    if (left == left[0]).all() or (right == right[0]).all():
        return 0.0
    return float(((left - _mean(left)) * (right - _mean(right))).sum() / (left.size - 1))


def _variance(values: Values) -> float:
    return _covariance(values, values)


def _rank(values: Values) -> float:
    below, equal = (values < values[-1]).sum(), (values == values[-1]).sum()
    return float((below + (equal + 1) / 2) / values.size)


def rank_between(values: Values, first: Positions, stop: Positions) -> Values:
    """Return the ranks (0-1) of the last values of `values[first[k] : stop[k]]`."""
    return _each(_rank, values, first, stop)


def quantile_between(values: Values, first: Positions, stop: Positions, q: float) -> Values:
    """Return the quantiles of `values[first[k] : stop[k]]`, by linear interpolation."""
    return _each(lambda part: float(np.quantile(part, q)), values, first, stop)


def rolling_rank(values: Values, window: int) -> Values:
    """Return the ranks (0-1) of the last values of `values[i : i + window]`."""
    return rank_between(values, *_fixed(values, window))


def rolling_quantile(values: Values, window: int, q: float) -> Values:
    """Return the quantiles of `values[i : i + window]`, by linear interpolation."""
    return quantile_between(values, *_fixed(values, window), q)


@np.errstate(all="ignore")
def _pairs(statistic: Callable[[Values, Values], float], left: Values, right: Values, window: int) -> Values:
    ends = range(window, left.size + 1)
    return np.array([statistic(left[i - window : i], right[i - window : i]) for i in ends], np.float64)


def _scaled(values: Values) -> Values:
    """Return the values times a power of two, such that squares of deviations neither overflow nor vanish."""
    return np.ldexp(values, -int(np.frexp(np.abs(values).max())[1]))


def _correlation(left: Values, right: Values) -> float:
    left, right = _scaled(left), _scaled(right)
    divisor = np.sqrt(_variance(left)) * np.sqrt(_variance(right))
    return float(np.clip(_covariance(left, right) / divisor, -1, 1)) if divisor > 0 else np.nan


def _slope(left: Values, right: Values) -> float:
    exponents = [int(np.frexp(np.abs(values).max())[1]) for values in (left, right)]
    left, right = _scaled(left), _scaled(right)
    divisor = _variance(right)
    if not divisor > 0:
        return np.nan
    return float(np.ldexp(_covariance(left, right) / divisor, exponents[0] - exponents[1]))


def rolling_cov(left: Values, right: Values, window: int) -> Values:
    """Return the covariances of windows of two series, with the divisor n - 1."""
    return _pairs(_covariance, left, right, window)


def rolling_corr(left: Values, right: Values, window: int) -> Values:
    """Return the correlations of windows of two series; NaN if a variance is 0."""
    return _pairs(_correlation, left, right, window)


def rolling_beta(left: Values, right: Values, window: int) -> Values:
    """Return covariance / variance of the right values for windows of two series; NaN if it is 0."""
    return _pairs(_slope, left, right, window)


def _since(values: Values, starts: Positions) -> tuple[Positions, Positions]:
    stop = np.arange(1, values.size + 1, dtype=np.int64)
    return starts[np.searchsorted(starts, stop - 1, side="right") - 1], stop


def cumulative_sum(values: Values, starts: Positions) -> Values:
    """Return the sums from the last of the positions `starts` to each value."""
    return (
        _each(lambda part: float(part.sum()), values, *_since(values, starts))
        if values.size
        else values.copy()
    )


def cumulative_max(values: Values, starts: Positions) -> Values:
    """Return the largest values from the last of the positions `starts` to each value."""
    return (
        _each(lambda part: float(part.max()), values, *_since(values, starts))
        if values.size
        else values.copy()
    )


def cumulative_min(values: Values, starts: Positions) -> Values:
    """Return the smallest values from the last of the positions `starts` to each value."""
    return (
        _each(lambda part: float(part.min()), values, *_since(values, starts))
        if values.size
        else values.copy()
    )

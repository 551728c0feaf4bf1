"""Slow reference implementations of the statistical kernels, written in plain Python from their definitions.

Like those in `reference.py`, they share no code with the kernels. They compute with fractions, which are
exact, and round each result to a float once; a square root is first rounded to at least 100 binary digits. A
function takes the n values of one window; `rolling` and `between` apply it to the windows of a series. An
undefined result is NaN.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import inf, isqrt, nan

type Statistic = Callable[[Sequence[float]], float]


def rolling(statistic: Statistic, values: Sequence[float], window: int) -> list[float]:
    """Return the statistic of each window of `window` consecutive values, in the order of the windows."""
    return [statistic(values[i : i + window]) for i in range(len(values) - window + 1)]


def between(
    statistic: Statistic, values: Sequence[float], first: Sequence[int], stop: Sequence[int]
) -> list[float]:
    """Return the statistic of each window `values[first[k] : stop[k]]`, and NaN for an empty window."""
    windows = [values[start:end] for start, end in zip(first, stop, strict=True)]
    return [statistic(window) if window else nan for window in windows]


def total(values: Sequence[float]) -> float:
    """Return the sum of the values."""
    return _rounded(sum(map(Fraction, values), start=Fraction(0)))


def mean(values: Sequence[float]) -> float:
    """Return the mean of the values."""
    return _rounded(_mean(values))


def var(values: Sequence[float]) -> float:
    """Return the variance: the sum of the squared deviations from the mean, divided by n - 1."""
    return _rounded(_products(values, values) / (len(values) - 1)) if len(values) > 1 else nan


def std(values: Sequence[float]) -> float:
    """Return the square root of the variance."""
    return _rounded(_root(_products(values, values) / (len(values) - 1))) if len(values) > 1 else nan


def zscore(values: Sequence[float]) -> float:
    """Return the z-score of the last value: its deviation from the mean, in standard deviations."""
    squares = _products(values, values)
    if squares == 0:
        return nan
    return _signed_root(Fraction(values[-1]) - _mean(values), squares / (len(values) - 1))


def cov(left: Sequence[float], right: Sequence[float]) -> float:
    """Return the covariance: the sum of the products of the deviations from the means, divided by n - 1."""
    return _rounded(_products(left, right) / (len(left) - 1)) if len(left) > 1 else nan


def corr(left: Sequence[float], right: Sequence[float]) -> float:
    """Return the correlation: the covariance divided by both standard deviations."""
    squares = _products(left, left) * _products(right, right)
    return _signed_root(_products(left, right), squares) if squares else nan


def beta(left: Sequence[float], right: Sequence[float]) -> float:
    """Return the beta: the covariance divided by the variance of the right values."""
    squares = _products(right, right)
    return _rounded(_products(left, right) / squares) if squares else nan


def product_of_deviations(left: Sequence[float], right: Sequence[float]) -> float:
    """Return the product of both standard deviations, which is the scale of the error of a covariance."""
    if len(left) < 2:
        return nan
    return _rounded(_root(_products(left, left) * _products(right, right)) / (len(left) - 1))


def ratio_of_deviations(left: Sequence[float], right: Sequence[float]) -> float:
    """Return the left standard deviation divided by the right one: the scale of the error of a beta."""
    squares = _products(right, right)
    return _rounded(_root(_products(left, left) / squares)) if squares else nan


def quantile(values: Sequence[float], q: float) -> float:
    """Return the quantile by linear interpolation between sorted values (type 7 of Hyndman and Fan)."""
    ordered = sorted(map(Fraction, values))
    position = Fraction(q) * (len(ordered) - 1)
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return _rounded(ordered[below] + (position - below) * (ordered[above] - ordered[below]))


def rank(values: Sequence[float]) -> float:
    """Return the rank (number below x + (number equal to x + 1) / 2) / n of x, the last of the n values."""
    below = sum(value < values[-1] for value in values)
    equal = sum(value == values[-1] for value in values)
    return float((below + Fraction(equal + 1, 2)) / len(values))


def cumulative(
    statistic: Callable[[Sequence[float]], float], values: Sequence[float], starts: Sequence[int]
) -> list[float]:
    """Return, for each value, the statistic of all values from the start of its period up to the value.

    Args:
        statistic: the function that computes the statistic of a list of values.
        values: the values.
        starts: the positions of the first value of each period, ascending.
    """
    begin = [max(start for start in starts if start <= i) for i in range(len(values))]
    return [statistic(values[begin[i] : i + 1]) for i in range(len(values))]


def _mean(values: Sequence[float]) -> Fraction:
    return sum(map(Fraction, values), start=Fraction(0)) / len(values)


def _products(left: Sequence[float], right: Sequence[float]) -> Fraction:
    """Return the exact sum of the products of the deviations from the means."""
    left_mean, right_mean = _mean(left), _mean(right)
    pairs = zip(map(Fraction, left), map(Fraction, right), strict=True)
    return sum(((x - left_mean) * (y - right_mean) for x, y in pairs), start=Fraction(0))


def _signed_root(number: Fraction, square: Fraction) -> float:
    """Return number / sqrt(square), rounded to a float."""
    size = _rounded(_root(number * number / square))
    return size if number >= 0 else -size


def _root(square: Fraction) -> Fraction:
    """Return the square root, rounded to at least 100 binary digits."""
    shift = max(0, 200 - square.numerator.bit_length() + square.denominator.bit_length())
    shift += shift % 2
    return Fraction(isqrt((square.numerator << shift) // square.denominator), 1 << (shift // 2))


def _rounded(exact: Fraction) -> float:
    try:
        return float(exact)
    except OverflowError:
        return inf if exact > 0 else -inf

"""Statistics of the observations of one window, computed from their definitions with exact fractions.

Each function takes the observations in the order of time and returns the exact result with an error bound, or
None if the result is undefined.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor

from tests.reference_bounds import (
    EPS,
    TINY,
    Bounded,
    quotient,
    rounded,
    sign,
    square_root,
)

type Statistic = Callable[[Sequence[Bounded]], Bounded | None]

_TWO_PASS = 64
"""Roundings of a deviation from the mean of a window, in units of eps times the largest absolute value."""


def total(values: Sequence[Bounded], roundings: Fraction | int) -> Bounded:
    """Return the exact sum of the values of a window, with an error bound for the sum that a kernel computes.

    Args:
        values: the values of the window.
        roundings: the error that the additions of the kernel may cause, as a multiple of eps (2**-52) times
            the sum of the absolute values.
    """
    size = sum((found.size for found in values), Fraction(0))
    error = sum((found.error for found in values), Fraction(0))
    return Bounded(sum((found.value for found in values), Fraction(0)), error + roundings * EPS * size)


def mean_of(values: Sequence[Bounded], roundings: Fraction | int) -> Bounded:
    """Return the exact mean of a window, with an error bound for the mean that a kernel computes.

    The bound allows two roundings of the division in addition to the error of the sum.

    Args:
        values: the values of the window.
        roundings: the error that the kernel may add to the sum, as a multiple of eps (2**-52) times the sum
            of the absolute values.
    """
    summed = total(values, roundings)
    return rounded(Bounded(summed.value / len(values), summed.error / len(values)), 2)


def _sum_roundings(window: int) -> Fraction:
    """Return the error that the kernel `rolling_sum` may have for a window of `window` values.

    The error, which the module `kernels.rolling` states, is a multiple of eps (2**-52) times the sum of the
    absolute values.
    """
    return Fraction((window - 1).bit_length(), 2) + 1


def sum_(values: Sequence[Bounded]) -> Bounded:
    """Return the sum of the values."""
    return total(values, _sum_roundings(len(values)))


def mean(values: Sequence[Bounded]) -> Bounded:
    """Return the mean of the values."""
    return mean_of(values, _sum_roundings(len(values)))


def largest(values: Sequence[Bounded]) -> Bounded:
    """Return the largest value; its error is at most the largest error of any of the values."""
    return Bounded(max(found.value for found in values), max(found.error for found in values))


def smallest(values: Sequence[Bounded]) -> Bounded:
    """Return the smallest value; its error is at most the largest error of any of the values."""
    return Bounded(min(found.value for found in values), max(found.error for found in values))


def count(values: Sequence[Bounded]) -> Bounded:
    """Return the number of values."""
    return Bounded(Fraction(len(values)))


def covariance(left: Sequence[Bounded], right: Sequence[Bounded]) -> Bounded | None:
    """Return the covariance with the divisor n - 1, or None if there are fewer than two values."""
    n = len(left)
    if n < 2:
        return None
    a, a_error, a_deviation = _deviations(left)
    b, b_error, b_deviation = _deviations(right)
    value = sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0)) / (n - 1)
    magnitude = sum((abs(x * y) for x, y in zip(a, b, strict=True)), Fraction(0)) / (n - 1)
    error = 2 * (a_deviation * b_error + b_deviation * a_error) + 4 * n * a_error * b_error
    return rounded(Bounded(value, error + n * TINY), 4 * n) if magnitude else Bounded(value, error)


def _deviations(values: Sequence[Bounded]) -> tuple[list[Fraction], Fraction, Fraction]:
    """Return (deviations, error, spread) of the values of a window.

    The deviations from the mean are exact. `error` is the largest error that a deviation may have in float64.
    `spread` is the sum of the absolute deviations, divided by the number of values minus 1. The rounding of
    the mean changes all deviations by the same amount. Such a common error cancels out in first order, so it
    is not counted.
    """
    n = len(values)
    middle = sum((found.value for found in values), Fraction(0)) / n
    exact = [found.value - middle for found in values]
    scale = max(found.size for found in values)
    given = 2 * max(found.error for found in values)
    spread = sum(map(abs, exact), Fraction(0))
    if not given and not spread:
        return exact, Fraction(0), Fraction(0)
    return exact, given + _TWO_PASS * EPS * scale + TINY, spread / (n - 1)


def variance(values: Sequence[Bounded]) -> Bounded | None:
    """Return the variance with the divisor n - 1, or None if there are fewer than two values."""
    return covariance(values, values)


def deviation(values: Sequence[Bounded]) -> Bounded | None:
    """Return the standard deviation with the divisor n - 1, or None if there are fewer than two values."""
    found = variance(values)
    if found is None or (found.value == 0 == found.error):
        return found
    root = square_root(Bounded(found.value))
    if root is None or found.error >= found.value:
        top = square_root(Bounded(found.value + found.error))
        return Bounded(Fraction(0) if root is None else root.value, Fraction(0) if top is None else top.value)
    return square_root(found)


def zscore(values: Sequence[Bounded]) -> Bounded | None:
    """Return the last value's deviation from the mean in standard deviations.

    Return None if the standard deviation is 0 or undefined.
    """
    found = deviation(values)
    if found is None or not sign(found):
        return None
    _, error, _ = _deviations(values)
    middle = sum((each.value for each in values), Fraction(0)) / len(values)
    return quotient(Bounded(values[-1].value - middle, 2 * error), found)


def rank(values: Sequence[Bounded]) -> Bounded:
    """Return the rank (number below x + (number equal to x + 1) / 2) / n of x, the last of the n values."""
    signs = [_order(found, values[-1]) for found in values[:-1]]
    below, equal = signs.count(-1), signs.count(0) + 1
    return rounded(Bounded((below + Fraction(equal + 1, 2)) / len(values)), 2)


def _order(left: Bounded, right: Bounded) -> int:
    gap = Bounded(left.value - right.value, left.error + right.error)
    return sign(gap)


def quantile(q: float) -> Statistic:
    """Return the function that computes a quantile by linear interpolation between the two nearest values."""

    def found(values: Sequence[Bounded]) -> Bounded:
        ordered = sorted(each.value for each in values)
        place = Fraction(q) * (len(ordered) - 1)
        low, high = ordered[floor(place)], ordered[ceil(place)]
        value = low + (place - floor(place)) * (high - low)
        # The place itself is rounded, so the share of the upper value has an error of eps * place.
        error = max(each.error for each in values) + 4 * EPS * (place + 1) * (abs(low) + abs(high))
        if place != floor(place) or low != value:
            error += 4 * EPS * len(ordered) * max(map(abs, ordered))
        return Bounded(value, error + TINY)

    return found


def correlation(left: Sequence[Bounded], right: Sequence[Bounded]) -> Bounded | None:
    """Return the correlation, or None if one of the variances is 0 or undefined."""
    both, a, b = covariance(left, right), deviation(left), deviation(right)
    if both is None or a is None or b is None or not (sign(a) and sign(b)):
        return None
    once = quotient(both, a)
    return None if once is None else quotient(once, b)


def slope(left: Sequence[Bounded], right: Sequence[Bounded]) -> Bounded | None:
    """Return the covariance divided by the variance of the right values.

    Return None if this variance is 0 or undefined.
    """
    both, divisor = covariance(left, right), variance(right)
    if both is None or divisor is None:
        return None
    return quotient(both, divisor)


STATISTICS: dict[str, Statistic] = {
    "sma": mean,
    "sum": sum_,
    "max": largest,
    "min": smallest,
    "std": deviation,
    "var": variance,
    "median": quantile(0.5),
    "zscore": zscore,
    "rank": rank,
    "count": count,
}

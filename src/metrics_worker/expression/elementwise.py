"""Operations on each value of a series by itself: functions, limits and rounding."""

from typing import assert_never

import numpy as np

from metrics_worker.expression.fields import TransformOp
from metrics_worker.series import Series, Values

_WHOLE = 2.0**52
"""Every float64 of this size or more is a whole number."""
_STEPS = 2
"""The distance of neighbouring float64 numbers, in decimal steps, above which they need no rounding.

The nearest decimal number is at most half a step from x. The float64 numbers next to x are at least half the
spacing of x away (at a power of two, the lower one is half as far as the upper one), so none is nearer.
"""
_AT_ONCE = 4096
"""The number of values that are rounded one by one before their memory is released."""


def transformed(op: TransformOp, series: Series) -> Series:
    """Return the series with the function `op` applied to each value.

    A value for which the result is undefined or too large for float64 is left out.
    """
    values = series.values
    with np.errstate(all="ignore"):
        match op:
            case "abs":
                result = np.abs(values)
            case "neg":
                result = -values
            case "log":
                result = np.log(values)
            case "exp":
                result = np.exp(values)
            case "sqrt":
                result = np.sqrt(values)
            case "sign":
                result = np.sign(values)
            case _:
                assert_never(op)
    return Series.where_finite(series.times, result)


def clipped(series: Series, lower: float | None, upper: float | None) -> Series:
    """Return the series with each value limited to the range from `lower` to `upper`; None means no limit."""
    values = series.values
    # np.clip may replace -0.0 by a limit of 0.0 or keep it, depending on the value's position in the array.
    if lower is not None:
        values = np.where(values < lower, lower, values)
    if upper is not None:
        values = np.where(values > upper, upper, values)
    return Series(series.times, values)


def rounded(series: Series, digits: int) -> Series:
    """Return the series with each value rounded to `digits` decimal places, exactly as Python's `round` does.

    A value that overflows is left out.
    """
    return Series.where_finite(series.times, _round(series.values, digits))


def _round(values: Values, digits: int) -> Values:
    """Return each value rounded to the nearest decimal number with `digits` places, as a new array.

    The decimal number nearest to x is k / 10**digits, where k is the whole number nearest to x * 10**digits.
    Numpy computes this product as a float64 number p, whose rounding error is less than one unit in the last
    place of p. If p is less than 2**52, and its distance from the middle of two whole numbers is larger than
    this unit, then k is the whole number nearest to p. The quotient is exact to the last bit, because k and
    10**digits are float64 numbers. Python itself rounds the few other values.
    """
    if digits == 0:
        return np.rint(values)
    power = 10.0**digits
    with np.errstate(all="ignore"):
        product = values * power
        size = np.abs(product)
        off_middle = np.abs(size - np.floor(size) - 0.5)
        is_plain = (size < _WHOLE) & (off_middle > np.spacing(size))
        # If neighbouring float64 numbers are two decimal steps apart, each is its own rounded value.
        is_coarse = np.spacing(np.abs(values)) * power > _STEPS
        result = np.where(is_coarse, values, np.rint(product) / power)
    hard = np.flatnonzero(~(is_plain | is_coarse))
    for start in range(0, hard.size, _AT_ONCE):
        places = hard[start : start + _AT_ONCE]
        result[places] = [round(value, digits) for value in values[places].tolist()]
    return result

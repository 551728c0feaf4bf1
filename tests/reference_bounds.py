"""Exact values with error bounds: the arithmetic of the slow reference implementation of evaluation.

A function for an operation returns its exact result, with the largest error that the same operation may have
in float64. Functions whose exact results are irrational (square root, logarithm, exponential, power) are
computed with far more digits than a float64 has.
"""

import sys
from decimal import Decimal, localcontext
from fractions import Fraction
from math import isqrt
from typing import NamedTuple

EPS = Fraction(1, 2**52)
UNIT = EPS / 2
"""The largest rounding error of one float64 operation, relative to the exact result."""
TINY = Fraction(1, 2**1074)
"""The smallest positive float64; the absolute rounding error of a subnormal result is at most this."""
LARGEST = Fraction(sys.float_info.max)
_LIBRARY = 8
"""Roundings allowed in the result of a function of a mathematics library, such as a logarithm."""
_FARTHEST = 800
"""exp(800) is too large for a float64, and exp(-800) is too small."""


class Undecided(Exception):
    """An exception: because of rounding, it is uncertain whether float64 has an observation at a time."""


class Bounded(NamedTuple):
    """The exact result of a calculation, with the error that is allowed for the same calculation in float64.

    Attributes:
        value: the exact result.
        error: the largest difference that the float64 result may have from `value`.
    """

    value: Fraction
    error: Fraction = Fraction(0)

    @property
    def size(self) -> Fraction:
        """Return the largest absolute value that the float64 result may have."""
        return abs(self.value) + self.error

    @property
    def lowest(self) -> Fraction:
        """Return the smallest value that the float64 result may have."""
        return self.value - self.error

    @property
    def highest(self) -> Fraction:
        """Return the largest value that the float64 result may have."""
        return self.value + self.error


type Observations = dict[int, Bounded]


def rounded(exact: Bounded, roundings: Fraction | int = 1) -> Bounded:
    """Return the value with an error bound that also allows for further roundings to float64.

    The fractions are shortened, which changes them by far less than one rounding.

    Args:
        exact: the exact value with its present error bound.
        roundings: the number of further roundings. Each adds an error of up to 2**-53 of the largest absolute
            value that the float64 result may have, or of the smallest positive float64.
    """
    error = exact.error + roundings * (UNIT * exact.size + TINY)
    return Bounded(short(exact.value, 256), short(error, 64) * (1 + Fraction(1, 2**40)))


def short(value: Fraction, bits: int) -> Fraction:
    """Return a fraction with a long numerator and denominator rounded to at least `bits` binary digits.

    A shorter fraction is returned unchanged. Long fractions would slow the tests down.
    """
    shift = bits + value.denominator.bit_length() - value.numerator.bit_length()
    if value.denominator.bit_length() + value.numerator.bit_length() < 4 * bits:
        return value
    return Fraction(round(value * Fraction(2) ** shift)) / Fraction(2) ** shift


def decided(exact: Bounded) -> Bounded:
    """Return the argument unchanged, unless the float64 result may exceed half of the largest float64.

    Raises:
        Undecided: the result may be so large, so it may be infinite in float64.
    """
    if exact.size > LARGEST / 2:
        raise Undecided
    return exact


def sign(exact: Bounded) -> int:
    """Return the sign of a value: -1, 0 or 1. Raise Undecided if rounding errors may change the sign."""
    if exact.error and abs(exact.value) <= exact.error:
        raise Undecided
    return (exact.value > 0) - (exact.value < 0)


def difference(left: Bounded, right: Bounded) -> Bounded:
    """Return left - right."""
    return rounded(decided(Bounded(left.value - right.value, left.error + right.error)))


def product(left: Bounded, right: Bounded) -> Bounded:
    """Return left * right."""
    a, b = left.value, right.value
    error = abs(a) * right.error + abs(b) * left.error + left.error * right.error
    return rounded(decided(Bounded(a * b, error)))


def quotient(left: Bounded, right: Bounded) -> Bounded | None:
    """Return left / right, or None if the divisor is exactly zero."""
    if not sign(right):
        return None
    value = left.value / right.value
    error = (left.error + abs(value) * right.error) / (abs(right.value) - right.error)
    return rounded(decided(Bounded(value, error)))


def square_root(exact: Bounded) -> Bounded | None:
    """Return the square root, or None if the value is negative."""
    if sign(exact) < 0:
        return None
    if exact.value == 0:
        return exact
    return rounded(_between(_root(exact.lowest), _root(exact.value), _root(exact.highest)))


def logarithm(exact: Bounded) -> Bounded | None:
    """Return the natural logarithm, or None if the value is not positive."""
    if sign(exact) <= 0:
        return None
    ends = (_decimal_log(value) for value in (exact.lowest, exact.value, exact.highest))
    return rounded(_between(*map(_fraction, ends)), _LIBRARY)


def exponential(exact: Bounded) -> Bounded:
    """Return e to the power of the value."""
    if exact.highest > _FARTHEST:
        raise Undecided
    ends = (_decimal_exp(_decimal(value)) for value in (exact.lowest, exact.value, exact.highest))
    return rounded(decided(_between(*map(_fraction, ends))), _LIBRARY)


def power(left: Bounded, right: Bounded) -> Bounded | None:
    """Return left to the power of right, or None if the power divides by zero or is not a real number."""
    if right.value == 0 == right.error:
        return Bounded(Fraction(1))
    exponent_sign, base_sign = sign(right), sign(left)
    if base_sign == 0:
        return Bounded(Fraction(0)) if exponent_sign > 0 else None
    factor = 1
    if base_sign < 0:
        if right.error:
            raise Undecided
        if right.value.denominator != 1:
            return None
        factor = 1 if right.value % 2 == 0 else -1
    left = Bounded(abs(left.value), left.error)
    with localcontext(prec=80):
        bases = [_decimal_log(value) for value in (left.lowest, left.value, left.highest)]
        exponents = [_decimal(value) for value in (right.lowest, right.value, right.highest)]
        logs = [base * exponent for base in bases for exponent in exponents]
        if max(logs) > _FARTHEST:
            raise Undecided
        results = [_fraction(_decimal_exp(log)) for log in logs]
    exact = _between(min(results), results[4], max(results))
    return rounded(decided(Bounded(factor * exact.value, exact.error)), _LIBRARY)


def _between(low: Fraction, value: Fraction, high: Fraction) -> Bounded:
    return Bounded(value, max(value - low, high - value))


def _root(value: Fraction) -> Fraction:
    """Return the square root, rounded down to at least 200 binary digits; 0 if the value is negative."""
    if value <= 0:
        return Fraction(0)
    shift = max(0, 200 + value.denominator.bit_length() - value.numerator.bit_length())
    shift += (shift + value.denominator.bit_length()) % 2
    root = isqrt((value.numerator << (2 * shift)) // value.denominator)
    return Fraction(root, 1 << shift)


def _decimal(value: Fraction) -> Decimal:
    with localcontext(prec=80):
        return Decimal(value.numerator) / Decimal(value.denominator)


def _decimal_log(value: Fraction) -> Decimal:
    with localcontext(prec=80):
        return _decimal(value).ln()


def _decimal_exp(value: Decimal) -> Decimal:
    with localcontext(prec=80):
        return max(value, Decimal(-_FARTHEST)).exp()


def _fraction(value: Decimal) -> Fraction:
    return short(Fraction(value), 256)

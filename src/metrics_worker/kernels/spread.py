"""The spread of consecutive values: their mean and the sum of the squared deviations from their own mean.

A span is a number of consecutive values. Its spread is merged from the spreads of its left and right parts
(Chan, Golub and LeVeque, 1979). If these have l and r values,

    gap     = mean of the right part - mean of the left part
    squares = squares of the left part + squares of the right part + gap ** 2 * l * r / (l + r)

Only non-negative numbers are added, and no value outside the span takes part. A mean is represented by its
offset from the first value of its span, so a gap is computed from differences of nearby values: a large level
that all values share does not cost digits, and the squares of a constant span are exactly 0.

A square can leave the range of float64 although the standard deviation is within the range. Such spans are
computed again from values that are multiplied by a power of two, the `exponent` of their `Moments`.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metrics_worker.kernels.rolling import Steps, Values, doublings, scratch_arrays, steps_of

type Counts = int | NDArray[np.int64]
type Mask = NDArray[np.bool_]
type Compute = Callable[[Values], tuple[Values | None, Values]]

# Values are multiplied by 2 ** -600 or 2 ** 600: the largest float becomes 4e127, the smallest float 2e-143.
_SHIFT = 600
# Sums of squares below this number may have lost digits, because some of the squares are subnormal or zero.
_SMALL = 1e-290
# If neighbours differ by at least this number, or are equal, no sum of squares is between 0 and _SMALL.
_SMALL_STEP = 1e-140


class Spread(NamedTuple):
    """The spreads of many spans of consecutive values.

    Attributes:
        offset: for each span, its mean minus its first value.
        squares: for each span, the sum of the squared deviations from its mean.
    """

    offset: Values
    squares: Values


class Moments(NamedTuple):
    """The moments of many windows, computed from the values times 2 ** `exponent`.

    Attributes:
        deviation: for each window, its last value minus its mean; None if it is not needed.
        squares: for each window, the sum of the squared deviations from its mean.
        exponent: the exponent of each window, or 0 for all windows.
    """

    deviation: Values | None
    squares: Values
    exponent: Counts


@lru_cache(maxsize=256)
def doubling_steps(window: int) -> Steps:
    """Return the steps (`Step`) that combine `window` values in the order of `doublings(window)`."""
    return steps_of([(left, right, left + right) for left, right in doublings(window)])


def merge(
    left: Spread | None, right: Spread | None, gap: Values, counts: tuple[Counts, Counts], out: Spread
) -> None:
    """Write the spreads of many merged spans into `out`. Each merged span consists of two adjacent spans.

    Args:
        left: the spreads of the left spans; None if these spans have one value each.
        right: the spreads of the right spans; None if these spans have one value each.
        gap: for each pair, the first value of the right span minus the first value of the left span;
            overwritten.
        counts: the number of values of the left spans, and that of the right spans.
        out: the arrays to write.
    """
    before, after = counts
    if right:
        gap += right.offset
    if left:
        gap -= left.offset
    np.multiply(gap, after / (before + after), out=out.offset)
    gap *= gap
    np.multiply(gap, before * after / (before + after), out=out.squares)
    if left:
        np.add(out.offset, left.offset, out=out.offset)
        np.add(out.squares, left.squares, out=out.squares)
    if right:
        np.add(out.squares, right.squares, out=out.squares)


def spread_of_spans(values: Values, window: int, out: Spread) -> None:
    """Write the spread of each span `values[i : i + window]` into element i of `out`; window >= 2."""
    steps = doubling_steps(window)
    memory = scratch_arrays(2 * steps[-1].target - 1, len(values))
    scratch = [Spread(*pair) for pair in zip(memory[1:-1:2], memory[2::2], strict=True)]
    results = [*scratch, out]
    for step in steps:
        length = len(values) - step.span + 1
        gap = np.subtract(values[step.shift :][:length], values[:length], out=memory[0, :length])
        left = _part(results[step.left - 1], 0, length) if step.left else None
        right = _part(results[step.right - 1], step.shift, length) if step.right else None
        target = _part(results[step.target - 1], 0, length)
        merge(left, right, gap, counts=(step.shift, step.span - step.shift), out=target)


def _part(spread: Spread, start: int, length: int) -> Spread:
    return Spread(spread.offset[start : start + length], spread.squares[start : start + length])


def within_range(values: Values, compute: Compute) -> Moments:
    """Return the moments of all windows, and scale values whose squares leave the range of float64.

    Windows whose squares overflow or are near the smallest positive float64 are computed again from values
    that are multiplied by a power of two.

    Args:
        values: the series.
        compute: returns, for the series or for the scaled series, the fields `deviation` and `squares` of
            `Moments`.
    """
    moments = Moments(*compute(values), 0)
    if not (moments.squares.max(initial=0.0) < np.inf):
        moments = _rescaled(moments, ~np.isfinite(moments.squares), values, compute, -_SHIFT)
    if moments.squares.min(initial=1.0) < _SMALL and _has_small_steps(values):
        moments = _rescaled(moments, moments.squares < _SMALL, values, compute, _SHIFT)
    return moments


def is_within_range(squares: Values) -> bool:
    """Return whether no sum of squares is infinite, NaN, zero or so small that it may have lost digits."""
    return bool(squares.max(initial=0.0) < np.inf and squares.min(initial=1.0) >= _SMALL)


def exponents(squares: Values, values: Values) -> NDArray[np.int64]:
    """Return for each window the exponent of the power of two by which its values must be multiplied.

    The exponent is 0 for a window whose squares are well within the range of float64.

    Args:
        squares: for each window, the sum of the squared deviations, computed from the unscaled values.
        values: the unscaled values of the series.
    """
    result = np.where(np.isfinite(squares), 0, -_SHIFT)
    if _has_small_steps(values):
        result[squares < _SMALL] = _SHIFT
    return result


def _rescaled(moments: Moments, wanted: Mask, values: Values, compute: Compute, shift: int) -> Moments:
    """Return the moments of all windows, and compute those of the wanted windows again from scaled values.

    Args:
        moments: the moments of all windows.
        wanted: for each window, whether to compute it again. If its squares overflow again, its moments do
            not change.
        values: the unscaled values of the series.
        compute: as in `within_range`.
        shift: the exponent of the power of two by which the values are multiplied.
    """
    deviation, squares = compute(np.ldexp(values, shift))
    wanted = wanted & np.isfinite(squares)
    if deviation is not None and moments.deviation is not None:
        deviation = np.where(wanted, deviation, moments.deviation)
    return Moments(
        deviation,
        np.where(wanted, squares, moments.squares),
        np.where(wanted, shift, moments.exponent),
    )


def _has_small_steps(values: Values) -> bool:
    steps = np.abs(values[1:] - values[:-1])
    return bool(((steps > 0) & (steps < _SMALL_STEP)).any())


def variance(moments: Moments, counts: Counts) -> Values:
    """Return the variance of each window (divisor count - 1), or NaN if it has only one value.

    The array `moments.squares` is overwritten. `counts` are the numbers of values of the windows.
    """
    return _scaled(_ratio(moments, counts), moments.exponent, -2)


def deviation(moments: Moments, counts: Counts) -> Values:
    """Return the standard deviation of each window (divisor count - 1), or NaN if it has only one value.

    The array `moments.squares` is overwritten. `counts` are the numbers of values of the windows.
    """
    ratio = _ratio(moments, counts)
    return _scaled(np.sqrt(ratio, out=ratio), moments.exponent, -1)


def zscore(moments: Moments, counts: Counts) -> Values:
    """Return the z-score of the last value of each window; NaN if the values of the window are equal.

    The z-score is (last value - mean) / standard deviation. The array `moments.squares` is overwritten.
    `counts` are the numbers of values of the windows.
    """
    assert moments.deviation is not None
    ratio = _ratio(moments, counts)
    np.sqrt(ratio, out=ratio)
    # A deviation of 0 divided by a standard deviation of 0 is NaN.
    return np.divide(moments.deviation, ratio, out=ratio)


def _ratio(moments: Moments, counts: Counts) -> Values:
    """Return `moments.squares` / (counts - 1); the result overwrites the array `moments.squares`."""
    return np.divide(moments.squares, np.subtract(counts, 1), out=moments.squares)


def _scaled(values: Values, exponent: Counts, factor: int) -> Values:
    if isinstance(exponent, int):
        return values
    scaled: Values = np.ldexp(values, factor * exponent)
    return scaled

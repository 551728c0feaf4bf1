"""The cumulative kernels: the sum, maximum or minimum of the values since the beginning of a period.

A kernel takes finite float64 values and an increasing int64 array `starts`: the positions of the values that
begin a period, of which the first is 0. Result i combines the values from the last start at or before i up to
value i. A kernel leaves the input unchanged, raises no exception, gives no warning and returns a new float64
array. Later observations never change a bit of an earlier result.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from metrics_worker.kernels.overflow import without_overflow
from metrics_worker.kernels.rolling import Values

type Positions = NDArray[np.int64]

# Values per block. The arrays of a block fit into the level 2 cache.
_BLOCK = 8_192


@np.errstate(all="ignore")
def cumulative_sum(values: Values, starts: Positions) -> Values:
    """Return for each value the sum of the values from the start of its period to the value.

    A sum beyond the range of float64 is infinite.

    The sum is compensated: the rounding errors of the additions are computed exactly and added to the sum.
    """
    return without_overflow(lambda scaled: _compensated(scaled, starts), values)


def cumulative_max(values: Values, starts: Positions) -> Values:
    """Return for each value the largest value from the start of its period to the value."""
    return _accumulated(np.maximum, values, starts)


def cumulative_min(values: Values, starts: Positions) -> Values:
    """Return for each value the smallest value from the start of its period to the value."""
    return _accumulated(np.minimum, values, starts)


def _accumulated(function: np.ufunc, values: Values, starts: Positions) -> Values:
    """Return `function.accumulate` of the values of each period, concatenated.

    Args:
        function: the ufunc of two arguments that combines values, such as `np.add`.
        values: the values of all periods.
        starts: the position of the first value of each period.
    """
    result = np.empty(len(values))
    bounds = [*starts.tolist(), len(values)]
    for start, stop in pairwise(bounds):
        function.accumulate(values[start:stop], out=result[start:stop])
    return result


def _compensated(values: Values, starts: Positions) -> Values:
    """Return cumulative sums that are corrected by their own rounding errors (Kahan-Babuška).

    The rounding error of each addition is computed exactly (Knuth's TwoSum). These errors are summed in the
    same way, and so are the errors of their additions, which are 2 ** 106 times smaller than the sums. The
    three cumulative sums are then added.
    """
    result = np.empty(len(values))
    carried = [0.0, 0.0, 0.0]
    for begin in range(0, len(values), _BLOCK):
        part = values[begin : begin + _BLOCK]
        low, high = np.searchsorted(starts, (begin, begin + len(part)))
        of_block = starts[low:high] - begin
        lost = []
        for level in range(3):
            sums, part = _sums_and_errors(part, of_block, carried[level])
            carried[level] = float(sums[-1])
            lost.append(sums)
        lost[1] += lost[2]
        np.add(lost[0], lost[1], out=result[begin : begin + _BLOCK])
    return result


def _sums_and_errors(terms: Values, starts: Positions, carried: float) -> tuple[Values, Values]:
    """Return the cumulative sums of the terms, and for each addition the amount that its rounding lost.

    The amount is the exact sum of the two summands minus the rounded sum.

    Args:
        terms: the terms, at least one.
        starts: the positions of the terms before which the sum is set to 0 again.
        carried: the sum before the first term.
    """
    sums = np.concatenate([[carried], terms])
    bounds = [*starts.tolist(), len(terms)]
    np.add.accumulate(sums[: bounds[0] + 1], out=sums[: bounds[0] + 1])
    for start, stop in pairwise(bounds):
        np.add.accumulate(terms[start:stop], out=sums[start + 1 : stop + 1])
    previous = sums[:-1]
    if len(starts):
        previous = previous.copy()
        previous[starts] = 0.0
    sums = sums[1:]
    rounded = sums - previous
    errors = sums - rounded
    np.subtract(previous, errors, out=errors)
    np.subtract(terms, rounded, out=rounded)
    errors += rounded
    return sums, errors

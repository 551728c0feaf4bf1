"""The cumulative kernels: a result combines all values of a period up to a value.

A kernel takes finite float64 values and the positions at which a period begins: an increasing int64 array
`starts` that contains 0. Result i combines the values from the last start at or before i up to value i. A
kernel leaves the input unchanged, raises no exception, gives no warning and returns a new float64 array.
Later observations never change a bit of an earlier result.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from metrics_worker.kernels.rolling import Values

type Positions = NDArray[np.int64]

# Values are divided by 2 ** 64 for a sum that overflows: no sum of scaled values can overflow.
_SCALE = 64


@np.errstate(all="ignore")
def cumulative_sum(values: Values, starts: Positions) -> Values:
    """Return the sum of each period up to each value; infinite beyond the range of float64.

    The sums are compensated: the rounding errors of the additions are computed and added again.
    """
    plain = _compensated(values, starts)
    if np.isfinite(plain).all():
        return plain
    scaled = np.ldexp(_compensated(np.ldexp(values, -_SCALE), starts), _SCALE)
    return np.where(np.isfinite(plain), plain, scaled)


def cumulative_max(values: Values, starts: Positions) -> Values:
    """Return the largest value of each period up to each value."""
    return _accumulated(np.maximum, values, starts)


def cumulative_min(values: Values, starts: Positions) -> Values:
    """Return the smallest value of each period up to each value."""
    return _accumulated(np.minimum, values, starts)


def _accumulated(function: np.ufunc, values: Values, starts: Positions) -> Values:
    """Return the accumulation of a function, such as np.add, which begins again at each start of a period."""
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
    sums = values
    lost = []
    for _ in range(3):
        earlier, sums = sums, _accumulated(np.add, sums, starts)
        previous = np.concatenate([[0.0], sums[:-1]]) if len(sums) else sums
        previous[starts[starts < len(sums)]] = 0.0
        rounded = sums - previous
        lost.append(sums)
        sums = (previous - (sums - rounded)) + (earlier - rounded)
    return lost[0] + (lost[1] + lost[2])

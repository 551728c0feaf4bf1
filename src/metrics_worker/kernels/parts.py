"""The kernels of consecutive parts of a series: result k is of `values[first[k] : first[k + 1]]`.

A kernel takes finite float64 values and an increasing int64 array `first` of positions below len(values); the
last part ends with the series. It leaves the input unchanged, raises no exception, gives no warning and
returns a new float64 array. Each result depends only on the values of its own part, bit for bit.

numpy adds the values of a part pairwise, in an order that depends only on their number.
"""

import numpy as np
from numpy.typing import NDArray

from metrics_worker.kernels.overflow import without_overflow
from metrics_worker.kernels.rolling import LARGEST, Values

type Positions = NDArray[np.int64]


@np.errstate(all="ignore")
def sum_of_parts(values: Values, first: Positions) -> Values:
    """Return the sums of parts; a sum beyond the range of float64 is infinite."""
    return without_overflow(lambda scaled: _reduced(np.add, scaled, first), values)


@np.errstate(all="ignore")
def mean_of_parts(values: Values, first: Positions) -> Values:
    """Return the finite means of parts."""
    counts = np.append(first[1:], len(values)) - first
    # A mean never exceeds the largest of its values, but rounding can take it beyond the float64 range.
    return without_overflow(lambda scaled: _reduced(np.add, scaled, first) / counts, values, limit=LARGEST)


def max_of_parts(values: Values, first: Positions) -> Values:
    """Return the largest values of parts; a zero is positive."""
    return _reduced(np.maximum, values, first) + 0.0


def min_of_parts(values: Values, first: Positions) -> Values:
    """Return the smallest values of parts; a zero is positive."""
    return _reduced(np.minimum, values, first) + 0.0


def _reduced(function: np.ufunc, values: Values, first: Positions) -> Values:
    if not len(first):
        return np.empty(0)
    reduced: Values = function.reduceat(values, first)
    return reduced

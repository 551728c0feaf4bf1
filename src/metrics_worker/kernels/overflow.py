"""Sums of float64 values whose intermediate results can overflow although the final result does not."""

from collections.abc import Callable

import numpy as np

from metrics_worker.kernels.rolling import Values

# Values are divided by 2 ** 64: no sum of values that were divided by it can overflow.
_SCALE = 64


def without_overflow(compute: Callable[[Values], Values], values: Values, *, limit: float = np.inf) -> Values:
    """Return `compute(values)`, and compute the results that overflow again from scaled values.

    Args:
        compute: returns sums or means of the values. Multiplying all values by a power of two multiplies each
            result by it.
        values: the finite values.
        limit: the largest absolute value of a result that is computed again.
    """
    plain = compute(values)
    if np.isfinite(plain).all():
        return plain
    scaled = np.ldexp(compute(np.ldexp(values, -_SCALE)), _SCALE)
    return np.where(np.isfinite(plain), plain, np.clip(scaled, -limit, limit))

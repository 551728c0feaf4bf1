"""Slow reference implementations of the window kernels, written in plain Python from their definitions.

Tests compare the fast kernels with them, so they share no code with the kernels: they use lists of floats and
exact or many-digit arithmetic, and no numpy. A window consists of `window` consecutive values, and the
results are in the order of the windows, so there are `window` - 1 fewer results than values. Only `ema` and
`lag` differ from that. The reference for the evaluation of expressions is in `reference_evaluation.py`.
"""

import sys
from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from math import fsum, inf

# --- Window kernels: (values, window) -> values, as in metrics_worker.kernels ------------------------------


def rolling_sum(values: Sequence[float], window: int) -> list[float]:
    """Return the exact sum of each window, rounded once; infinite if it exceeds the largest float."""
    return [_exact_sum(run, 1) for run in _runs(values, window)]


def rolling_mean(values: Sequence[float], window: int) -> list[float]:
    """Return the mean of each window: its exact sum, rounded to a float, divided by the window's length."""
    return [_exact_sum(run, window) for run in _runs(values, window)]


def rolling_max(values: Sequence[float], window: int) -> list[float]:
    """Return the largest value of each window."""
    return [max(run) for run in _runs(values, window)]


def rolling_min(values: Sequence[float], window: int) -> list[float]:
    """Return the smallest value of each window."""
    return [min(run) for run in _runs(values, window)]


def lag(values: Sequence[float], window: int) -> list[float]:
    """Return, for each value except the first `window`, the value that is `window` positions earlier."""
    return [values[i - window] for i in range(window, len(values))]


def ema(values: Sequence[float], window: int) -> list[float]:
    """Return the exponential average at each observation by its recursive definition, with 60 decimal digits.

    Any difference between the kernel and this result is therefore an error of the kernel. If this function
    used float64 arithmetic, it would be less accurate than the kernel, because its rounding errors add up.
    """
    averages: list[Decimal] = []
    with localcontext(prec=60):
        gain = Decimal(2) / (window + 1)
        for value in values:
            exact = Decimal(value)
            averages.append(gain * exact + (1 - gain) * averages[-1] if averages else exact)
        return [float(average) for average in averages]


def _runs(values: Sequence[float], window: int) -> list[Sequence[float]]:
    return [values[i : i + window] for i in range(len(values) - window + 1)]


def _exact_sum(run: Sequence[float], divisor: int) -> float:
    try:
        return fsum(run) / divisor
    except OverflowError:  # The sum, or a partial sum that is larger than the sum, exceeds the largest float.
        exact = sum(map(Fraction, run), start=Fraction(0)) / divisor
        return float(exact) if abs(exact) <= sys.float_info.max else inf if exact > 0 else -inf

"""The slow twins: what the worker computes, written down as its definition reads, in plain Python.

They are what the fast code is measured against, so they share nothing with it: lists of floats, exact or
many-digit arithmetic, no numpy. These are the twins of the window kernels; that of the evaluation of
expressions is `reference_evaluation.py`.
"""

import sys
from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from math import fsum, inf

# --- Window kernels: (values, window) -> values, as in metrics_worker.windows ------------------------------


def rolling_sum(values: Sequence[float], window: int) -> list[float]:
    """The exact sum of each window, rounded once; infinite where it is beyond the largest float."""
    return [_exact_sum(run, 1) for run in _runs(values, window)]


def rolling_mean(values: Sequence[float], window: int) -> list[float]:
    """The exact sum of each window, rounded and divided."""
    return [_exact_sum(run, window) for run in _runs(values, window)]


def rolling_max(values: Sequence[float], window: int) -> list[float]:
    """The largest value of each window."""
    return [max(run) for run in _runs(values, window)]


def rolling_min(values: Sequence[float], window: int) -> list[float]:
    """The smallest value of each window."""
    return [min(run) for run in _runs(values, window)]


def lag(values: Sequence[float], window: int) -> list[float]:
    """The value `window` observations earlier, for each observation that has one."""
    return [values[i - window] for i in range(window, len(values))]


def ema(values: Sequence[float], window: int) -> list[float]:
    """The plain recurrence, step by step, in 60 digits: what differs from it is the kernel's error alone.

    (In floats the recurrence would be the less accurate of the two, by hundreds of roundings.)
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
    except OverflowError:  # Of the sum, or of a partial one on the way to a smaller.
        exact = sum(map(Fraction, run), start=Fraction(0)) / divisor
        return float(exact) if abs(exact) <= sys.float_info.max else inf if exact > 0 else -inf

"""The kernels of variable windows: result k belongs to `values[first[k] : stop[k]]`; NaN if it is empty.

A kernel takes finite float64 values and two int64 arrays of equal length, `first` and `stop`, which never
decrease, with 0 <= first[k] <= stop[k] <= len(values). It leaves the input unchanged, raises no exception,
gives no warning and returns a new float64 array. Each result depends only on the values of its own window,
bit for bit. It equals the result of the kernel for fixed windows, except for rounding.

The windows of a regular series have few different lengths. If many windows of a block have the same length,
they are computed as fixed windows. The other windows are composed of spans of 1, 2, 4, 8, … values. Both ways
add the same numbers in the same order.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from metrics_worker.kernels import spread
from metrics_worker.kernels.overflow import without_overflow
from metrics_worker.kernels.rolling import LARGEST, Values, folded, rolling_max, rolling_min
from metrics_worker.kernels.spread import Counts, Moments, Spread, doubling_steps

type Positions = NDArray[np.int64]
type Fixed = Callable[[Values, int], Values]
type Kernel = Callable[[Values, Positions, Positions], Values]

# Windows per block, unless the longest window is longer: most arrays of a block fit into the level 2 cache.
_BLOCK = 16_384
# A length is frequent if more than a sixteenth of the values of a block begin a window of that length.
_FREQUENT = 16


def sum_between(values: Values, first: Positions, stop: Positions) -> Values:
    """Return the sum of each window `values[first[k] : stop[k]]`; infinite beyond the range of float64."""
    return _by_block(values, first, stop, _sums)


def mean_between(values: Values, first: Positions, stop: Positions) -> Values:
    """Return the mean of each window `values[first[k] : stop[k]]`: finite, or NaN for an empty window."""

    def means(part: Values, start: Positions, end: Positions) -> Values:
        counts = end - start
        # A mean never exceeds the largest of its values, but rounding can take it beyond the float64 range.
        return without_overflow(lambda scaled: _plain_sums(scaled, start, end) / counts, part, limit=LARGEST)

    return _by_block(values, first, stop, means)


def has_equal_neighbours(values: Values) -> bool:
    """Return whether a value equals the value before it."""
    return bool((values[1:] == values[:-1]).any())


def exact_means(means: Values, values: Values, first: Positions, stop: Positions) -> Values:
    """Return the means of windows, each equal to the values of its window if these are all equal.

    Otherwise, differences and z-scores of the means of a constant series would consist of rounding errors.

    Args:
        means: for each window k, the mean of `values[first[k] : stop[k]]`, which is not empty.
        values: the values of the series.
        first: the position of the first value of each window.
        stop: the position after the last value of each window.
    """
    changes = values[1:] != values[:-1]
    if changes.all():
        return means
    # The number of changes up to each value: it is equal for values of one run of equal values.
    run = np.concatenate(([0], np.cumsum(changes, dtype=np.int32)))
    last = values[stop - 1]
    # Without the second condition, the sign of a zero could change.
    return np.where((run[first] == run[stop - 1]) & (means != last), last, means)


def max_between(values: Values, first: Positions, stop: Positions) -> Values:
    """Return the largest value of each window `values[first[k] : stop[k]]`."""
    return _by_block(values, first, stop, _extremes(rolling_max, np.maximum))


def min_between(values: Values, first: Positions, stop: Positions) -> Values:
    """Return the smallest value of each window `values[first[k] : stop[k]]`."""
    return _by_block(values, first, stop, _extremes(rolling_min, np.minimum))


def var_between(values: Values, first: Positions, stop: Positions) -> Values:
    """Return the variance of each window, with the divisor n - 1; NaN for a window of one value.

    Window k is `values[first[k] : stop[k]]`.
    """
    return _by_block(values, first, stop, _from_moments(spread.variance))


def std_between(values: Values, first: Positions, stop: Positions) -> Values:
    """Return the standard deviation of each window, with the divisor n - 1; NaN for a window of one value.

    Window k is `values[first[k] : stop[k]]`.
    """
    return _by_block(values, first, stop, _from_moments(spread.deviation))


def zscore_between(values: Values, first: Positions, stop: Positions) -> Values:
    """Return the z-score, as in `rolling_zscore`, of the last value of each window; NaN for one value.

    Window k is `values[first[k] : stop[k]]`.
    """
    return _by_block(values, first, stop, _from_moments(spread.zscore))


@np.errstate(all="ignore")
def _by_block(values: Values, first: Positions, stop: Positions, kernel: Kernel) -> Values:
    """Return one result of `kernel` for each window that is not empty, and NaN for each empty window.

    `kernel` is called for blocks of windows, to limit the memory in use.
    """
    result = np.full(len(first), np.nan)
    filled = stop > first
    if not filled.all():
        windows = np.flatnonzero(filled)
        result[windows] = _by_block(values, first[windows], stop[windows], kernel)
        return result
    block = max(_BLOCK, int((stop - first).max(initial=0)))
    for start in range(0, len(first), block):
        of_block = slice(start, start + block)
        low, high = int(first[start]), int(stop[of_block][-1])
        result[of_block] = kernel(values[low:high], first[of_block] - low, stop[of_block] - low)
    return result


def _by_length(
    values: Values, first: Positions, stop: Positions, *, fixed: Fixed, composed: Kernel
) -> Values:
    """Return the results of non-empty windows; compute windows of a frequent length as fixed windows.

    Args:
        values: the values of the series.
        first: the position of the first value of each window.
        stop: the position after the last value of each window.
        fixed: returns the results of all windows of one length. It is faster if most of its results are
            needed.
        composed: returns the results of windows of any lengths, equal bit for bit to those of `fixed`.

    Returns:
        An array whose last axis is the window. It has a further axis if the arrays of `fixed` and `composed`
        have one.
    """
    lengths = stop - first
    if (
        first[-1] - first[0] == len(first) - 1
        and (lengths == lengths[0]).all()
        and (np.diff(first) == 1).all()
    ):
        return fixed(values, int(lengths[0]))
    rest = np.ones(len(first), dtype=np.bool_)
    found: list[tuple[Positions, Values]] = []
    for length in np.flatnonzero(np.bincount(lengths) * _FREQUENT > len(values)).tolist():
        windows = np.flatnonzero(lengths == length)
        low, high = first[windows[0]], stop[windows[-1]]
        found.append((windows, fixed(values[low:high], length)[..., first[windows] - low]))
        rest[windows] = False
    if not found:
        return composed(values, first, stop)
    if rest.any():
        windows = np.flatnonzero(rest)
        low, high = first[windows[0]], stop[windows[-1]]
        composed_values = composed(values[low:high], first[windows] - low, stop[windows] - low)
        found.append((windows, composed_values))
    result = np.empty((*found[0][1].shape[:-1], len(first)))
    for windows, values_of_windows in found:
        result[..., windows] = values_of_windows
    return result


def _sums(values: Values, first: Positions, stop: Positions) -> Values:
    return without_overflow(lambda scaled: _plain_sums(scaled, first, stop), values)


def _plain_sums(values: Values, first: Positions, stop: Positions) -> Values:
    """Return the sum of each window; infinite or NaN if an intermediate result overflows.

    The caller computes windows with such a sum again from scaled values.
    """
    return _by_length(values, first, stop, fixed=_fixed_sums, composed=_composed_sums)


def _fixed_sums(values: Values, window: int) -> Values:
    return values if window == 1 else folded(values, window, np.add, doubling_steps(window))


def _composed_sums(values: Values, first: Positions, stop: Positions) -> Values:
    lengths = stop - first
    longest = lengths.max()
    sums = np.full(len(first), -0.0)  # -0.0 + x is x, also for x = -0.0.
    table, span = values, 1
    start = first.copy()
    while True:
        # The windows that have a span of this length; -0.0 is the sum of the others.
        has = lengths & span
        part = np.take(table, start, mode="clip")
        np.copyto(part, -0.0, where=has == 0)
        sums += part
        if 2 * span > longest:
            return sums
        start += has
        table = table[:-span] + table[span:]
        span *= 2


def _extremes(fixed: Fixed, combine: np.ufunc) -> Kernel:
    """Return a kernel that computes the maximum or minimum of each window.

    Args:
        fixed: the kernel of fixed windows, for windows of a frequent length.
        combine: `np.maximum` or `np.minimum`.
    """

    def composed(values: Values, first: Positions, stop: Positions) -> Values:
        lengths = stop - first
        result = np.empty(len(first))
        table, span = values, 1
        while True:
            windows = np.flatnonzero((lengths >= span) & (lengths < 2 * span))
            result[windows] = combine(table[first[windows]], table[stop[windows] - span])
            if 2 * span > lengths.max():
                return result
            table = combine(table[:-span], table[span:])
            span *= 2

    # The sign of a zero could depend on the order of the values: adding 0.0 makes it positive.
    return lambda values, first, stop: _by_length(values, first, stop, fixed=fixed, composed=composed) + 0.0


def _from_moments(finish: Callable[[Moments, Counts], Values]) -> Kernel:
    """Return a kernel that computes its results by `finish(moments, numbers of values of the windows)`."""

    def kernel(values: Values, first: Positions, stop: Positions) -> Values:
        def moments(scaled: Values) -> tuple[Values, Values]:
            offset, squares = _by_length(scaled, first, stop, fixed=_fixed_spread, composed=_composed_spread)
            return scaled[stop - 1] - scaled[first] - offset, squares

        return finish(spread.within_range(values, moments), stop - first)

    return kernel


def _fixed_spread(values: Values, window: int) -> Values:
    """Return the spreads of all windows of one length, as two rows: `Spread.offset` and `Spread.squares`."""
    result = np.zeros((2, len(values) - window + 1))
    if window > 1:
        spread.spread_of_spans(values, window, Spread(*result))
    return result


def _composed_spread(values: Values, first: Positions, stop: Positions) -> Values:
    """Return the spreads of windows of any lengths, as two rows: `Spread.offset` and `Spread.squares`."""
    lengths = stop - first
    longest = lengths.max()
    result = Spread(*np.zeros((2, len(first))))
    table, span = Spread(*np.zeros((2, len(values)))), 1
    start, begin = first.copy(), values[first]
    while True:
        # The windows that have a span of this length; the spans of the others are not merged.
        has = lengths & span
        is_part = has != 0
        before = start - first
        gap = np.take(values, start, mode="clip") - begin
        right = Spread(*(np.take(row, start, mode="clip") for row in table))
        # Merging a span with an empty span on its left, whose spread is 0, leaves it unchanged.
        out = Spread(*np.empty((2, len(first))))
        spread.merge(result, right, gap, counts=(before, span), out=out)
        for row, merged in zip(result, out, strict=True):
            np.copyto(row, merged, where=is_part)
        if 2 * span > longest:
            return np.stack(result)
        start += has
        length = len(table.offset) - span
        step = values[span:][:length] - values[:length]
        longer = Spread(*np.empty((2, length)))
        left, right = (Spread(*(row[at:][:length] for row in table)) for at in (0, span))
        spread.merge(left, right, step, counts=(span, span), out=longer)
        table = longer
        span *= 2

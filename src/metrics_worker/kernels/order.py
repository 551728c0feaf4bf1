"""The kernels that depend on the order of the values of a window: quantiles and ranks.

A kernel takes finite float64 values, leaves the input unchanged, raises no exception, gives no warning and
returns a new float64 array. The windows are those of `moments.py` (a fixed number of values) or those of
`variable.py` (`first` and `stop`). Each result depends only on the values of its own window; a zero is
always positive.

Quantiles of short windows are selected from sorted spans, which overlapping windows share. Ranks in short
windows are counted. All other results come from a wavelet matrix: the values are replaced by their ranks
within a block, and each level of the matrix separates the ranks by one binary digit. One pass over the levels
answers a question about every window: which value is the k-th smallest, or how many values are below a given
one.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from metrics_worker.kernels.rolling import Values, doublings

type Positions = NDArray[np.int64]
type Mask = NDArray[np.bool_]

# The longest windows whose quantiles are selected from sorted spans, and whose ranks are counted directly.
_SORTED = 32
_COUNTED = 96
# Windows per block, unless the longest window is longer: most arrays of a block fit into the level 2 cache.
_BLOCK = 8_192
_SHORT_BLOCK = 4_096
_HALF = 0.5


@np.errstate(all="ignore")
def rolling_quantile(values: Values, window: int, q: float) -> Values:
    """Return the quantiles of `values[i : i + window]`, interpolated linearly between the sorted values."""
    total = max(0, len(values) - window + 1)
    if not 1 < window <= _SORTED:
        first = np.arange(total)
        return quantile_between(values, first, first + window, q) if total else np.empty(0)
    lower = int(q * (window - 1))
    places = sorted({lower, min(lower + 1, window - 1)})
    result = np.empty(total)
    for start in range(0, total, _SHORT_BLOCK):
        out = result[start : start + _SHORT_BLOCK]
        found = _selected(values[start : start + len(out) + window - 1], window, places)
        out[:] = _interpolated(found[0], found[-1], np.float64(q * (window - 1) - lower))
    return result


def rolling_rank(values: Values, window: int) -> Values:
    """Return the rank of the last value x of `values[i : i + window]`, between 0 and 1.

    The rank is (number of values below x + (number of values equal to x + 1) / 2) / window.
    """
    total = max(0, len(values) - window + 1)
    if window > _COUNTED:
        first = np.arange(total)
        return rank_between(values, first, first + window) if total else np.empty(0)
    last = values[window - 1 :]
    below, equal = np.zeros((2, total), dtype=np.uint8)
    for shift in range(window if total else 0):
        below += values[shift : shift + total] < last
        equal += values[shift : shift + total] == last
    return (below + (equal + 1.0) / 2) / window


@np.errstate(all="ignore")
def quantile_between(values: Values, first: Positions, stop: Positions, q: float) -> Values:
    """Return the quantiles of `values[first[k] : stop[k]]`; NaN for an empty window."""
    result = np.full(len(first), np.nan)
    for windows, part, start, end in _blocks(values, first, stop):
        matrix = _WaveletMatrix(part)
        position: Values = np.float64(q) * (end - start - 1)
        lower = position.astype(np.int64)
        fraction: Values = position - lower
        smaller = matrix.smallest(start, end, lower)
        larger = smaller.copy()
        between = np.flatnonzero(fraction > 0)
        if len(between):
            larger[between] = matrix.smallest(start[between], end[between], lower[between] + 1)
        result[windows] = _interpolated(smaller, larger, fraction)
    return result


def rank_between(values: Values, first: Positions, stop: Positions) -> Values:
    """Return the rank of the last value of `values[first[k] : stop[k]]`; NaN for an empty window."""
    result = np.full(len(first), np.nan)
    for windows, part, start, end in _blocks(values, first, stop):
        matrix = _WaveletMatrix(part)
        last = part[end - 1]
        below = matrix.number_below(start, end, np.searchsorted(matrix.ordered, last, "left"))
        not_above = below + 1
        if (matrix.ordered[1:] == matrix.ordered[:-1]).any():
            not_above = matrix.number_below(start, end, np.searchsorted(matrix.ordered, last, "right"))
        result[windows] = (below + (not_above - below + 1) / 2) / (end - start)
    return result


def _blocks(
    values: Values, first: Positions, stop: Positions
) -> Iterator[tuple[Positions, Values, Positions, Positions]]:
    """Yield the numbers, values and bounds (within these values) of blocks of windows that are not empty."""
    filled = np.flatnonzero(stop > first)
    block = max(_BLOCK, int((stop - first).max(initial=0)))
    for begin in range(0, len(filled), block):
        windows = filled[begin : begin + block]
        low, high = int(first[windows[0]]), int(stop[windows[-1]])
        yield windows, values[low:high], first[windows] - low, stop[windows] - low


class _WaveletMatrix:
    """The ranks of some values, separated by one binary digit after the other, beginning with the highest."""

    def __init__(self, values: Values) -> None:
        order = np.argsort(values)
        self.ordered = values[order]
        ranks = np.empty(len(values), dtype=np.int32)
        ranks[order] = np.arange(len(values), dtype=np.int32)
        self._levels: list[tuple[int, Positions]] = []
        for digit in reversed(range(len(values).bit_length())):
            zero = ranks & (1 << digit) == 0
            zeros = np.zeros(len(values) + 1, dtype=np.int64)
            np.cumsum(zero, out=zeros[1:])
            self._levels.append((1 << digit, zeros))
            ranks = np.concatenate([ranks[zero], ranks[~zero]])

    def smallest(self, first: Positions, stop: Positions, place: Positions) -> Values:
        """Return the value at a place (from 0) in the sorted order of each window."""
        place, rank = place.copy(), np.zeros(len(first), dtype=np.int64)
        walk = _Walk(first, stop)
        for digit, zeros in self._levels:
            number = walk.zeros_in_window(zeros)
            one = place >= number
            walk.descend(one, zeros)
            number *= one
            place -= number
            rank |= np.multiply(one, digit, out=number)
        found: Values = self.ordered[rank]
        return found

    def number_below(self, first: Positions, stop: Positions, rank: Positions) -> Positions:
        """Return how many values of each window have a smaller rank than `rank`."""
        below = np.zeros(len(first), dtype=np.int64)
        walk = _Walk(first, stop)
        for digit, zeros in self._levels:
            number = walk.zeros_in_window(zeros)
            one = (rank & digit).astype(np.bool_)
            walk.descend(one, zeros)
            number *= one
            below += number
        return below


class _Walk:
    """The bounds of windows on successive levels of a wavelet matrix, in arrays that are used again."""

    def __init__(self, first: Positions, stop: Positions) -> None:
        self._bounds = first.copy(), stop.copy()
        self._zeros = np.empty_like(first), np.empty_like(stop)
        self._number = np.empty_like(first)

    def zeros_in_window(self, zeros: Positions) -> Positions:
        """Return the number of ranks with the digit 0; `zeros[i]` is the number in the first i ranks."""
        for bound, before in zip(self._bounds, self._zeros, strict=True):
            np.take(zeros, bound, out=before, mode="clip")
        return np.subtract(self._zeros[1], self._zeros[0], out=self._number)

    def descend(self, one: Mask, zeros: Positions) -> None:
        """Keep the ranks with the digit 1 in the windows where `one` is true, else those with the digit 0."""
        for bound, before in zip(self._bounds, self._zeros, strict=True):
            np.subtract(bound, before, out=bound)
            np.add(bound, zeros[-1], out=bound)
            np.copyto(before, bound, where=one)
        self._bounds, self._zeros = self._zeros, self._bounds


def _interpolated(smaller: Values, larger: Values, fraction: Values | np.float64) -> Values:
    """Return smaller + fraction * (larger - smaller); the result is correctly rounded if fraction is ½."""
    total, gap = smaller + larger, larger - smaller
    halfway = np.where(np.isfinite(total), total * 0.5, smaller * 0.5 + larger * 0.5)
    along = np.where(np.isfinite(gap), smaller + fraction * gap, smaller * (1 - fraction) + larger * fraction)
    result = np.clip(np.where(fraction == _HALF, halfway, along), smaller, larger)
    return result + 0.0


def _selected(values: Values, window: int, places: list[int]) -> list[Values]:
    """Return the values at some places in the sorted order of every window of two values or more."""
    spans = {1: [values]}
    *merges, last = doublings(window)
    for before, after in merges:
        spans[before + after] = _merged(*_operands(spans, before, after))
    left, right = _operands(spans, *last)
    return [_place_of_two(left, right, place) for place in places]


def _operands(spans: dict[int, list[Values]], before: int, after: int) -> tuple[list[Values], list[Values]]:
    length = len(spans[1][0]) - before - after + 1
    left = [values[:length] for values in spans[before]]
    return left, [values[before : before + length] for values in spans[after]]


def _merged(left: list[Values], right: list[Values]) -> list[Values]:
    """Merge two sorted spans (Batcher's odd-even merge). A list has an array of values for each place."""
    if not left or not right:
        return left + right
    if len(left) == len(right) == 1:
        return [np.minimum(left[0], right[0]), np.maximum(left[0], right[0])]
    even, odd = _merged(left[::2], right[::2]), _merged(left[1::2], right[1::2])
    result = even[:1]
    for one, other in zip(even[1:], odd, strict=False):
        result += [np.minimum(one, other), np.maximum(one, other)]
    return result + even[len(odd) + 1 :] + odd[len(even) - 1 :]


def _place_of_two(left: list[Values], right: list[Values], place: int) -> Values:
    """Return the value at a place in the sorted order of the values of two sorted spans.

    The result is the largest of the place + 1 smallest values. Any other place + 1 values have a maximum that
    is not smaller, so the result is the smallest of these maxima over all divisions between both spans.
    """
    result: Values | None = None
    for number in range(max(0, place + 1 - len(right)), min(place + 1, len(left)) + 1):
        if number == 0 or number == place + 1:
            candidate = right[place] if number == 0 else left[place]
        else:
            candidate = np.maximum(left[number - 1], right[place - number])
        result = candidate if result is None else np.minimum(result, candidate)
    assert result is not None
    return result

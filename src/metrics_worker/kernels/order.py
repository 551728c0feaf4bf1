"""The kernels that depend on the order of the values of a window: quantiles and ranks.

A kernel takes finite float64 values, leaves the input unchanged, raises no exception, gives no warning and
returns a new float64 array. The windows are those of `moments.py` (a fixed number of values) or those of
`variable.py` (`first` and `stop`). Each result depends only on the values of its own window. A result of 0 is
never -0.0.

The method depends on the operation and on the window:

- Medians of fixed windows are computed by `move_median` of bottleneck, which moves two heaps along the
  series.
- Other quantiles of fixed windows of up to 32 values are selected from sorted spans, which windows share.
- Other quantiles of longer fixed windows (up to 65,536 values) are medians of transformed ranks (`_coded`).
- Ranks in fixed windows of up to 1,000 values are counted by comparisons.
- All other results come from a wavelet matrix (`wavelet.py`).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from metrics_worker.kernels.rolling import Values, doublings
from metrics_worker.kernels.wavelet import Positions, WaveletMatrix

type Ranks = NDArray[np.uint16]

# The longest windows whose quantiles are selected from sorted spans, or computed from coded ranks, and the
# longest windows whose ranks are counted, by comparing values or by comparing ranks within a block.
_SORTED = 32
_CODED = 65_536
_COMPARED = 96
_COUNTED = 1_000
# Windows per block, unless the longest window is longer: most arrays of a block fit into the level 2 cache.
_BLOCK = 8_192
_SHORT_BLOCK = 16_384
_LONG_BLOCK = 32_768
_HALF = 0.5
_LARGEST_BYTE = 255


@np.errstate(all="ignore")
def rolling_quantile(values: Values, window: int, q: float) -> Values:
    """Return the quantile `q` (0 to 1) of each window, interpolated linearly between the sorted values.

    Result i is the quantile of `values[i : i + window]`.
    """
    total = max(0, len(values) - window + 1)
    if window == 1 or total == 0:
        return values[:total] + 0.0
    if q == _HALF:
        return _medians(values, window)
    if window > _CODED:
        first = np.arange(total)
        return quantile_between(values, first, first + window, q)
    lower = min(int(q * (window - 1)), window - 2)
    fraction = np.float64(q * (window - 1) - lower)
    block = _SHORT_BLOCK if window <= _SORTED else max(_LONG_BLOCK, window)
    result = np.empty(total)
    for start in range(0, total, block):
        out = result[start : start + block]
        part = values[start : start + len(out) + window - 1]
        smaller, larger = _selected(part, window, lower) if window <= _SORTED else _coded(part, window, lower)
        out[:] = larger + 0.0 if fraction == 1 else _interpolated(smaller, larger, fraction)
    return result


def rolling_rank(values: Values, window: int) -> Values:
    """Return the rank, between 0 and 1, of the last value x of each window among the values of the window.

    If b values of a window are below x and e values are equal to x (x included), the rank is (b + (e + 1) /
    2) / window. Result i belongs to `values[i : i + window]`.
    """
    total = max(0, len(values) - window + 1)
    if window > _COUNTED:
        first = np.arange(total)
        return rank_between(values, first, first + window) if total else np.empty(0)
    result = np.empty(total)
    for start in range(0, total, _LONG_BLOCK):
        out = result[start : start + _LONG_BLOCK]
        part = values[start : start + len(out) + window - 1]
        ranks, tied = (part, True) if window <= _COMPARED else _ranks(part)
        below = _count(np.less, ranks, window)
        not_above = _count(np.less_equal, ranks, window) if tied else below + 1
        out[:] = (below + (not_above - below + 1) / 2) / window
    return result


def _medians(values: Values, window: int) -> Values:
    # The module is loaded only for the few metrics that need it.
    from bottleneck.move import move_median  # noqa: PLC0415

    medians: Values = move_median(values, window)[window - 1 :]
    if not np.isfinite(medians).all():
        # The sum of the two values in the middle overflows; that of their halves does not.
        medians = np.where(np.isfinite(medians), medians, move_median(values / 2, window)[window - 1 :] * 2)
    return medians + 0.0


def _coded(values: Values, window: int, place: int) -> tuple[Values, Values]:
    """Return the values at the positions `place` and `place + 1` (from 0) in the sorted order of each window.

    Both values are found with a moving median. The median of an even number of values is the mean of the two
    values in the middle. Each window is extended by as many infinities (of one sign) as it takes to bring the
    positions `place` and `place + 1` to the middle.

    The mean of two values does not determine the values. Therefore each value is replaced by the code r * r +
    c * r, where r is its rank in the series, and the constant c exceeds every sum of two squares of ranks.
    The sum of two codes then gives the sum of the two ranks and the sum of their squares, and these give the
    two ranks. The sum of two codes is below 2 ** 53, and therefore exact, for fewer than 2 ** 17 values.
    """
    from bottleneck.move import move_median  # noqa: PLC0415 - as in _medians()

    length = len(values)
    factor = 2.0 ** (2 * length.bit_length() + 1)
    order = np.argsort(values)
    ranks = np.arange(length, dtype=np.float64)
    codes = np.empty(length)
    codes[order] = ranks * ranks + factor * ranks
    # Each period of the padded series has `window` values, and the infinities as far apart as possible.
    surplus = 2 * place + 2 - window
    period = window + abs(surplus)
    is_value = np.ones(period, dtype=np.bool_)
    is_value[np.arange(abs(surplus)) * period // max(1, abs(surplus))] = False
    within = np.flatnonzero(is_value)
    places = (np.arange(-(-length // window))[:, None] * period + within).reshape(-1)[:length]
    padded = np.full(places[-1] + 1, np.copysign(np.inf, surplus))
    padded[places] = codes
    total = move_median(padded, period)[places[window - 1 :]] * 2
    ranks = np.floor(total / factor)
    squares = total - factor * ranks
    gap = np.sqrt(2 * squares - ranks * ranks)
    ordered = values[order]
    smaller, larger = (ordered[((ranks + side) / 2).astype(np.int64)] for side in (-gap, gap))
    return smaller, larger


def _ranks(values: Values) -> tuple[Ranks, bool]:
    """Return (rank of each value, whether any two values are equal), for at most 65,535 values.

    Ranks begin at 1 and have no gaps; equal values have equal ranks.
    """
    order = np.argsort(values)
    ordered = values[order]
    differs = np.ones(len(values), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=differs[1:])
    ranks = np.empty(len(values), dtype=np.uint16)
    ranks[order] = np.cumsum(differs)
    return ranks, not differs.all()


def _count(compare: np.ufunc, ranks: Values | Ranks, window: int) -> Values:
    """Return for each window the number of elements x for which `compare(x, last element)` is true.

    Args:
        compare: a comparison ufunc, such as `np.less`.
        ranks: the values of the series, or numbers in the same order as the values.
        window: the number of elements of a window.
    """
    last = ranks[window - 1 :]
    count = np.zeros(len(last), dtype=np.uint16)
    byte, holds = np.zeros(len(last), dtype=np.uint8), np.empty(len(last), dtype=np.bool_)
    for shift in range(window):
        compare(ranks[shift : shift + len(last)], last, out=holds)
        np.add(byte, holds.view(np.uint8), out=byte)
        if (shift + 1) % _LARGEST_BYTE == 0 or shift == window - 1:
            count += byte
            byte[:] = 0
    return count.astype(np.float64)


@np.errstate(all="ignore")
def quantile_between(values: Values, first: Positions, stop: Positions, q: float) -> Values:
    """Return the quantile `q` (0 to 1) of each window `values[first[k] : stop[k]]`; NaN if it is empty."""
    result = np.full(len(first), np.nan)
    for windows, part, start, end in _blocks(values, first, stop):
        matrix = WaveletMatrix(part)
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
    """Return the rank, as in `rolling_rank`, of the last value of each window; NaN for an empty window.

    Window k is `values[first[k] : stop[k]]`.
    """
    result = np.full(len(first), np.nan)
    for windows, part, start, end in _blocks(values, first, stop):
        matrix = WaveletMatrix(part)
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
    """Split the non-empty windows into blocks, which limit the memory, and yield four arrays for each.

    Yields:
        (indices, values, first, stop): the indices k of the windows of the block, the values that these
        windows cover, and the positions in these values at which each window begins and stops.
    """
    filled = np.flatnonzero(stop > first)
    block = max(_BLOCK, int((stop - first).max(initial=0)))
    for begin in range(0, len(filled), block):
        windows = filled[begin : begin + block]
        low, high = int(first[windows[0]]), int(stop[windows[-1]])
        yield windows, values[low:high], first[windows] - low, stop[windows] - low


def _interpolated(smaller: Values, larger: Values, fraction: Values | np.float64) -> Values:
    """Return smaller + fraction * (larger - smaller) without overflow; correctly rounded for fraction ½."""
    total, gap = smaller + larger, larger - smaller
    halfway = np.where(np.isfinite(total), total * 0.5, smaller * 0.5 + larger * 0.5)
    along = np.where(np.isfinite(gap), smaller + fraction * gap, smaller * (1 - fraction) + larger * fraction)
    result = np.clip(np.where(fraction == _HALF, halfway, along), smaller, larger)
    return result + 0.0


def _selected(values: Values, window: int, place: int) -> tuple[Values, Values]:
    """Return the values at the positions `place` and `place + 1` (from 0) in the sorted order of each window.

    The values of each window are sorted in spans that neighbouring windows share; see `_merged` for the
    layout.
    """
    spans = {1: [values]}
    *merges, last = doublings(window)
    for before, after in merges:
        spans[before + after] = _merged(*_operands(spans, before, after))
    left, right = _operands(spans, *last)
    return _place_of_two(left, right, place), _place_of_two(left, right, place + 1)


def _operands(spans: dict[int, list[Values]], before: int, after: int) -> tuple[list[Values], list[Values]]:
    length = len(spans[1][0]) - before - after + 1
    left = [values[:length] for values in spans[before]]
    return left, [values[before : before + length] for values in spans[after]]


def _merged(left: list[Values], right: list[Values]) -> list[Values]:
    """Merge two sorted spans for all windows at once (Batcher's odd-even merge).

    A span is a list of arrays: array j contains, for each window, the j-th smallest value of the window's
    span.
    """
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
    """Return for each window the value at position `place` (from 0) among the values of two sorted spans.

    The value is the maximum of the place + 1 smallest values. There are several ways to take place + 1 values
    in order, i from the left span and the others from the right span. The result is the smallest maximum of
    all these ways, because no choice of place + 1 values has a smaller maximum than the smallest ones.

    Args:
        left: the left span of each window: array j contains, for each window, the j-th smallest value.
        right: the right span of each window, in the same form.
        place: the position.
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

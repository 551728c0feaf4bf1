"""Sums of products of deviations over fixed windows, in a time that hardly depends on the window.

The series is divided into chunks of 2 to 50 values. A window consists of the end of a chunk, some whole
chunks (its core), and the beginning of the chunks after them. The moments of the core are merged from those
of its chunks (Chan, Golub and LeVeque, 1979), which costs little, because there are few chunks. The windows
that begin in the same chunk have the same core, and the mean of the core is their common centre:

    sum of a window = sum of the end of a chunk + sum of the core + sum of the beginning of the next chunks

The terms of the sums are the deviations from the centre and their products. The core has at least a third of
the values of a window, so the deviations cost few digits, and no value outside the window takes part.

The arrays are transposed: a row has the values at the same position of all chunks, so that each cumulative
sum within the chunks is a few additions of whole rows.
"""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from metrics_worker.kernels.rolling import Values, doublings, scratch_arrays

# The longest chunks of windows shorter than 1,000 values, and of longer windows.
_SHORT_CHUNK, _LONG_CHUNK, _LONG = 16, 50, 1_000
# The two series, by number, whose deviations are multiplied for each product of one series or of two series.
_PAIRS = {1: ((0, 0),), 2: ((0, 0), (1, 1), (0, 1))}


class _Layout(NamedTuple):
    """The division of windows into chunks.

    Attributes:
        size: the number of values of a chunk.
        core: the number of chunks of the core, 1 or more.
        rest: the number of values that the first window of a chunk has after its core; less than `size`.
        groups: the number of chunks in which windows begin, at least 2: numpy adds a single column otherwise.
    """

    size: int
    core: int
    rest: int
    groups: int


@lru_cache(maxsize=256)
def chunk_size(window: int) -> int:
    """Return the length of the chunks for a window of 4 values or more: at most half of the window."""
    longest = min(_LONG_CHUNK if window >= _LONG else _SHORT_CHUNK, window // 2)

    def cost(size: int) -> int:
        return 2 * (window % size) + len(doublings(window // size - 1))

    return min(range(longest, longest // 2, -1), key=cost)


def centred_moments(series: Values, window: int, *, last: bool = False) -> tuple[Values | None, Values]:
    """Return the moments of all windows of one series or two.

    Args:
        series: shape (1, n) or (2, n).
        window: number of values of a window, from 4 to n.
        last: whether to return the deviations of the last values of the windows of one series.

    Returns:
        The last values minus the means of the windows, or None; and a row of the sums of the squared
        deviations for each series, and for two series a third row of the sums of the products of both
        deviations. The next kernel of the thread overwrites these arrays.
    """
    count, length = series.shape
    total = length - window + 1
    size = chunk_size(window)
    layout = _Layout(size, window // size - 1, window % size, max(2, -(-total // size)))
    chunks = layout.groups + layout.core + 2
    terms = 3 * count - 1
    first, second = count * size * chunks, 2 * count * size * chunks
    memory = scratch_arrays(1, second + size * 2 * terms * layout.groups)[0]
    values, spare = (part.reshape(count, size, chunks) for part in (memory[:first], memory[first:second]))
    sums = memory[second : second + size * 2 * terms * layout.groups].reshape(size, 2, terms, layout.groups)
    _transpose(series, values)
    centres, core = _cores(values, spare, layout)
    _write_terms(values, centres, core, sums, layout)
    ends = _last_deviations(values, centres, sums, spare, layout) if last else None
    _accumulate(sums)
    totals = sums[:, 1]
    totals += sums[::-1, 0]
    means = np.multiply(totals[:, :count], 1 / window, out=sums[:, 0, :count])
    if ends is not None:
        ends -= means[:, 0]
    for term, (a, b) in enumerate(_PAIRS[count], start=count):
        totals[:, term] -= np.multiply(means[:, a], totals[:, b], out=sums[:, 0, count])
    products = _in_order(totals[:, count:], memory, total)
    return None if ends is None else _in_order(ends[:, None], memory[second:], total)[0], products


def _transpose(series: Values, values: Values) -> None:
    """Write the series into (series, position in the chunk, chunk); the last chunks repeat the last value."""
    size = values.shape[1]
    whole, rest = divmod(series.shape[1], size)
    values[:, :, :whole] = series[:, : whole * size].reshape(-1, whole, size).transpose(0, 2, 1)
    values[:, :, whole:] = series[:, -1:, None]
    values[:, :rest, whole] = series[:, whole * size :]


def _cores(values: Values, spare: Values, layout: _Layout) -> tuple[Values, Values]:
    """Return the centre of the windows that begin in each chunk, and the sums of the terms of their cores."""
    count, size, chunks = values.shape
    firsts = values[:, 0]
    np.subtract(values, firsts[:, None], out=spare)
    spread = np.empty((3 * count - 1, chunks))
    sums = np.add.reduce(spare, axis=1)
    np.divide(sums, size, out=spread[:count])
    if count > 1:
        np.add.reduce(spare[0] * spare[1], axis=0, out=spread[-1])
    spare *= spare
    np.add.reduce(spare, axis=1, out=spread[count : 2 * count])
    for row, (a, b) in enumerate(_PAIRS[count], start=count):
        spread[row] -= sums[a] * spread[b]
    core = merged_spread(firsts, spread, size, layout.core)[:, 1 : layout.groups + 1]
    firsts = firsts[:, 1 : layout.groups + 1]
    centres = firsts + core[:count]
    # The mean is rounded to the centre, so the deviations of the core have a small sum.
    lost = (firsts - centres) + core[:count]
    sums = np.multiply(lost, layout.core * size, out=core[:count])
    for row, (a, b) in enumerate(_PAIRS[count], start=count):
        core[row] += sums[a] * lost[b]
    return centres, core


def merged_spread(firsts: Values, spread: Values, size: int, number: int) -> Values:
    """Return the spreads of each `number` consecutive spans of `size` values.

    A spread has a row for each series, the mean minus the first value of the span, and then a row for each
    sum of products of deviations from the means.

    Args:
        firsts: the first value of each span, one row for each series.
        spread: the spread of each span; it may be returned, but is not changed.
        size: the number of values of a span.
        number: the number of spans.
    """
    count = len(firsts)
    spreads = {1: spread}
    merges = doublings(number)
    last_merges = {part: index for index, merge in enumerate(merges) for part in merge}
    for index, (before, after) in enumerate(merges):
        span = before + after
        length = firsts.shape[1] - span + 1
        left, right = spreads[before][:, :length], spreads[after][:, before : before + length]
        gap = firsts[:, before : before + length] - firsts[:, :length]
        gap += right[:count]
        gap -= left[:count]
        merged = spreads[span] = np.empty((len(spread), length))
        np.multiply(gap, after / span, out=merged[:count])
        for row, (a, b) in enumerate(_PAIRS[count], start=count):
            np.multiply(gap[a], gap[b], out=merged[row])
        merged[count:] *= size * before * after / span
        merged += left
        merged[count:] += right[count:]
        # A long window has up to forty spans. Only those that a later merge needs stay in memory.
        for part in {before, after}:
            if last_merges[part] == index:
                del spreads[part]
    return spreads[number]


def _write_terms(values: Values, centres: Values, core: Values, sums: Values, layout: _Layout) -> None:
    """Write the terms of each value into `sums`: (position, end or beginning of chunks, term, chunk).

    The terms of the ends of chunks are in reverse order. The first row of the beginnings of chunks is the sum
    of the core and of `rest` values; the other rows have one value each.
    """
    count, size, _ = values.shape
    core_end, groups, rest = layout.core + 1, layout.groups, layout.rest
    same, later = (slice(start, start + groups) for start in (core_end, core_end + 1))
    here = min(size - rest, size - 1)
    for row in range(count):
        centre = centres[row]
        np.subtract(values[row, ::-1, :groups], centre, out=sums[:, 0, row])
        np.subtract(values[row, rest : rest + here, same], centre, out=sums[1 : here + 1, 1, row])
        np.subtract(values[row, : size - 1 - here, later], centre, out=sums[here + 1 :, 1, row])
    for term, (a, b) in enumerate(_PAIRS[count], start=count):
        np.multiply(sums[:, :, a], sums[:, :, b], out=sums[:, :, term])
    sums[0, 1] = core
    if rest:
        begins = values[:, :rest, same] - centres[:, None]
        sums[0, 1, :count] += np.add.reduce(begins, axis=1)
        for term, (a, b) in enumerate(_PAIRS[count], start=count):
            sums[0, 1, term] += np.add.reduce(begins[a] * begins[b], axis=0)


def _last_deviations(values: Values, centres: Values, sums: Values, spare: Values, layout: _Layout) -> Values:
    """Return the last value of each window minus the centre, in the memory of `spare`."""
    size, groups = layout.size, layout.groups
    ends = spare.reshape(-1)[: size * groups].reshape(size, groups)
    ends[1:] = sums[1:, 1, 0]
    position, chunk = divmod((layout.core + 1) * size + layout.rest - 1, size)[::-1]
    np.subtract(values[0, position, chunk : chunk + groups], centres[0], out=ends[0])
    return ends


def _accumulate(sums: Values) -> None:
    """Replace each row by the sum of the rows up to and including this row."""
    rows = sums.reshape(len(sums), -1)
    # A loop over the rows is faster than numpy's accumulate() over the first axis.
    for before, row in pairwise(rows):
        np.add(before, row, out=row)


def _in_order(rows: Values, memory: Values, total: int) -> Values:
    """Return the first `total` windows of (position in the chunk, row, chunk) in their order, in `memory`."""
    size, number, groups = rows.shape
    result = memory[: number * size * groups].reshape(number, groups, size)
    np.copyto(result, rows.transpose(1, 2, 0))
    return result.reshape(number, -1)[:, :total]

"""The kernels of fixed windows that need no squares: sum, mean, maximum, minimum, lag, exponential average.

A kernel takes n finite float64 values and a window of 1 observation or more. It leaves the input unchanged,
raises no exception, gives no warning and returns a new float64 array of max(0, n - window + 1) results,
unless its docstring says otherwise. A kernel has these properties:

- **Prefix.** `kernel(values[:m])` equals the first results of `kernel(values)`, bit for bit, including the
  sign of a zero: later observations never change earlier results. So the order of additions depends only on
  the window, and the shape of a matrix product does not depend on the length of the series.
- **Rounding.** A sum is a tree of additions over its own window, never a difference of cumulative sums. With
  d = ceil(log2(window)), its error is at most (d / 2 + 1) * eps * sum(abs(x)); for pairwise summation, the
  bound is d / 2 * eps * sum(abs(x)).
- **Range.** No intermediate result overflows if a float64 can hold the final result. A sum beyond the range
  of float64 is infinite, and the caller decides how to treat the infinite value.

Each kernel works in a few whole-array steps, for any window, on blocks that fit into the processor's cache.
"""

import threading
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

type Values = NDArray[np.float64]
type Steps = tuple[Step, ...]

# Results per block. The four or five arrays of 256 KiB that are in use at once fit into the level 2 cache.
_BLOCK = 32_768
# The layout of the matrix products of `ema`: a row has 32 values, a tile 32 rows, a block 32 tiles.
_ROW = 32
_TILE = _ROW * _ROW
LARGEST = float(np.finfo(np.float64).max)
_kept = threading.local()


def rolling_sum(values: Values, window: int) -> Values:
    """Return the sum of each window `values[i : i + window]`; infinite beyond the range of float64."""
    try:
        return _sums(values, window)
    except FloatingPointError:
        return _sums_near_the_limit(values, window)


def rolling_mean(values: Values, window: int) -> Values:
    """Return the mean of each window `values[i : i + window]`; it is always finite."""
    try:
        return _sums(values, window, mean=True)
    except FloatingPointError:
        # A mean never exceeds the largest of its values, but rounding can take it beyond the float64 range.
        return np.clip(_sums_near_the_limit(values, window, mean=True), -LARGEST, LARGEST)


def rolling_max(values: Values, window: int) -> Values:
    """Return the largest value of each window `values[i : i + window]`."""
    return folded(values, window, np.maximum, _extreme_steps(window))


def rolling_min(values: Values, window: int) -> Values:
    """Return the smallest value of each window `values[i : i + window]`."""
    return folded(values, window, np.minimum, _extreme_steps(window))


def lag(values: Values, window: int) -> Values:
    """Return a copy of the first max(0, n - window) values; result i belongs to observation i + window."""
    return values[: max(0, len(values) - window)].copy()


def ema(values: Values, window: int) -> Values:
    """Return n exponential averages: y[0] = x[0], y[t] = a * x[t] + (1 - a) * y[t - 1], a = 2 / (window + 1).

    The error is a few eps times the average of abs(x) with the same weights; computed step by step, it could
    be thousands of eps. Therefore the averages of a row of 32 values are one product of a constant matrix
    with the values and the last average before the row. These last averages follow a similar recurrence, and
    are computed in the same way for 32 rows (a tile) at a time. The tiles are computed one after the other.
    """
    if window == 1 or len(values) == 0:
        return values.copy()
    try:
        with np.errstate(all="ignore", over="raise"):
            return _averages(values, window, limit=None)
    except FloatingPointError:
        # An average never exceeds the largest of its values, but rounding can take it beyond float64's range.
        with np.errstate(all="ignore"):
            return _averages(values, window, limit=LARGEST)


class Step(NamedTuple):
    """One whole-array operation on a block of the series: target[i] = combine(left[i], right[i + shift]).

    `left`, `right` and `target` are numbers of arrays: 0 is the block, the largest number is the array of
    results, the others are scratch arrays. target[i] combines the `span` values from position i of the block.
    """

    left: int
    right: int
    shift: int
    span: int
    target: int


def doublings(window: int) -> list[tuple[int, int]]:
    """Return the additions that build a sum of `window` values from sums of 1, 2, 4, 8, … values.

    An addition (a, b) adds the sum of a values and the sum of the next b values. Smaller sums come first, so
    no value passes through more than ceil(log2(window)) additions, as in pairwise summation.
    """
    additions = []
    done = 0
    for power in (1 << k for k in range(window.bit_length())):
        if power > 1:
            additions.append((power // 2, power // 2))
        if window & power and done:
            additions.append((done, power))
        done += window & power
    return additions


def _additions(window: int) -> list[tuple[int, int]]:
    """Return additions (a, b) that build a sum of `window` values, often fewer than `doublings` returns.

    With window = factor * quotient + rest, the list builds a sum of `factor` values, then a sum of `quotient`
    such sums, and adds an earlier sum of `rest` values; `rest` is 0 or a power of two. A window of 4,095 then
    takes 16 additions instead of 22, and no value passes through more than two additions more.
    """

    def length(factor: int) -> int:
        quotient, rest = divmod(window, factor)
        return sum(n.bit_length() + n.bit_count() - 2 for n in (factor, quotient)) + rest.bit_count()

    factors = (factor for factor in range(1, min(64, window + 1)) if (window % factor).bit_count() <= 1)
    factor = min(factors, key=length)
    quotient, rest = divmod(window, factor)
    scaled = [(left * factor, right * factor) for left, right in doublings(quotient)]
    return [*doublings(factor), *scaled, *([(window - rest, rest)] if rest else [])]


@lru_cache(maxsize=256)
def _sum_steps(window: int) -> Steps:
    """Return the steps with which `folded` computes the sum of every `window` consecutive values."""
    return steps_of([(left, right, left + right) for left, right in _additions(window)])


@lru_cache(maxsize=256)
def _extreme_steps(window: int) -> Steps:
    """Return each `Step` for the maxima or minima of `window` values; spans may overlap in the last step."""
    largest = 1 << (window.bit_length() - 1)
    merges = [(1 << k, 1 << k, 2 << k) for k in range(window.bit_length() - 1)]
    return steps_of(merges if largest == window else [*merges, (largest, largest, window)])


def steps_of(merges: list[tuple[int, int, int]]) -> Steps:
    """Return a `Step` for each merge (a, b, c): it combines spans of a and b values to a span of c values."""
    last_use = {span: index for index, (left, right, _) in enumerate(merges) for span in (left, right)}
    place = {1: 0}
    free: list[int] = []
    steps = []
    for index, (left, right, span) in enumerate(merges):
        place[span] = free.pop() if free and index < len(merges) - 1 else max(place.values()) + 1
        steps.append(Step(place[left], place[right], span - right, span, place[span]))
        free += [place[done] for done in {left, right} if done > 1 and last_use[done] == index]
    return tuple(steps)


def folded(values: Values, window: int, combine: np.ufunc, steps: Steps, *, mean: bool = False) -> Values:
    """Return for each window its values combined by `combine` in these steps; with `mean`, over `window`."""
    total = max(0, len(values) - window + 1)
    if window == 1 or total == 0:
        return values[:total].copy()
    result = np.empty(total)
    # Blocks overlap by window - 1 values. As none is shorter than the window, that at most doubles the work.
    block = max(_BLOCK, window)
    scratch = scratch_arrays(steps[-1].target - 1, min(block, total) + window - 1)
    for start in range(0, total, block):
        out = result[start : start + block]
        series = values[start : start + len(out) + window - 1]
        place = [series, *scratch, out]
        for left, right, shift, span, target in steps:
            length = len(series) - span + 1
            combine(place[left][:length], place[right][shift : shift + length], out=place[target][:length])
        if mean:
            np.divide(out, window, out=out)
    return result


@np.errstate(all="ignore", over="raise")
def _sums(values: Values, window: int, *, mean: bool = False) -> Values:
    """Return the sum or mean of each window. Raise FloatingPointError if an addition overflows."""
    return folded(values, window, np.add, _sum_steps(window), mean=mean)


@np.errstate(all="ignore")
def _sums_near_the_limit(values: Values, window: int, *, mean: bool = False) -> Values:
    """Return the sum or mean of each window; compute windows whose sum overflows again from scaled values."""
    scale = window.bit_length()
    plain = folded(values, window, np.add, _sum_steps(window), mean=mean)
    scaled = folded(np.ldexp(values, -scale), window, np.add, _sum_steps(window), mean=mean)
    return np.where(np.isfinite(plain), plain, np.ldexp(scaled, scale))


def scratch_arrays(number: int, size: int) -> Values:
    """Return `number` uninitialised rows of at least `size` values; the next call of the thread reuses them.

    Up to 2 MiB are kept between calls: clearing newly allocated pages can take longer than the computation.
    """
    size = -(-size // 8) * 8  # Each array begins on a 64-byte boundary: stores across one take longer.
    memory: Values | None = getattr(_kept, "memory", None)
    if memory is None or len(memory) < number * size:
        memory = np.empty(number * size + 7)
        memory = memory[-memory.ctypes.data // memory.itemsize % 8 :]
        if number * size <= 8 * _BLOCK:
            _kept.memory = memory
    return memory[: number * size].reshape(number, size)


class _Decay(NamedTuple):
    """The constants with which `ema` computes one window length, each rounded to float64 only once."""

    within_row: Values  # (33, 32): 32 values and the state before the values -> 32 averages
    within_tile: Values  # (33, 32): contributions of 32 rows and the state before the tile -> 32 states
    kept: float  # the weight of a state after one tile of 1,024 values: (1 - a) ** 1024
    lost: float  # 1 - kept


@lru_cache(maxsize=64)
def _decay(window: int) -> _Decay:
    """Return the constants for a window length. Powers of 1 - a are computed with 40 decimal digits."""
    with localcontext(prec=40):
        gain, decay = Decimal(2) / (window + 1), Decimal(window - 1) / (window + 1)
        by_value = [decay**k for k in range(_ROW + 1)]
        by_row = [by_value[-1] ** k for k in range(_ROW + 1)]
        weights, lost = [gain * power for power in by_value[:-1]], float(1 - by_row[-1])
    values, rows, gains = (np.array(powers, dtype=np.float64) for powers in (by_value, by_row, weights))
    return _Decay(_unrolled(values, gains), _unrolled(rows, rows[:-1]), float(rows[-1]), lost)


def _unrolled(decay: Values, weights: Values) -> Values:
    """Return the (33, 32) matrix that computes 32 steps of y[t] = w * x[t] + d * y[t - 1] from x and y[-1].

    `decay[k]` is d ** k (k = 0 to 32), `weights[k]` is w * d ** k. y[-1] is the last factor of the product,
    because it is by far the largest term for a long window: it is rounded only once.
    """
    matrix = np.zeros((_ROW + 1, _ROW))
    matrix[-1] = decay[1:]
    for first in range(_ROW):
        matrix[first, first:] = weights[: _ROW - first]
    return matrix


def _averages(values: Values, window: int, limit: float | None) -> Values:
    """Return the exponential averages of one or more values; a `limit` clips intermediate results to ±it."""
    decay = _decay(window)
    result = np.empty(len(values))
    tiles = min(_ROW, -(-len(values) // _TILE))
    scratch = scratch_arrays(2, tiles * (_TILE + _ROW))
    rows = scratch[0].reshape(tiles, _ROW, _ROW + 1)
    averages = scratch[1, : tiles * _TILE].reshape(tiles, _ROW, _ROW)
    state = float(values[0])
    for start in range(0, len(values), _ROW * _TILE):
        part = values[start : start + _ROW * _TILE]
        state = _average_block(part, decay, state, rows, averages, limit=limit)
        # The sign of a zero could depend on values after it (-0.0 + 0 * x): adding 0.0 makes it positive.
        np.add(averages.reshape(-1)[: len(part)], 0.0, out=result[start : start + len(part)])
    result[0] = values[0]
    return result


def _average_block(
    part: Values, decay: _Decay, state: float, rows: Values, averages: Values, *, limit: float | None
) -> float:
    """Write the averages of `part`, up to 32 tiles of values, into `averages`; return the last average.

    `state` is the average before `part`; `rows` is scratch memory; intermediate results are clipped to
    ±`limit`.
    """
    tiles = -(-len(part) // _TILE)
    if len(part) < tiles * _TILE:
        part = np.concatenate([part, np.zeros(tiles * _TILE - len(part))])
    rows = rows[:tiles]
    rows[:, :, :-1] = part.reshape(tiles, _ROW, _ROW)
    chain = np.zeros((_ROW, _ROW + 1))
    chain[:tiles, :-1] = _product(rows[:, :, :-1], decay.within_row[:-1, -1], limit)
    for tile, added in enumerate((chain[:, :-1] @ decay.within_tile[:-1, -1])[:tiles].tolist()):
        chain[tile, -1] = state
        # The rounding error of a factor close to 1 would accumulate over tiles; `lost` is more accurate.
        slow = decay.kept > decay.lost
        state = state + (added - state * decay.lost) if slow else state * decay.kept + added
        state = min(max(state, -LARGEST), LARGEST)
    rows[:, 0, -1] = chain[:tiles, -1]
    rows[:, 1:, -1] = _product(chain, decay.within_tile, limit)[:tiles, :-1]
    _product(rows, decay.within_row, limit, out=averages[:tiles])
    return state


def _product(rows: Values, matrix: Values, limit: float | None, out: Values | None = None) -> Values:
    product = np.matmul(rows, matrix, out=out)
    return product if limit is None else np.clip(product, -limit, limit, out=product)

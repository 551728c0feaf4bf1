"""The window kernels: `(values, window) -> values` on arrays, knowing nothing of times, JSON or errors.

Every kernel takes n finite values, a one-dimensional float64 array, and a window of at least 1, counted in
observations. It leaves its input alone and returns a new float64 array; where the window is longer than the
series there is nothing in it. Nothing is raised. What always holds:

- **Prefix.** `kernel(values[:m])` equals `kernel(values)` as far as it goes, bit for bit, the sign of a zero
  included: later observations never change earlier results. So the order in which a window is added up
  depends on its length alone, and a matrix product has one shape whatever the length of the series.
- **Rounding.** A sum is that of its own window, added up by halves: never a difference of cumulative sums,
  which drifts, and which no spike ever leaves again. With d = ceil(log2(window)) it is within
  (d / 2 + 1) * eps * sum(abs(x)) of the exact sum, where pairwise summation is within d / 2 of that unit.
- **Range.** Nothing overflows on the way to a result that a float64 can hold. A sum that none can hold is
  infinite, and the caller decides what that means. No kernel warns.

The speed comes from a few whole-array steps, for any window, on blocks that stay in the cache.
"""

import threading
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

type Values = NDArray[np.float64]
type Steps = tuple[_Step, ...]

# Results a block. Four or five arrays of this length, 256 KiB, are in use at once: in the second-level cache.
_BLOCK = 32_768
# The matrix products of `ema`: 32 values a row, 32 rows a tile, 32 tiles a block.
_ROW = 32
_TILE = _ROW * _ROW
_LARGEST = float(np.finfo(np.float64).max)
_kept = threading.local()


def rolling_sum(values: Values, window: int) -> Values:
    """The max(0, n - window + 1) sums of `values[i : i + window]`; infinite where no float64 is so large."""
    try:
        return _sums(values, window)
    except FloatingPointError:
        return _sums_near_the_limit(values, window)


def rolling_mean(values: Values, window: int) -> Values:
    """The max(0, n - window + 1) means of `values[i : i + window]`, all finite."""
    try:
        return _sums(values, window, mean=True)
    except FloatingPointError:
        # No mean is beyond its largest value, but the last rounding of one at the very limit can be.
        return np.clip(_sums_near_the_limit(values, window, mean=True), -_LARGEST, _LARGEST)


def rolling_max(values: Values, window: int) -> Values:
    """The max(0, n - window + 1) largest values of `values[i : i + window]`."""
    return _folded(values, window, np.maximum, _extreme_steps(window))


def rolling_min(values: Values, window: int) -> Values:
    """The max(0, n - window + 1) smallest values of `values[i : i + window]`."""
    return _folded(values, window, np.minimum, _extreme_steps(window))


def lag(values: Values, window: int) -> Values:
    """The max(0, n - window) values that stand `window` observations before another: a copy."""
    return values[: max(0, len(values) - window)].copy()


def ema(values: Values, window: int) -> Values:
    """The n exponential averages y[0] = x[0]; y[t] = a * x[t] + (1 - a) * y[t - 1]; a = 2 / (window + 1).

    Each is within a few eps of the average of abs(x) by the same weights, whatever the window; taken step by
    step in floating point, the recurrence can be off by thousands.

    It is unrolled over rows of 32 values: the results of a row are one product of a constant matrix with its
    values and the state before them. Those states are a recurrence of the same kind over what each row adds,
    unrolled once more; what remains step by step is one state for 1,024 values.
    """
    if window == 1 or len(values) == 0:
        return values.copy()
    try:
        with np.errstate(all="ignore", over="raise"):
            return _averages(values, window, limit=None)
    except FloatingPointError:
        # No average is beyond its largest value, but the rounding of one at the very limit can be.
        with np.errstate(all="ignore"):
            return _averages(values, window, limit=_LARGEST)


class _Step(NamedTuple):
    """target[i] = left[i] with right[i + shift], now over `span` values.

    Arrays go by number: 0 is a block of the series, the highest its results, between them scratch space.
    """

    left: int
    right: int
    shift: int
    span: int
    target: int


def _doublings(window: int) -> list[tuple[int, int]]:
    """Additions that make the sum over `window` values from powers of two, put together from the smallest up.

    An addition (a, b) adds to the sum over a values that over the b values after them. Smallest first keeps
    the tree as shallow as that of pairwise summation: ceil(log2(window)) additions above any value.
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
    """A short chain of additions to `window`: `_doublings`, or a shorter one by way of a small factor.

    With window = factor * quotient + rest, the sums over `factor` values are put together as single values
    are, and a power of two that the factor's chain has passed is added last: 4,095 takes 16 additions, not
    22. The tree is at most two additions deeper for it.
    """

    def length(factor: int) -> int:
        quotient, rest = divmod(window, factor)
        return sum(n.bit_length() + n.bit_count() - 2 for n in (factor, quotient)) + rest.bit_count()

    factors = (factor for factor in range(1, min(64, window + 1)) if (window % factor).bit_count() <= 1)
    factor = min(factors, key=length)
    quotient, rest = divmod(window, factor)
    scaled = [(left * factor, right * factor) for left, right in _doublings(quotient)]
    return [*_doublings(factor), *scaled, *([(window - rest, rest)] if rest else [])]


@lru_cache(maxsize=256)
def _sum_steps(window: int) -> Steps:
    """The steps that add up every `window` values."""
    return _steps([(left, right, left + right) for left, right in _additions(window)])


@lru_cache(maxsize=256)
def _extreme_steps(window: int) -> Steps:
    """The steps to an extreme of every `window` values, by two powers of two that overlap."""
    largest = 1 << (window.bit_length() - 1)
    merges = [(1 << k, 1 << k, 2 << k) for k in range(window.bit_length() - 1)]
    return _steps(merges if largest == window else [*merges, (largest, largest, window)])


def _steps(merges: list[tuple[int, int, int]]) -> Steps:
    """Lay out merges (span of the left, of the right, of both) in as few scratch arrays as they can share."""
    last_use = {span: index for index, (left, right, _) in enumerate(merges) for span in (left, right)}
    place = {1: 0}
    free: list[int] = []
    steps = []
    for index, (left, right, span) in enumerate(merges):
        place[span] = free.pop() if free and index < len(merges) - 1 else max(place.values()) + 1
        steps.append(_Step(place[left], place[right], span - right, span, place[span]))
        free += [place[done] for done in {left, right} if done > 1 and last_use[done] == index]
    return tuple(steps)


def _folded(values: Values, window: int, combine: np.ufunc, steps: Steps, *, mean: bool = False) -> Values:
    """Combine every `window` values by the steps; for a mean, divide each result by the window."""
    total = max(0, len(values) - window + 1)
    if window == 1 or total == 0:
        return values[:total].copy()
    result = np.empty(total)
    # Blocks overlap by window - 1 values: at least as long as the window, they at most double the work.
    block = max(_BLOCK, window)
    scratch = _scratch(steps[-1].target - 1, min(block, total) + window - 1)
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
    """Rolling sums or means, where nothing overflows on the way."""
    return _folded(values, window, np.add, _sum_steps(window), mean=mean)


@np.errstate(all="ignore")
def _sums_near_the_limit(values: Values, window: int, *, mean: bool = False) -> Values:
    """Rolling sums or means of which some overflow on the way: those alone from values scaled down.

    The scale is a power of two. It costs digits only to values that are nothing beside those that overflow.
    """
    scale = window.bit_length()
    plain = _folded(values, window, np.add, _sum_steps(window), mean=mean)
    scaled = _folded(np.ldexp(values, -scale), window, np.add, _sum_steps(window), mean=mean)
    return np.where(np.isfinite(plain), plain, np.ldexp(scaled, scale))


def _scratch(number: int, size: int) -> Values:
    """Arrays of at least `size`, with anything in them, that are the thread's own until its next call.

    It keeps up to 2 MiB: new memory can be pages to clear at every call, which takes longer than the work.
    """
    size = -(-size // 8) * 8  # Each begins on a 64-byte boundary: vectors stored across them take longer.
    memory: Values | None = getattr(_kept, "memory", None)
    if memory is None or len(memory) < number * size:
        memory = np.empty(number * size + 7)
        memory = memory[-memory.ctypes.data // memory.itemsize % 8 :]
        if number * size <= 8 * _BLOCK:
            _kept.memory = memory
    return memory[: number * size].reshape(number, size)


class _Decay(NamedTuple):
    """The constants of one window's exponential average, each rounded once: no error in common."""

    within_row: Values  # (33, 32): takes 32 values and the state before them to 32 results
    within_tile: Values  # (33, 32): takes what 32 rows add and the state before to that after each
    kept: float  # of a state, after a tile
    lost: float  # 1 - kept


@lru_cache(maxsize=64)
def _decay(window: int) -> _Decay:
    """The constants of `window`, from powers of 1 - a in 40 digits."""
    with localcontext(prec=40):
        gain, decay = Decimal(2) / (window + 1), Decimal(window - 1) / (window + 1)
        by_value = [decay**k for k in range(_ROW + 1)]
        by_row = [by_value[-1] ** k for k in range(_ROW + 1)]
        weights, lost = [gain * power for power in by_value[:-1]], float(1 - by_row[-1])
    values, rows, gains = (np.array(powers, dtype=np.float64) for powers in (by_value, by_row, weights))
    return _Decay(_unrolled(values, gains), _unrolled(rows, rows[:-1]), float(rows[-1]), lost)


def _unrolled(decay: Values, weights: Values) -> Values:
    """The matrix of a recurrence over a row: weights[k] of a value and decay[k] of the state, k steps on.

    The state is last: with a long window it is by far the largest term, and is rounded once, not 32 times.
    """
    matrix = np.zeros((_ROW + 1, _ROW))
    matrix[-1] = decay[1:]
    for first in range(_ROW):
        matrix[first, first:] = weights[: _ROW - first]
    return matrix


def _averages(values: Values, window: int, limit: float | None) -> Values:
    """Exponential averages of at least one value, held within `limit` if there is one."""
    decay = _decay(window)
    result = np.empty(len(values))
    tiles = min(_ROW, -(-len(values) // _TILE))
    scratch = _scratch(2, tiles * (_TILE + _ROW))
    rows = scratch[0].reshape(tiles, _ROW, _ROW + 1)
    averages = scratch[1, : tiles * _TILE].reshape(tiles, _ROW, _ROW)
    state = float(values[0])
    for start in range(0, len(values), _ROW * _TILE):
        part = values[start : start + _ROW * _TILE]
        state = _average_block(part, decay, state, rows, averages, limit=limit)
        # Whether a zero is -0.0 could hang on values after it (-0.0 + 0 * x): adding 0.0 makes it positive.
        np.add(averages.reshape(-1)[: len(part)], 0.0, out=result[start : start + len(part)])
    result[0] = values[0]
    return result


def _average_block(
    part: Values, decay: _Decay, state: float, rows: Values, averages: Values, *, limit: float | None
) -> float:
    """Average up to 32 tiles of values into `averages`, laid out in `rows`. Returns the state after them."""
    tiles = -(-len(part) // _TILE)
    if len(part) < tiles * _TILE:
        part = np.concatenate([part, np.zeros(tiles * _TILE - len(part))])
    rows = rows[:tiles]
    rows[:, :, :-1] = part.reshape(tiles, _ROW, _ROW)
    chain = np.zeros((_ROW, _ROW + 1))
    chain[:tiles, :-1] = _product(rows[:, :, :-1], decay.within_row[:-1, -1], limit)
    for tile, added in enumerate((chain[:, :-1] @ decay.within_tile[:-1, -1])[:tiles].tolist()):
        chain[tile, -1] = state
        # The rounding of a factor close to 1 would add up from tile to tile: its distance from 1 is exacter.
        slow = decay.kept > decay.lost
        state = state + (added - state * decay.lost) if slow else state * decay.kept + added
        state = min(max(state, -_LARGEST), _LARGEST)
    rows[:, 0, -1] = chain[:tiles, -1]
    rows[:, 1:, -1] = _product(chain, decay.within_tile, limit)[:tiles, :-1]
    _product(rows, decay.within_row, limit, out=averages[:tiles])
    return state


def _product(rows: Values, matrix: Values, limit: float | None, out: Values | None = None) -> Values:
    product = np.matmul(rows, matrix, out=out)
    return product if limit is None else np.clip(product, -limit, limit, out=product)

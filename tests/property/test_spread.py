"""The kernels of variances, of variable windows and of parts agree with their slow references for any values.

The tests allow these errors, with eps = 2**-52 and n values in the window:

- A variance may have a relative error of 16 * eps * sqrt(n). The factor sqrt(n) is reached only if the first
  of some consecutive values is an extreme outlier, because their mean is represented by its offset from it.
- A z-score may be off by the relative error of the standard deviation, and by 16 * eps * sqrt(n) for the
  deviation of the last value, which can be the difference of two larger numbers.

A variance of subnormal size may also be off by the smallest float for each value.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from metrics_worker.kernels import moments, parts, variable
from tests import reference_statistics as reference
from tests.property.test_kernels import EPS, SEEDS, SERIES, SMALLEST, long_series

type Values = NDArray[np.float64]
type Positions = NDArray[np.int64]

STATISTICS = ["var", "std", "zscore"]
PARTS = ["sum", "mean", "max", "min"]
BETWEEN = ["sum", "mean", "max", "min", "var", "std", "zscore"]
TWINS: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": reference.total,
    "mean": reference.mean,
    "max": max,
    "min": min,
    "var": reference.var,
    "std": reference.std,
    "zscore": reference.zscore,
}
# A large common level, constants, steps, ties, and numbers whose squares leave the range of float64.
LEVELS = st.one_of(
    st.lists(st.floats(1e9, 1e9 + 1), max_size=40),
    st.lists(st.sampled_from([0.1, 0.1, 0.1, 0.3]), max_size=40),
    st.lists(st.sampled_from([1e-200, 2e-200, -1e-300, 1e-160]), max_size=40),
    st.lists(st.sampled_from([1e300, -1e300, 1e160, 3e154, 1.0]), max_size=40),
    SERIES,
)


def windows_of(seed: int, length: int, count: int) -> tuple[Positions, Positions]:
    """Return (first, stop), two arrays: window k has the values at the positions first[k] to stop[k] - 1.

    Args:
        seed: the seed, which also determines the kind of windows: of any length or of a few lengths, with
            random or consecutive ends.
        length: the number of values of the series.
        count: the number of windows if their ends are random; otherwise there are `length` + 1.
    """
    rng = np.random.default_rng(seed)
    stop = np.sort(rng.integers(0, length + 1, count)) if seed % 3 == 0 else np.arange(length + 1)
    sizes = rng.integers(0, length + 1, len(stop)) if seed % 2 else rng.choice([3, 4, 5, 9], len(stop))
    return np.maximum.accumulate(np.maximum(0, stop - sizes)), stop


def assert_equal_within_rounding(name: str, results: Values, windows: Sequence[Sequence[float]]) -> None:
    assert len(results) == len(windows)
    for result, window in zip(results.tolist(), windows, strict=True):
        if not window:
            assert isnan(result)
            continue
        exact = TWINS[name](window)
        if isnan(exact):
            assert isnan(result)
            continue
        assert result == pytest.approx(exact, rel=0, abs=allowed(name, exact, window))


def allowed(name: str, exact: float, window: Sequence[float]) -> float:
    """Return the largest error that a kernel's result for one window may have.

    Args:
        name: the name of the statistic, such as "var".
        exact: the exact result.
        window: the values of the window.
    """
    if name in {"sum", "mean"}:
        size = 2 * EPS * sum(abs(value) / len(window) for value in window)
        return size * (len(window) if name == "sum" else 1) + SMALLEST
    if name in {"max", "min"}:
        return 0
    relative = 16 * EPS * sqrt(len(window))
    return relative * max(abs(exact), 1 if name == "zscore" else 0) + (4 + len(window)) * SMALLEST


@pytest.mark.parametrize("name", STATISTICS)
@settings(deadline=None, max_examples=60)
@given(values=LEVELS, window=st.integers(1, 12))
def test_each_kernel_of_a_fixed_window_equals_its_reference(
    name: str, values: list[float], window: int
) -> None:
    results = getattr(moments, f"rolling_{name}")(np.array(values, dtype=np.float64), window)
    starts = range(max(0, len(values) - window + 1))
    assert_equal_within_rounding(name, results, [values[i : i + window] for i in starts])


@pytest.mark.parametrize("name", BETWEEN)
@settings(deadline=None, max_examples=60)
@given(values=LEVELS, seed=SEEDS)
def test_each_kernel_of_variable_windows_equals_its_reference(
    name: str, values: list[float], seed: int
) -> None:
    first, stop = windows_of(seed, len(values), 20)
    results = getattr(variable, f"{name}_between")(np.array(values, dtype=np.float64), first, stop)
    bounds = zip(first.tolist(), stop.tolist(), strict=True)
    assert_equal_within_rounding(name, results, [values[start:end] for start, end in bounds])


@pytest.mark.parametrize("name", STATISTICS)
@settings(deadline=None, max_examples=10)
@given(seed=SEEDS, window=st.one_of(st.integers(2, 40), st.integers(2, 3_000)))
def test_each_kernel_equals_its_reference_in_a_long_series(name: str, seed: int, window: int) -> None:
    series = long_series(seed, 40_000) + (1e9 if seed % 2 else 0)
    results = getattr(moments, f"rolling_{name}")(series, window)
    some = np.random.default_rng(seed).integers(0, len(results), 5).tolist()
    for i in {0, len(results) - 1, *some, *({8_191, 8_192, 32_768} & set(range(len(results))))}:
        assert_equal_within_rounding(name, results[i : i + 1], [series[i : i + window].tolist()])


@pytest.mark.parametrize("name", STATISTICS)
@settings(deadline=None, max_examples=40)
@given(values=LEVELS, window=st.integers(1, 12))
def test_later_observations_never_change_a_bit_of_an_earlier_result(
    name: str, values: list[float], window: int
) -> None:
    array = np.array(values, dtype=np.float64)
    kernel = getattr(moments, f"rolling_{name}")
    results = [kernel(array[:length], window) for length in range(len(array) + 1)]
    for earlier, later in pairwise(results):
        assert earlier.tobytes() == later[: len(earlier)].tobytes()


@pytest.mark.parametrize("name", STATISTICS)
@settings(deadline=None, max_examples=10)
@given(seed=SEEDS, window=st.integers(1, 5_000), cut=st.integers(0, 70_000))
def test_later_observations_never_change_an_earlier_result_of_a_long_series(
    name: str, seed: int, window: int, cut: int
) -> None:
    series = long_series(seed, 70_000)
    kernel = getattr(moments, f"rolling_{name}")
    part = kernel(series[:cut].copy(), window)
    assert part.tobytes() == kernel(series, window)[: len(part)].tobytes()


@pytest.mark.parametrize("name", BETWEEN)
@settings(deadline=None, max_examples=40)
@given(values=LEVELS, seed=SEEDS)
def test_the_result_of_a_variable_window_depends_only_on_the_values_of_the_window(
    name: str, values: list[float], seed: int
) -> None:
    array = np.array(values, dtype=np.float64)
    first, stop = windows_of(seed, len(array), 20)
    kernel = getattr(variable, f"{name}_between")
    results = kernel(array, first, stop)
    for k, (start, end) in enumerate(zip(first.tolist(), stop.tolist(), strict=True)):
        alone = kernel(array[start:end].copy(), np.array([0]), np.array([end - start]))
        assert alone.tobytes() == results[k : k + 1].tobytes()


@pytest.mark.parametrize("name", BETWEEN)
@settings(deadline=None, max_examples=8)
@given(seed=SEEDS, window=st.integers(1, 3_000))
def test_the_result_does_not_depend_on_the_other_windows_of_a_long_series(
    name: str, seed: int, window: int
) -> None:
    series = long_series(seed, 40_000)
    stop = np.arange(1, len(series) + 1)
    first = np.maximum(0, stop - window)
    kernel = getattr(variable, f"{name}_between")
    results = kernel(series, first, stop)
    some = np.sort(np.random.default_rng(seed).integers(0, len(series), 20))
    assert kernel(series, first[some], stop[some]).tobytes() == results[some].tobytes()


def parts_of(seed: int, length: int) -> Positions:
    """Return the positions at which parts of a series begin; the first can be after the first value."""
    rng = np.random.default_rng(seed)
    return np.unique(rng.integers(0, max(1, length), rng.integers(1, 8)))[:length]


@pytest.mark.parametrize("name", PARTS)
@settings(deadline=None, max_examples=60)
@given(values=LEVELS, seed=SEEDS)
def test_each_kernel_of_parts_equals_its_reference(name: str, values: list[float], seed: int) -> None:
    first = parts_of(seed, len(values))
    results = getattr(parts, f"{name}_of_parts")(np.array(values, dtype=np.float64), first)
    bounds = pairwise([*first.tolist(), len(values)])
    assert_equal_within_rounding(name, results, [values[start:stop] for start, stop in bounds])


@pytest.mark.parametrize("name", PARTS)
@settings(deadline=None, max_examples=8)
@given(seed=SEEDS)
def test_the_result_of_a_part_depends_only_on_the_values_of_the_part(name: str, seed: int) -> None:
    series = long_series(seed, 40_000)
    first = parts_of(seed, len(series))
    kernel = getattr(parts, f"{name}_of_parts")
    results = kernel(series, first)
    for k, (start, stop) in enumerate(pairwise([*first.tolist(), len(series)])):
        alone = series[start:stop].copy()
        assert kernel(alone, np.array([0])).tobytes() == results[k : k + 1].tobytes()
        assert_equal_within_rounding(name, results[k : k + 1], [alone.tolist()])

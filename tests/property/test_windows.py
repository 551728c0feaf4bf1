"""The kernels against their slow twins, and what holds of them whatever the values are.

Bounds, with eps = 2**-52 and sums over the values that a result is made of:

- a sum: 2 * eps * sum(abs(x)). Up to some sixteen values that is what a tree of additions guarantees;
  beyond, the guarantee grows by half an eps with each doubling, but roundings that all take one side and add
  up are not met.
- a mean: that of its sum over the window, and one more rounding.
- an exponential average: 8 * eps * the average of abs(x) by the same weights. It is made of two products of
  33 terms and two sums of 32, one after the other, whose roundings could add up to some 70 eps at the worst;
  on walks, spikes and magnitudes of 600 decades, over windows from 2 to 10 ** 7, none beyond 4 was met.

Near the smallest float every term of an average is rounded to a multiple of it, and later results inherit it:
as many of it are allowed as the average has values in its span, and 128 more.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import isinf
from sys import float_info

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from metrics_worker import windows
from tests import reference

type Kernel = Callable[[NDArray[np.float64], int], NDArray[np.float64]]

EPS = float_info.epsilon
SMALLEST = 5e-324
KERNELS: list[Kernel] = [
    windows.rolling_sum,
    windows.rolling_mean,
    windows.rolling_max,
    windows.rolling_min,
    windows.ema,
    windows.lag,
]
ROLLING = KERNELS[:4]
SEEDS = st.integers(0, 2**32 - 1)

# What a sum, a comparison or a weight can stumble over: every finite float, spikes of 1e16 among thousandths,
# zeros of both signs beside the smallest floats, the largest floats.
VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-1e3, 1e3),
    st.sampled_from([1e16, -1e16, 1e-3, -1e-3, 0.1]),
    st.sampled_from([0.0, -0.0, SMALLEST, -SMALLEST, 1.0]),
    st.sampled_from([float_info.max, -float_info.max, 1.5e308]),
)
SERIES = st.one_of(
    st.lists(VALUES, max_size=40),
    st.lists(st.sampled_from([1e16, 1e-3, -1e-3]), max_size=40),
    st.lists(st.sampled_from([0.0, -0.0, SMALLEST, -SMALLEST]), max_size=40),
    st.lists(st.sampled_from([float_info.max, -float_info.max, 0.7e308]), max_size=40),
)


def long_series(seed: int, length: int) -> NDArray[np.float64]:
    """A walk, thousandths with spikes of 1e16, or values of every magnitude."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=length)
    return [
        np.cumsum(steps),
        np.where(rng.random(length) < 0.002, 1e16 * np.sign(steps), 1e-3 * steps),
        steps * 10.0 ** rng.integers(-300, 300, length),
    ][seed % 3]


def assert_within(actual: Sequence[float], exact: Sequence[float], bounds: Sequence[float]) -> None:
    assert len(actual) == len(exact)
    for result, truth, bound in zip(actual, exact, bounds, strict=True):
        if isinf(result) or isinf(truth):
            # Either may be what rounding takes to infinity, but only from the edge of it.
            assert min(abs(result), abs(truth)) + bound >= float_info.max
            assert (result > 0) == (truth > 0)
        else:
            assert abs(result - truth) <= bound


def sum_bounds(values: Sequence[float], window: int) -> list[float]:
    runs = range(len(values) - window + 1)
    return [sum(2 * EPS * abs(value) for value in values[i : i + window]) for i in runs]


def mean_bounds(values: Sequence[float], window: int) -> list[float]:
    means = reference.rolling_mean(values, window)
    sums = sum_bounds(values, window)
    return [bound / window + EPS * abs(mean) + SMALLEST for bound, mean in zip(sums, means, strict=True)]


def ema_bounds(values: Sequence[float], window: int) -> list[float]:
    least = (128 + min(window, len(values))) * SMALLEST
    return [8 * EPS * size + least for size in reference.ema([abs(value) for value in values], window)]


def assert_kernels_are_their_twins(values: list[float], window: int) -> None:
    array = np.array(values, dtype=np.float64)
    sums = windows.rolling_sum(array, window).tolist()
    means = windows.rolling_mean(array, window).tolist()
    assert_within(sums, reference.rolling_sum(values, window), sum_bounds(values, window))
    assert_within(means, reference.rolling_mean(values, window), mean_bounds(values, window))
    assert windows.rolling_max(array, window).tolist() == reference.rolling_max(values, window)
    assert windows.rolling_min(array, window).tolist() == reference.rolling_min(values, window)
    assert windows.lag(array, window).tolist() == reference.lag(values, window)
    averages = windows.ema(array, window).tolist()
    assert_within(averages, reference.ema(values, window), ema_bounds(values, window))


@settings(deadline=None, max_examples=300)
@given(SERIES)
def test_over_every_window_of_a_short_series_each_kernel_is_its_twin(values: list[float]) -> None:
    for window in range(1, len(values) + 3):
        assert_kernels_are_their_twins(values, window)


@settings(deadline=None, max_examples=60)
@given(SEEDS, st.integers(1, 400), st.integers(1, 150))
def test_over_a_longer_series_each_kernel_is_its_twin(seed: int, length: int, window: int) -> None:
    assert_kernels_are_their_twins(long_series(seed, length).tolist(), window)


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.integers(30_000, 70_000), st.integers(1, 5_000))
def test_sums_of_a_long_series_stay_as_near_as_those_of_a_short_one(
    seed: int, length: int, window: int
) -> None:
    series = long_series(seed, length)
    sums, means = windows.rolling_sum(series, window), windows.rolling_mean(series, window)
    maxima, minima = windows.rolling_max(series, window), windows.rolling_min(series, window)
    some = np.random.default_rng(seed).integers(0, len(sums), 20).tolist()
    for i in {0, len(sums) - 1, *some, *({32_767, 32_768} & set(range(len(sums))))}:
        run = series[i : i + window].tolist()
        assert_within([sums[i]], reference.rolling_sum(run, window), sum_bounds(run, window))
        assert_within([means[i]], reference.rolling_mean(run, window), mean_bounds(run, window))
        assert [maxima[i], minima[i]] == [max(run), min(run)]


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.integers(1_000, 35_000), st.one_of(st.integers(2, 60), st.integers(2, 10**6)))
def test_averages_of_a_long_series_stay_as_near_as_those_of_a_short_one(
    seed: int, length: int, window: int
) -> None:
    values = long_series(seed, length).tolist()
    averages = windows.ema(np.array(values), window).tolist()
    assert_within(averages, reference.ema(values, window), ema_bounds(values, window))


@pytest.mark.parametrize("kernel", KERNELS)
@settings(deadline=None, max_examples=100)
@given(values=SERIES, window=st.integers(1, 12))
def test_more_observations_never_change_an_earlier_result_by_one_bit(
    kernel: Kernel, values: list[float], window: int
) -> None:
    array = np.array(values, dtype=np.float64)
    results = [kernel(array[:length], window) for length in range(len(array) + 1)]
    for earlier, later in pairwise(results):
        assert earlier.tobytes() == later[: len(earlier)].tobytes()


@pytest.mark.parametrize("kernel", KERNELS)
@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, window=st.one_of(st.integers(1, 40), st.integers(1, 5_000)), data=st.data())
def test_nor_do_they_in_a_long_series_wherever_it_is_cut(
    kernel: Kernel, seed: int, window: int, data: st.DataObject
) -> None:
    series = long_series(seed, 70_000)
    whole = kernel(series, window)
    seams = st.sampled_from([32, 1_024, 8_192, 32_768, 65_536]).flatmap(lambda n: st.integers(n - 2, n + 2))
    cuts = data.draw(st.lists(st.one_of(seams, st.integers(0, len(series))), min_size=1, max_size=4))
    for cut in cuts:
        part = kernel(series[:cut].copy(), window)
        assert part.tobytes() == whole[: len(part)].tobytes()


@pytest.mark.parametrize("kernel", ROLLING)
@settings(deadline=None, max_examples=100)
@given(values=SERIES, window=st.integers(1, 12))
def test_a_window_knows_nothing_of_what_lies_outside_it(
    kernel: Kernel, values: list[float], window: int
) -> None:
    array = np.array(values, dtype=np.float64)
    for i, result in enumerate(kernel(array, window)):
        assert kernel(array[i : i + window], window).tobytes() == result.tobytes()


@settings(deadline=None, max_examples=100)
@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 3_000), st.integers(1, 10**9))
def test_the_average_of_a_constant_is_that_constant_but_for_a_few_roundings(
    constant: float, length: int, window: int
) -> None:
    averages = windows.ema(np.full(length, constant), window)
    least = (128 + min(window, length)) * SMALLEST
    assert averages[0] == constant
    assert np.all(np.abs(averages - constant) <= 5 * EPS * abs(constant) + least)

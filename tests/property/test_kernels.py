"""The window kernels agree with their slow references, and have mathematical properties for any values.

The tests allow these errors, with eps = 2**-52 and sums over the values of one window:

- A sum may be off by 2 * eps * sum(abs(x)). For up to about sixteen values, a tree of additions guarantees
  that. For longer windows, the guaranteed bound grows by half an eps with each doubling, but it is reached
  only if all roundings go in the same direction, which does not occur in these tests.
- A mean may be off by the error of its sum divided by the length of the window, and one more rounding.
- An exponential average may be off by 8 * eps times the average of abs(x) with the same weights. It is
  computed by two products of 33 terms and two sums of 32, one after the other, whose roundings could add up
  to about 70 eps in the worst case. On random walks, spikes and magnitudes over 600 decades, with windows
  from 2 to 10 ** 7, no error above 4 eps was found.

If values are near the smallest float, every term of an average is rounded to a multiple of this float, and
later results contain these errors too. The tests therefore also allow (n + 128) times the smallest float,
where n is the length of the window or, if it is smaller, the number of values.
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

from metrics_worker.kernels import rolling
from tests import reference

type Kernel = Callable[[NDArray[np.float64], int], NDArray[np.float64]]

EPS = float_info.epsilon
SMALLEST = 5e-324
KERNELS: list[Kernel] = [
    rolling.rolling_sum,
    rolling.rolling_mean,
    rolling.rolling_max,
    rolling.rolling_min,
    rolling.ema,
    rolling.lag,
]
ROLLING = KERNELS[:4]
SEEDS = st.integers(0, 2**32 - 1)

# These values are difficult for sums, comparisons and weights: any finite float, spikes of 1e16 among
# thousandths, zeros of both signs next to the smallest floats, and the largest floats.
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
    """Return `length` random values, whose kind depends on the seed.

    The kinds are a random walk, values near 0.001 with some spikes of 1e16, and values of any magnitude.
    """
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
            # Either result may be rounded to infinity, but only if the values are at the limit of float64.
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


def assert_kernels_equal_their_references(values: list[float], window: int) -> None:
    array = np.array(values, dtype=np.float64)
    sums = rolling.rolling_sum(array, window).tolist()
    means = rolling.rolling_mean(array, window).tolist()
    assert_within(sums, reference.rolling_sum(values, window), sum_bounds(values, window))
    assert_within(means, reference.rolling_mean(values, window), mean_bounds(values, window))
    assert rolling.rolling_max(array, window).tolist() == reference.rolling_max(values, window)
    assert rolling.rolling_min(array, window).tolist() == reference.rolling_min(values, window)
    assert rolling.lag(array, window).tolist() == reference.lag(values, window)
    averages = rolling.ema(array, window).tolist()
    assert_within(averages, reference.ema(values, window), ema_bounds(values, window))


@settings(deadline=None, max_examples=300)
@given(SERIES)
def test_each_kernel_equals_its_reference_for_every_window_of_a_short_series(values: list[float]) -> None:
    for window in range(1, len(values) + 3):
        assert_kernels_equal_their_references(values, window)


@settings(deadline=None, max_examples=60)
@given(SEEDS, st.integers(1, 400), st.integers(1, 150))
def test_each_kernel_equals_its_reference_on_a_longer_series(seed: int, length: int, window: int) -> None:
    assert_kernels_equal_their_references(long_series(seed, length).tolist(), window)


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.integers(30_000, 70_000), st.integers(1, 5_000))
def test_sums_are_as_accurate_in_a_long_series_as_in_a_short_one(seed: int, length: int, window: int) -> None:
    series = long_series(seed, length)
    sums, means = rolling.rolling_sum(series, window), rolling.rolling_mean(series, window)
    maxima, minima = rolling.rolling_max(series, window), rolling.rolling_min(series, window)
    some = np.random.default_rng(seed).integers(0, len(sums), 20).tolist()
    for i in {0, len(sums) - 1, *some, *({32_767, 32_768} & set(range(len(sums))))}:
        run = series[i : i + window].tolist()
        assert_within([sums[i]], reference.rolling_sum(run, window), sum_bounds(run, window))
        assert_within([means[i]], reference.rolling_mean(run, window), mean_bounds(run, window))
        assert [maxima[i], minima[i]] == [max(run), min(run)]


@settings(deadline=None, max_examples=30)
@given(SEEDS, st.integers(1_000, 35_000), st.one_of(st.integers(2, 60), st.integers(2, 10**6)))
def test_averages_are_as_accurate_in_a_long_series_as_in_a_short_one(
    seed: int, length: int, window: int
) -> None:
    values = long_series(seed, length).tolist()
    averages = rolling.ema(np.array(values), window).tolist()
    assert_within(averages, reference.ema(values, window), ema_bounds(values, window))


@pytest.mark.parametrize("kernel", KERNELS)
@settings(deadline=None, max_examples=100)
@given(values=SERIES, window=st.integers(1, 12))
def test_later_observations_never_change_a_bit_of_an_earlier_result(
    kernel: Kernel, values: list[float], window: int
) -> None:
    array = np.array(values, dtype=np.float64)
    results = [kernel(array[:length], window) for length in range(len(array) + 1)]
    for earlier, later in pairwise(results):
        assert earlier.tobytes() == later[: len(earlier)].tobytes()


@pytest.mark.parametrize("kernel", KERNELS)
@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, window=st.one_of(st.integers(1, 40), st.integers(1, 5_000)), data=st.data())
def test_later_observations_never_change_an_earlier_result_of_a_long_series(
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
def test_a_result_depends_only_on_the_values_of_its_own_window(
    kernel: Kernel, values: list[float], window: int
) -> None:
    array = np.array(values, dtype=np.float64)
    for i, result in enumerate(kernel(array, window)):
        assert kernel(array[i : i + window], window).tobytes() == result.tobytes()


@settings(deadline=None, max_examples=100)
@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 3_000), st.integers(1, 10**9))
def test_the_average_of_a_constant_differs_from_it_only_by_a_few_roundings(
    constant: float, length: int, window: int
) -> None:
    averages = rolling.ema(np.full(length, constant), window)
    least = (128 + min(window, length)) * SMALLEST
    assert averages[0] == constant
    assert np.all(np.abs(averages - constant) <= 5 * EPS * abs(constant) + least)

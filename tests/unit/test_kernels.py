"""The window kernels return the results that were calculated by hand for examples.

tests/property/test_kernels.py compares the kernels with slow references.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import ceil, inf, log2

import numpy as np
import pytest
from numpy.typing import NDArray

from metrics_worker.kernels import rolling

type Array = NDArray[np.float64]
type Kernel = Callable[[Array, int], Array]

KERNELS: list[Kernel] = [
    rolling.rolling_sum,
    rolling.rolling_mean,
    rolling.rolling_max,
    rolling.rolling_min,
    rolling.ema,
    rolling.lag,
]
NEEDS_A_WHOLE_WINDOW = [kernel for kernel in KERNELS if kernel is not rolling.ema]
LARGEST = np.finfo(np.float64).max


def array(*values: float) -> Array:
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        (rolling.rolling_sum, [8.0, 6.0, 14.0]),
        (rolling.rolling_mean, [8 / 3, 2.0, 14 / 3]),
        (rolling.rolling_max, [4.0, 4.0, 9.0]),
        (rolling.rolling_min, [1.0, 1.0, 1.0]),
        (rolling.ema, [3.0, 2.0, 3.0, 2.0, 5.5]),
        (rolling.lag, [3.0, 1.0]),
    ],
)
def test_each_kernel_gives_the_results_calculated_by_hand_for_a_window_of_three(
    kernel: Kernel, expected: list[float]
) -> None:
    assert kernel(array(3, 1, 4, 1, 9), 3).tolist() == expected


@pytest.mark.parametrize("kernel", [kernel for kernel in KERNELS if kernel is not rolling.lag])
def test_a_window_of_one_is_the_series_itself(kernel: Kernel) -> None:
    series = array(3, -1e300, 0.1, 5e-324, LARGEST)
    assert kernel(series, 1).tolist() == series.tolist()


@pytest.mark.parametrize("window", [6, 7, 10**9, 10**30])
@pytest.mark.parametrize("kernel", NEEDS_A_WHOLE_WINDOW)
def test_a_window_longer_than_the_series_gives_an_empty_result(kernel: Kernel, window: int) -> None:
    result = kernel(array(3, 1, 4, 1, 9), window)
    assert result.shape == (0,)
    assert result.dtype == np.float64


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("window", [1, 2, 10**9])
def test_an_empty_series_gives_an_empty_result(kernel: Kernel, window: int) -> None:
    assert kernel(array(), window).shape == (0,)


@pytest.mark.parametrize("window", [10**9, 10**30, 10**400])
def test_an_average_with_an_enormous_window_stays_near_the_first_value(window: int) -> None:
    assert rolling.ema(array(3, 1, 4, 1, 9), window).tolist() == pytest.approx([3.0] * 5, abs=1e-7)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("window", [1, 2, 3, 8])
def test_the_input_is_unchanged_and_the_result_is_a_new_array(kernel: Kernel, window: int) -> None:
    series = np.linspace(-1, 1, 50)
    before = series.tobytes()
    series.flags.writeable = False
    result = kernel(series, window)
    assert series.tobytes() == before
    assert not np.shares_memory(result, series)
    assert result.flags.writeable
    assert result.flags.c_contiguous


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_strided_view_gives_the_same_result_as_its_copy(kernel: Kernel) -> None:
    series = np.random.default_rng(1).normal(size=3_000)
    for view in (series[::2], series[::-1], series[1:]):
        assert kernel(view, 14).tobytes() == kernel(view.copy(), 14).tobytes()


@pytest.mark.parametrize("kernel", KERNELS)
def test_later_calls_do_not_change_an_earlier_result(kernel: Kernel) -> None:
    series = np.random.default_rng(1).normal(size=3_000)
    result = kernel(series, 14)
    before = result.tobytes()
    kernel(-series, 14)
    kernel(series[:100], 3)
    assert result.tobytes() == before


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_can_run_in_several_threads_at_once(kernel: Kernel) -> None:
    rng = np.random.default_rng(1)
    jobs = [(rng.normal(size=20_000 + 1_000 * i), 40 + i) for i in range(24)]
    expected = [kernel(series, window).tobytes() for series, window in jobs]
    with ThreadPoolExecutor(4) as threads:
        results = threads.map(lambda job: kernel(*job).tobytes(), jobs * 4)
        assert list(results) == expected * 4


def test_a_spike_does_not_affect_windows_after_it() -> None:
    series = np.full(1_000, 0.001)
    series[500] = 1e16
    sums = rolling.rolling_sum(series, 30)
    assert set(sums[501:].tolist()) == {sums[0]}
    assert sums[0] == pytest.approx(0.03, rel=1e-15)


def test_a_mean_near_the_largest_float_has_no_intermediate_overflow() -> None:
    assert rolling.rolling_mean(array(1.5e308, 1.5e308), 2).tolist() == [1.5e308]
    assert rolling.rolling_mean(np.full(9, LARGEST), 7).tolist() == pytest.approx([LARGEST] * 3, rel=1e-15)
    assert rolling.rolling_mean(array(LARGEST, -LARGEST, LARGEST), 3).tolist() == [LARGEST / 3]


def test_a_sum_that_a_float_can_hold_has_no_intermediate_overflow() -> None:
    series = array(1.5e308, 1.5e308, -1.5e308, -1.5e308, 1.0)
    assert rolling.rolling_sum(series, 4).tolist() == [0.0, -1.5e308]
    assert rolling.rolling_sum(array(5e-324, *series), 5).tolist() == [0.0, 0.0]


def test_a_sum_that_no_float_can_hold_is_infinite_but_its_neighbours_are_finite() -> None:
    series = array(1, 2, 1.5e308, 1.5e308, 1, 2, -1.5e308, -1.5e308)
    assert rolling.rolling_sum(series, 2).tolist() == [3, 1.5e308, inf, 1.5e308, 3, -1.5e308, -inf]


def test_neighbours_of_a_sum_that_overflows_are_exact_for_the_smallest_floats() -> None:
    series = array(5e-324, 1e-323, 1.5e308, 1.5e308, 5e-324, 1e-323)
    assert rolling.rolling_sum(series, 2)[[0, -1]].tolist() == [1.5e-323, 1.5e-323]


@pytest.mark.parametrize("window", [2, 3, 30, 1_000, 10**6])
def test_an_average_of_the_largest_floats_is_finite(window: int) -> None:
    largest = rolling.ema(np.full(5_000, LARGEST), window)
    assert np.isfinite(largest).all()
    assert (largest / LARGEST).min() >= 1 - 1e-15
    swinging = rolling.ema(np.resize(array(LARGEST, -LARGEST), 5_000), window)
    assert np.isfinite(swinging).all()


def test_the_first_average_is_exactly_the_first_value() -> None:
    for value in np.random.default_rng(1).normal(size=300):
        assert [rolling.ema(array(value), window)[0] for window in (2, 3, 5, 12, 30)] == [value] * 5


@pytest.mark.parametrize("window", [14, 5_000, 10**6, 10**9])
def test_the_average_of_a_long_constant_series_does_not_drift(window: int) -> None:
    for constant in (0.1, 1 / 3, 7.7, 100.01):
        averages = rolling.ema(np.full(300_000, constant), window)
        assert np.abs(averages - constant).max() <= 5 * np.spacing(constant)


def test_the_weight_of_a_spike_in_an_average_decays_at_the_rate_of_its_window() -> None:
    series = np.zeros(200)
    series[0] = 1e300
    averages = rolling.ema(series, 5)
    assert averages.tolist() == pytest.approx([1e300 * (2 / 3) ** k for k in range(200)], rel=1e-13)


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_ignore_the_callers_handling_of_floating_point_errors(kernel: Kernel) -> None:
    series = array(1.5e308, 1.5e308, 5e-324, -1.5e308, LARGEST, -LARGEST, 1e-320)
    expected = kernel(series, 3)
    with np.errstate(all="raise"):
        assert kernel(series, 3).tobytes() == expected.tobytes()


@pytest.mark.parametrize("window", [32_768, 40_000, 69_999])
def test_windows_longer_than_a_block_give_correct_results(window: int) -> None:
    series = np.arange(70_000.0)
    starts = np.arange(70_000.0 - window + 1)
    assert rolling.rolling_max(series, window).tolist() == (starts + window - 1).tolist()
    assert rolling.rolling_min(series, window).tolist() == starts.tolist()
    assert rolling.rolling_mean(series, window).tolist() == (starts + (window - 1) / 2).tolist()


def test_a_sum_takes_few_additions_in_a_shallow_tree_for_every_window() -> None:
    for window in range(2, 5_001):
        depth = {1: 0}
        additions = rolling._additions(window)
        for left, right in additions:
            depth[left + right] = 1 + max(depth[left], depth[right])
        assert depth[window] <= ceil(log2(window)) + 2
        assert len(additions) <= 19

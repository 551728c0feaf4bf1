"""The statistical kernels return the results that were calculated for examples, and change no argument.

tests/property/test_spread.py and tests/property/test_order.py compare the kernels with slow references.
"""

import warnings
from collections.abc import Callable
from math import nan

import numpy as np
import pytest
from numpy.typing import NDArray

from metrics_worker.kernels import cumulative, moments, order, variable

type Array = NDArray[np.float64]
type Rolling = Callable[[Array, int], Array]

LARGEST = np.finfo(np.float64).max
BETWEEN = [
    *(getattr(variable, f"{op}_between") for op in ("sum", "mean", "max", "min", "var", "std", "zscore")),
    order.rank_between,
    lambda values, first, stop: order.quantile_between(values, first, stop, 0.3),
]
ROLLING: list[Rolling] = [
    moments.rolling_var,
    moments.rolling_std,
    moments.rolling_zscore,
    order.rolling_rank,
    lambda values, window: order.rolling_quantile(values, window, 0.3),
    lambda values, window: moments.rolling_cov(values, -values, window),
    lambda values, window: moments.rolling_corr(values, values[::-1], window),
    lambda values, window: moments.rolling_beta(values, values[::-1], window),
    *(
        lambda values, window, kernel=kernel: kernel(
            values,
            np.arange(max(0, len(values) - window + 1)),
            np.arange(max(0, len(values) - window + 1)) + window,
        )
        for kernel in BETWEEN
    ),
]


def array(*values: float) -> Array:
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize("kernel", ROLLING)
@pytest.mark.parametrize("window", [1, 2, 3, 40, 200])
def test_the_input_is_unchanged_and_no_kernel_gives_a_warning(kernel: Rolling, window: int) -> None:
    series = np.concatenate(
        [np.linspace(-1, 1, 300), array(LARGEST, -LARGEST, 5e-324, 0, 0, 0, -0.0, 1e-300)]
    )
    before = series.tobytes()
    series.flags.writeable = False
    with warnings.catch_warnings(), np.errstate(all="warn"):
        warnings.simplefilter("error")
        result = kernel(series, window)
    assert series.tobytes() == before
    assert len(result) == len(series) - window + 1
    assert result.dtype == np.float64
    assert result.flags.writeable
    assert not np.shares_memory(result, series)


@pytest.mark.parametrize("kernel", ROLLING)
@pytest.mark.parametrize("window", [6, 10**9])
def test_a_window_longer_than_the_series_gives_an_empty_result(kernel: Rolling, window: int) -> None:
    assert kernel(array(3, 1, 4, 1, 9), window).shape == (0,)
    assert kernel(array(), window).shape == (0,)


def test_a_large_level_and_a_past_spike_do_not_affect_a_standard_deviation() -> None:
    noise = np.resize(array(0, 1, 3, 0.5), 100)
    expected = moments.rolling_std(noise, 8)
    assert moments.rolling_std(noise + 2.0**40, 8).tolist() == expected.tolist()
    noise[20] = 1e16
    assert moments.rolling_std(noise, 8)[21:].tolist() == expected[21:].tolist()


def test_a_spike_that_is_the_centre_of_its_windows_costs_no_digits() -> None:
    noise = np.resize(array(0, 1, 3, 0.5), 100)
    noise[40] = 1e9  # with a window of 20, position 40 begins a block
    deviations = moments.rolling_std(noise, 20)
    alone = [moments.rolling_std(noise[i : i + 20], 20)[0] for i in range(81)]
    assert deviations.tolist() == pytest.approx(alone, rel=1e-14, abs=0)
    assert deviations[41:].tolist() == pytest.approx(moments.rolling_std(noise[41:], 20).tolist(), rel=1e-14)


def test_a_constant_window_has_variance_zero_and_no_zscore_or_correlation() -> None:
    series = np.concatenate([np.full(50, 0.1), array(7), np.full(50, 1e300)])
    for window in (2, 7, 30):
        assert set(moments.rolling_var(series, window)[:20].tolist()) == {0.0}
        assert set(moments.rolling_var(series, window)[51:].tolist()) == {0.0}
        assert np.isnan(moments.rolling_zscore(series, window)[:20]).all()
        assert np.isnan(moments.rolling_corr(series, np.arange(101.0), window)[:20]).all()
        assert np.isnan(moments.rolling_beta(np.arange(101.0), series, window)[:20]).all()


def test_a_standard_deviation_that_a_float_can_hold_is_finite_and_not_zero() -> None:
    assert moments.rolling_std(array(1e300, -1e300, 1e300), 3) == pytest.approx(2e300 / 3**0.5, rel=1e-15)
    assert moments.rolling_std(array(1e-300, 2e-300, 3e-300), 3) == pytest.approx(1e-300, rel=1e-15, abs=0)
    assert moments.rolling_zscore(array(1e-300, 2e-300, 3e-300), 3) == pytest.approx(1)
    assert moments.rolling_corr(array(1e-300, 2e-300), array(1e300, 2e300), 2).tolist() == [1]


def test_empty_windows_and_windows_of_one_value() -> None:
    values, first, stop = array(2, 5), np.array([0, 0, 1]), np.array([0, 1, 2])
    assert variable.sum_between(values, first, stop).tolist() == pytest.approx([nan, 2, 5], nan_ok=True)
    assert order.rank_between(values, first, stop).tolist() == pytest.approx([nan, 1, 1], nan_ok=True)
    assert np.isnan(variable.std_between(values, first, stop)).all()
    assert np.isnan(variable.zscore_between(values, first, stop)).all()


def test_a_median_is_correctly_rounded_and_has_no_intermediate_overflow() -> None:
    assert order.rolling_quantile(array(LARGEST, LARGEST), 2, 0.5).tolist() == [LARGEST]
    assert order.rolling_quantile(array(LARGEST, -LARGEST), 2, 0.5).tolist() == [0]
    assert order.rolling_quantile(array(5e-324, 1e-323), 2, 0.5).tolist() == [1e-323]
    assert order.rolling_quantile(array(LARGEST, -LARGEST), 2, 0.25) == pytest.approx(-LARGEST / 2, rel=1e-15)


def test_cumulative_sums_do_not_drift_and_begin_again_at_each_start() -> None:
    series = np.full(100_000, 0.1)
    sums = cumulative.cumulative_sum(series, np.array([0, 50_000]))
    assert sums[49_999] == pytest.approx(5_000, rel=1e-15)
    assert sums[50_000:].tolist() == sums[:50_000].tolist()
    assert cumulative.cumulative_sum(array(1, 1e100, 1, -1e100), np.array([0]))[-1] == 2
    assert cumulative.cumulative_max(array(1, 3, 2, 0), np.array([0, 2])).tolist() == [1, 3, 2, 2]
    assert cumulative.cumulative_min(array(1, 3, 2, 0), np.array([0, 1])).tolist() == [1, 3, 2, 0]

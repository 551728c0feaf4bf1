"""Quantiles, ranks, cumulative kernels and kernels of pairs agree with their slow references for any values.

The tests allow these errors, with eps = 2**-52 and n values in the window:

- A quantile may be off by 2 * eps * n times the largest of the values, because the position of the
  quantile is rounded. A median and a rank are correctly rounded.
- A cumulative sum may be off by 2 * eps * sum(abs(x)).
- A covariance may be off by 16 * eps * sqrt(n) times the product of the standard deviations. The same
  relative error is allowed for a correlation and a beta.
"""

import sys
from collections.abc import Sequence
from itertools import pairwise
from math import isfinite, isnan, sqrt

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from metrics_worker.kernels import cumulative, moments, order
from tests import reference_statistics as reference
from tests.property.test_kernels import EPS, SEEDS, SERIES, SMALLEST, long_series
from tests.property.test_spread import LEVELS, windows_of

QUANTILES = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]), st.floats(0, 1))
MAX = sys.float_info.max
TIED = st.one_of(SERIES, st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.0]), max_size=60))


def assert_quantiles_equal(results, windows, q):
    for result, window in zip(results.tolist(), windows, strict=True):
        if not window:
            assert isnan(result)
        elif q in {0, 0.5, 1}:
            assert result == reference.quantile(window, q)
        else:
            bound = 2 * EPS * len(window) * max(map(abs, window)) + SMALLEST
            assert abs(result - reference.quantile(window, q)) <= bound


@settings(deadline=None, max_examples=150)
@given(values=TIED, window=st.integers(1, 45), q=QUANTILES)
def test_quantiles_and_ranks_of_fixed_windows_equal_their_references(values, window, q):
    array = np.array(values, dtype=np.float64)
    windows = [values[i : i + window] for i in range(len(values) - window + 1)]
    assert_quantiles_equal(order.rolling_quantile(array, window, q), windows, q)
    assert order.rolling_rank(array, window).tolist() == reference.rolling(reference.rank, values, window)


@settings(deadline=None, max_examples=100)
@given(values=TIED, seed=SEEDS, q=QUANTILES)
def test_quantiles_and_ranks_of_variable_windows_equal_their_references(values, seed, q):
    array = np.array(values, dtype=np.float64)
    first, stop = windows_of(seed, len(values), 20)
    bounds = list(zip(first.tolist(), stop.tolist(), strict=True))
    assert_quantiles_equal(order.quantile_between(array, first, stop, q), [values[i:j] for i, j in bounds], q)
    ranks = order.rank_between(array, first, stop).tolist()
    assert ranks == pytest.approx(
        reference.between(reference.rank, values, first.tolist(), stop.tolist()), rel=0, abs=0, nan_ok=True
    )


@settings(deadline=None, max_examples=8)
@given(seed=SEEDS, window=st.one_of(st.integers(1, 150), st.integers(1, 5_000)), q=QUANTILES)
def test_a_quantile_or_rank_does_not_depend_on_the_rest_of_a_long_series(seed, window, q):
    series = np.round(long_series(seed, 40_000), 1)
    quantiles, ranks = order.rolling_quantile(series, window, q), order.rolling_rank(series, window)
    some = np.random.default_rng(seed).integers(0, len(ranks), 8).tolist()
    for i in {0, len(ranks) - 1, *some, *({4_096, 8_192, 16_384} & set(range(len(ranks))))}:
        alone = series[i : i + window].copy()
        assert order.rolling_quantile(alone, window, q).tobytes() == quantiles[i : i + 1].tobytes()
        assert order.rolling_rank(alone, window).tobytes() == ranks[i : i + 1].tobytes()
        assert ranks[i] == reference.rank(alone.tolist())
        assert_quantiles_equal(quantiles[i : i + 1], [alone.tolist()], q)


def starts_of(seed, length):
    rng = np.random.default_rng(seed)
    return np.unique(np.concatenate([[0], rng.integers(0, max(1, length), rng.integers(0, 4))]))


@settings(deadline=None, max_examples=150)
@given(values=LEVELS, seed=SEEDS)
def test_cumulative_kernels_equal_their_references(values, seed):
    array = np.array(values, dtype=np.float64)
    starts = starts_of(seed, len(values))
    for name, twin in (("max", max), ("min", min)):
        results = getattr(cumulative, f"cumulative_{name}")(array, starts).tolist()
        assert results == reference.cumulative(twin, values, starts.tolist())
    sums = cumulative.cumulative_sum(array, starts).tolist()
    sizes = reference.cumulative(lambda run: sum(2 * EPS * abs(x) for x in run), values, starts.tolist())
    exact = reference.cumulative(reference.total, values, starts.tolist())
    for result, truth, size in zip(sums, exact, sizes, strict=True):
        assert result == truth or abs(result - truth) <= size + SMALLEST


@pytest.mark.parametrize("name", ["sum", "max", "min"])
@settings(deadline=None, max_examples=60)
@given(values=LEVELS, seed=SEEDS)
def test_later_observations_never_change_an_earlier_cumulative_result(name, values, seed):
    array = np.array(values, dtype=np.float64)
    starts = starts_of(seed, len(values))
    kernel = getattr(cumulative, f"cumulative_{name}")
    results = [kernel(array[:n], starts[(starts < n) | (starts == 0)]) for n in range(len(array) + 1)]
    for earlier, later in pairwise(results):
        assert earlier.tobytes() == later[: len(earlier)].tobytes()


def sizes_of_pairs(left: Sequence[float], right: Sequence[float]) -> dict[str, float]:
    """Return the scales of the allowed errors of a covariance, a correlation and a beta.

    The allowed error of a statistic is its scale times a number that is the same for all three statistics.
    The scales are computed from exact fractions: a deviation of 1.9e-324 would round to 0, and would make the
    scale of a beta 0, although the beta may be 4.9e-124.

    Args:
        left: the values of the left series in one window.
        right: the values of the right series in the same window.

    Returns:
        The scales by the names "cov", "corr" and "beta".
    """
    return {
        "cov": reference.product_of_deviations(left, right),
        "corr": 1.0,
        "beta": reference.ratio_of_deviations(left, right),
    }


@settings(deadline=None, max_examples=80)
@given(left=LEVELS, right=LEVELS, window=st.integers(1, 9))
@example(left=[1e300, -1e300], right=[MAX, -MAX], window=2)
@example(left=[0.0] * 6 + [5e-324], right=[1e-200] * 6 + [2e-200], window=7)
def test_kernels_of_pairs_equal_their_references(left, right, window):
    length = min(len(left), len(right))
    pair = np.array(left[:length], dtype=np.float64), np.array(right[:length], dtype=np.float64)
    bound = 16 * EPS * sqrt(window)
    for i in range(length - window + 1):
        ones, others = left[i : i + window], right[i : i + window]
        for name, size in sizes_of_pairs(ones, others).items():
            kernel = getattr(moments, f"rolling_{name}")
            result = float(kernel(pair[0][i : i + window], pair[1][i : i + window], window)[0])
            assert kernel(*pair, window)[i : i + 1].tobytes() == np.float64(result).tobytes()
            exact = getattr(reference, name)(ones, others)
            assert isnan(result) == isnan(exact)
            if isfinite(exact) and isfinite(size):
                assert abs(result - exact) <= bound * size + 2 * window * SMALLEST


@pytest.mark.parametrize("name", ["cov", "corr", "beta"])
@settings(deadline=None, max_examples=8)
@given(seed=SEEDS, window=st.one_of(st.integers(11, 40), st.integers(11, 500)), cut=st.integers(0, 40_000))
def test_kernels_of_pairs_equal_their_references_in_a_long_series(name, seed, window, cut):
    left, right = long_series(seed, 40_000), long_series(seed + 3, 40_000)
    right = right + left if seed % 2 else right
    kernel = getattr(moments, f"rolling_{name}")
    results = kernel(left, right, window)
    part = kernel(left[:cut].copy(), right[:cut].copy(), window)
    assert part.tobytes() == results[: len(part)].tobytes()
    some = np.random.default_rng(seed).integers(0, len(results), 3).tolist()
    for i in {0, len(results) - 1, 32_768, *some}:
        ones, others = left[i : i + window].tolist(), right[i : i + window].tolist()
        sizes = sizes_of_pairs(ones, others)
        exact = getattr(reference, name)(ones, others)
        if isfinite(exact) and isfinite(sizes[name]):
            bound = 16 * EPS * sqrt(window) * sizes[name]
            assert abs(results[i] - exact) <= bound + 2 * window * SMALLEST

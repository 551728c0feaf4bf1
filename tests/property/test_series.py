"""The cleaning and the alignment of series agree with simple implementations that use dicts and sets."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics_worker.series import clean, common, union
from tests.property.strategies import series, wild

rows = st.lists(
    st.tuples(st.integers(-3, 12), st.one_of(wild, st.sampled_from([math.nan, math.inf, -math.inf]))),
    max_size=40,
)


def floats(one):
    return dict(zip(one.times.tolist(), one.values.tolist(), strict=True))


@settings(deadline=None)
@given(rows, st.integers(0, 5))
def test_cleaning_keeps_the_last_finite_row_of_each_time_and_counts_the_others(given_rows, null):
    finite = [(time, value) for time, value in given_rows if math.isfinite(value)]
    expected = dict(finite)

    times = np.array([time for time, _ in given_rows], np.int64)
    values = np.array([value for _, value in given_rows], np.float64)
    found = clean(times, values, null=null)

    assert list(floats(found.series).items()) == sorted(expected.items())
    assert found.rows == len(given_rows) + null
    assert found.null == null
    assert found.nan == sum(math.isnan(value) for _, value in given_rows)
    assert found.infinite == sum(math.isinf(value) for _, value in given_rows)
    assert found.duplicate == len(finite) - len(expected)


@settings(deadline=None)
@given(series(wild), series(wild))
def test_common_times_are_the_intersection_of_the_times_of_both_series(left, right):
    times, of_left, of_right = common(left, right)
    a, b = floats(left), floats(right)
    both = sorted(a.keys() & b.keys())
    assert times.tolist() == both
    assert of_left.tolist() == [a[time] for time in both]
    assert of_right.tolist() == [b[time] for time in both]


@settings(deadline=None)
@given(st.lists(series(wild), min_size=2, max_size=5))
def test_a_union_has_every_time_and_the_indices_of_each_operand(operands):
    times, places = union(operands)
    assert times.tolist() == sorted(set().union(*(one.times.tolist() for one in operands)))
    assert len(places) == len(operands)
    for one, place in zip(operands, places, strict=True):
        assert times[place].tolist() == one.times.tolist()

"""`Series`: the cleaning of rows to a series, and the alignment of several series at common times."""

import numpy as np

from metrics_worker.series import Series, clean, common, union


def series(**observations: float) -> Series:
    """Return a series; `series(t3=1.0)` has one observation, with the value 1.0 at time 3."""
    times = [int(name[1:]) for name in observations]
    return Series(np.array(times, np.int64), np.array(list(observations.values()), np.float64))


def cleaned(times, values, null=0):
    return clean(np.array(times, np.int64), np.array(values, np.float64), null=null)


def test_sorted_rows_are_used_without_a_copy():
    times, values = np.array([1, 2, 3]), np.array([1.0, 2.0, 3.0])
    found = clean(times, values, null=0).series
    assert found.times is times
    assert found.values is values


def test_rows_out_of_order_are_sorted():
    found = cleaned([3, 1, 2], [30, 10, 20])
    assert found.series.times.tolist() == [1, 2, 3]
    assert found.series.values.tolist() == [10, 20, 30]


def test_the_last_of_several_rows_with_the_same_time_wins():
    found = cleaned([1, 2, 1, 2, 1], [1, 2, 3, 4, 5])
    assert found.series.values.tolist() == [5, 4]
    assert found.duplicate == 3


def test_rows_with_nan_are_dropped_before_duplicate_times_are_resolved():
    found = cleaned([1, 1], [1, np.nan])
    assert (found.series.values.tolist(), found.nan, found.duplicate) == ([1], 1, 0)


def test_every_row_is_an_observation_or_counted_under_one_reason():
    found = cleaned([1, 2, 3, 4, 5, 5], [1, np.nan, np.inf, -np.inf, 5, 6], null=7)
    assert found.rows == 13
    assert found.rows == len(found.series) + found.null + found.nan + found.infinite + found.duplicate


def test_cleaning_without_valid_rows_gives_an_empty_series():
    found = cleaned([], [])
    assert (len(found.series), found.rows, found.duplicate) == (0, 0, 0)
    assert len(cleaned([1, 2], [np.nan, np.inf]).series) == 0


def test_cleaning_does_not_change_its_inputs():
    times, values = np.array([2, 1]), np.array([2.0, np.nan])
    clean(times, values, null=0)
    assert times.tolist() == [2, 1]
    assert values[0] == 2.0


def test_where_finite_leaves_out_values_that_are_not_finite():
    found = Series.where_finite(np.array([1, 2, 3]), np.array([1.0, np.nan, np.inf]))
    assert (found.times.tolist(), found.values.tolist()) == ([1], [1.0])


def test_common_times_are_those_at_which_both_series_have_an_observation():
    times, left, right = common(series(t1=1, t2=2, t4=4), series(t0=9, t2=20, t3=30, t4=40))
    assert (times.tolist(), left.tolist(), right.tolist()) == ([2, 4], [2, 4], [20, 40])


def test_series_with_equal_times_are_aligned_without_a_copy():
    one = series(t1=1, t2=2)
    times, left, right = common(one, one)
    assert times is one.times
    assert left is right


def test_series_without_common_times_have_an_empty_intersection():
    for left, right in ((series(t1=1), series(t2=2)), (series(), series(t1=1)), (series(), series())):
        assert [part.tolist() for part in common(left, right)] == [[], [], []]


def test_a_union_has_every_time_once_and_the_indices_of_each_operand():
    times, places = union([series(t1=1, t3=3), series(t0=0, t3=3), series()])
    assert times.tolist() == [0, 1, 3]
    assert [place.tolist() for place in places] == [[1, 2], [0, 2], []]


def test_a_union_of_empty_series_is_empty():
    times, places = union([series(), series()])
    assert (times.size, [place.size for place in places]) == (0, [0, 0])

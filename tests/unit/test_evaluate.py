"""Evaluation of expressions, with expected results that were calculated by hand."""

from typing import Any

import numpy as np
import pytest

from metrics_worker.errors import OutOfTime
from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.grammar import parse
from metrics_worker.series import Series
from tests.builders import ratio, series, window

LARGEST = np.finfo(np.float64).max
A, B, C = series("A"), series("B"), series("C")


def made(observations):
    return Series(np.array(list(observations), np.int64), np.array(list(observations.values()), np.float64))


def value_of(expression: Any, **inputs: Any) -> dict[int, float]:
    """Evaluate an expression, and return the value of each observation of the result, by time.

    Args:
        expression: the JSON of the expression.
        inputs: the observations of each input series, as a dict from time to value; the names of the
            arguments are the series codes.
    """
    found = evaluate(parse(expression), {code: made(given) for code, given in inputs.items()})
    return dict(zip(found.times.tolist(), found.values.tolist(), strict=True))


def numbered(*values):
    return dict(enumerate(values, start=1))


def math(op, **more):
    return {"op": op, "left": A, "right": B, **more}


def composite(op, *operands):
    return {"op": op, "operands": list(operands or (A, B))}


# Series and series_math


def test_a_series_reference_evaluates_to_the_observations_of_its_series():
    assert value_of(A, A={3: 1.5, 7: -2.0}) == {3: 1.5, 7: -2.0}


@pytest.mark.parametrize(
    ("op", "value"), [("add", 8.0), ("subtract", 4.0), ("multiply", 12.0), ("ratio", 3.0)]
)
def test_series_math_combines_the_two_values_of_each_time(op, value):
    assert value_of(math(op), A={1: 6.0}, B={1: 2.0}) == {1: value}


@pytest.mark.parametrize("op", ["add", "subtract", "multiply", "ratio"])
def test_series_math_has_a_value_only_at_times_of_both_sides(op):
    assert list(value_of(math(op), A=numbered(1, 2, 3), B={2: 1, 3: 1, 4: 1})) == [2, 3]
    assert value_of(math(op), A={1: 1.0}, B={2: 1.0}) == {}


def test_the_scale_multiplies_the_result():
    assert value_of(math("subtract", scale=100), A={1: 6.0}, B={1: 2.0}) == {1: 400.0}
    assert value_of(math("ratio", scale=0), A={1: 6.0}, B={1: 2.0}) == {1: 0.0}


def test_a_division_by_zero_gives_no_observation():
    assert value_of(math("ratio"), A=numbered(1, 0, 5, 1), B=numbered(0, 0, 2, -0.0)) == {3: 2.5}


def test_a_division_by_zero_gives_no_observation_even_with_a_scale_of_zero():
    assert value_of(math("ratio", scale=0), A=numbered(1, 5), B=numbered(0, 2)) == {2: 0.0}


@pytest.mark.parametrize(
    ("op", "right"), [("add", LARGEST), ("subtract", -LARGEST), ("multiply", 2.0), ("ratio", 0.5)]
)
def test_a_result_beyond_float64_gives_no_observation(op, right):
    assert value_of(math(op), A=numbered(LARGEST, 1), B=numbered(right, right)).keys() == {2}


# Windows


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("sma", {3: 3.0, 4: 3.0, 5: 3.0}),
        ("sum", {3: 9.0, 4: 9.0, 5: 9.0}),
        ("max", {3: 5.0, 4: 5.0, 5: 5.0}),
        ("min", {3: 1.0, 4: 1.0, 5: 1.0}),
        ("lag", {4: 1.0, 5: 3.0}),
        ("ema", {1: 1.0, 2: 2.0, 3: 3.5, 4: 2.25, 5: 2.625}),
    ],
)
def test_the_value_of_a_window_has_the_time_of_its_last_observation(op, expected):
    assert value_of(window(op, A, 3), A=numbered(1, 3, 5, 1, 3)) == expected


@pytest.mark.parametrize(
    ("op", "last"), [("sma", 2.0), ("sum", 6.0), ("max", 3.0), ("min", 1.0), ("lag", None), ("ema", 2.25)]
)
def test_windows_count_observations_and_not_days(op, last):
    found = value_of(window(op, A, 3), A={1: 1.0, 100: 2.0, 5000: 3.0})
    assert found.get(5000) == last


@pytest.mark.parametrize("op", ["sma", "sum", "max", "min", "ema"])
def test_a_window_of_one_is_the_series_itself(op):
    assert value_of(window(op, A, 1), A=numbered(1, -2, 3)) == numbered(1, -2, 3)


@pytest.mark.parametrize(
    ("op", "count"), [("sma", 1), ("sum", 1), ("max", 1), ("min", 1), ("lag", 0), ("ema", 5)]
)
def test_a_window_as_long_as_its_series_gives_only_the_defined_values(op, count):
    assert len(value_of(window(op, A, 5), A=numbered(1, 2, 3, 4, 5))) == count


@pytest.mark.parametrize("op", ["sma", "sum", "max", "min", "lag"])
@pytest.mark.parametrize("length", [6, 1_000_000])
def test_a_window_longer_than_its_series_has_no_observation(op, length):
    assert value_of(window(op, A, length), A=numbered(1, 2, 3, 4, 5)) == {}


@pytest.mark.parametrize("op", ["sma", "sum", "max", "min", "lag", "ema"])
def test_a_window_over_an_empty_series_has_no_observation(op):
    assert value_of(window(op, A, 1), A={}) == {}


def test_a_window_skips_times_without_an_observation_of_its_operand():
    ratios = window("sum", math("ratio"), 2)
    assert value_of(ratios, A=numbered(2, 4, 6, 8), B=numbered(1, 0, 1, 1)) == {3: 8.0, 4: 14.0}


def test_a_sum_beyond_float64_gives_no_observation_and_does_not_affect_later_ones():
    values = numbered(LARGEST, LARGEST, 1, 2)
    assert value_of(window("sum", A, 2), A=values) == {3: LARGEST, 4: 3.0}
    assert value_of(window("sma", A, 2), A=values) == {2: LARGEST, 3: LARGEST / 2, 4: 1.5}


def test_a_spike_does_not_affect_the_windows_after_it():
    assert value_of(window("sum", A, 2), A=numbered(1e-3, 1e16, 1e-3, 1e-3))[4] == 2e-3


# Composites


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("sum", {1: 1.0, 2: 12.0, 3: 10.0, 4: 8.0}),
        ("avg", {1: 1.0, 2: 6.0, 3: 10.0, 4: 8.0}),
        ("max", {1: 1.0, 2: 10.0, 3: 10.0, 4: 8.0}),
        ("min", {1: 1.0, 2: 2.0, 3: 10.0, 4: 8.0}),
    ],
)
def test_a_composite_uses_the_operands_that_have_an_observation(op, expected):
    assert value_of(composite(op), A={1: 1.0, 2: 2.0}, B={2: 10.0, 3: 10.0, 4: 8.0}) == expected


def test_a_composite_of_three_operands_uses_those_with_an_observation():
    inputs = {"A": {1: 1.0, 3: 9.0}, "B": {1: 2.0}, "C": {1: 6.0, 2: 5.0}}
    assert value_of(composite("avg", A, B, C), **inputs) == {1: 3.0, 2: 5.0, 3: 9.0}


def test_an_operand_that_is_listed_twice_counts_twice():
    assert value_of(composite("avg", A, A, B), A={1: 1.0}, B={1: 4.0}) == {1: 2.0}


@pytest.mark.parametrize("op", ["sum", "avg", "max", "min"])
def test_a_composite_of_empty_series_has_no_observation(op):
    assert value_of(composite(op), A={}, B={}) == {}


@pytest.mark.parametrize("op", ["max", "min"])
def test_the_maximum_or_minimum_of_negative_values_is_one_of_them(op):
    assert value_of(composite(op), A={1: -1.0}, B={1: -2.0}) == {1: -1.0 if op == "max" else -2.0}


def test_a_sum_of_operands_beyond_float64_gives_no_observation():
    assert value_of(composite("sum"), A=numbered(LARGEST, 1), B=numbered(LARGEST, 1)) == {2: 2.0}


def test_a_mean_of_operands_never_overflows():
    assert value_of(composite("avg"), A={1: LARGEST}, B={1: LARGEST}) == {1: LARGEST}
    assert value_of(composite("avg", A, B, C), A={1: LARGEST}, B={1: LARGEST}, C={1: -LARGEST}) == {
        1: pytest.approx(LARGEST / 3, rel=1e-15)
    }


def test_a_sum_of_operands_overflows_only_if_the_total_does():
    expression = composite("sum", A, A, B)
    assert value_of(expression, A={1: LARGEST}, B={1: -LARGEST}) == {1: LARGEST}


# Whole expressions


def test_a_relative_change_can_be_written_with_subtract_lag_and_ratio():
    change = ratio(
        {"op": "subtract", "left": A, "right": window("lag", A, 2)}, window("lag", A, 2), scale=100
    )
    assert value_of(change, A=numbered(10, 20, 15, 10)) == {3: 50.0, 4: -50.0}


def test_a_long_mean_can_be_subtracted_from_a_short_one():
    less = {"op": "subtract", "left": window("sma", A, 2), "right": window("sma", A, 4)}
    assert value_of(less, A=numbered(1, 2, 3, 6, 10)) == {4: 1.5, 5: 2.75}


def test_an_expression_without_any_defined_value_gives_an_empty_series():
    assert value_of(ratio(A, {"op": "subtract", "left": A, "right": A}), A=numbered(1, 2)) == {}


def test_no_operation_gives_warnings_or_changes_its_inputs():
    given = made(numbered(LARGEST, 0, -LARGEST))
    before = given.values.copy()
    for op in ("add", "subtract", "multiply", "ratio"):
        evaluate(parse({"op": op, "left": A, "right": A, "scale": 1e300}), {"A": given})
    for op in ("sum", "avg", "max", "min"):
        evaluate(parse({"op": op, "operands": [A, A]}), {"A": given})
    assert np.array_equal(given.values, before)


def test_the_checkpoint_is_called_before_each_node_and_can_stop_the_evaluation():
    calls = []
    node, inputs = parse(ratio(ratio(A, B), B)), {"A": made({1: 1.0}), "B": made({1: 2.0})}
    evaluate(node, inputs, lambda: calls.append(1))
    assert len(calls) == 5

    def stop():
        raise OutOfTime("invocation", "over")

    with pytest.raises(OutOfTime):
        evaluate(node, inputs, stop)


# Calendar, constants and other operations of the extended grammar

DAY = 86_400_000_000


def on(**by_date: float) -> dict[int, float]:
    """Return the values of arguments that are named by dates, by time.

    The time of a value is midnight UTC of its date, in microseconds since 1970. For example,
    `on(d2024_01_31=1)` has the value 1.0 at the time of 31 January 2024.
    """
    dates = [name[1:].replace("_", "-") for name in by_date]
    times = np.array(dates, "datetime64[us]").astype(np.int64).tolist()
    return dict(zip(times, map(float, by_date.values()), strict=True))


def node(op, **fields):
    return {"op": op, "series": A, **fields}


def test_one_minus_a_series_has_a_value_at_every_time_of_the_series():
    assert value_of({"op": "subtract", "left": {"const": 1}, "right": A}, A={3: 0.25, 5: 2}) == {
        3: 0.75,
        5: -1.0,
    }


def test_a_composite_with_a_constant_has_a_value_where_any_other_operand_has_one():
    expression = composite("max", A, {"const": 2}, B)
    assert value_of(expression, A={1: 1.0, 2: 3.0}, B={2: 4.0, 3: 0.0}) == {1: 2.0, 2: 4.0, 3: 2.0}
    assert value_of(composite("avg", A, {"const": 2}), A={1: 1.0}) == {1: 1.5}


def test_a_power_that_is_not_real_gives_no_observation():
    assert value_of(math("power"), A=numbered(2, -8, 0, -2), B=numbered(3, 0.5, -1, 3)) == {1: 8.0, 4: -8.0}


def test_a_change_over_a_year_takes_the_last_value_on_or_before_the_date_a_year_earlier():
    series = on(d2023_02_27=2, d2023_02_28=4, d2023_03_02=8, d2024_02_29=6)
    change = node("pct_change", window=1, unit="years")
    assert value_of(change, A=series) == {list(series)[3]: 0.5}
    late = on(d2023_02_20=4, d2024_02_29=6)
    assert value_of(change, A=late) == {}
    assert list(value_of({**change, "max_age_days": 8}, A=late).values()) == [0.5]


def test_a_window_of_days_contains_that_many_civil_dates():
    series = on(d2024_01_01=1, d2024_01_02=2, d2024_01_08=4, d2024_01_09=8)
    assert list(value_of(node("sum", window=7, unit="days"), A=series).values()) == [1.0, 3.0, 6.0, 12.0]
    least = node("sum", window=7, unit="days", min_periods=2)
    assert list(value_of(least, A=series).values()) == [3.0, 6.0, 12.0]


def test_min_periods_gives_the_first_observations_a_shorter_window():
    found = value_of(node("sma", window=3, min_periods=2), A=numbered(1, 3, 5, 7))
    assert found == {2: 2.0, 3: 3.0, 4: 5.0}
    assert list(value_of(node("std", window=3, min_periods=1), A=numbered(1, 1, 1))) == [2, 3]
    assert value_of(node("std", window=1), A=numbered(1, 2)) == {}


def test_a_constant_window_has_a_variance_of_zero_and_no_zscore():
    assert value_of(node("var", window=2), A=numbered(1e16, 0.1, 0.1)).get(3) == 0.0
    assert list(value_of(node("zscore", window=2), A=numbered(1e16, 0.1, 0.1))) == [2]


def test_resampling_leaves_out_the_last_period_unless_it_is_partial():
    series = on(d2024_01_30=1, d2024_01_31=2, d2024_02_15=5)
    month = node("resample", to="month", how="mean", stamp="end")
    assert value_of(month, A=series) == on(d2024_01_31=1.5)
    assert value_of({**month, "partial": True}, A=series) == on(d2024_01_31=1.5, d2024_02_29=5)
    assert value_of({**month, "how": "count", "stamp": "start"}, A=series) == on(d2024_01_01=2)


@pytest.mark.parametrize("value", [0.1, 36.5, 1234.567, 1.1, -2.3])
def test_the_average_of_equal_values_is_exactly_their_value(value):
    series = dict.fromkeys((n * 5 * 86_400_000_000 for n in range(400)), value)
    averages = [
        *(node("ema", window=window) for window in (2, 3, 9, 14, 50, 200)),
        *(node("sma", window=window) for window in (3, 5, 6, 7, 20, 200)),
        node("sma", window=50, min_periods=1),
        node("sma", window=2, unit="months"),
        node("resample", to="month", how="mean"),
        {"op": "avg", "operands": [A, A, A]},
    ]
    for average in averages:
        assert set(value_of(average, A=series).values()) == {value}
        zscore = {"op": "zscore", "series": average, "window": 12}
        assert value_of(zscore, A=series) == {}


def test_an_exponential_average_becomes_constant_after_the_last_change_of_its_series():
    series = {n: 7.0 if n < 10 else 36.6 for n in range(1000)}
    gap = value_of({"op": "subtract", "left": A, "right": node("ema", window=9)}, A=series)
    assert all(gap[n] > 0 for n in range(10, 100))
    assert {gap[n] for n in range(200, 1000)} == {0.0}


def test_a_fill_has_a_value_at_each_time_of_the_other_series():
    monthly, daily = on(d2024_01_31=1, d2024_02_10=2), on(d2024_01_30=0, d2024_02_05=0, d2024_02_12=0)
    fill = {"op": "fill", "series": A, "like": B, "method": "previous"}
    assert value_of(fill, A=monthly, B=daily) == on(d2024_02_05=1, d2024_02_12=2)
    assert value_of({**fill, "max_age_days": 4}, A=monthly, B=daily) == on(d2024_02_12=2)
    assert value_of({**fill, "method": "linear"}, A=monthly, B=daily) == on(d2024_02_05=1.5)


@pytest.mark.parametrize(
    ("first", "last"), [(1e9, 999999999.9999999), (-1e308, -1.0000000000000002e308), (-1.7e308, 1.7e308)]
)
def test_a_linear_fill_between_two_observations_never_changes_direction(first, last):
    fill = {"op": "fill", "series": A, "like": B, "method": "linear"}
    filled = value_of(fill, A={0: first, 10: last}, B=dict.fromkeys(range(11), 0.0))
    values = list(filled.values())
    assert (values[0], values[-1]) == (first, last)
    assert values == sorted(values, reverse=last < first)


def test_a_linear_fill_between_the_largest_numbers_gives_no_warning():
    start, at, end = 0, 81903361190367006, 218881839909643596  # the shares add up to more than 1
    largest = np.finfo(np.float64).max
    fill = {"op": "fill", "series": A, "like": B, "method": "linear"}
    assert value_of(fill, A={start: largest, end: largest}, B={at: 0.0}) == {at: largest}


def test_an_index_begins_at_the_first_observation_on_or_after_its_date():
    series = on(d2024_01_01=3, d2024_01_04=4, d2024_01_05=5)
    assert value_of(node("rebase", at="2024-01-02"), A=series) == on(d2024_01_04=100, d2024_01_05=125)
    assert value_of(node("rebase", at="2024-01-06"), A=series) == {}
    assert value_of(node("rebase", at="2024-01-01"), A=on(d2024_01_01=0, d2024_01_02=1)) == {}


def test_a_cumulative_sum_begins_again_with_each_period():
    series = on(d2023_12_31=1, d2024_01_01=2, d2024_01_02=4)
    assert list(value_of(node("cumsum"), A=series).values()) == [1.0, 3.0, 7.0]
    assert list(value_of(node("cumsum", reset="year"), A=series).values()) == [1.0, 2.0, 6.0]
    later = node("cumsum", reset="year", tz="America/Argentina/Buenos_Aires")
    assert list(value_of(later, A=series).values()) == [1.0, 3.0, 4.0]


def test_the_logarithm_of_a_ratio_is_finite_even_if_the_ratio_is_not():
    change = value_of(node("log_change", window=1), A=numbered(1e-300, 1e300))
    assert change == {2: pytest.approx(600 * np.log(10))}

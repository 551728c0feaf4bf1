"""Evaluation of expressions, with expected results that were calculated by hand."""

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


def value_of(expression, **inputs):
    """Return the observations of an expression as a dict from time to value.

    Each input is a dict from time to value, too, and its name is a series code.
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

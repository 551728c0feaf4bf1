"""The worker's evaluation agrees with an exact reference, for single operations and for whole expressions.

The reference (tests/reference_evaluation.py) also computes how much the rounding errors of all operations can
add up to, which is the tolerance. The four operations of series_math are single float64 operations, so their
results must be equal.
"""

import math

import numpy as np
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.grammar import children, parse
from metrics_worker.expression.nodes import Constant, SeriesMath, SeriesRef
from metrics_worker.series import Series
from tests import reference_evaluation as reference
from tests.property.strategies import (
    all_expressions,
    calendar_inputs,
    expressions,
    inputs,
    interpolations,
    lasting_expressions,
    resamples,
    single_nodes,
    tame,
    wild,
)
from tests.reference_bounds import Undecided


def nodes(node):
    yield node
    for child in children(node):
        yield from nodes(child)


def floats(series):
    return dict(zip(series.times.tolist(), series.values.tolist(), strict=True))


def math_in_floats(node: SeriesMath, left: dict[int, float], right: dict[int, float]) -> dict[int, float]:
    """Return the result of a node of series_math, computed with Python's floats, by time.

    Values that are not finite are left out.

    Args:
        node: the node.
        left: the values of the left side, by time.
        right: the values of the right side, by time.
    """
    operations = {
        "add": lambda a, b: a + b,
        "subtract": lambda a, b: a - b,
        "multiply": lambda a, b: a * b,
        "ratio": lambda a, b: a / b if b else math.nan,
    }
    found = {
        time: operations[node.op](left[time], right[time]) * node.scale for time in left if time in right
    }
    return {time: value for time, value in found.items() if math.isfinite(value)}


def series_of(node):
    return [child for child in children(node) if not isinstance(child, Constant)]


def assert_equals_definition(expression, given_series):
    for node in nodes(parse(expression)):
        if isinstance(node, SeriesRef | Constant):
            continue
        operands = [evaluate(child, given_series) for child in series_of(node)]
        result = evaluate(node, given_series)
        if isinstance(node, SeriesMath) and node.op != "power" and len(operands) == 2:
            assert floats(result) == math_in_floats(node, *map(floats, operands))
            continue
        try:
            expected = reference.step(node, list(map(reference.observations, operands)))
        except Undecided:
            continue
        reference.assert_equal(result, expected)


def assert_equals_exact_value(expression, given_series):
    node = parse(expression)
    try:
        exact = {code: reference.observations(series) for code, series in given_series.items()}
        expected = reference.evaluate(node, exact)
    except Undecided:
        reject()
    reference.assert_equal(evaluate(node, given_series), expected)


@settings(deadline=None, max_examples=150)
@given(expressions, inputs(wild))
def test_every_operation_agrees_with_its_definition_applied_to_its_operands(expression, given_series):
    assert_equals_definition(expression, given_series)


@settings(deadline=None, max_examples=100)
@given(single_nodes | all_expressions, calendar_inputs(wild))
def test_every_operation_agrees_with_its_definition_at_calendar_times(expression, given_series):
    assert_equals_definition(expression, given_series)


@settings(deadline=None, max_examples=250)
@given(expressions, inputs(tame))
def test_a_whole_expression_differs_from_its_exact_value_only_by_rounding_errors(expression, given_series):
    assert_equals_exact_value(expression, given_series)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
@given(all_expressions, calendar_inputs(tame))
def test_an_expression_of_all_nodes_differs_from_its_exact_value_only_by_rounding(expression, given_series):
    assert_equals_exact_value(expression, given_series)


def cut(given_series, until):
    return {
        code: Series(series.times[series.times <= until], series.values[series.times <= until])
        for code, series in given_series.items()
    }


@settings(deadline=None, max_examples=150)
@given(lasting_expressions, calendar_inputs(wild), st.data())
def test_more_observations_never_change_earlier_results_of_nodes_over_the_calendar(
    expression, given_series, data
):
    node = parse(expression)
    times = sorted({time for series in given_series.values() for time in series.times.tolist()})
    until = data.draw(st.sampled_from(times)) if times else 0
    whole, earlier = evaluate(node, given_series), evaluate(node, cut(given_series, until))
    upto = whole.times <= until
    assert np.array_equal(earlier.times, whole.times[upto])
    assert earlier.values.tobytes() == whole.values[upto].tobytes(), "a bit differs, or the sign of a zero"


@settings(deadline=None, max_examples=200)
@given(resamples(st.just({"series_code": "A"})), calendar_inputs(wild), st.integers(0, 14))
def test_more_observations_never_change_the_complete_periods(expression, given_series, length):
    node, series = parse(expression), given_series["A"]
    whole = evaluate(node, given_series)
    earlier = evaluate(node, {"A": Series(series.times[:length], series.values[:length])})
    assert np.array_equal(earlier.times, whole.times[: len(earlier)])
    assert earlier.values.tobytes() == whole.values[: len(earlier)].tobytes()


@settings(deadline=None, max_examples=200)
@given(
    interpolations(st.sampled_from([{"series_code": "A"}, {"series_code": "B"}])),
    calendar_inputs(wild),
    st.data(),
)
def test_more_observations_never_change_an_interpolated_value(expression, given_series, data):
    node = parse(expression)
    times = sorted({time for series in given_series.values() for time in series.times.tolist()})
    until = data.draw(st.sampled_from(times)) if times else 0
    whole, earlier = evaluate(node, given_series), evaluate(node, cut(given_series, until))
    kept = np.isin(whole.times, earlier.times)
    assert np.array_equal(earlier.times, whole.times[kept])
    assert earlier.values.tobytes() == whole.values[kept].tobytes()


halves = st.builds(
    lambda whole, digits: (whole + 0.5) / 10**digits, st.integers(-(10**6), 10**6), st.integers(0, 9)
)


@settings(deadline=None, max_examples=200)
@given(st.lists(wild | halves | st.floats(-1e5, 1e5), max_size=30), st.integers(0, 15))
def test_rounding_equals_that_of_python_to_the_bit(values, digits):
    given_series = Series(np.arange(len(values)), np.array(values, np.float64))
    found = evaluate(
        parse({"op": "round", "series": {"series_code": "A"}, "digits": digits}), {"A": given_series}
    )
    expected = np.array([float(round(value, digits)) for value in values], np.float64)
    assert found.values.tobytes() == expected.tobytes()


@settings(deadline=None, max_examples=250)
@given(expressions, inputs(wild), st.integers(-3, 40))
def test_more_observations_never_change_earlier_results(expression, given_series, until):
    node = parse(expression)
    known = {
        code: Series(series.times[series.times <= until], series.values[series.times <= until])
        for code, series in given_series.items()
    }
    whole, earlier = evaluate(node, given_series), evaluate(node, known)
    upto = whole.times <= until
    assert np.array_equal(earlier.times, whole.times[upto])
    assert earlier.values.tobytes() == whole.values[upto].tobytes(), "a bit differs, or the sign of a zero"


@settings(deadline=None, max_examples=150)
@given(expressions, inputs(wild))
def test_a_result_is_a_valid_series_and_the_inputs_are_unchanged(expression, given_series):
    assert_valid_and_unchanged(expression, given_series)
    result = evaluate(parse(expression), given_series)
    assert set(result.times.tolist()) <= {t for s in given_series.values() for t in s.times.tolist()}


@settings(deadline=None, max_examples=200)
@given(all_expressions, calendar_inputs(wild))
def test_a_result_of_any_node_is_a_valid_series_and_the_inputs_are_unchanged(expression, given_series):
    assert_valid_and_unchanged(expression, given_series)


def assert_valid_and_unchanged(expression, given_series):
    before = {code: (s.times.tobytes(), s.values.tobytes()) for code, s in given_series.items()}
    result = evaluate(parse(expression), given_series)
    assert (result.times[1:] > result.times[:-1]).all()
    assert np.isfinite(result.values).all()
    assert (str(result.times.dtype), str(result.values.dtype)) == ("int64", "float64")
    assert before == {code: (s.times.tobytes(), s.values.tobytes()) for code, s in given_series.items()}

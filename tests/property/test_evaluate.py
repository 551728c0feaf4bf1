"""Evaluation agrees with its exact reference, for single operations on any values and for whole expressions.

The tolerances come from the reference (tests/reference_evaluation.py), which adds up the rounding errors of
all operations. The four operations of series_math are single float64 operations, so results must be equal.
"""

import math

import numpy as np
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.grammar import children, parse
from metrics_worker.expression.nodes import SeriesMath, SeriesRef
from metrics_worker.series import Series
from tests import reference_evaluation as reference
from tests.property.strategies import expressions, inputs, tame, wild


def nodes(node):
    yield node
    for child in children(node):
        yield from nodes(child)


def floats(series):
    return dict(zip(series.times.tolist(), series.values.tolist(), strict=True))


def math_in_floats(node, left, right):
    """Return the result of series_math, computed with Python floats, without values that are not finite."""
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


@settings(deadline=None, max_examples=150)
@given(expressions, inputs(wild))
def test_every_operation_agrees_with_its_definition_applied_to_its_operands(expression, given_series):
    for node in nodes(parse(expression)):
        if isinstance(node, SeriesRef):
            continue
        operands = [evaluate(child, given_series) for child in children(node)]
        result = evaluate(node, given_series)
        if isinstance(node, SeriesMath):
            assert floats(result) == math_in_floats(node, *map(floats, operands))
        else:
            reference.assert_equal(result, reference.step(node, list(map(reference.observations, operands))))


@settings(deadline=None, max_examples=250)
@given(expressions, inputs(tame))
def test_a_whole_expression_differs_from_its_exact_value_only_by_rounding_errors(expression, given_series):
    node = parse(expression)
    try:
        exact = {code: reference.observations(series) for code, series in given_series.items()}
        expected = reference.evaluate(node, exact)
    except reference.Undecided:
        reject()
    reference.assert_equal(evaluate(node, given_series), expected)


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
    before = {code: (s.times.tobytes(), s.values.tobytes()) for code, s in given_series.items()}
    result = evaluate(parse(expression), given_series)
    assert (result.times[1:] > result.times[:-1]).all()
    assert np.isfinite(result.values).all()
    assert (str(result.times.dtype), str(result.values.dtype)) == ("int64", "float64")
    assert set(result.times.tolist()) <= {t for s in given_series.values() for t in s.times.tolist()}
    assert before == {code: (s.times.tobytes(), s.values.tobytes()) for code, s in given_series.items()}

"""The description of an expression as a tree: path, words and counts of each node, and the tree as JSON."""

import json

import numpy as np
import pytest
from hypothesis import given, settings

from metrics_tools.describe import nodes
from metrics_tools.describe.losses import Lost
from metrics_tools.describe.nodes import counted, outlined
from metrics_tools.describe.words import in_words, step_in_words
from metrics_worker.errors import ExpressionError
from metrics_worker.expression import evaluate as evaluation
from metrics_worker.expression.grammar import parse
from metrics_worker.series import Series
from tests.builders import ratio, series, window
from tests.property.strategies import single_nodes

A, B, C = (series(code) for code in "ABC")


def values(**by_time: float) -> Series:
    """Return a series; `values(t1=2.0, t3=4.0)` has the value 2 at time 1 and the value 4 at time 3."""
    times = np.array([int(name[1:]) for name in by_time], np.int64)
    return Series(times, np.array(list(by_time.values()), np.float64))


def counts_of(expression, **inputs):
    counts = counted(parse(expression), inputs).counts
    assert counts is not None
    return counts


def lost(expression, **inputs):
    return counts_of(expression, **inputs).lost


def test_a_window_loses_what_it_needs_to_warm_up():
    four = values(t1=1, t2=2, t3=3, t4=4)
    assert lost(window("sma", A, 3), A=four) == Lost(warm_up=2)
    assert lost(window("lag", A, 3), A=four) == Lost(warm_up=3)
    assert lost(window("ema", A, 3), A=four) == Lost()
    assert lost(window("sum", A, 300), A=four) == Lost(warm_up=4)


def test_observations_of_the_left_and_the_right_side_are_counted_separately():
    left, right = values(t1=1, t2=2, t3=3), values(t3=1, t4=1)
    assert lost(ratio(A, B), A=left, B=right) == Lost(left_only=2, right_only=1)


def test_a_zero_divisor_is_not_an_overflow_whatever_the_dividend_is():
    left, right = values(t1=1, t2=0, t3=1e308, t4=1), values(t1=0, t2=0, t3=1e-308, t4=1)
    assert lost(ratio(A, B), A=left, B=right) == Lost(zero_divisor=2, not_finite=1)


DAY = 86_400_000_000
"""In microseconds."""


def of_a(op, **options):
    return {"op": op, "series": A, **options}


@pytest.mark.parametrize(
    ("expression", "losses"),
    [
        (of_a("log"), Lost(undefined=2)),
        (of_a("exp"), Lost(not_finite=1)),
        (of_a("std", window=1), Lost(too_few=4)),
        (of_a("std", window=3, min_periods=1), Lost(warm_up=1)),
        (of_a("std", window=1, unit="months"), Lost(too_few=3)),
        (of_a("zscore", window=2), Lost(warm_up=1, no_spread=1)),
        (of_a("sma", window=1, unit="months", min_periods=2), Lost(too_few=3)),
        (of_a("pct_change", window=1), Lost(warm_up=1, zero_divisor=2)),
        (of_a("log_change", window=1), Lost(warm_up=1, undefined=2)),
        (of_a("lag", window=1, unit="months"), Lost(no_earlier=1, too_old=2)),
        (of_a("pct_change", window=1, unit="months"), Lost(no_earlier=1, too_old=2, zero_divisor=1)),
        (of_a("rebase", at="1970-02-11"), Lost(before=2)),
        (of_a("rebase", at="1970-01-01"), Lost(zero_divisor=4)),
        (of_a("resample", to="year", how="last"), Lost(incomplete=4)),
        (of_a("resample", to="month", how="last"), Lost(incomplete=2)),
        (of_a("resample", to="year", how="last", partial=True), Lost(merged=3)),
        (of_a("fill", like=B, method="linear"), Lost(before=1, after=1)),
        (of_a("fill", like=B, method="previous", max_age_days=0), Lost(before=1, too_old=2)),
        ({"op": "corr", "left": A, "right": A, "window": 2}, Lost(warm_up=1, no_spread=1)),
        ({"op": "cov", "left": A, "right": B, "window": 2}, Lost(left_only=4, right_only=3)),
        ({"op": "power", "left": A, "right": {"const": -1}}, Lost(undefined=2)),
    ],
)
def test_each_loss_has_its_reason(expression, losses):
    a = Series(np.array([0, 33, 69, 88]) * DAY, np.array([0.0, 0.0, 1.0, 1000.0]))
    b = Series(np.array([-1, 5, 200]) * DAY, np.ones(3))
    assert lost(expression, A=a, B=b) == losses


def test_a_composite_counts_the_times_at_which_all_operands_have_an_observation():
    counts = counts_of({"op": "avg", "operands": [A, B]}, A=values(t1=1, t2=2), B=values(t2=3, t3=4))
    assert (counts.times, counts.observations, counts.of_all, counts.of_some) == (3, 3, 1, 2)


def test_an_empty_series_leaves_empty_nodes():
    counts = counts_of(window("sma", {"op": "max", "operands": [A, A]}, 2), A=values())
    assert (counts.times, counts.observations, counts.lost, counts.first) == (0, 0, Lost(), None)


def test_paths_are_those_of_error_messages():
    expression = ratio(window("sma", {"op": "avg", "operands": [A, B]}, 2), C)
    leaf = outlined(parse(expression)).operands[0].operands[0].operands[1]
    expression["left"]["series"]["operands"][1] = {"series_code": ""}
    with pytest.raises(ExpressionError) as caught:
        parse(expression)
    assert caught.value.subject == f"{leaf.path}.series_code"


def test_first_and_last_are_times_in_utc():
    micros = 1_000_000
    only = Series(np.array([0, 86_400 * micros], np.int64), np.ones(2))
    found = counts_of(A, A=only).to_json()
    assert (found["first"], found["last"]) == ("1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z")


def test_a_time_after_the_year_9999_is_omitted():
    assert counts_of(A, A=values(t9000000000000000000=1)).first is None


def test_each_subtree_is_evaluated_once(monkeypatch):
    """Assert that the worker's `evaluate` is called exactly once for each operation of an expression."""
    expression, depth = A, 30
    for _ in range(depth):
        expression = window("sma", expression, 1)
    calls = []
    real = evaluation.evaluate

    def counting(node, inputs):
        calls.append(node)
        return real(node, inputs, lambda: None)

    monkeypatch.setattr(nodes, "evaluate", counting)
    counted(parse(expression), {"A": values(t1=1)})
    assert len(calls) == depth


def test_a_tree_is_json_with_and_without_counts():
    node = parse(ratio(A, window("lag", A, 2), scale=100))
    without, counts = outlined(node).to_json(), counted(node, {"A": values(t1=1, t2=2, t3=3)}).to_json()
    assert without["counts"] is None
    assert counts["counts"] == {
        "times": 3,
        "observations": 1,
        "lost": {"warm_up": 0, "left_only": 2, "right_only": 0, "zero_divisor": 0, "not_finite": 0}
        | dict.fromkeys(("undefined", "too_few", "no_spread", "no_earlier", "too_old"), 0)
        | dict.fromkeys(("before", "after", "merged", "incomplete"), 0),
        "of_all": None,
        "of_some": None,
        "first": "1970-01-01T00:00:00Z",
        "last": "1970-01-01T00:00:00Z",
        "overlap": {"left": 1, "right": 1, "both": 1, "days": 1},
    }
    assert [operand["path"] for operand in counts["operands"]] == [
        "expressionJson.left",
        "expressionJson.right",
    ]
    assert json.loads(json.dumps(counts)) == counts


# Words


@pytest.mark.parametrize(
    ("expression", "words", "step"),
    [
        (A, "A", "series"),
        (
            window("sma", A, 14),
            "the mean of the last 14 observations of A",
            "the mean of the last 14 observations",
        ),
        (
            window("max", A, 1),
            "the highest of the last observation of A",
            "the highest of the last observation",
        ),
        (
            window("ema", A, 20),
            "the exponential mean of A over 20 observations",
            "the exponential mean over 20 observations",
        ),
        (
            window("lag", A, 1000),
            "the value of A 1,000 observations earlier",
            "the value 1,000 observations earlier",
        ),
        (window("lag", A, 1), "the value of A 1 observation earlier", "the value 1 observation earlier"),
        (ratio(A, B, scale=100), "the ratio of A to B, times 100", "the ratio of left to right, times 100"),
        (
            {"op": "subtract", "left": A, "right": ratio(B, C)},
            "A minus (the ratio of B to C)",
            "left minus right",
        ),
        ({"op": "multiply", "left": A, "right": B}, "A times B", "left times right"),
        ({"op": "add", "left": A, "right": B}, "A plus B", "left plus right"),
        (
            {"op": "min", "operands": [A, B, window("lag", C, 2)]},
            "the lowest of whichever of A, B and (the value of C 2 observations earlier) have a value",
            "the lowest of whichever of the 3 operands have a value",
        ),
        (
            of_a("pct_change", window=1, unit="years", max_age_days=0),
            "the relative change of A (0.01 for 1 %) against the value on the date 1 year earlier",
            "the relative change (0.01 for 1 %) against the value on the date 1 year earlier",
        ),
        (
            of_a("lag", window=4, unit="weeks"),
            "the last value of A on or before the date 4 weeks earlier, at most 7 days older",
            "the last value on or before the date 4 weeks earlier, at most 7 days older",
        ),
        (
            of_a("diff", window=4, unit="weeks", max_age_days=0),
            "the change of A against the value on the date 4 weeks earlier",
            "the change against the value on the date 4 weeks earlier",
        ),
        (
            of_a("zscore", window=12, unit="months", tz="Europe/Berlin"),
            "the z-score of A within the last 12 calendar months (dates in Europe/Berlin)",
            "the z-score within the last 12 calendar months (dates in Europe/Berlin)",
        ),
        (
            of_a("quantile", window=9, q=0.9, min_periods=2),
            "the 0.9 quantile of the last 9 observations of A, from 2 observations on",
            "the 0.9 quantile of the last 9 observations, from 2 observations on",
        ),
        (
            of_a("clip", lower=0, upper=1.5),
            "A limited to at least 0 and at most 1.5",
            "the value limited to at least 0 and at most 1.5",
        ),
        (
            of_a("resample", to="month", how="mean"),
            "the mean of A in each month",
            "the mean in each month",
        ),
        (
            of_a("fill", like=B, method="previous"),
            "the last value of A at or before each time of B",
            "the last value of series at or before each time of like",
        ),
        (
            of_a("rebase", at="2015-01-01"),
            "A as an index that is 100 at the first observation on or after 2015-01-01",
            "an index that is 100 at the first observation on or after 2015-01-01",
        ),
        (
            of_a("cumsum", reset="year"),
            "the sum of all observations of A since the beginning of each year",
            "the sum of all observations since the beginning of each year",
        ),
        (
            {"op": "beta", "left": A, "right": of_a("log"), "window": 60},
            "the beta of A to (the natural logarithm of A) over the last 60 times that both have",
            "the beta of left to right over the last 60 times that both have",
        ),
    ],
)
def test_an_expression_in_words(expression, words, step):
    node = parse(expression)
    assert (in_words(node), step_in_words(node)) == (words, step)


@settings(deadline=None)
@given(single_nodes)
def test_every_kind_of_node_has_a_phrase_that_does_not_name_options(expression):
    node = parse(expression)
    for text in (in_words(node), step_in_words(node)):
        assert not {"{", "=", "None", "True"} & set(text.replace(",", "").split())
        assert "_" not in text.replace("America/Argentina/Buenos_Aires", "").replace("St_Johns", "")

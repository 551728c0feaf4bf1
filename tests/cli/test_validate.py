"""`metrics validate` reports each problem of a request or an expression.

A report has the JSON path of the problem, the allowed values and the value that was probably meant.
"""

import json
import re
from typing import Any

import numpy as np
import pytest

from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.grammar import parse
from metrics_worker.series import Series
from tests.builders import (
    ratio,
    request,
    series,
    window,
)
from tests.cli.given import (
    described,
    document,
    file_of,
    metrics,
    problems_of,
)

A, B = series("A"), series("B")


# Expressions


@pytest.mark.parametrize(
    ("expression", "path", "said"),
    [
        (window("smaa", A, 3), ".op", '"smaa" is not an operation of a window_op (did you mean `sma`?)'),
        (window("mean", A, 3), ".op", "did you mean `sma`?"),
        (window("ratio", A, 3), ".op", "`ratio` needs left and right"),
        ({"op": "mean", "operands": [A, B]}, ".op", "did you mean `avg`?"),
        ({"op": "divide", "left": A, "right": B}, ".op", "did you mean `ratio`?"),
        (window("LAG", A, 3), ".op", "did you mean `lag`?"),
        (window("avg", A, 3), ".op", "did you mean `sma`? `avg` is of composite, with operands"),
        (window("divide", A, 3), ".op", "did you mean `ratio`? It needs left and right"),
        ({"op": "div", "left": A, "right": B}, ".op", "did you mean `ratio`?"),
        ({"op": "mul", "left": A, "right": B}, ".op", "did you mean `multiply`?"),
        ({"op": "diff", "left": A, "right": B}, ".op", "did you mean `subtract`?"),
        ({"op": "mean", "left": A, "right": B}, ".op", "did you mean `avg`? It needs operands"),
        ({"op": "mad", "operands": [A, B]}, ".op", "there is no `mad`"),
        ({"op": 3, "left": A, "right": B}, ".op", "3 is not an operation of a series_math"),
        ({"left": A, "right": B}, ".op", "a series_math needs `op`"),
        ({"op": "sma", "series": A, "windows": 3}, ".windows", "did you mean `window`?"),
        ({"op": "sma", "series": A, "period": 3}, ".period", "did you mean `window`?"),
        ({"op": "sma", "serie": A, "window": 3}, ".serie", "did you mean `series`?"),
        ({"serie_code": "A"}, "", "did you mean `series_code` for `serie_code`?"),
        ({"op": "sma", "series": A, "window": 14.5}, ".window", "it should be a whole number"),
        ({"op": "sma", "series": A, "window": "14"}, ".window", "write 14 without the quotes"),
        ({"op": "sma", "series": A, "window": True}, ".window", "it should be a whole number"),
        (window("sma", A, 0), ".window", "it should be greater than or equal to 1"),
        (window("sma", A, 10**7), ".window", "it should be less than or equal to 1000000"),
        (window("sma", A, 3) | {"scale": 2}, ".scale", "only series_math has a scale"),
        (ratio(A, "B"), ".right", 'a series is written {"series_code": "B"}'),
        (ratio(A, 2), ".right", 'a constant is written {"const": 2}'),
        (ratio(A, "\ud800"), ".right", "not a valid node"),
        ({"op": "\ud800", "left": A, "right": B}, ".op", '"\\ud800" is not an operation of a series_math'),
        (series("\ud800"), ".series_code", "half a character"),
        (ratio(A, [A, B]), ".right", "several nodes are the operands of one"),
        (ratio(A, B, scale="x"), ".scale", "it should be a number"),
        (ratio(A, B, colour="red"), ".colour", "a series_math has no field `colour` (None)"),
        (ratio(A, {"constant": 2}), ".right", "did you mean `const` for `constant`?"),
        (window("sma", {"const": 2}, 3), ".series", "a constant can only be left or right of series_math"),
        (ratio({"const": 2}, {"const": 3}), ".right", "left and right must not both be constants"),
        (ratio({"const": 1}, {"const": 4}), ".right", "compute it: write 0.25"),
        (window("if", A, 3), ".op", '"op": "sign", "series": X}, {"const": 0}]} is 1 where X > 0, else 0'),
        (window("stdev", A, 3), ".op", "did you mean `std`?"),
        (window("percent_change", A, 3), ".op", "did you mean `pct_change`?"),
        (window("movingMedian", A, 3), ".op", "did you mean `median`?"),
        (window("RUNNING_SUM", A, 1), ".op", "did you mean `cumsum`?"),
        (window("keepLastValue", A, 1), ".op", "did you mean `fill`?"),
        (window("yoy", A, 3), ".op", '{"op": "pct_change", "series": X, "window": 1, "unit": "years"}'),
        (window("mom", A, 3), ".op", '"unit": "months"'),
        (window("log10", A, 3), ".op", "log is the natural logarithm"),
        ({"op": "correlation", "left": A, "right": B}, ".op", "did you mean `corr`?"),
        ({"op": "**", "left": A, "right": B}, ".op", "did you mean `power`?"),
        ({"op": "clip", "left": A, "right": B}, ".op", "`clip` needs series"),
        ({"op": "quantile", "left": A, "right": B}, ".op", "`quantile` needs series, window and q"),
        (window("corr", A, 3), ".op", "`corr` needs left, right and window"),
        ({"op": "sma", "series": A, "n": 3}, ".n", "did you mean `window`?"),
        ({"op": "sma", "series": A, "length": 3}, ".length", "did you mean `window`?"),
        (window("sma", A, 3, unit="year"), ".unit", "not a valid unit (did you mean `years`?)"),
        (window("sma", A, 3, unit="hours"), ".unit", "not a valid unit"),
        (window("sma", A, 3, timezone="UTC"), ".timezone", "did you mean `tz`?"),
        (window("lag", A, 3, unit="days", tolerance=3), ".tolerance", "did you mean `max_age_days`?"),
        (window("sma", A, 3, freq="days"), ".freq", "did you mean `unit`?"),
        (window("sma", A, 3, tz="UTC"), ".tz", "it has no effect if the unit is observations"),
        (window("sma", A, 3, min_periods=4), ".min_periods", "a window of 3 observations never has so many"),
        (window("sma", A, 1, unit="days", tz="Buenos Aires"), ".tz", "`America/Argentina/Buenos_Aires`?"),
        (window("sma", A, 1, unit="days", tz="UTC+3"), ".tz", "an offset has no daylight saving time"),
        (window("sma", A, 1, unit="days", tz="EDT"), ".tz", "did you mean `America/New_York`?"),
        (window("quantile", A, 3), ".q", "a quantile needs `q`"),
        (window("quantile", A, 3, q=90), ".q", "q is not in percent: write 0.9"),
        ({"op": "round", "series": A, "decimals": 2}, ".decimals", "did you mean `digits`?"),
        ({"op": "rebase", "series": A, "at": "1.2.2015"}, ".at", "write 2015-02-01"),
        ({"op": "rebase", "series": A, "at": "2015-02-30"}, ".at", "the calendar has no such date"),
        ({"op": "resample", "series": A, "to": "monthly", "how": "last"}, ".to", "did you mean `month`?"),
        ({"op": "resample", "series": A, "to": "month", "how": "avg"}, ".how", "did you mean `mean`?"),
        ({"op": "resample", "series": A, "rule": "month", "how": "sum"}, ".rule", "did you mean `to`?"),
        ({"op": "fill", "series": A, "like": B, "method": "ffill"}, ".method", "did you mean `previous`?"),
        ({"op": "abs", "series": A, "window": 2}, ".window", "only 1 is accepted here"),
        (window("sma", A, 3) | {"days": 365}, ".days", 'write "window": n, "unit": "days"'),
        (window("ema", A, 3) | {"alpha": 0.1}, ".alpha", "alpha is 2 / (window + 1)"),
        ({"op": "ema", "series": A, "span": 9}, ".span", "did you mean `window`?"),
        ({"op": "avg", "operands": [A]}, ".operands", "one operand is too few"),
        ({"op": "avg", "operands": A}, ".operands", "it should be a list"),
        (series("A/B"), ".series_code", "a series code has no '/'"),
        (series(""), ".series_code", "it is empty"),
        ({"series_code": "A", "seriesCode": "B"}, ".seriesCode", "keep one of them"),
        ("A", "", 'a series is written {"series_code": "A"}'),
        ({"op": "sum", "operands": [A] * 600}, "", "more than 512 nodes"),
    ],
)
def test_each_problem_in_an_expression_has_its_path(tmp_path, expression, path, said):
    kind = "composite" if isinstance(expression, dict) and "operands" in expression else "window_op"
    kind = "series_math" if isinstance(expression, dict) and "left" in expression else kind
    kind = (
        "series" if isinstance(expression, dict) and {"series_code", "serie_code"} & set(expression) else kind
    )
    problems = problems_of(tmp_path, request(expression, kind=kind))
    errors = described(problem for problem in problems if problem["severity"] == "error")
    assert list(errors) == [f"expressionJson{path}"], "that alone"
    assert said in errors[f"expressionJson{path}"]


@pytest.mark.parametrize("op", ["mad", "kurtosis", "foo"])
@pytest.mark.parametrize("node", [window("", A, 3), ratio(A, B), {"operands": [A, B]}])
def test_for_an_operation_that_the_grammar_lacks_no_similar_name_is_suggested(tmp_path, op, node):
    kind = "composite" if "operands" in node else "window_op" if "series" in node else "series_math"
    (problem,) = problems_of(tmp_path, request(node | {"op": op}, kind=kind))
    assert problem["suggestion"].startswith(
        f"there is no `{op}`: the operations are add, subtract, multiply, ratio, power, corr, cov, beta "
        "(series_math); sma, sum, max, min, std, "
    )


X = [0.5, -2.0, 4.0, 0.0, -1.0]


@pytest.mark.parametrize(
    ("op", "meant"),
    [
        ("square", [0.25, 4.0, 16.0, 0.0, 1.0]),
        ("reciprocal", [2.0, -0.5, 0.25, -1.0]),
        ("yoy", [-5.0, -3.0, -1.0]),
        ("ch1", [-2.5, 6.0, -4.0, -1.0]),
        ("ytd", [0.5, -2.0, 4.0, 0.0, -1.0]),
    ],
)
def test_the_expression_that_is_suggested_in_place_of_an_operation_computes_it(tmp_path, op, meant):
    (problem,) = problems_of(tmp_path, request(window(op, A, 2), kind="window_op", inputs={"A": "fx"}))
    suggested = re.findall(r"\{[^;]*\}", problem["suggestion"])
    assert len(suggested) == (2 if "for a monthly series" in problem["suggestion"] else 1)
    years = np.array(["2001-01-01", "2002-01-01", "2003-01-01", "2004-01-01", "2005-01-01"], "M8[us]")
    for text in suggested:
        node = parse(json.loads(re.sub(r"\bX\b", '{"series_code": "A"}', text)))
        values = evaluate(node, {"A": Series(years.astype(np.int64), np.array(X))}).values
        np.testing.assert_array_equal(values, meant)


def test_nodes_that_are_too_deep_are_reported_and_so_is_the_rest(tmp_path):
    expression = A
    for _ in range(40):
        expression = window("sma", expression, 2)
    problems = described(
        problems_of(tmp_path, request({"op": "lag", "series": expression, "window": 2.5}, kind="window_op"))
    )
    assert "nested more than 32 nodes deep" in problems["expressionJson" + 32 * ".series"]
    assert "whole number" in problems["expressionJson.window"]


def test_all_problems_are_reported_at_once_under_the_names_that_the_author_wrote(tmp_path):
    event = request(
        {
            "op": "averege",
            "operands": [{"op": "smaa", "serie": {"op": "sum", "operands": [A]}, "windows": 0}, B],
        },
        kind="window_op",
        metric="m x",
        inputs={"A": "fxx", "B": "fx"},
        output={"basePath": "s3://bucket/elsewhere/m x/"},
    )
    event["inputs"].append({"dataset_id": "fx", "seriesCode": "A"})
    event["catalog"]["datasets"]["fx"]["manifestPath"] = "../secrets"
    assert set(described(problems_of(tmp_path, event))) == {
        "metricCode",
        "inputs[2].dataset_id",
        "expressionJson.op",
        "expressionJson.operands[0]",
        "expressionJson.operands[0].op",
        "expressionJson.operands[0].windows",
        "expressionJson.operands[0].serie.operands",
        "expressionType",
        "inputs[2].seriesCode",
        "output.basePath",
        "inputs[0].datasetId",
        "catalog.datasets.fx.manifestPath",
    }


def test_operands_after_two_invalid_ones_are_checked_too(tmp_path):
    expression = {
        "op": "avg",
        "operands": [1, 2, {"op": "sma", "serie": {"op": "avg", "operands": [A]}, "window": 3}],
    }
    assert set(described(problems_of(tmp_path, expression))) == {
        "expressionJson.operands[0]",
        "expressionJson.operands[1]",
        "expressionJson.operands[2].serie",
        "expressionJson.operands[2].serie.operands",
    }


# Requests


@pytest.mark.parametrize(
    ("change", "path", "said"),
    [
        ({"type": "metric_run_request"}, "type", "did you mean `metric_run_requested`?"),
        ({"type": None}, "type", "not a valid type"),
        ({"runId": ""}, "runId", "not a valid runId"),
        ({"metricCode": "a b"}, "metricCode", "`a-b` would do"),
        ({"schema": "metrics.run.v2"}, "schema", "did you mean `metrics.run.v1`?"),
        ({"expressionType": "window_op"}, "expressionType", "write `series_math`"),
        ({"expressionType": "ratio"}, "expressionType", "this expression is a `series_math`"),
        ({"inputs": {}}, "inputs", "it should be a list"),
        ({"inputs": [3]}, "inputs[0]", "it should be an object"),
        ({"catalog": {}}, "catalog.datasets", "catalog needs `datasets`"),
        (
            {"output": {"path": "s3://bucket/metrics/ratio.a_to_b/"}},
            "output.path",
            "did you mean `basePath`?",
        ),
        (
            {"output": {"basePath": "s3://bucket/metrics/other/"}},
            "output.basePath",
            "write s3://bucket/metrics/",
        ),
        ({"output": {"basePath": "metrics/ratio.a_to_b/"}}, "output.basePath", "write s3://bucket/metrics/"),
    ],
)
def test_each_problem_outside_the_expression_has_its_path(tmp_path, change, path, said):
    problems = described(p for p in problems_of(tmp_path, request() | change) if p["severity"] == "error")
    assert said in problems[path]


@pytest.mark.parametrize(
    ("missing", "instead"),
    [
        ("runId", "runID"),
        ("metricCode", "metric_code"),
        ("expressionJson", "expression"),
        ("output", "outputs"),
    ],
)
def test_a_missing_field_is_found_under_a_misspelled_name(tmp_path, missing, instead):
    event = request()
    event[instead] = event.pop(missing)
    (problem,) = problems_of(tmp_path, event)
    assert f"did you mean `{missing}`?" in problem["suggestion"]


def test_a_series_that_inputs_lists_twice_is_reported(tmp_path):
    event = request()
    event["inputs"] *= 2
    problems = described(problems_of(tmp_path, event))
    assert set(problems) == {"inputs[2].seriesCode", "inputs[3].seriesCode"}
    assert "keep one of them" in problems["inputs[3].seriesCode"]


def test_a_dataset_that_is_not_in_the_catalog_is_reported_with_the_nearest_name(tmp_path):
    (problem,) = problems_of(tmp_path, request(inputs={"A": "fxx", "B": "fx"}))
    assert (problem["path"], problem["found"]) == ("inputs[0].datasetId", '"fxx"')
    assert problem["suggestion"] == "did you mean `fx`?"


@pytest.mark.parametrize(
    "path", ["/datasets/x", "datasets/../x", "datasets//x", "secrets/x", "s3://other/datasets/x", 7]
)
def test_a_path_that_is_not_a_key_is_reported(tmp_path, path):
    event = request(output={"basePath": "s3://my-bucket/metrics/ratio.a_to_b/"})
    event["catalog"]["datasets"]["fx"] = {"manifestPath": path, "projectionsPath": path}
    assert set(described(problems_of(tmp_path, event))) == {
        "catalog.datasets.fx.manifestPath",
        "catalog.datasets.fx.projectionsPath",
    }


def test_an_invalid_dataset_that_is_not_read_is_only_a_warning(tmp_path):
    event = request(datasets=("fx", "other"))
    event["catalog"]["datasets"]["other"] = {"manifest_path": "datasets/x", "projectionsPath": "datasets/x"}
    (problem,) = problems_of(tmp_path, event)
    assert (problem["severity"], problem["path"]) == ("warning", "catalog.datasets.other.manifestPath")
    assert "did you mean `manifestPath`?" in problem["suggestion"]


def test_of_a_request_that_is_too_large_only_the_size_is_reported(tmp_path):
    (problem,) = problems_of(tmp_path, request(description="x" * 2_000_000, output=3))
    assert "at most 1,048,576 is allowed" in problem["text"]


# Warnings


def of_a(op: str, **options: Any) -> dict[str, Any]:
    """Return a request whose expression is an operation on the series A.

    Args:
        op: the name of the operation.
        options: further fields of the operation's node, such as `window`.
    """
    return request({"op": op, "series": A, **options}, kind="window_op", inputs={"A": "fx"})


def resampled(to: str, **options: Any) -> dict[str, Any]:
    """Return the JSON of a node that resamples the series A to the last value of each period.

    Args:
        to: the period, such as `month`.
        options: further fields of the node.
    """
    return {"op": "resample", "series": A, "to": to, "how": "last", **options}


@pytest.mark.parametrize(
    ("event", "path", "said"),
    [
        (request(inputs={"A": "fx", "B": "fx", "C": "fx"}), "inputs[2].seriesCode", "is not read"),
        (
            request(window("sma", A, 1), kind="window_op", inputs={"A": "fx"}),
            "expressionJson.window",
            "one observation",
        ),
        (request(ratio(A, B, scale=0)), "expressionJson.scale", "every value is 0"),
        (
            request({"op": "subtract", "left": A, "right": A}, inputs={"A": "fx"}),
            "expressionJson",
            "every value is 0",
        ),
        (request(shema="metrics.run.v1"), "shema", "did you mean `schema`?"),
        (of_a("pct_change", window=250), "expressionJson.window", ", 1 year)"),
        (
            request(
                window("pct_change", resampled("month"), 1, unit="years"),
                kind="window_op",
                inputs={"A": "fx"},
            ),
            "expressionJson.unit",
            "if no month is missing, pct_change(resample(A, month, last), 12)",
        ),
        (
            request(
                window("lag", resampled("year", stamp="end"), 1, unit="months"),
                kind="window_op",
                inputs={"A": "fx"},
            ),
            "expressionJson.unit",
            "write lag(resample(A, year, last, stamp=start), 1 month)",
        ),
        (of_a("std", window=1), "expressionJson.window", "it never has a value"),
        (
            of_a("resample", to="month", how="last", partial=True),
            "expressionJson.partial",
            "its value changes with every new observation",
        ),
        (of_a("sma", window=1, unit="days", tz="EST"), "expressionJson.tz", "America/New_York"),
        (
            request({"op": "sum", "operands": [A, {"const": 0}]}, kind="composite", inputs={"A": "fx"}),
            "expressionJson.operands[1]",
            "every sum stays the same",
        ),
    ],
)
def test_a_value_that_is_allowed_but_probably_not_intended_is_a_warning(tmp_path, event, path, said):
    (problem,) = problems_of(tmp_path, event)
    assert (problem["severity"], problem["path"]) == ("warning", path)
    assert said in f"{problem['text']} {problem['suggestion']}"
    file = file_of(tmp_path, event)
    assert metrics("validate", file).exit_code == 0
    assert metrics("validate", file, "--strict").exit_code == 1


def test_a_lag_by_the_calendar_needs_no_warning_if_each_period_has_the_date_of_its_first_day(tmp_path):
    node = window("pct_change", resampled("month", stamp="start"), 1, unit="years")
    assert problems_of(tmp_path, request(node, kind="window_op", inputs={"A": "fx"})) == []


def test_a_name_that_an_object_contains_twice_is_a_warning(tmp_path):
    text = json.dumps(request())[:-1] + ', "runId": "run-2"}'
    (problem,) = problems_of(tmp_path, text)
    assert (problem["severity"], problem["path"]) == ("warning", "runId")


def test_two_requests_with_the_same_run_id_are_a_warning(tmp_path):
    one, two = (file_of(tmp_path, request(metric=name), f"{name}.json") for name in ("m.a", "m.b"))
    found = document("validate", one, two)["requests"]
    assert [len(of["problems"]) for of in found] == [0, 1]
    assert "asks for this run too" in found[1]["problems"][0]["text"]


def test_a_missing_expression_type_is_one_problem(tmp_path):
    asked = request(ratio(A, B))
    del asked["expressionType"]

    (problem,) = problems_of(tmp_path, asked)

    assert problem["path"] == "expressionType"
    assert problem["found"] is None

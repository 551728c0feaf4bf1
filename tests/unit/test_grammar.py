"""The grammar: which JSON values are valid expressions, and which path an error names."""

import json
import math
from typing import Any

import pytest

from metrics_worker.errors import ExpressionError
from metrics_worker.expression.fields import MAX_SERIES_CODE, MAX_WINDOW
from metrics_worker.expression.grammar import (
    MAX_DEPTH,
    MAX_NODES,
    children,
    dump,
    expression_type,
    parse,
    series_codes,
)
from metrics_worker.expression.nodes import Composite, Ema, Lag, SeriesMath, SeriesRef, WindowOp
from tests.builders import ratio


def series(code: Any) -> dict[str, Any]:
    return {"series_code": code}


def window(op: str, node: Any, length: Any) -> dict[str, Any]:
    return {"op": op, "series": node, "window": length}


A, B = series("A"), series("B")


def composite(op: str, *operands: Any) -> dict[str, Any]:
    return {"op": op, "operands": list(operands)}


def chain(depth: int) -> dict[str, Any]:
    """Return the JSON of an expression with `depth` levels: window operations, and a series at the end."""
    node = A
    for _ in range(depth - 1):
        node = window("sma", node, 2)
    return node


def wide(nodes: int) -> dict[str, Any]:
    """Return the JSON of an expression with `nodes` nodes: a composite, and a series as every operand."""
    return composite("sum", *[A] * (nodes - 1))


def test_a_series_is_parsed_with_either_spelling_of_its_field():
    assert parse(A) == SeriesRef(series_code="A")
    assert parse({"seriesCode": "A"}) == SeriesRef(series_code="A")


@pytest.mark.parametrize("op", ["add", "subtract", "multiply", "ratio"])
def test_each_operation_of_series_math_is_parsed(op):
    node = parse({"op": op, "left": A, "right": B, "scale": 100})
    assert node == SeriesMath(op=op, left=parse(A), right=parse(B), scale=100.0)
    assert expression_type(node) == "series_math"


@pytest.mark.parametrize("op", ["sma", "ema", "sum", "max", "min", "lag"])
def test_each_window_operation_is_parsed(op):
    node = parse(window(op, A, 14))
    assert node == {"ema": Ema, "lag": Lag}.get(op, WindowOp)(op=op, series=parse(A), window=14)
    assert expression_type(node) == "window_op"


@pytest.mark.parametrize("op", ["sum", "avg", "max", "min"])
def test_each_composite_operation_is_parsed(op):
    node = parse(composite(op, A, B, A))
    assert node == Composite(op=op, operands=(parse(A), parse(B), parse(A)))
    assert expression_type(node) == "composite"


@pytest.mark.parametrize("op", ["sum", "max", "min"])
def test_the_fields_of_a_node_decide_its_type_if_two_types_share_an_op(op):
    assert expression_type(parse(window(op, A, 2))) == "window_op"
    assert expression_type(parse(composite(op, A, B))) == "composite"


@pytest.mark.parametrize("scale", [1, 1.0, None])
def test_the_default_scale_is_one(scale):
    assert parse(ratio(A, B, scale=scale)) == parse(ratio(A, B))


@pytest.mark.parametrize("scale", [0, -1, 1e-300, 1e308, 2**1022])
def test_a_scale_can_be_any_finite_number(scale):
    assert dump(parse(ratio(A, B, scale=scale)))["scale"] == scale


@pytest.mark.parametrize("length", [1, 14.0, MAX_WINDOW])
def test_a_window_can_be_written_as_an_integer_or_as_a_float_without_a_fraction(length):
    assert dump(parse(window("sma", A, length)))["window"] == length


def test_series_codes_are_listed_once_in_order_of_appearance():
    node = parse(ratio(composite("sum", B, window("lag", A, 1), B), composite("max", series("C"), A)))
    assert series_codes(node) == ("B", "A", "C")


def test_the_children_of_a_node_are_its_operands():
    a, b = parse(A), parse(B)
    assert children(a) == ()
    assert children(parse(ratio(A, B))) == (a, b)
    assert children(parse(window("sma", A, 2))) == (a,)
    assert children(parse(composite("sum", B, A))) == (b, a)


def test_nodes_are_hashable_and_immutable():
    node = SeriesRef(series_code="A")
    assert {node: 1}[SeriesRef(series_code="A")] == 1
    with pytest.raises(ValueError, match="frozen"):
        node.series_code = "B"  # type: ignore[misc]


# Bounds


def test_a_depth_of_32_is_allowed():
    assert parse(chain(MAX_DEPTH)) == parse(dump(parse(chain(MAX_DEPTH))))


def test_a_depth_of_33_is_an_error_that_names_the_path():
    with pytest.raises(ExpressionError) as raised:
        parse(chain(MAX_DEPTH + 1))
    assert raised.value.subject == "expressionJson" + ".series" * MAX_DEPTH
    assert "32" in raised.value.problem


@pytest.mark.parametrize("link", ["left", "right", "operands"])
def test_the_depth_limit_applies_to_every_type_of_node(link):
    node = A
    for _ in range(MAX_DEPTH):
        node = composite("sum", A, node) if link == "operands" else {**ratio(A, A), link: node}
    with pytest.raises(ExpressionError, match="nested more than 32 nodes deep"):
        parse(node)


def test_512_nodes_are_allowed():
    assert len(children(parse(wide(MAX_NODES)))) == MAX_NODES - 1


def test_513_nodes_are_an_error():
    with pytest.raises(ExpressionError, match=r"^EXPRESSION_EVAL_ERROR: expressionJson: more than 512 nodes"):
        parse(wide(MAX_NODES + 1))


def test_a_very_deep_tree_is_rejected_without_recursion():
    node = A
    for _ in range(100_000):
        node = {"op": "sma", "series": node, "window": 1}
    with pytest.raises(ExpressionError, match=r"nested more than 32"):
        parse(node)
    while node is not A:  # Free the nested dicts one by one, because Python would free them recursively.
        node = node["series"]


# Invalid expressions


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (None, ""),
        (7, ""),
        ("A", ""),
        ([], ""),
        ({}, ""),
        ({"op": "sma"}, ""),
        ({"scale": 1}, ""),
        (series(""), ".series_code"),
        (series(None), ".series_code"),
        (series(7), ".series_code"),
        ({"seriesCode": ""}, ".seriesCode"),
        (series("x" * (MAX_SERIES_CODE + 1)), ".series_code"),
        (series("A/B"), ".series_code"),
        (series(".."), ".series_code"),
        (series("."), ".series_code"),
        (series(" A"), ".series_code"),
        (series("A\n"), ".series_code"),
        (series("\ud800"), ".series_code"),
        ({**A, "op": "sma"}, ".op"),
        ({**A, "seriesCode": "A"}, ".seriesCode"),
        ({**A, "window": 3}, ".window"),
        ({"op": "ratio", "left": A}, ".right"),
        ({"op": "ratio", "right": A}, ".left"),
        ({"left": A, "right": B}, ".op"),
        ({"op": "divide", "left": A, "right": B}, ".op"),
        ({"op": "RATIO", "left": A, "right": B}, ".op"),
        ({"op": "sma", "left": A, "right": B}, ".op"),
        ({"op": None, "left": A, "right": B}, ".op"),
        (ratio(A, B, window=3), ".window"),
        (ratio(A, B, Scale=3), ".Scale"),
        (ratio(A, B, scale="1"), ".scale"),
        (ratio(A, B, scale=True), ".scale"),
        (ratio(A, B, scale=math.nan), ".scale"),
        (ratio(A, B, scale=math.inf), ".scale"),
        (ratio(A, B, scale=10**400), ".scale"),
        (ratio(A, B, scale=-(10**400)), ".scale"),
        (ratio(A, "B"), ".right"),
        (ratio(None, B), ".left"),
        (ratio([A], B), ".left"),
        (window("sma", A, 0), ".window"),
        (window("sma", A, -1), ".window"),
        (window("sma", A, 1.5), ".window"),
        (window("sma", A, "3"), ".window"),
        (window("sma", A, True), ".window"),  # noqa: FBT003 - a JSON value
        (window("sma", A, None), ".window"),
        (window("sma", A, math.inf), ".window"),
        (window("sma", A, math.nan), ".window"),
        (window("sma", A, MAX_WINDOW + 1), ".window"),
        (window("sma", A, 10**400), ".window"),
        ({"op": "sma", "series": A}, ".window"),
        ({"op": "sma", "window": 3}, ".series"),
        ({"series": A, "window": 3}, ".op"),
        (window("avg", A, 3), ".op"),
        (window("sma", "A", 3), ".series"),
        ({**window("sma", A, 3), "scale": 3}, ".scale"),
        (composite("sum"), ".operands"),
        (composite("sum", A), ".operands"),
        ({"op": "sum", "operands": None}, ".operands"),
        ({"op": "sum", "operands": {"0": A, "1": B}}, ".operands"),
        ({"op": "sum", "operands": "AB"}, ".operands"),
        ({"operands": [A, B]}, ".op"),
        (composite("sma", A, B), ".op"),
        (composite("sum", A, None), ".operands[1]"),
        (composite("sum", A, {"op": "x"}), ".operands[1]"),
        ({**composite("sum", A, B), "scale": 2}, ".scale"),
        (
            ratio(A, composite("avg", B, window("ema", ratio(A, {"code": "B"}), 3))),
            ".right.operands[1].series.right",
        ),
    ],
)
def test_an_error_names_the_path_of_the_invalid_node_or_field(value, path):
    with pytest.raises(ExpressionError) as raised:
        parse(value)
    assert raised.value.subject == "expressionJson" + path
    assert raised.value.code == "EXPRESSION_EVAL_ERROR"
    assert raised.value.problem


CALENDAR = {"series": A, "window": 1, "unit": "months"}
RESAMPLE = {"op": "resample", "series": A, "to": "month", "how": "last"}
CONST = {"const": 1}


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (CONST, ""),
        (ratio(CONST, CONST), ".right"),
        (ratio(A, {"const": "1"}), ".right.const"),
        (ratio(A, {"const": math.inf}), ".right.const"),
        (ratio(A, {"const": 10**400}), ".right.const"),
        (ratio(A, {"const": True}), ".right.const"),
        (composite("sum", CONST, CONST), ".operands"),
        (window("sma", CONST, 2), ".series"),
        ({"op": "corr", "left": A, "right": CONST, "window": 5}, ".right"),
        ({"op": "corr", "left": A, "right": B, "window": 1}, ".window"),
        ({"op": "corr", "left": A, "right": B}, ".window"),
        (ratio(A, B, window=1), ".window"),
        ({"op": "quantile", "series": A, "window": 5}, ".q"),
        ({"op": "quantile", "series": A, "window": 5, "q": 1.1}, ".q"),
        ({"op": "quantile", "series": A, "window": 5, "q": math.nan}, ".q"),
        ({"op": "median", "series": A, "window": 5, "q": 0.5}, ".q"),
        ({"op": "sma", **CALENDAR, "unit": "hours"}, ".unit"),
        ({"op": "sma", **CALENDAR, "tz": "Mars/Olympus"}, ".tz"),
        ({"op": "sma", **CALENDAR, "tz": "../UTC"}, ".tz"),
        ({"op": "sma", **CALENDAR, "min_periods": 0}, ".min_periods"),
        ({"op": "sma", **CALENDAR, "min_periods": MAX_WINDOW + 1}, ".min_periods"),
        (window("sma", A, 3) | {"min_periods": 4}, ".min_periods"),
        (window("sma", A, 3) | {"tz": "UTC"}, ".tz"),
        (window("sma", A, 3) | {"max_age_days": 3}, ".max_age_days"),
        (window("ema", A, 3) | {"unit": "days"}, ".unit"),
        (window("ema", A, 3) | {"min_periods": 1}, ".min_periods"),
        (window("lag", A, 3) | {"min_periods": 1}, ".min_periods"),
        (window("lag", A, 3) | {"max_age_days": 7}, ".max_age_days"),
        ({"op": "diff", **CALENDAR, "max_age_days": -1}, ".max_age_days"),
        ({"op": "diff", **CALENDAR, "max_age_days": 1.5}, ".max_age_days"),
        (window("abs", A, 2), ".window"),
        (window("abs", A, True), ".window"),  # noqa: FBT003 - a JSON value
        ({"op": "clip", "series": A}, ""),
        ({"op": "clip", "series": A, "lower": 2, "upper": 1}, ".upper"),
        ({"op": "clip", "series": A, "lower": math.inf}, ".lower"),
        ({"op": "round", "series": A}, ".digits"),
        ({"op": "round", "series": A, "digits": 16}, ".digits"),
        ({"op": "cumsum", "series": A, "reset": "week"}, ".reset"),
        ({"op": "cumsum", "series": A, "tz": "UTC"}, ".tz"),
        ({"op": "rebase", "series": A}, ".at"),
        ({"op": "rebase", "series": A, "at": "2026-02-29"}, ".at"),
        ({"op": "rebase", "series": A, "at": "20260228"}, ".at"),
        ({"op": "rebase", "series": A, "at": "2026-01-01", "base": math.nan}, ".base"),
        (RESAMPLE | {"to": "day"}, ".to"),
        (RESAMPLE | {"how": "median"}, ".how"),
        (RESAMPLE | {"stamp": "middle"}, ".stamp"),
        (RESAMPLE | {"partial": 1}, ".partial"),
        ({"op": "fill", "series": A, "method": "previous"}, ".like"),
        ({"op": "fill", "like": A, "method": "previous"}, ".series"),
        ({"op": "fill", "series": A, "like": CONST, "method": "previous"}, ".like"),
        ({"op": "fill", "series": A, "like": B, "method": "next"}, ".method"),
        ({"op": "fill", "series": A, "like": B, "method": "linear", "max_age_days": 3}, ".max_age_days"),
        (
            {"op": "fill", "series": A, "like": {"op": "abs", "series": "B"}, "method": "linear"},
            ".like.series",
        ),
    ],
)
def test_an_error_in_a_node_of_the_extended_grammar_names_the_path(value, path):
    with pytest.raises(ExpressionError) as raised:
        parse(value)
    assert raised.value.subject == "expressionJson" + path


def test_the_error_of_an_unknown_operation_lists_the_operations_on_the_same_fields():
    with pytest.raises(ExpressionError, match=r"'sma', 'sum'.*'pct_change'.*'resample'.*found 'abv'"):
        parse({"op": "abv", "series": A})
    with pytest.raises(ExpressionError, match=r"'power', 'corr', 'cov' or 'beta', found 'pow'"):
        parse({"op": "pow", "left": A, "right": B})


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"op": "power", "left": CONST, "right": A}, "series_math"),
        ({"op": "corr", "left": A, "right": B, "window": 5}, "series_math"),
        (composite("avg", A, CONST), "composite"),
        ({"op": "median", **CALENDAR}, "window_op"),
        ({"op": "pct_change", **CALENDAR}, "window_op"),
        ({"op": "log", "series": A}, "window_op"),
        (RESAMPLE, "window_op"),
        ({"op": "fill", "series": A, "like": B, "method": "linear"}, "window_op"),
    ],
)
def test_the_fields_of_a_root_node_decide_its_expression_type(value, kind):
    assert expression_type(parse(value)) == kind


@pytest.mark.parametrize(
    "ignored", [{"window": 1}, {"window": 1.0}, {"scale": 1}, {"partial": None, "tz": None}]
)
def test_a_window_or_scale_of_one_and_null_in_optional_fields_are_ignored(ignored):
    assert parse(RESAMPLE | ignored) == parse(RESAMPLE)
    assert dump(parse(RESAMPLE | ignored)) == RESAMPLE


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (window("sma", A, 3), '{"op": "sma", "series": {"series_code": "A"}, "window": 3}'),
        (window("lag", A, 3), '{"op": "lag", "series": {"series_code": "A"}, "window": 3}'),
        (
            ratio(A, B),
            '{"op": "ratio", "left": {"series_code": "A"}, "right": {"series_code": "B"}, "scale": 1.0}',
        ),
    ],
)
def test_the_dump_of_an_earlier_expression_has_no_new_fields(value, text):
    assert json.dumps(dump(parse(value))) == text


def test_the_operands_of_a_fill_are_its_series_and_its_times():
    node = parse({"op": "fill", "series": A, "like": window("sma", B, 2), "method": "previous"})
    assert children(node) == (parse(A), parse(window("sma", B, 2)))
    assert series_codes(node) == ("A", "B")


def test_an_error_shows_the_invalid_value_shortened_if_it_is_long():
    with pytest.raises(ExpressionError, match=r"found 'divide'$"):
        parse({"op": "divide", "left": A, "right": B})
    with pytest.raises(ExpressionError) as raised:
        parse({"op": "x" * 5000, "left": A, "right": B})
    assert len(raised.value.message) < 300


def test_an_error_counts_further_problems():
    with pytest.raises(ExpressionError, match=r"\(and 1 more\)$"):
        parse({"op": "divide", "left": A, "right": B, "colour": 1})


@pytest.mark.parametrize("scale", [1, 1.0, None])
@pytest.mark.parametrize(
    "node",
    [
        {"series_code": "A"},
        {"op": "sma", "series": {"series_code": "A"}, "window": 2},
        {"op": "avg", "operands": [{"series_code": "A"}, {"series_code": "B"}]},
    ],
)
def test_a_scale_of_one_is_accepted_in_any_node_because_the_control_plane_sends_it(node, scale):
    assert parse({**node, "scale": scale}) == parse(node)


@pytest.mark.parametrize("scale", [2, 0, True, "1", [1], {}])
def test_any_other_scale_is_an_error_in_a_node_type_without_a_scale(scale):
    with pytest.raises(ExpressionError) as failure:
        parse({"op": "sma", "series": {"series_code": "A"}, "window": 2, "scale": scale})
    assert failure.value.subject == "expressionJson.scale"

"""Parsing restores a dumped expression, and any JSON value is either parsed or raises an ExpressionError."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics_worker.errors import ExpressionError
from metrics_worker.expression.grammar import children, dump, expression_type, parse, series_codes
from metrics_worker.expression.nodes import Constant
from tests.property.strategies import all_expressions, expressions

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["sum", "sma", "A", "lag", "fill", "resample", "clip", "corr", "months", "UTC", "last"]),
)
fields = st.sampled_from(
    [
        *("op", "left", "right", "scale", "series", "window", "operands", "series_code", "seriesCode", "x"),
        *("const", "unit", "tz", "q", "min_periods", "max_age_days", "lower", "upper", "digits", "reset"),
        *("at", "base", "to", "how", "stamp", "partial", "like", "method"),
    ]
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(fields, inner, max_size=5),
    max_leaves=20,
)


@settings(deadline=None)
@given(all_expressions)
def test_parsing_a_dumped_node_returns_an_equal_node(expression):
    node = parse(expression)
    assert parse(dump(node)) == node
    assert dump(parse(dump(node))) == dump(node)
    assert parse(json.loads(json.dumps(dump(node)))) == node
    assert hash(parse(dump(node))) == hash(node)


@settings(deadline=None)
@given(expressions)
def test_dumping_returns_the_expression_in_its_canonical_form(expression):
    dumped = dump(parse(expression))

    def plain(node: Any) -> Any:
        """Return the JSON of a node and of its operands in canonical form, computed without the worker.

        In this form, a series reference has `series_code` in place of `seriesCode`, and a node of series_math
        always has a scale.

        Args:
            node: the JSON of the node.
        """
        if "seriesCode" in node:
            return {"series_code": node["seriesCode"]}
        named = {
            name: plain(part)
            if isinstance(part, dict)
            else [plain(one) for one in part]
            if isinstance(part, list)
            else part
            for name, part in node.items()
        }
        return {**named, "scale": named.get("scale", 1)} if "left" in named else named

    assert dumped == plain(expression)


@settings(deadline=None)
@given(all_expressions)
def test_the_series_codes_of_an_expression_are_those_of_its_leaves(expression):
    def leaves(node):
        below = children(node)
        if isinstance(node, Constant):
            return []
        return [code for child in below for code in leaves(child)] if below else [node.series_code]

    node = parse(expression)
    assert list(series_codes(node)) == list(dict.fromkeys(leaves(node)))
    assert expression_type(node) in {"series", "series_math", "window_op", "composite"}


@settings(deadline=None, max_examples=300)
@given(values)
def test_any_json_value_is_parsed_or_raises_an_expression_error(value):
    try:
        node = parse(value)
    except ExpressionError as error:
        refused = error
    else:
        assert parse(dump(node)) == node
        return
    assert refused.subject.startswith("expressionJson")
    assert len(refused.message) < 2000


@settings(deadline=None)
@given(all_expressions, st.data())
def test_an_unknown_field_in_any_node_is_an_error(expression, data):
    def places(node):
        yield node
        for part in node.values():
            for inner in part if isinstance(part, list) else [part]:
                if isinstance(inner, dict):
                    yield from places(inner)

    spoiled = json.loads(json.dumps(expression))
    data.draw(st.sampled_from(list(places(spoiled))))["colour"] = "red"
    with pytest.raises(ExpressionError, match=r"colour: "):
        parse(spoiled)

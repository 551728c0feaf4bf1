"""The grammar: dumping and parsing are inverse; any JSON value is an expression or an ExpressionError."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics_worker.errors import ExpressionError
from metrics_worker.expression.grammar import children, dump, expression_type, parse, series_codes
from tests.property.strategies import expressions

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["sum", "sma", "A"]),
)
fields = st.sampled_from(
    ["op", "left", "right", "scale", "series", "window", "operands", "series_code", "seriesCode", "x"]
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(fields, inner, max_size=5),
    max_leaves=20,
)


@settings(deadline=None)
@given(expressions)
def test_parsing_what_was_dumped_gives_the_same_node(expression):
    node = parse(expression)
    assert parse(dump(node)) == node
    assert parse(json.loads(json.dumps(dump(node)))) == node
    assert hash(parse(dump(node))) == hash(node)


@settings(deadline=None)
@given(expressions)
def test_what_is_dumped_is_the_expression_in_its_one_form(expression):
    dumped = dump(parse(expression))

    def plain(node):
        """With `series_code`, and a scale."""
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
@given(expressions)
def test_the_series_codes_are_those_of_the_leaves(expression):
    def leaves(node):
        below = children(node)
        return [code for child in below for code in leaves(child)] if below else [node.series_code]

    node = parse(expression)
    assert list(series_codes(node)) == list(dict.fromkeys(leaves(node)))
    assert expression_type(node) in {"series", "series_math", "window_op", "composite"}


@settings(deadline=None, max_examples=300)
@given(values)
def test_any_json_is_an_expression_or_an_expression_error(value):
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
@given(expressions, st.data())
def test_an_unknown_field_anywhere_is_refused(expression, data):
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

"""The formula of any expression is parsed to this expression; any other text is parsed or has a problem."""

from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from metrics_tools.describe.formula import formula
from metrics_tools.formulas.parsing import parse_formula
from metrics_tools.formulas.tokens import FormulaError
from metrics_worker.errors import ExpressionError
from metrics_worker.expression.grammar import MAX_DEPTH, MAX_NODES, dump, parse
from metrics_worker.expression.nodes import Node
from tests.property.strategies import all_expressions, single_nodes, wild

_codes = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
_numbers = st.one_of(wild, st.integers(-(2**70), 2**70))


def read(text: str) -> Node:
    """Return the node that a formula describes, or raise an error if the formula is not valid."""
    return parse(parse_formula(text).expression)


def formula_or_error(text):
    try:
        return parse_formula(text)
    except FormulaError as error:
        return error


def assert_is_read_back(node: Node) -> None:
    """Assert that the formula of a node is parsed to an equal node, whose formula is the same text."""
    text = formula(node)
    again = read(text)
    assert (again, repr(dump(again))) == (node, repr(dump(node))), text
    assert formula(again) == text


@settings(deadline=None)
@given(single_nodes)
def test_the_formula_of_a_node_is_read_back(value):
    assert_is_read_back(parse(value))


@settings(deadline=None)
@given(all_expressions)
def test_the_formula_of_an_expression_is_read_back(value):
    assert_is_read_back(parse(value))


@settings(deadline=None)
@given(_codes, _numbers, _numbers, st.sampled_from(["add", "subtract", "multiply", "ratio", "power"]))
def test_any_series_code_constant_and_scale_is_read_back(code, number, scale, op):
    value = {"op": op, "left": {"series_code": code}, "right": {"const": number}, "scale": scale}
    with suppress(ExpressionError):  # not every text is a series code
        node = parse({"op": "multiply", "left": value, "right": {"const": scale}})
        assert_is_read_back(node)


_math: st.SearchStrategy[Any] = st.deferred(
    lambda: st.one_of(
        st.just({"series_code": "A"}),
        st.builds(
            lambda op, left, right, scale: {"op": op, "left": left, "right": right, "scale": scale},
            st.sampled_from(["add", "subtract", "multiply", "ratio", "power"]),
            _math | st.sampled_from([{"const": 2}, {"const": -2}, {"const": -0.0}]),
            _math | st.sampled_from([{"const": 2}, {"const": -2}, {"const": 1}]),
            st.sampled_from([1, 1, 2, -0.5]),
        ),
    )
)


@settings(deadline=None)
@given(_math)
def test_signs_scales_and_constants_are_read_back(value):
    with suppress(ExpressionError):  # both sides are constants
        assert_is_read_back(parse(value))


def test_the_deepest_and_the_largest_expression_are_read_back():
    node: Any = {"series_code": "A"}
    for _ in range(MAX_DEPTH - 1):
        node = {"op": "power", "left": node, "right": {"const": -1}, "scale": -2}
    assert_is_read_back(parse(node))
    code = {"series_code": '"' * 256}
    assert_is_read_back(parse({"op": "avg", "operands": [code] * (MAX_NODES - 1)}))


_pieces = st.sampled_from(
    [*"AB()+-*/^×÷−,=.\"'\\ \n07", "**", "sma(", "max(", "const(", "1e5", "2 days", "unit=", "tz=", "lambda "]  # noqa: RUF001 - as in print
)


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(_pieces, max_size=12).map("".join)))
def test_any_text_is_a_formula_or_has_a_problem_within_the_text(text):
    found = formula_or_error(text)
    if isinstance(found, FormulaError):
        assert 0 <= found.start <= len(text)
        return
    for first, last in found.spans.values():
        assert 0 <= first < last <= len(text)
    with suppress(ExpressionError):
        assert_is_read_back(parse(found.expression))

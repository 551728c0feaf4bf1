"""The formula of an expression: one line with typographic signs and only the necessary brackets."""

# ruff: noqa: RUF001 - formulas with typographic signs

import pytest

from metrics_tools.describe.words import formula
from metrics_worker.expression.grammar import parse

A, B = {"series_code": "A"}, {"series_code": "B"}


def math(op, left, right, scale=1):
    return {"op": op, "left": left, "right": right, "scale": scale}


@pytest.mark.parametrize(
    ("node", "written"),
    [
        (A, "A"),
        (math("add", math("add", A, B), A), "A + B + A"),
        (math("subtract", A, math("subtract", A, B)), "A − (A − B)"),
        (math("subtract", A, math("ratio", A, B)), "A − A ÷ B"),
        (math("ratio", math("subtract", A, B), A), "(A − B) ÷ A"),
        (math("ratio", A, math("multiply", A, B)), "A ÷ (A × B)"),
        (math("multiply", math("ratio", A, B), A), "(A ÷ B) × A"),
        (math("multiply", A, B, 2), "A × B × 2"),
        (math("ratio", A, B, 100), "(A ÷ B) × 100"),
        (math("add", A, B, 0.5), "(A + B) × 0.5"),
        (math("add", math("add", A, B, 0.5), A), "(A + B) × 0.5 + A"),
        ({"op": "sma", "series": math("ratio", A, B), "window": 14}, "sma(A ÷ B, 14)"),
        ({"op": "avg", "operands": [A, math("ratio", A, B)]}, "avg(A, A ÷ B)"),
    ],
)
def test_a_formula_has_the_brackets_it_needs(node, written):
    assert formula(parse(node)) == written

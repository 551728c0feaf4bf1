"""The formula of an expression: one line, with typographic signs and only the necessary brackets."""

# ruff: noqa: RUF001 - formulas with typographic signs

import pytest

from metrics_tools.describe.formula import formula
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


BUENOS_AIRES = "America/Argentina/Buenos_Aires"


@pytest.mark.parametrize(
    ("node", "written"),
    [
        (math("subtract", {"const": 1}, A), "1 − A"),
        (math("power", A, {"const": -2}), "A ^ (-2)"),
        (math("power", math("power", A, B), A), "(A ^ B) ^ A"),
        (math("add", A, {"const": 0.1234567891}, 1e-7), "(A + 0.1234567891) × 1e-07"),
        ({"op": "max", "series": A, "window": 3}, "max(A, 3)"),
        ({"op": "max", "operands": [A, {"const": 3}]}, "max(A, const(3))"),
        ({"op": "pct_change", "series": A, "window": 1, "unit": "years"}, "pct_change(A, 1 year)"),
        (
            {"op": "lag", "series": A, "window": 2000, "unit": "days", "max_age_days": 0},
            "lag(A, 2000 days, max_age_days=0)",
        ),
        (
            {
                "op": "zscore",
                "series": A,
                "window": 12,
                "unit": "months",
                "tz": BUENOS_AIRES,
                "min_periods": 200,
            },
            f'zscore(A, 12 months, min_periods=200, tz="{BUENOS_AIRES}")',
        ),
        ({"op": "quantile", "series": A, "window": 250, "q": 0.9}, "quantile(A, 250, q=0.9)"),
        ({"op": "clip", "series": A, "upper": 1}, "clip(A, upper=1)"),
        ({"op": "round", "series": A, "digits": 2}, "round(A, 2)"),
        ({"op": "cumsum", "series": A, "reset": "year"}, "cumsum(A, reset=year)"),
        ({"op": "rebase", "series": A, "at": "2015-01-01", "base": 1}, "rebase(A, at=2015-01-01, base=1)"),
        (
            {"op": "resample", "series": A, "to": "month", "how": "mean", "partial": True},
            "resample(A, month, mean, partial=true)",
        ),
        ({"op": "fill", "series": A, "like": B, "method": "previous"}, "fill(A, B, previous)"),
        ({"op": "corr", "left": A, "right": B, "window": 60}, "corr(A, B, 60)"),
        (math("multiply", math("add", A, B), {"const": 2}), "(A + B) × const(2)"),
        (math("multiply", math("add", A, B, 3), {"const": 2}, -4), "(A + B) × 3 × 2 × -4"),
        (math("multiply", A, {"const": 2}, 3), "A × 2 × 3"),
        (math("add", {"series_code": "A-B"}, {"series_code": "A.B:c"}), '"A-B" + A.B:c'),
        (math("add", {"series_code": "A + B"}, {"series_code": 'X"Y'}), '"A + B" + "X\\"Y"'),
    ],
)
def test_a_formula_has_every_option_that_is_not_the_default(node, written):
    assert formula(parse(node)) == written

"""Formulas that authors type: their notations, their mistakes, and the positions of problems in them."""

# ruff: noqa: RUF001 - formulas with typographic signs

import pytest

from metrics_tools.describe.formula import formula
from metrics_tools.formulas.as_json import expression_json
from metrics_tools.formulas.formula import Formula
from metrics_tools.formulas.parsing import parse_formula
from metrics_tools.formulas.tokens import MAX_LENGTH, FormulaError
from metrics_worker.expression.grammar import check, parse
from metrics_worker.problem import path_text
from tests.builders import ratio, series

BY_MONTHS = "pct_change(resample(X, month, last, stamp=start, partial=true), 1 year, max_age_days=0)"
CALENDAR = 'sma(A, 30 days, tz="Europe/Berlin")'


@pytest.mark.parametrize(
    ("typed", "usual"),
    [
        ("A * B / C - D + E", "A × B ÷ C − D + E"),
        ("A / B * 100", "(A ÷ B) × 100"),
        ("ratio(A, B) * 100", "(A ÷ B) × 100"),
        ("ratio(A, B, scale=100)", "(A ÷ B) × 100"),
        ("(A + B) * 2 * 3", "(A + B) × 2 × 3"),
        ("100 * (A / B)", "100 × (A ÷ B)"),
        ("A * 2", "A × 2"),
        ("A ** -1", "A ^ (-1)"),
        ("A ^ B ^ C", "A ^ (B ^ C)"),
        ("-A ^ 2", "neg(A ^ 2)"),
        ("−2 + A", "-2 + A"),
        ("sma(A, 30, unit=days, tz='Europe/Berlin')", CALENDAR),
        ("sma(A, 30days, tz='Europe/Berlin')", CALENDAR),
        ("sma(window=30 day, tz='Europe/Berlin', series=A)", CALENDAR),
        ("lag(A, 3 observations)", "lag(A, 3)"),
        ("max(A, 3)", "max(A, 3)"),
        ("max(A*2,100)", "max(A × 2, 100)"),
        ("max(A, const(3))", "max(A, const(3))"),
        ("corr(left=A, right=B, window=60)", "corr(A, B, 60)"),
        ("fill(A, like=B, method=previous)", "fill(A, B, previous)"),
        ('rebase(A, at="2015-01-01")', "rebase(A, at=2015-01-01)"),
        ("'X-1' / \"X.1\"", '"X-1" ÷ X.1'),
        ("sma(\n  A,\n  3\n)", "sma(A, 3)"),
        ("lambda + None", "lambda + None"),
        ("ﬁ + ℌ", "ﬁ + ℌ"),
    ],
)
def test_a_formula_may_be_typed_in_several_notations(typed, usual):
    assert formula(parse(parse_formula(typed).expression)) == usual


@pytest.mark.parametrize(
    ("text", "at", "problem", "hint"),
    [
        ("", 0, "the formula is empty", None),
        ("A + ", 3, "the formula ends too early", None),
        ("sma(A, 3", 3, "the bracket is never closed", None),
        ("A) + B", 1, "the bracket is never opened", None),
        ("'A + B", 0, "the quotation mark is never closed", None),
        ("A + * B", 4, "`*` is not expected here", None),
        ("A B", 2, "a comma or an operator is missing here", "in quotes"),
        ("A x 100", 2, "a comma or an operator is missing here", "multiplication is written *"),
        ("(A / B) X (C + D)", 8, "a comma or an operator is missing here", "multiplication is written *"),
        ("A · 100", 2, "`·` has no meaning here", "multiplication is written *"),
        ("A : B", 2, "`:` has no meaning here", "division is written /"),
        ("sma(A 14)", 6, "a comma or an operator is missing here", None),
        ("A < B", 2, "`<` has no meaning here", "no comparisons"),
        ("A – B", 2, "`–` has no meaning here", "a minus is"),
        ("“A” × 2", 0, "`“` has no meaning here", "straight"),
        ("1Y + A", 0, "not a duration", 'in quotes: "1Y"'),
        ("sma(EURIBOR-3M-EU, 3)", 12, "not a duration", 'in quotes: "EURIBOR-3M-EU"'),
        ("A × 3%", 5, "`%` has no meaning here", "write 3 if the series is in percent, or 0.03 if"),
        ("A - .5 %", 7, "`%` has no meaning here", "write .5 if the series is in percent, or 0.005 if"),
        ("(A - B)%", 7, "`%` has no meaning here", "write × 100"),
        ("A2%", 2, "`%` has no meaning here", "write × 100"),
        ("A - B > 1", 6, "no meaning here", "max(sign(A - B), const(0)) is 1 where A is more than B"),
        ("if(A, B, C)", 0, "no operation `if`", "max(sign(X), const(0)) is 1 where X > 0, else 0"),
        ("where(A)", 0, "no operation `where`", "max(sign(X), const(0)) is 1 where X > 0, else 0"),
        ("cumprod(A)", 0, "no operation `cumprod`", "exp(cumsum(log(1 + X)))"),
        ("rebase(A, at=2015-01)", 13, "a date in the form YYYY-MM-DD", "write 2015-01-01"),
        ("rebase(A, at=2015M01)", 13, "a date in the form YYYY-MM-DD", "write 2015-01-01"),
        ("rebase(A, at=31/01/2015)", 13, "a date in the form YYYY-MM-DD", None),
        ("A + 1.2.3", 4, "this is not a number", None),
        ("B + smaa(A, 14)", 4, "there is no operation `smaa`", "did you mean `sma`?"),
        ("mean(A, B)", 0, "there is no operation `mean`", "did you mean `avg`?"),
        ("yoy(A)", 0, "there is no operation `yoy`", "write pct_change(X, 1 year)"),
        ("yoy(A)", 0, "`yoy`", f"monthly series, write {BY_MONTHS}"),
        ("yoy(resample(X, month, last, partial=true))", 0, "`yoy`", f"write {BY_MONTHS}"),
        ("ch1(resample(A / B, quarter, mean))", 0, "`ch1`", "write diff(resample(A ÷ B, quarter, mean, st"),
        ("yoy(resample(A, week, last))", 0, "`yoy`", "write pct_change(resample(A, week, last), 1 year)"),
        ("yoy(resample(A, month))", 0, "there is no operation `yoy`", None),
        ("sma(A, 14 dyas)", 7, "there is no unit `dyas`", "did you mean `days`?"),
        ("sma(A, 3 hours)", 7, "there is no unit `hours`", "days, weeks, months, quarters, years"),
        ("sma(A, B, 3)", 7, "a window is a number", None),
        ("sma(A, 3, 4)", 10, "at most 2 arguments without a name", "min_periods=4"),
        ("sma(A,250,200)", 10, "at most 2 arguments without a name", "min_periods=200"),
        ("sma(A, 3, months)", 10, "at most 2 arguments without a name", "unit=months"),
        ("sma(A, 3, B / C)", 10, "at most 2 arguments", "unit, tz, min_periods"),
        ("rebase(A, 2015-01-01)", 10, "at most 1 argument without a name", "write at=2015-01-01"),
        ("rebase(A, 2015)", 10, "at most 1 argument without a name", "write at=2015-01-01"),
        ("rebase(A, 100, at=2015-01-01)", 10, "at most 1 argument without a name", "base=100"),
        ("clip(A, -1, 1)", 8, "at most 1 argument without a name", "lower=-1"),
        ("quantile(A, 60, 0.9)", 16, "at most 2 arguments without a name", "q=0.9"),
        ("resample(A, month, mean, start)", 25, "at most 3 arguments without a name", "stamp=start"),
        ("resample(A, month, sum, true)", 24, "at most 3 arguments", "partial=true"),
        ("resample(A, month, sum, 'Asia/Tokyo')", 24, "at most 3 arguments", "tz='Asia/Tokyo'"),
        ("abs(A, 3)", 7, "at most 1 argument without a name", "no other options"),
        ("sma(A, 3, window=4)", 10, "`window` is given twice", None),
        ("sma(A, 3, 'tz'=UTC)", 10, "`tz` is not the name of an option", None),
        ("sma(A, 3 days, tz=Europe/Berlin)", 18, "the value of `tz`", "in quotes"),
        ("max(A, B, 3)", 10, "a number among several operands", "const(3)"),
        ("const(A)", 0, "a constant is one number", "const(3)"),
        ("sma((A, B), 3)", 4, "expected a series", None),
        ("sma(window=3, A)", 14, "an argument without a name follows", "operands come first"),
        ("A + avg(B, scale=2, sma(C, 3))", 20, "an argument without a name follows", "sma(X, window=3)"),
        ("B / sma(3, A)", 8, "the operands come first", "as in sma(X, …)"),
        ("corr(60, A, B)", 5, "the operands come first", "as in corr(X, Y, …)"),
        ("max(3, A)", 4, "the operands come first", "const(3)"),
        ("A * 1_000", 4, "`1_000` is not a number", "1000, 2.5 or 1e-3"),
        ("A * 0x10", 4, "`0x10` is not a number", "digits"),
        ("A * 1,000", 4, "`1,000` is not a number", "write 1000: a number is written with digits"),
        ("A * 1,234,567.5", 4, "`1,234,567.5` is not a number", "write 1234567.5"),
        ("A * 2,500", 4, "`2,500` is not a number", "write 2500"),
        ("(A * 6,5) / 2", 5, "`6,5` is not a number", "write 6.5"),
        ("(A * 6,5,5) / 2", 5, "`6,5,5` is not a number", "digits"),
        ("sma(A * 1,000, 3)", 8, "`1,000` is not a number", "write 1000"),
        ("sma(A * 2,500, 3)", 8, "`2,500` is not a number", "write 2500"),
        ("avg(A * 2,500, B)", 8, "`2,500` is not a number", "write 2500"),
        ("sum(A * 2,3, B)", 10, "a number among several operands", "const(3)"),
        ("A, B", 0, "expected a series", "a comma separates"),
        ("A + const(1e999)", 10, "too large for a float64", None),
        ("A * -1" + "0" * 400, 5, "too large for a float64", None),
        ("A * -1e-400", 5, "too small for a float64", None),
        ("round(A, digits=0.0000001e-330)", 16, "too small for a float64", None),
        ("avg(*A)", 4, "expected a series", None),
        ("A + 3 days", 4, "not a duration", None),
        ("(" * 250 + "A" + ")" * 250, 200, "nested too deep", None),
        ("-" * 2000 + "A", 0, "nested too deep", None),
        ("-" * 5000 + "A", 0, "at most 3,000 signs", None),
        ("A," * 10_001, 20_000, "at most 20,000 words", None),
        ("A" * (MAX_LENGTH + 1), MAX_LENGTH, "at most 400,000 characters", None),
    ],
)
def test_a_text_that_is_not_a_formula_has_a_problem_at_a_position(text, at, problem, hint):
    with pytest.raises(FormulaError) as raised:
        parse_formula(text)
    error = raised.value
    assert problem in error.text
    assert error.start == at
    assert hint is None or hint in (error.hint or "")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("sma(A, 0) / B", "0"),
        ("A + lag(B, 3, max_age_days=2)", "max_age_days=2"),
        ("avg(A, sma(B, 3, units=days))", "units=days"),
        ("sma(A*2,0) / B", "0"),
        ("B / round(A)", "round(A)"),
        ("1 + 2", "2"),
    ],
)
def test_a_problem_of_the_expression_is_at_its_part_of_the_formula(text, part):
    found = parse_formula(text)
    _, problems = check(found.expression)
    assert found.position(path_text(problems[0].path)) == text.index(part)


def test_a_caret_is_below_the_problem_also_in_a_long_formula_of_several_lines():
    text = " +\n".join(f"S{number}" for number in range(100)) + " + sma(A, 0)" + " + B" * 50
    found = parse_formula(text)
    path = next(path for path in found.spans if path.endswith(".window"))
    line, caret = found.pointer(path)
    assert line[caret.index("^")] == "0"
    assert (line[0], line[-1], len(line) <= 76) == ("…", "…", True)


def test_a_formula_of_one_line_is_shown_completely():
    text = f"{'A' * 60} + sma(B, 0) / C"
    line, caret = parse_formula(text).pointer("expressionJson.right.left.window")
    assert (line, line[caret.index("^")]) == (text, "0")


def test_a_path_without_a_position_has_the_position_of_its_node():
    found = parse_formula("A + sma(B, 3)")
    assert found.position("expressionJson.right.no.such[3].part") == 4
    assert found.position("catalog.datasets") == 0
    assert Formula("A +", None, {"": (3, 4)}).pointer("") == ("A +", "   ^")


def test_the_json_of_an_expression_is_short():
    node = parse(ratio(series("A"), {"const": 4.0}, scale=1))
    assert repr(expression_json(node)) == repr(
        {"op": "ratio", "left": {"series_code": "A"}, "right": {"const": 4}}
    )
    zero = {"op": "avg", "operands": [series("A"), {"const": -0.0}]}
    assert repr(expression_json(parse(zero))) == repr(zero)

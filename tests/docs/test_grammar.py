"""docs/grammar.md: the examples, numbers and errors on the page agree with the worker."""

import json
import re
from datetime import UTC, datetime
from typing import Any, get_args

import numpy as np
import pytest

from docs.panel_parts import rates, value
from metrics_tools.describe.formula import formula
from metrics_tools.formulas.parsing import parse_formula
from metrics_worker.errors import ExpressionError, PermanentError
from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.fields import MAX_SERIES_CODE, MAX_WINDOW
from metrics_worker.expression.grammar import MAX_DEPTH, MAX_NODES, children, parse
from metrics_worker.expression.nodes import NODES
from metrics_worker.request import RunRequest, open_record
from metrics_worker.request_check import Bounds, Dataset
from metrics_worker.series import Series
from tests.docs.pages import blocks, rows, section, text_of

PAGE = "docs/grammar.md"
EXAMPLES = re.findall(r"```json\n([^`]*)```\n\n> (.*)\n", text_of(PAGE))
FORMULAS = re.findall(r"^`(.*)`\n\n```json\n([^`]*)```", text_of(PAGE), re.MULTILINE)
EDGE_CASES = rows(section(PAGE, "One rule"))
EVERY_OPERATION = {
    (model.__name__, op)
    for model in NODES.values()
    if "op" in model.model_fields
    for op in get_args(model.model_fields["op"].annotation)
}
REFUSED = rows(section(PAGE, "Errors").partition("\n###")[0])


def expression(text: str) -> Any:
    """Return the parsed JSON of an expression.

    In the text, A and B are short for references to the series A and B.
    """
    return json.loads(re.sub(r"(?<![\"/])\b([AB])\b(?!\")", r'{"series_code": "\1"}', text.strip("`")))


def days_with(cells: list[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the times, in µs since 1970, of the observations in a row of a table.

    Each cell of the row belongs to one day, and the first cell to 1 January 2026, midnight UTC.
    A cell without an observation contains a dot.
    """
    first = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    days = [day for day, cell in enumerate(cells) if cell != "·"]
    return np.array([(first + day * 86_400) * 1_000_000 for day in days], np.int64)


def numbers_in(cells: list[str]) -> list[float]:
    """Return the values of the observations in a row of a table.

    A cell without an observation contains a dot, and `…` at the end of a cell marks omitted digits.
    """
    return [float(cell.rstrip("…")) for cell in cells if cell != "·"]


def series(cells: list[str]) -> Series:
    """Return the series in a row of a table, which has one cell for each day from 1 January 2026 on."""
    return Series(days_with(cells), np.array(numbers_in(cells)))


def without_omitted_digits(values: np.ndarray[Any, Any], cells: list[str]) -> list[float]:
    """Return the values of a series, each with only the digits that a row of a table shows.

    A cell that ends with `…` shows only the first digits of its value.

    Args:
        values: the values of the series.
        cells: the cells of the row.
    """
    shown = [cell for cell in cells if cell != "·"]
    return [
        float(str(value)[: len(cell) - 1]) if cell.endswith("…") else value
        for value, cell in zip(values.tolist(), shown, strict=True)
    ]


def summary(result):
    days = (f"{datetime.fromtimestamp(result.times[i] / 1e6, UTC):%Y-%m-%d}" for i in (0, -1))
    first, last = (f"{result.values[i]:.6g} on {day}" for i, day in zip((0, -1), days, strict=True))
    return f"{len(result):,} observations: {first} … {last}"


def parsed(body: dict[str, Any]) -> Dataset:
    """Parse a request, with all checks that do not read S3, and return the dataset of the request."""
    request = RunRequest.parse(open_record(json.dumps(body), None), Bounds("data", "metrics/", "datasets/"))
    (dataset,) = request.datasets.values()
    return dataset


def operations(node):
    yield type(node).__name__, getattr(node, "op", "")
    for child in children(node):
        yield from operations(child)


def test_every_json_example_on_the_page_has_its_result_below_it():
    assert len(EXAMPLES) == text_of(PAGE).count("```json") >= 45


@pytest.mark.parametrize(("body", "result"), EXAMPLES)
def test_an_example_gives_the_result_on_the_page(body, result):
    assert summary(value(json.loads(body))) == result


@pytest.mark.parametrize("row", EDGE_CASES[2:], ids=lambda row: row[0])
def test_an_expression_gives_the_values_in_the_table(row):
    inputs = {name.strip("`"): series(cells) for name, _, *cells, _ in EDGE_CASES[:2]}
    result = evaluate(parse(expression(row[0])), inputs)
    cells = row[2:-1]
    assert result.times.tolist() == days_with(cells).tolist()
    assert without_omitted_digits(result.values, cells) == numbers_in(cells)


@pytest.mark.parametrize("row", EDGE_CASES, ids=lambda row: row[0])
def test_the_formula_in_the_table_describes_the_expression_and_is_its_formula(row):
    node, text = parse(expression(row[0])), row[1].strip("`")
    assert formula(node) == text
    assert parse(parse_formula(text).expression) == node


@pytest.mark.parametrize(("text", "body"), FORMULAS)
def test_the_formula_above_an_example_describes_the_example_and_is_its_formula(text, body):
    node = parse(json.loads(body))
    assert formula(node) == text
    assert parse(parse_formula(text).expression) == node


def test_every_json_example_on_the_page_has_its_formula_above_it():
    assert [body for _, body in FORMULAS] == [body for body, _ in EXAMPLES]


def test_the_table_has_every_operation():
    shown = {found for row in EDGE_CASES[2:] for found in operations(parse(expression(row[0])))}
    assert shown - {("SeriesRef", ""), ("Constant", "")} == EVERY_OPERATION
    numbers = re.findall(r"There are (\d+) kinds of node and (\d+) operations", text_of(PAGE))[0]
    assert numbers == (str(len(NODES)), str(len(EVERY_OPERATION)))
    assert re.findall(r"(\d+) kinds of node, (\d+) operations", text_of("README.md")) == [numbers]


def test_the_table_of_kinds_has_every_kind_with_its_fields_and_operations():
    without_links = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text_of(PAGE))
    kinds = {kind: fields for kind, fields, _ in rows(without_links)[: len(NODES)]}
    assert set(kinds) == set(NODES)
    for kind, text in kinds.items():
        fields, optional = set(re.findall(r"`(\w+)`", text)), set(re.findall(r"`(\w+)`\?", text))
        model = dict(NODES[kind].model_fields)
        if "all fields of a window_op" in text:
            model = {name: field for name, field in model.items() if name in {"op", "q"}}
        assert fields == set(model), kind
        assert optional == {name for name, field in model.items() if not field.is_required()}, kind
        if "op" in model:
            listed = text.partition("`op`: ")[2].partition(";")[0]
            assert set(listed.split(", ")) == set(get_args(model["op"].annotation)), kind


@pytest.mark.parametrize(("text", "error"), REFUSED)
def test_an_invalid_expression_gives_the_error_on_the_page(text, error):
    with pytest.raises(ExpressionError) as raised:
        parse(expression(text))
    assert f"`{raised.value.message}`" == error


@pytest.mark.parametrize(("change", "error"), rows(section(PAGE, "Errors in the rest of the request")))
def test_an_invalid_request_gives_the_error_on_the_page(change, error):
    body = json.loads(blocks("docs/five-minutes.md", "json")[0]) | json.loads(change.strip("`"))
    with pytest.raises(PermanentError) as raised:
        parsed(body)
    assert f"`{raised.value}`" == error


@pytest.mark.parametrize(
    ("levels", "operands", "problem"),
    [(MAX_DEPTH, 2, "nested more than 32 nodes deep"), (1, MAX_NODES, "more than 512 nodes")],
)
def test_an_expression_that_is_too_large_gives_the_error_on_the_page(levels, operands, problem):
    node: Any = {"series_code": "A"}
    for _ in range(levels):
        node = {"op": "avg", "operands": [node, *({"series_code": "A"} for _ in range(operands - 1))]}
    with pytest.raises(ExpressionError) as raised:
        parse(node)
    assert raised.value.problem == problem
    assert f"`{problem}`" in " ".join(section(PAGE, "Limits").split())


def test_the_bounds_on_the_page_are_those_of_the_grammar():
    text = " ".join(section(PAGE, "Limits").split())
    for bound in (
        f"{MAX_DEPTH} deep",
        f"{MAX_NODES} at most",
        f"1 to {MAX_WINDOW:,}",
        f"{MAX_SERIES_CODE} characters",
    ):
        assert bound in text


def test_the_numbers_in_the_text_are_correct():
    text = " ".join(text_of(PAGE).split())
    dollar, krona = rates()["ECB_USD_EUR_D"], rates()["ECB_ISK_EUR_D"]
    only_dollar = np.setdiff1d(dollar.times, krona.times).size
    assert f"{len(dollar):,} observations on the left, {len(krona):,} on the right" in text
    assert f"the {only_dollar:,} days on which only the dollar was quoted" in text
    assert f"{len(dollar):,} − 19 = {len(dollar) - 19:,}" in text  # noqa: RUF001
    ranges = value(json.loads(EXAMPLES[-1][0])["right"])
    equal = int((ranges.values == 0).sum())
    assert f"On {equal} days all five were the same" in text
    sentence = f"{len(krona):,} observations, less 4 of warm-up, less {equal} divisions by zero"
    assert f"{sentence}, is {len(krona) - 4 - equal:,}" in text


def test_an_add_with_scale_one_half_is_the_average_of_common_times():
    yen, krona = {"series_code": "ECB_JPY_EUR_D"}, {"series_code": "ECB_ISK_EUR_D"}
    strict = value({"op": "add", "left": yen, "right": krona, "scale": 0.5})
    both = np.isin(value({"op": "avg", "operands": [yen, krona]}).times, strict.times)
    assert np.array_equal(value({"op": "avg", "operands": [yen, krona]}).values[both], strict.values)


def monthly(*, last_workdays=False, without=()):
    """Return a series with the number of each month from 2023 to 2026, at month ends or on last workdays."""
    months = np.arange("2023-01", "2027-01", dtype="datetime64[M]")
    next_months = np.arange("2023-02", "2027-02", dtype="datetime64[M]").astype("datetime64[D]")
    ends = np.busday_offset(next_months, -1, roll="forward")
    days = ends if last_workdays else next_months - np.timedelta64(1, "D")
    kept = ~np.isin(months, np.array(without, "datetime64[M]"))
    return Series(days.astype("datetime64[us]").astype(np.int64)[kept], np.arange(1.0, 49)[kept])


def months_of(result):
    return set(result.times.astype("datetime64[us]").astype("datetime64[M]").astype(str).tolist())


def test_the_recipe_for_a_monthly_series_has_every_month_that_the_year_before_has():
    recipe = re.search(r"^`(pct_change\(resample\(X, .*)`$", text_of(PAGE), re.MULTILINE)
    assert recipe
    years = [f"{year}-{month:02}" for year in (2024, 2025, 2026) for month in range(1, 13)]

    def evaluated(text: str, x: Series) -> Series:
        return evaluate(parse(parse_formula(text).expression), {"X": x})

    for is_workday, lost in ((False, {"2025-02"}), (True, {"2024-06", "2024-11", "2025-02", "2025-08"})):
        x = monthly(last_workdays=is_workday)
        by_date = months_of(evaluated("pct_change(X, 1 year)", x))
        assert set(years) - by_date >= lost
        assert is_workday or set(years) - by_date == lost
        result = evaluated(recipe[1], x)
        assert months_of(result) == set(years)
        np.testing.assert_array_equal(result.values, np.arange(13.0, 49) / np.arange(1.0, 37) - 1)
        without = monthly(last_workdays=is_workday, without=["2024-05"])
        assert months_of(evaluated(recipe[1], without)) == {*years} - {"2024-05", "2025-05"}
        counted = evaluated("diff(X, 12)", without).values.tolist()
        assert (counted.count(13.0), counted.count(12.0)) == (12, len(counted) - 12)

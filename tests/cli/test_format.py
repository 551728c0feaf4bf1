"""`metrics format` converts between formulas and JSON, and the other commands accept formulas.

A formula can be an argument, the content of a file, or standard input.
"""

import json
from pathlib import Path

import pytest

from tests.builders import put_a_and_b, ratio, request, series, window
from tests.cli.given import document, file_of, folder_of, metrics

RATIO = ratio(series("A"), window("sma", series("B"), 3), scale=100)
FORMULA = "(A ÷ sma(B, 3)) × 100"  # noqa: RUF001 - as in print


@pytest.fixture
def data(cloud, tmp_path) -> Path:
    """Return a folder that is used as a bucket, with the dataset fx.

    The series A and B of the dataset have ten daily observations each.
    """
    put_a_and_b(cloud.store)
    return folder_of(cloud, tmp_path / "data")


# Conversion


def test_json_becomes_a_formula_and_the_formula_becomes_the_json(tmp_path):
    assert metrics("format", file_of(tmp_path, RATIO)).stdout == f"{FORMULA}\n"
    assert json.loads(metrics("format", FORMULA).stdout) == RATIO
    assert json.loads(metrics("format", "-", stdin=f"{FORMULA}\n").stdout) == RATIO
    assert json.loads(metrics("format", file_of(tmp_path, FORMULA, "my.formula")).stdout) == RATIO


def test_the_formula_of_a_request_is_that_of_its_expression_even_if_other_fields_are_wrong(tmp_path):
    found = metrics("format", file_of(tmp_path, request() | {"catalog": {}}))
    assert (found.stdout, found.exit_code) == ("A ÷ B\n", 0)


def test_a_form_can_be_chosen(tmp_path):
    assert metrics("format", "--to", "formula", "A/sma(B,3)*100").stdout == f"{FORMULA}\n"
    assert json.loads(metrics("format", "--to", "json", file_of(tmp_path, RATIO)).stdout) == RATIO


def test_json_for_programs_has_both_forms():
    assert document("format", FORMULA) == {
        "expressions": [
            {"file": "formula", "record": None, "formula": FORMULA, "expressionJson": RATIO, "problems": []}
        ]
    }
    (found,) = document("format", "smaa(A, 3)")["expressions"]
    assert (found["formula"], found["problems"][0]["position"]) == (None, 0)


def test_an_invalid_expression_is_not_converted(tmp_path):
    found = metrics("format", "A + sma(B, 0)")
    assert (found.exit_code, found.stdout) == (1, "")
    assert "    A + sma(B, 0)\n               ^\n" in found.stderr
    assert metrics("format", file_of(tmp_path, window("smaa", series("A"), 3))).exit_code == 1
    assert metrics("format", "none.json").exit_code == 2


def test_a_number_that_no_float64_can_hold_is_named_as_it_is_written(tmp_path):
    found = metrics("format", "A * 1e400")
    assert (found.exit_code, found.stdout) == (1, "")
    assert "    A * 1e400\n        ^\n" in found.stderr
    assert "the number is too large for a float64, whose largest value is 1.797" in found.stderr
    assert "Infinity" not in found.stderr
    path = tmp_path / "large.json"
    path.write_text('{"op": "multiply", "left": {"series_code": "A"}, "right": {"const": 1e400}}')
    assert "the number 1e400 is too large for a float64" in metrics("format", path).stderr


# Other commands


@pytest.mark.parametrize("command", ["validate", "explain"])
def test_a_mistake_has_a_caret_below_it_and_a_position_in_json(command):
    found = metrics(command, "A + smaa(B, 3)")
    assert found.exit_code == 1
    assert "  error  the formula\n    A + smaa(B, 3)\n        ^\n" in found.stdout
    assert "there is no operation `smaa`\n    did you mean `sma`?" in found.stdout
    (read,) = document(command, "A + sma(B, 3, unitt=days)")["requests"]
    (problem,) = read["problems"]
    assert (problem["path"], problem["position"]) == ("expressionJson.right.unitt", 14)
    assert problem["suggestion"] == "did you mean `unit`?"


def test_a_series_that_does_not_exist_is_pointed_out(data):
    found = metrics("validate", "A / sma(C, 3)", "--folder", data).stdout
    assert "    A / sma(C, 3)\n            ^\n" in found


def test_a_formula_is_computed(data):
    (found,) = document("run", "A / sma(B, 3) * 100", "--folder", data)["runs"]
    assert (found["metric_code"], found["outcome"]) == ("formula", "SUCCESS")
    printed = metrics("run", "A / sma(B, 3) * 100", "--folder", data)
    assert (FORMULA in printed.stdout, printed.exit_code) == (True, 0)


@pytest.mark.parametrize("text", ["A + smaa(B, 3)", "A + sma(B, 0)", "A + lag(B 3)"])
def test_a_formula_that_is_not_valid_is_not_computed(data, text):
    found = metrics("run", text, "--folder", data)
    assert found.exit_code == 2
    assert f"  {text}\n" in found.stderr
    assert "^" in found.stderr


@pytest.mark.parametrize(
    "text",
    ["A + smaa(B, 3)", "A + sma(B, 0)", "A + sma(B)", "A + lag(B 3)", "A + sma(B, 3, unitt=days)", "AA / B"],
)
def test_a_run_prints_the_same_problems_as_validate(data, text):
    validated = metrics("validate", text, "--folder", data).stdout.splitlines()
    problems = validated[1 : validated.index("1 error, 0 warnings")]
    run = metrics("run", text, "--folder", data)
    assert run.exit_code == (1 if text == "AA / B" else 2)
    assert "\n".join(problems) in run.stdout + run.stderr
    compared = metrics("compare", text, "A / B", "--folder", data)
    assert compared.exit_code == 2
    assert "\n".join(problems) in compared.stderr


def test_a_run_of_an_invalid_expression_in_json_prints_the_problems_of_the_expression_alone(data, tmp_path):
    path = file_of(tmp_path, {"op": "sma", "series": series("A"), "windw": 3})
    found = metrics("run", path, "--folder", data)
    assert found.exit_code == 1
    assert (
        "  error  expressionJson.windw\n    a window_op has no field `windw`\n    found 3\n" in found.stdout
    )
    assert "did you mean `window`?" in found.stdout
    assert found.stdout.count("  error  ") == 1


def test_a_formula_without_a_location_is_in_the_command_that_the_error_suggests():
    found = metrics("run", "sma(A, 3)")
    assert found.exit_code == 2
    assert "metrics run 'sma(A, 3)' --demo" in found.stderr


def test_a_run_suggests_a_currency_of_the_demo_data_for_a_misspelled_code():
    found = metrics("run", "ECB_USD_EUR_D / ECB_GBPP_EUR_D", "--demo")
    assert found.exit_code == 1
    assert "                    ^\n" in found.stdout
    assert "did you mean `ECB_GBP_EUR_D`?" in found.stdout


def test_two_formulas_are_compared(data):
    assert document("compare", "A / B", "ratio(A, B)", "--folder", data)["same"]
    assert not document("compare", "A / B", "A / B * 2", "--folder", data)["same"]


def test_the_demo_data_has_the_currencies_of_a_formula():
    (found,) = document("run", "ECB_NOK_EUR_D / ECB_USD_EUR_D", "--demo")["runs"]
    assert found["outcome"] == "SUCCESS"


@pytest.mark.parametrize("name", ["none.json", "a-b/none.json", "my file (2).json", "none.yaml"])
def test_the_name_of_a_missing_file_is_not_a_formula(name):
    found = metrics("validate", name)
    assert (found.exit_code, found.stderr) == (2, f"{name}: No such file or directory.\n")


@pytest.mark.parametrize("left", ["A", "DE.UNEMP"])
def test_an_argument_with_a_minus_may_be_a_series_or_a_difference(left):
    error = metrics("format", f"{left}-B").stderr
    difference = f"that of a difference has blanks around the minus: '{left} - B'"
    assert f"""in quotation marks: '"{left}-B"'; {difference}""" in error


@pytest.mark.parametrize("text", ["A x 100", "A X B", "A · 100", "A : B"])
def test_a_sign_that_is_no_operator_is_explained(text):
    found = metrics("validate", text)
    assert found.exit_code == 1
    assert f"    {text}\n      ^\n" in found.stdout
    assert "is written " in found.stdout


def test_a_single_word_is_the_name_of_a_file_and_in_quotes_a_series():
    missing = metrics("validate", "ECB")
    assert missing.exit_code == 2
    assert "'\"ECB\"'" in missing.stderr
    assert metrics("validate", '"ECB"').exit_code == 0


def test_the_expression_of_a_test_may_be_a_formula(tmp_path):
    text = (
        "tests:\n- name: it\n  series: {A: {2026-01-30: 6}, B: {2026-01-30: 2}}\n  expression: A / B * 100\n"
        "  expect: {observations: {2026-01-30: 300}}\n"
    )
    assert metrics("test", file_of(tmp_path, text, "a.test.yaml")).exit_code == 0
    (found,) = document("test", file_of(tmp_path, text.replace("A / B", "A / smaa(B, 3)"), "b.test.yaml"))[
        "files"
    ]
    (problem,) = found["problems"]
    assert problem["path"] == "tests[0].expression"
    assert "in the test `it`: not a formula: there is no operation `smaa`, column 5" in problem["text"]
    assert problem["suggestion"] == "did you mean `sma`?"

"""Tests of `metrics test`: the forms of its files, comparisons, messages, and exit codes."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.builders import request
from tests.cli.given import BOXES, as_process, document, file_of, metrics

A, RATIO = {"series_code": "A"}, {"op": "ratio", "left": {"series_code": "A"}, "right": {"series_code": "B"}}
DAYS = {"2026-01-01": 1, "2026-01-02": 2}


def one_test(expect: Any, expression: Any = A, /, **fields: Any) -> dict[str, Any]:
    """Return the JSON content of a file with one test of a metric, whose series A has the values 1 and 2.

    Args:
        expect: the value of the field `expect`, such as a dict from dates to values.
        expression: the JSON of the expression; by default, the series A.
        fields: further fields of the test.
    """
    found = {"name": "it", "series": {"A": DAYS}, "expression": expression, "expect": expect}
    return {"tests": [found | fields]}


def outcome(tmp_path: Path, content: Any, name: str = "my.test.json") -> Any:
    """Run a file with one test of a metric, and return the JSON object with the outcome of this test.

    Args:
        tmp_path: the folder in which the file is created.
        content: the content of the file, as text or JSON.
        name: the name of the file.
    """
    (found,) = document("test", file_of(tmp_path, content, name))["files"]
    assert found["problems"] == []
    return found["tests"][0]


def problems(tmp_path: Path, content: Any, name: str = "my.test.json") -> dict[str, str]:
    """Run an invalid file of tests, and return a dict from the JSON path of each problem to its text.

    Args:
        tmp_path: the folder in which the file is created.
        content: the content of the file, as text or JSON.
        name: the name of the file.
    """
    file = file_of(tmp_path, content, name)
    assert metrics("test", file).exit_code == 2
    (found,) = document("test", file)["files"]
    return {problem["path"]: problem["text"] for problem in found["problems"]}


# Forms of observations, and times


@pytest.mark.parametrize(
    "form",
    [
        "{2026-01-01: 1, 2026-01-02T00:00: 2}",
        "{2026-01-01T00:00:00Z: 1, '2026-01-02 02:00+02:00': 2.0, 2026-01-03: _}",
        "[[2026-01-02, 2], [2026-01-01, 1], [2026-01-03, null]]",
        "{start: 2026-01-01, every: day, values: [1, 2, _, ~]}",
        "{start: 2026-01-01, every: business day, values: [1e0, 0.2e+1]}",
    ],
)
def test_the_forms_of_observations_have_one_meaning(tmp_path, form):
    text = f"tests:\n- name: it\n  series: {{A: {form}}}\n  expression: {{series_code: A}}\n"
    text += "  expect: {observations: [[2026-01-01, 1], [2026-01-02, 2]]}\n"
    assert outcome(tmp_path, text, "my.test.yaml")["passed"]


@pytest.mark.parametrize(
    ("every", "dates"),
    [
        ("day", ["2026-01-30", "2026-01-31", "2026-02-01"]),
        ("business day", ["2026-01-30", "2026-02-02", "2026-02-03"]),
        ("week", ["2026-01-30", "2026-02-06", "2026-02-13"]),
        ("month", ["2026-01-30", "2026-02-28", "2026-03-30"]),
        ("quarter", ["2026-01-30", "2026-04-30", "2026-07-30"]),
        ("year", ["2026-01-30", "2027-01-30", "2028-01-30"]),
    ],
)
def test_the_dates_of_regular_observations(tmp_path, every, dates):
    series = {"A": {"start": "2026-01-30", "every": every, "values": [1, 2, 3]}}
    expect = {"observations": dict(zip(dates, [1, 2, 3], strict=True))}
    assert outcome(tmp_path, one_test(expect, series=series))["passed"]


def test_times_without_an_offset_are_in_the_zone_of_the_test_and_shown_in_it(tmp_path):
    series = {"A": {"start": "2026-03-28", "every": "day", "values": [1, 2, 3]}}
    expect = {"observations": {"2026-03-27T23:00Z": 1, "2026-03-28T23:00Z": 2, "2026-03-29T22:00Z": 4}}
    found = outcome(tmp_path, one_test(expect, series=series, tz="Europe/Madrid"))
    assert found["differences"] == [{"time": "2026-03-30", "expected": 4.0, "actual": 3.0}]


def test_yaml_scalars_have_the_types_of_json(tmp_path):
    text = "tests:\n- name: on\n  series: {no: {2026-01-01: 010}, 1_0: {2026-01-01: -1e-9}}\n"
    text += "  expression: {op: sum, operands: [{series_code: no}, {series_code: 1_0}]}\n"
    text += "  expect: {observations: {2026-01-01: 10}, tolerance: {relative: 1e-8}}\n"
    assert outcome(tmp_path, text, "my.test.yaml")["passed"]


# Comparison


@pytest.mark.parametrize(
    ("actual", "expected", "tolerance", "passed"),
    [
        (1.0, 1.0 + 0.9e-9, {}, True),
        (1.0, 1.0 + 1.1e-9, {}, False),
        (1e-300, 0.0, {}, False),
        (1e-12, 0.0, {"absolute": 1e-12}, True),
        (100, 101, {"relative": 0.01}, True),
        (100, 98, {"relative": 0.01}, False),
        (100, 98, {"absolute": 2, "relative": 0}, True),
    ],
)
def test_a_value_may_differ_by_the_tolerance(tmp_path, actual, expected, tolerance, passed):
    expect = {"observations": {"2026-01-01": expected}, "tolerance": tolerance}
    content = one_test(expect, series={"A": {"2026-01-01": actual}})
    assert outcome(tmp_path, content)["passed"] is passed


@pytest.mark.parametrize(
    ("expect", "differences"),
    [
        ({"observations": DAYS}, []),
        ({"observations": DAYS, "none": ["2026-01-03"]}, []),
        ({"observations": {"2026-01-01": 1}}, [("2026-01-02", None, 2)]),
        ({"observations": {"2026-01-01": 1}, "others": "allow"}, []),
        ({"none": ["2026-01-03"], "others": "allow"}, []),
        ({"none": ["2026-01-02"], "others": "allow"}, [("2026-01-02", None, 2)]),
        ({"observations": {"2026-01-02": None}, "others": "allow"}, [("2026-01-02", None, 2)]),
        ({"observations": DAYS | {"2026-01-03T09:30": 3}}, [("2026-01-03 09:30:00", 3, None)]),
        ({"observations": {}}, [("2026-01-01", None, 1), ("2026-01-02", None, 2)]),
    ],
)
def test_every_difference_is_reported(tmp_path, expect, differences):
    found = outcome(tmp_path, one_test(expect))
    assert [tuple(each.values()) for each in found["differences"]] == differences
    assert found["passed"] is not differences or not differences


# Checks of the result


@pytest.mark.parametrize(
    ("expect", "failure"),
    [
        ({"checks": {"min_rows": 2, "between": [1, 2], "max_change": "100%"}}, ""),
        (
            {"checks": {"min_rows": 3, "between": [1, 1.5]}},
            (
                "min_rows: 2 observations found, and at least 3 expected; "
                "between: 1 observation of 2 is outside 1 to 1.5: 2.0 on 2026-01-02"
            ),
        ),
        (
            {"observations": {"2026-01-01": 1}, "checks": {"max_change": 0.5}},
            (
                "the result differs at 1 time; "
                "max_change: 1 observation differs from the preceding one by more than 0.5: "
                "2.0 on 2026-01-02 after 1.0"
            ),
        ),
    ],
)
def test_a_result_can_be_checked(tmp_path, expect, failure):
    assert outcome(tmp_path, one_test(expect))["failure"] == failure


# Errors of expressions and requests

WRONG = {"op": "ratios", "left": A, "right": A}


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ({"code": "EXPRESSION_EVAL_ERROR"}, ""),
        ({"text": "expressionJson.op"}, ""),
        ({"code": "EXPRESSION_EVAL_ERROR", "text": "found 'ratios'"}, ""),
        ({"code": "CONFIG_ERROR"}, "expected the error code CONFIG_ERROR, found EXPRESSION_EVAL_ERROR: "),
        ({"text": "window"}, "expected an error with the text 'window', found EXPRESSION_EVAL_ERROR: "),
    ],
)
def test_an_expected_error(tmp_path, error, failure):
    found = outcome(tmp_path, one_test({"error": error}, WRONG))
    assert found["failure"].startswith(failure)
    assert found["passed"] is not failure or not failure


def test_an_error_that_does_not_occur_and_an_error_that_is_not_expected(tmp_path):
    found = outcome(tmp_path, one_test({"error": {"code": "CONFIG_ERROR"}}))
    assert found["failure"] == "an error was expected, but the result has 2 observations"
    found = outcome(tmp_path, one_test({"observations": DAYS}, WRONG))
    assert found["failure"].startswith("EXPRESSION_EVAL_ERROR: expressionJson.op: ")


def test_a_request_is_checked_as_the_worker_checks_it(tmp_path):
    (tmp_path / "requests").mkdir()
    file_of(tmp_path, request(), "requests/my.json")
    content = one_test({"observations": {"2026-01-01": 0.5}}, request="requests/my.json")
    del content["tests"][0]["expression"]
    content["tests"][0]["series"]["B"] = {"2026-01-01": 2}
    assert outcome(tmp_path, content)["passed"]
    file_of(tmp_path, request() | {"output": {"basePath": "s3://bucket/other/"}}, "requests/my.json")
    assert outcome(tmp_path, content)["failure"].startswith("CONFIG_ERROR: output.basePath: ")
    file_of(tmp_path, RATIO, "requests/my.json")
    assert outcome(tmp_path, content)["passed"]


# Files that are not valid


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tests: [\n", "not YAML: "),
        ("tests: \x00", "not YAML: unacceptable character #x0000"),
        ("tests: " + "9" * 5000, "not YAML: Exceeds the limit"),
        ("tests:\n- name: it\n  name: it\n", "not YAML: the key name occurs twice, line 3, column 3"),
        ("tests: !!python/object/apply:os.getcwd []", "not YAML: could not determine a constructor"),
        ("a: 1\n---\nb: 2\n", "not YAML: "),
        ("[" * 1000, "not YAML: nested too deep to be read"),
        ("", "a file with tests has the field `tests`, a list"),
        ("- 3", "a file with tests has the field `tests`, a list"),
    ],
)
def test_text_that_is_not_a_file_with_tests_is_reported(tmp_path, text, problem):
    (found,) = problems(tmp_path, text, "my.test.yaml").values()
    assert found.startswith(problem)


def test_json_has_the_messages_of_metrics_validate(tmp_path):
    assert "not JSON: " in problems(tmp_path, '{"tests": [}')[""]
    assert "twice" in problems(tmp_path, '{"tests": [], "tests": []}')["tests"]


def test_an_unknown_time_zone_has_the_suggestion_of_metrics_validate(tmp_path):
    expect = {"error": {"code": "X"}}
    test = {"name": "t", "tz": "Madrid", "expression": {"series_code": "A"}, "expect": expect}
    (file,) = document("test", file_of(tmp_path, {"tests": [test]}, "my.test.json"))["files"]
    assert [problem["suggestion"] for problem in file["problems"]] == ["did you mean `Europe/Madrid`?"]


@pytest.mark.parametrize(
    ("fields", "path", "text"),
    [
        ({"expects": {}}, "expects", "there is no field `expects` here"),
        ({"expect": {}}, "expect", "give `observations`, times with `none`, `checks`, or an `error`"),
        ({"expect": {"error": {}}}, "expect.error", "give the `code` of the error"),
        ({"expect": {"error": {"code": "X"}, "others": "allow"}}, "expect", "an expected `error` excludes"),
        ({"request": "a.json"}, "", "give either an `expression` or the file of a `request`"),
        ({"tz": "Madrid"}, "tz", "a time zone has an IANA name, such as America/Argentina/Buenos_Aires"),
        ({"series": {"A": {"2026-02-30": 1}}}, "series.A.2026-02-30", "a time is written 2026-01-31"),
        ({"series": {"A": [[20260101, 1]]}}, "series.A[0][0]", "a time is written 2026-01-31"),
        ({"series": {"A": {"2026-01-01": True}}}, "series.A.2026-01-01", "a value is a finite number"),
        ({"series": {"A": {"2026-01-01": 10**400}}}, "series.A.2026-01-01", "a value is a finite number"),
        ({"series": {"A": {"2026-01-01": float("nan")}}}, "series.A.2026-01-01", "a value is a finite"),
        ({"series": {"A": 3}}, "series.A", "observations are {time: value, …}"),
        (
            {"series": {"A": {"start": "2026-01-01", "values": [1]}}},
            "series.A.every",
            "the field `every` is missing",
        ),
        (
            {"series": {"A": {"start": "2026-01-03", "every": "business day", "values": [1]}}},
            "",
            "series.A: `start` is on a weekend",
        ),
        (
            {"series": {"A": {"start": "9998-12-31", "every": "day", "values": [1, 2]}}},
            "",
            "series.A: 9999-01-01 00:00:00 is not in the years 2 to 9998",
        ),
        ({"series": {"A": [["2026-01-01", 1], ["2026-01-01T00:00Z", 2]]}}, "", "series.A: the time"),
        ({"expect": {"observations": DAYS, "none": ["2026-01-01"]}}, "", "expect.none: 2026-01-01"),
        ({"series": {"A": {"0001-01-01": 1}}}, "", "series.A: 0001-01-01 00:00:00 is not in the years"),
        ({"series": {"AA": DAYS}}, "series", "the expression reads `A`, not in `series`"),
    ],
)
def test_a_problem_has_the_name_of_the_test_and_its_path(tmp_path, fields, path, text):
    (found,) = problems(tmp_path, one_test({"observations": DAYS}, **fields)).items()
    assert found[0] == f"tests[0].{path}".removesuffix(".")
    assert found[1].startswith(f"in the test `it`: {text}")


def test_an_expression_that_contains_itself_is_too_deep(tmp_path):
    text = "tests:\n- name: it\n  expression: &e {op: sma, series: *e, window: 3}\n"
    text += "  expect: {error: {text: nested more than 32 nodes deep}}\n"
    assert outcome(tmp_path, text, "my.test.yaml")["passed"]


def test_a_request_that_cannot_be_read_is_a_problem_and_other_tests_run(tmp_path):
    content = one_test({"observations": DAYS}, None, request="none.json")
    content["tests"].append(one_test({"observations": {}}, name="other")["tests"][0])
    found = document("test", file_of(tmp_path, content))
    assert (found["invalid_files"], found["tests"], found["failed"]) == (1, 1, 1)
    assert found["files"][0]["problems"][0]["path"] == "tests[0].request"
    events = {"Records": [{"body": json.dumps(request())}] * 2}
    file_of(tmp_path, events, "none.json")
    assert "contains 2 requests" in problems(tmp_path, content)["tests[0].request"]


def test_two_tests_with_one_name_are_a_problem(tmp_path):
    content = {"tests": one_test({"observations": DAYS})["tests"] * 2}
    assert "two tests have the name 'it'" in problems(tmp_path, content)[""]


# Output and exit codes


def test_exit_codes_of_passed_failed_and_invalid_files(tmp_path):
    good = file_of(tmp_path, one_test({"observations": DAYS}), "good.json")
    bad = file_of(tmp_path, one_test({"observations": {}}), "bad.json")
    codes = [
        metrics("test", *files).exit_code for files in ([good], [good, bad], [bad, tmp_path / "no", good])
    ]
    assert codes == [0, 1, 2]


def test_the_text_shows_a_table_of_differences_without_boxes(tmp_path):
    file = file_of(tmp_path, one_test({"observations": {"2026-01-01": 1.5, "2026-01-03": 3}}), "my.json")
    found = as_process("test", file)
    assert (found.returncode, found.stderr) == (1, "")
    assert not set(found.stdout) & set(BOXES + "\x1b")
    lines = [" ".join(line.split()) for line in found.stdout.splitlines()[1:]]
    assert lines == [
        "failed it",
        "the result differs at 3 times",
        "time expected actual difference",
        "2026-01-01 1.5 1.0 -0.5",
        "2026-01-02 none 2.0 -",
        "2026-01-03 3.0 none -",
        "1 test in 1 file: 0 passed, 1 failed",
    ]


def test_of_many_differences_the_text_shows_20_and_the_json_all(tmp_path):
    series = {"A": {"start": "2026-01-01", "every": "day", "values": list(range(30))}}
    file = file_of(tmp_path, one_test({"observations": {}}, series=series))
    assert "and 10 more: --json shows all" in metrics("test", file).stdout
    assert len(document("test", file)["files"][0]["tests"][0]["differences"]) == 30


def test_the_junit_report_is_xml_with_a_test_case_for_each_test(tmp_path):
    good = file_of(tmp_path, one_test({"observations": DAYS}, name="a < b \x00\ufffe\n & c"), "good.json")
    bad = file_of(tmp_path, one_test({"observations": {"2026-01-01": 1}}), "bad.json")
    wrong = file_of(tmp_path, "{}", "wrong.json")
    report = tmp_path / "report.xml"
    assert metrics("test", good, bad, wrong, "--junit", report).exit_code == 2
    suites = ET.parse(report).getroot().findall("testsuite")
    assert [(suite.get("tests"), suite.get("failures"), suite.get("errors")) for suite in suites] == [
        ("1", "0", "0"),
        ("1", "1", "0"),
        ("1", "0", "1"),
    ]
    cases = [suite.findall("testcase") for suite in suites]
    assert [len(each) for each in cases] == [1, 1, 1]
    assert cases[0][0].get("name") == "a < b \\u0000\\ufffe\\n & c"
    assert cases[1][0].findtext("failure") == "2026-01-02: expected none, found 2.0"
    assert cases[2][0].findtext("error") == "tests: the field `tests` is missing"


def test_a_junit_report_that_cannot_be_written_is_reported(tmp_path):
    file = file_of(tmp_path, one_test({"observations": DAYS}))
    found = metrics("test", file, "--junit", tmp_path / "none" / "report.xml")
    assert (found.exit_code, "No such file or directory" in found.stderr) == (2, True)


def test_a_file_that_cannot_be_read_is_not_called_invalid(tmp_path):
    good, missing = file_of(tmp_path, one_test({"observations": DAYS})), tmp_path / "none.yaml"
    found = metrics("test", good, missing, tmp_path)
    assert found.exit_code == 2
    assert found.stdout.splitlines() == [
        f"{good}  1 passed",
        f"{missing}  not read: No such file or directory",
        f"{tmp_path}  not read: Is a directory",
        "1 test in 3 files: 1 passed, 0 failed, 2 files not read",
    ]
    assert [one["problems"] for one in document("test", missing)["files"]] == [
        [
            {
                "path": "",
                "text": "No such file or directory",
                "found": None,
                "allowed": None,
                "suggestion": None,
                "severity": "error",
            }
        ]
    ]


def test_the_help_has_examples_and_exit_codes():
    shown = metrics("test", "--help").stdout
    assert all(
        said in shown for said in ("metrics test my.test.yaml", "--junit", "--json", "Exit: 0 all passed")
    )

"""`metrics validate` accepts files of every kind, and its output has text for people or JSON for programs."""

import json
import os
import re
from pathlib import Path

import pytest

from metrics_tools.validate.contract import OPERATIONS
from tests.builders import (
    envelope,
    put_a_and_b,
    ratio,
    record,
    request,
    series,
    window,
)
from tests.cli.given import (
    BOXES,
    ROOT,
    as_process,
    described,
    document,
    file_of,
    folder_of,
    metrics,
    on_terminal,
    problems_of,
)

A, B = series("A"), series("B")


@pytest.fixture
def data(cloud, tmp_path) -> Path:
    """Return a folder that is used as a bucket, with the dataset fx.

    The series A and B of the dataset have ten daily observations each.
    """
    put_a_and_b(cloud.store)
    return folder_of(cloud, tmp_path / "data")


# Files


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "the file is empty"),
        ('{"a": 1,}', "there is a comma too many"),
        ("{'a': 1}", "JSON has double quotes only"),
        ('{"a": 1 // b\n}', "JSON has no comments"),
        ('{"a": True}', "JSON writes true, false and null"),
        ('{"a": [1', "the end is missing"),
        ("hello", "is it the right file?"),
        ("\ufeff{}", "byte order mark"),
    ],
)
def test_invalid_json_is_reported_with_its_line_and_a_suggestion(tmp_path, text, hint):
    (problem,) = problems_of(tmp_path, text)
    assert problem["text"].startswith("not JSON: ")
    assert hint in problem["suggestion"]


def test_a_formula_in_a_json_file_is_recognised(tmp_path):
    (problem,) = problems_of(tmp_path, "sma(A, 3) / A\n")
    assert problem["text"] == "not JSON: it looks like a formula"
    assert problem["found"] == '"sma(A, 3) / A"'
    assert "a formula is read from" in problem["suggestion"]
    assert f"{tmp_path / 'my.formula'}, or as an argument" in problem["suggestion"]


def test_a_json_number_that_float64_rounds_to_0_is_a_warning(tmp_path):
    node = '{"op": "multiply", "left": {"series_code": "A"}, "right": {"const": %s}}'
    (problem,) = problems_of(tmp_path, node % "-1e-400")
    assert problem["severity"] == "warning"
    assert problem["text"] == "the number -1e-400 is too small for a float64, and the worker reads it as 0"
    assert problems_of(tmp_path, node % "0e-400") == problems_of(tmp_path, node % "5e-324") == []


def test_the_line_with_the_json_error_is_shown(tmp_path):
    (problem,) = problems_of(tmp_path, '{\n  "a": 1,\n  b: 2\n}')
    assert "line 3, column 3" in problem["text"]
    assert problem["found"] == '"b: 2"'


@pytest.mark.parametrize("value", [[], 3, "x", None, [{"op": "sma"}]])
def test_json_that_is_not_an_object_is_reported(tmp_path, value):
    (problem,) = problems_of(tmp_path, json.dumps(value))
    assert problem["text"] == "a request is a JSON object"


def test_brackets_without_end_are_reported(tmp_path):
    (problem,) = problems_of(tmp_path, "[" * 200_000)
    assert "nested too deep" in problem["text"]


def test_a_file_that_is_not_text_is_reported(tmp_path):
    file = tmp_path / "my.json"
    file.write_bytes(b"PAR1\xff\x00")
    (found,) = document("validate", file)["requests"]
    assert "not UTF-8: byte 4 is 0xff" in found["problems"][0]["text"]


def test_of_an_event_every_record_is_validated(tmp_path):
    bad = request() | {"expressionType": "series"}
    event = {"Records": [record(request()), record(envelope(bad)), {"messageId": "x"}, 7]}
    found = document("validate", file_of(tmp_path, event))["requests"]
    assert [(of["record"], of["valid"]) for of in found] == [(0, True), (1, False), (2, False), (3, False)]
    assert [of["problems"][0]["path"] for of in found[1:]] == [
        "expressionType",
        "Records[2].body",
        "Records[3]",
    ]


@pytest.mark.parametrize("records", [[], {}, None])
def test_an_event_without_records_is_reported(tmp_path, records):
    (problem,) = problems_of(tmp_path, {"Records": records})
    assert problem["path"] == "Records"


def test_standard_input_is_a_file_too():
    found = metrics("validate", "-", stdin=json.dumps(request()))
    assert (found.exit_code, "ratio.a_to_b = A ÷ B" in found.stdout) == (0, True)


def test_every_sample_request_is_valid_except_those_that_must_fail():
    files = sorted((ROOT / "events").glob("*.json"))
    found = document("validate", *files, "--demo")["requests"]
    assert {of["file"].rpartition("/")[2] for of in found if not of["valid"]} == {
        "fails-no-such-series.json",
        "fails-throttled.json",
    }
    assert {len(of["problems"]) for of in found if of["valid"]} == {0}


@pytest.mark.parametrize("command", ["validate", "explain"])
def test_the_demo_data_has_every_currency_of_the_ecb_that_a_request_names(command):
    (found,) = document(command, "lag(ECB_NOK_EUR_D, 1)", "--demo")["requests"]
    assert (found["valid"], found["problems"]) == (True, [])


def test_a_missing_file_exits_with_2_and_the_other_files_are_validated(tmp_path):
    found = metrics("validate", tmp_path / "none.json", file_of(tmp_path, request()))
    assert found.exit_code == 2
    assert "none.json: No such file or directory." in found.stderr
    assert "valid; its inputs were not read (add --demo, --folder or --bucket" in found.stdout


def test_two_locations_exit_with_2(tmp_path, data):
    assert metrics("validate", file_of(tmp_path, request()), "--folder", data, "--demo").exit_code == 2


def test_an_invalid_setting_exits_with_2(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKER_MAX_ROWS", "many")
    found = metrics("validate", file_of(tmp_path, request()))
    assert (found.exit_code, "WORKER_MAX_ROWS" in found.stderr) == (2, True)


def test_without_a_place_the_bucket_is_the_one_that_the_request_names(tmp_path, data):
    event = request(output={"basePath": "s3://production/metrics/ratio.a_to_b/"})
    event["catalog"]["datasets"]["fx"]["manifestPath"] = (
        "s3://production/datasets/fx/versions/v1/manifest.json"
    )
    assert problems_of(tmp_path, event) == []
    assert set(described(problems_of(tmp_path, event, "--folder", data))) == {
        "output.basePath",
        "catalog.datasets.fx.manifestPath",
    }


# Output as JSON and as text


def test_the_document_for_machines(tmp_path):
    found = document("validate", file_of(tmp_path, request(window("smaa", A, 3), kind="window_op")))
    assert (found["valid"], found["errors"], found["warnings"], found["unreadable"]) == (False, 1, 0, [])
    (of_request,) = found["requests"]
    assert of_request["metric"] == "ratio.a_to_b"
    assert of_request["problems"][0] == {
        "path": "expressionJson.op",
        "text": '"smaa" is not an operation of a window_op',
        "found": '"smaa"',
        "allowed": ", ".join(OPERATIONS["window_op"]),
        "suggestion": "did you mean `sma`?",
        "severity": "error",
    }


def test_as_a_process_with_pipes_it_writes_no_colour_and_no_boxes_and_wraps_nothing(tmp_path):
    file = file_of(
        tmp_path, request({"op": "avg", "operands": [A, {"op": "x" * 70, "operands": [A, B]}]}, kind="series")
    )
    found = as_process("validate", file)
    assert (found.returncode, found.stderr) == (1, "")
    assert not set(found.stdout) & set(BOXES + "\x1b")
    assert "    it says series, but the expression is a composite\n" in found.stdout
    assert "1 warning" not in found.stdout
    assert found.stdout.endswith("2 errors, 0 warnings\n")


def test_on_a_narrow_terminal_no_line_is_longer_than_it(tmp_path):
    code = "ECB_" + "USD_" * 30 + "D"
    file = file_of(tmp_path, request(ratio(series(code), "B"), inputs={code: "fx"}))
    written = on_terminal("validate", os.path.relpath(file, ROOT), columns=60)
    assert "\x1b[" in written, "it is a terminal, with colours"
    plain = re.sub(r"\x1b\[[0-9;]*m", "", written)
    assert max(map(len, plain.splitlines())) <= 60


def test_control_characters_are_escaped_on_a_terminal(tmp_path):
    event = request(ratio(A, {"op": "\u202e\x1b[31m[red]", "left": A, "right": B}))
    found = metrics("validate", file_of(tmp_path, event))
    assert found.exit_code == 1
    assert '"\\u202e\\u001b[31m[red]" is not an operation' in found.stdout


def test_of_many_problems_the_text_shows_50_and_the_json_all(tmp_path):
    event = request(inputs={})
    event["inputs"] = [3] * 400
    shown = metrics("validate", file_of(tmp_path, event)).stdout
    assert "and 350 more: metrics validate --json shows all" in shown
    assert len(problems_of(tmp_path, event)) == 400


def test_help_has_examples_and_every_option():
    shown = metrics("validate", "--help").stdout
    for said in (
        "metrics validate my.json",
        "--bucket",
        "--folder",
        "--demo",
        "--manifest",
        "--strict",
        "--json",
    ):
        assert said in shown

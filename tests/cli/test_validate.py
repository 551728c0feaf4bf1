"""`metrics validate`: what is wrong, where, what is allowed, what was meant; for people and for machines."""

import json
import os
import re

import pytest

from tests.builders import (
    day,
    envelope,
    put_a_and_b,
    put_dataset,
    ratio,
    record,
    request,
    rows,
    series,
    window,
)
from tests.cli.given import BOXES, ROOT, as_process, document, file_of, folder_of, metrics, on_terminal

A, B = series("A"), series("B")


@pytest.fixture
def data(cloud, tmp_path):
    """A folder with dataset fx: A and B, ten days each."""
    put_a_and_b(cloud.store)
    return folder_of(cloud, tmp_path / "data")


def problems_of(tmp_path, value, *arguments):
    (found,) = document("validate", file_of(tmp_path, value), *arguments)["requests"]
    return found["problems"]


def told(problems):
    """Each problem by its path: the text and the suggestion."""
    return {problem["path"]: f"{problem['text']} ({problem['suggestion']})" for problem in problems}


# Expressions


@pytest.mark.parametrize(
    ("expression", "path", "said"),
    [
        (window("smaa", A, 3), ".op", '"smaa" is no operation of a window_op (did you mean `sma`?)'),
        (window("mean", A, 3), ".op", "did you mean `sma`?"),
        (window("ratio", A, 3), ".op", "`ratio` needs left and right"),
        ({"op": "mean", "operands": [A, B]}, ".op", "did you mean `avg`?"),
        ({"op": "divide", "left": A, "right": B}, ".op", "did you mean `ratio`?"),
        ({"op": 3, "left": A, "right": B}, ".op", "3 is no operation of a series_math"),
        ({"left": A, "right": B}, ".op", "a series_math needs `op`"),
        ({"op": "sma", "series": A, "windows": 3}, ".windows", "did you mean `window`?"),
        ({"op": "sma", "series": A, "period": 3}, ".period", "did you mean `window`?"),
        ({"op": "sma", "serie": A, "window": 3}, ".serie", "did you mean `series`?"),
        ({"serie_code": "A"}, "", "did you mean `series_code` for `serie_code`?"),
        ({"op": "sma", "series": A, "window": 14.5}, ".window", "windows count whole observations"),
        ({"op": "sma", "series": A, "window": "14"}, ".window", "write 14 without the quotes"),
        ({"op": "sma", "series": A, "window": True}, ".window", "it should be a whole number"),
        (window("sma", A, 0), ".window", "it should be greater than or equal to 1"),
        (window("sma", A, 10**7), ".window", "it should be less than or equal to 1000000"),
        (window("sma", A, 3) | {"scale": 2}, ".scale", "only series_math has a scale"),
        (ratio(A, "B"), ".right", 'a series is written {"series_code": "B"}'),
        (ratio(A, 2), ".right", "there are no constants"),
        (ratio(A, "\ud800"), ".right", "this is no node"),
        ({"op": "\ud800", "left": A, "right": B}, ".op", "half a character"),
        (ratio(A, [A, B]), ".right", "several nodes are the operands of one"),
        (ratio(A, B, scale="x"), ".scale", "it should be a number"),
        (ratio(A, B, colour="red"), ".colour", "a series_math has no field `colour` (None)"),
        ({"op": "avg", "operands": [A]}, ".operands", "one operand is too few"),
        ({"op": "avg", "operands": A}, ".operands", "it should be a list"),
        (series("A/B"), ".series_code", "a series code has no '/'"),
        (series(""), ".series_code", "it is empty"),
        ({"series_code": "A", "seriesCode": "B"}, ".seriesCode", "keep one of them"),
        ("A", "", 'a series is written {"series_code": "A"}'),
        ({"op": "sum", "operands": [A] * 600}, "", "more than 512 nodes"),
    ],
)
def test_each_mistake_in_an_expression_is_told_at_its_place(tmp_path, expression, path, said):
    kind = "composite" if isinstance(expression, dict) and "operands" in expression else "window_op"
    kind = "series_math" if isinstance(expression, dict) and "left" in expression else kind
    kind = (
        "series" if isinstance(expression, dict) and {"series_code", "serie_code"} & set(expression) else kind
    )
    problems = problems_of(tmp_path, request(expression, kind=kind))
    errors = told(problem for problem in problems if problem["severity"] == "error")
    assert list(errors) == [f"expressionJson{path}"], "that alone"
    assert said in errors[f"expressionJson{path}"]


def test_what_is_too_deep_is_told_and_so_is_the_rest(tmp_path):
    expression = A
    for _ in range(40):
        expression = window("sma", expression, 2)
    problems = told(
        problems_of(tmp_path, request({"op": "lag", "series": expression, "window": 2.5}, kind="window_op"))
    )
    assert "nested more than 32 nodes deep" in problems["expressionJson" + 32 * ".series"]
    assert "whole observations" in problems["expressionJson.window"]


def test_all_mistakes_are_told_at_once_and_under_the_names_that_the_author_wrote(tmp_path):
    event = request(
        {
            "op": "averege",
            "operands": [{"op": "smaa", "serie": {"op": "sum", "operands": [A]}, "windows": 0}, B],
        },
        kind="window_op",
        metric="m x",
        inputs={"A": "fxx", "B": "fx"},
        output={"basePath": "s3://bucket/elsewhere/m x/"},
    )
    event["inputs"].append({"dataset_id": "fx", "seriesCode": "A"})
    event["catalog"]["datasets"]["fx"]["manifestPath"] = "../secrets"
    assert set(told(problems_of(tmp_path, event))) == {
        "metricCode",
        "inputs[2].dataset_id",
        "expressionJson.op",
        "expressionJson.operands[0]",
        "expressionJson.operands[0].op",
        "expressionJson.operands[0].windows",
        "expressionJson.operands[0].serie.operands",
        "expressionType",
        "inputs[2].seriesCode",
        "output.basePath",
        "inputs[0].datasetId",
        "catalog.datasets.fx.manifestPath",
    }


def test_operands_after_two_that_are_wrong_are_looked_at_as_well(tmp_path):
    expression = {
        "op": "avg",
        "operands": [1, 2, {"op": "sma", "serie": {"op": "avg", "operands": [A]}, "window": 3}],
    }
    assert set(told(problems_of(tmp_path, expression))) == {
        "expressionJson.operands[0]",
        "expressionJson.operands[1]",
        "expressionJson.operands[2].serie",
        "expressionJson.operands[2].serie.operands",
    }


# The request around it


@pytest.mark.parametrize(
    ("change", "path", "said"),
    [
        ({"type": "metric_run_request"}, "type", "did you mean `metric_run_requested`?"),
        ({"type": None}, "type", "this is no usable type"),
        ({"runId": ""}, "runId", "this is no usable runId"),
        ({"metricCode": "a b"}, "metricCode", "`a-b` would do"),
        ({"schema": "metrics.run.v2"}, "schema", "did you mean `metrics.run.v1`?"),
        ({"expressionType": "window_op"}, "expressionType", "write `series_math`"),
        ({"expressionType": "ratio"}, "expressionType", "this expression is a `series_math`"),
        ({"inputs": {}}, "inputs", "it should be a list"),
        ({"inputs": [3]}, "inputs[0]", "it should be an object"),
        ({"catalog": {}}, "catalog.datasets", "catalog needs `datasets`"),
        (
            {"output": {"path": "s3://bucket/metrics/ratio.a_to_b/"}},
            "output.path",
            "did you mean `basePath`?",
        ),
        (
            {"output": {"basePath": "s3://bucket/metrics/other/"}},
            "output.basePath",
            "write s3://bucket/metrics/",
        ),
        ({"output": {"basePath": "metrics/ratio.a_to_b/"}}, "output.basePath", "write s3://bucket/metrics/"),
    ],
)
def test_each_mistake_around_an_expression_is_told_at_its_place(tmp_path, change, path, said):
    problems = told(p for p in problems_of(tmp_path, request() | change) if p["severity"] == "error")
    assert said in problems[path]


@pytest.mark.parametrize(
    ("missing", "instead"),
    [
        ("runId", "runID"),
        ("metricCode", "metric_code"),
        ("expressionJson", "expression"),
        ("output", "outputs"),
    ],
)
def test_a_field_that_is_missing_is_found_under_a_name_that_is_nearly_right(tmp_path, missing, instead):
    event = request()
    event[instead] = event.pop(missing)
    (problem,) = problems_of(tmp_path, event)
    assert f"did you mean `{missing}`?" in problem["suggestion"]


def test_a_series_that_stands_in_inputs_twice_is_told(tmp_path):
    event = request()
    event["inputs"] *= 2
    problems = told(problems_of(tmp_path, event))
    assert set(problems) == {"inputs[2].seriesCode", "inputs[3].seriesCode"}
    assert "keep one of them" in problems["inputs[3].seriesCode"]


def test_a_dataset_that_is_not_in_the_catalog_is_told_with_its_nearest(tmp_path):
    (problem,) = problems_of(tmp_path, request(inputs={"A": "fxx", "B": "fx"}))
    assert (problem["path"], problem["found"]) == ("inputs[0].datasetId", '"fxx"')
    assert problem["suggestion"] == "did you mean `fx`?"


@pytest.mark.parametrize(
    "path", ["/datasets/x", "datasets/../x", "datasets//x", "secrets/x", "s3://other/datasets/x", 7]
)
def test_a_path_that_is_no_key_is_told(tmp_path, path):
    event = request(output={"basePath": "s3://my-bucket/metrics/ratio.a_to_b/"})
    event["catalog"]["datasets"]["fx"] = {"manifestPath": path, "projectionsPath": path}
    assert set(told(problems_of(tmp_path, event))) == {
        "catalog.datasets.fx.manifestPath",
        "catalog.datasets.fx.projectionsPath",
    }


def test_a_dataset_that_is_not_read_is_only_doubted(tmp_path):
    event = request(datasets=("fx", "other"))
    event["catalog"]["datasets"]["other"] = {"manifest_path": "datasets/x", "projectionsPath": "datasets/x"}
    (problem,) = problems_of(tmp_path, event)
    assert (problem["severity"], problem["path"]) == ("warning", "catalog.datasets.other.manifestPath")
    assert "did you mean `manifestPath`?" in problem["suggestion"]


def test_a_request_that_is_too_large_is_told_and_no_more_of_it(tmp_path):
    (problem,) = problems_of(tmp_path, request(description="x" * 2_000_000, output=3))
    assert "at most 1,048,576 is allowed" in problem["text"]


# Doubts


@pytest.mark.parametrize(
    ("event", "path", "said"),
    [
        (request(inputs={"A": "fx", "B": "fx", "C": "fx"}), "inputs[2].seriesCode", "is not read"),
        (
            request(window("sma", A, 1), kind="window_op", inputs={"A": "fx"}),
            "expressionJson.window",
            "one observation",
        ),
        (request(ratio(A, B, scale=0)), "expressionJson.scale", "every value is 0"),
        (
            request({"op": "subtract", "left": A, "right": A}, inputs={"A": "fx"}),
            "expressionJson",
            "every value is 0",
        ),
        (request(shema="metrics.run.v1"), "shema", "did you mean `schema`?"),
    ],
)
def test_what_is_allowed_and_probably_not_meant_is_a_warning(tmp_path, event, path, said):
    (problem,) = problems_of(tmp_path, event)
    assert (problem["severity"], problem["path"]) == ("warning", path)
    assert said in f"{problem['text']} {problem['suggestion']}"
    file = file_of(tmp_path, event)
    assert metrics("validate", file).exit_code == 0
    assert metrics("validate", file, "--strict").exit_code == 1


def test_a_name_that_stands_twice_in_an_object_is_a_warning(tmp_path):
    text = json.dumps(request())[:-1] + ', "runId": "run-2"}'
    (problem,) = problems_of(tmp_path, text)
    assert (problem["severity"], problem["path"]) == ("warning", "runId")


def test_two_requests_of_one_run_id_are_a_warning(tmp_path):
    one, two = (file_of(tmp_path, request(metric=name), f"{name}.json") for name in ("m.a", "m.b"))
    found = document("validate", one, two)["requests"]
    assert [len(of["problems"]) for of in found] == [0, 1]
    assert "asks for this run too" in found[1]["problems"][0]["text"]


# Inputs


def test_with_a_place_the_inputs_are_read(tmp_path, data):
    file = file_of(tmp_path, request())
    found = metrics("validate", file, "--folder", data)
    assert found.exit_code == 0
    assert "valid, its inputs in" in found.stdout


def test_a_manifest_that_is_not_there_is_told_once_and_the_newest_one_beside_it(tmp_path, data):
    event = request()
    event["catalog"]["datasets"]["fx"]["manifestPath"] = "datasets/fx/versions/v2/manifest.json"
    (problem,) = problems_of(tmp_path, event, "--folder", data)
    assert problem["path"] == "catalog.datasets.fx.manifestPath"
    assert problem["suggestion"] == "did you mean `datasets/fx/versions/v1/manifest.json`?"


def test_a_manifest_that_is_none_is_told(tmp_path, data):
    (data / "datasets/fx/versions/v1/manifest.json").write_text('{"files": []}')
    (problem,) = problems_of(tmp_path, request(), "--folder", data)
    assert problem["path"] == "catalog.datasets.fx.manifestPath"
    assert "parquet_files" in problem["text"]


def test_series_that_a_dataset_does_not_have_are_told_each_with_its_nearest(cloud, tmp_path):
    days = [day(1), day(2)]
    put_dataset(cloud.store, {"all.parquet": rows("USD_D", days, [1, 2])}, series_codes=["USD_D", "GBP_D"])
    folder = folder_of(cloud, tmp_path / "data")
    event = request(ratio(series("USDD"), series("XAU_D")), inputs={"USDD": "fx"})
    problems = told(problems_of(tmp_path, event, "--folder", folder))
    assert "not in series_codes" in problems["inputs[0].seriesCode"]
    assert "did you mean `USD_D`?" in problems["inputs[0].seriesCode"]
    assert "no dataset of the catalog has it" in problems["expressionJson.right"]


def test_a_series_that_two_datasets_have_is_told_with_what_to_do(cloud, tmp_path):
    for dataset in ("fx", "more"):
        put_dataset(cloud.store, {"A/x.parquet": rows("A", [day(1)], [1.0])}, dataset=dataset)
    (problem,) = problems_of(tmp_path, A, "--folder", folder_of(cloud, tmp_path / "data"))
    assert "more than one dataset may have it (fx, more)" in problem["text"]
    assert problem["suggestion"] == "say in inputs which dataset it is in"


def test_part_files_that_are_not_there_are_counted_and_named(tmp_path, data):
    (data / "datasets/fx/projections/A/year=2026/month=01/data.parquet").unlink()
    (problem,) = problems_of(tmp_path, request(), "--folder", data)
    assert problem["path"] == "inputs[0].seriesCode"
    assert (
        "1 of the 1 part files of `A` are not there: datasets/fx/projections/A/year=2026" in problem["text"]
    )


def test_part_files_without_the_right_columns_are_told(cloud, tmp_path):
    bad = rows("A", [day(1)], [1.0]).rename_columns(["time", "internal_series_code", "value"])
    put_dataset(cloud.store, {"A/x.parquet": bad, "B/x.parquet": b"no Parquet"})
    problems = told(problems_of(tmp_path, request(), "--folder", folder_of(cloud, tmp_path / "data")))
    assert "no column 'obs_time'; the file has time" in problems["inputs[0].seriesCode"]
    assert "not readable as Parquet" in problems["inputs[1].seriesCode"]


def test_a_window_longer_than_its_series_leaves_an_empty_result_which_is_a_warning(tmp_path, data):
    event = request(ratio(window("sma", A, 11), B))
    (problem,) = problems_of(tmp_path, event, "--folder", data)
    assert (problem["severity"], problem["path"]) == ("warning", "expressionJson.left")
    assert problem["text"] == "it has no observation: of 10 times 10 to warm up"


def test_what_all_series_together_are_too_much_for_is_told(tmp_path, data, monkeypatch):
    monkeypatch.setenv("WORKER_MAX_PART_FILES", "1")
    (problem,) = problems_of(tmp_path, request(), "--folder", data)
    assert (problem["path"], "WORKER_MAX_PART_FILES" in problem["text"]) == ("inputs", True)


@pytest.fixture
def long(cloud, tmp_path, monkeypatch):
    """A folder with three series of 8,000 days, and one megabyte to read with: for any, not for all."""
    monkeypatch.setenv("WORKER_MAX_MEMORY_MB", "1")
    days = [day(n) for n in range(1, 8_001)]
    put_dataset(cloud.store, {f"{code}/x.parquet": rows(code, days, range(8_000)) for code in "ABC"})
    return folder_of(cloud, tmp_path / "long")


def test_what_takes_more_memory_than_a_run_may_is_told(tmp_path, long):
    assert problems_of(tmp_path, window("sma", A, 3), "--folder", long) == []
    (problem,) = problems_of(tmp_path, {"op": "sum", "operands": [A, B, series("C")]}, "--folder", long)
    assert "WORKER_MAX_MEMORY_MB" in problem["text"]
    (problem,) = problems_of(tmp_path, {"op": "sum", "operands": [A] * 20}, "--folder", long)
    assert (problem["path"], "WORKER_MAX_MEMORY_MB" in problem["text"]) == ("expressionJson", True)


# Expressions without a request


def test_an_expression_alone_is_validated(tmp_path):
    (found,) = document("validate", file_of(tmp_path, window("sma", A, 3)))["requests"]
    assert (found["is_expression"], found["valid"], found["formula"]) == (True, True, "sma(A, 3)")
    assert told(problems_of(tmp_path, {"op": "smaa", "serie": A, "windows": 3})).keys() == {
        "expressionJson",
        "expressionJson.op",
    }


def test_an_expressions_series_are_looked_for_in_the_newest_version_of_every_dataset(cloud, tmp_path):
    put_a_and_b(cloud.store)
    put_dataset(cloud.store, {"C/x.parquet": rows("C", [day(1)], [1.0])}, dataset="more")
    folder = folder_of(cloud, tmp_path / "data")
    versions = folder / "datasets/fx/versions"
    (versions / "v0").mkdir()
    (versions / "v0/manifest.json").write_text('{"parquet_files": []}')
    (versions / "v9").mkdir()  # a version that was begun and has no manifest yet
    assert problems_of(tmp_path, {"op": "sum", "operands": [A, B, series("C")]}, "--folder", folder) == []
    (problem,) = problems_of(tmp_path, ratio(A, series("D")), "--folder", folder)
    assert "`D`: it is not in inputs" in problem["text"]
    old = "datasets/fx/versions/v0/manifest.json"
    assert problems_of(tmp_path, A, "--folder", folder, "--manifest", old)[0]["severity"] == "error"


def test_a_place_without_datasets_is_impossible_for_an_expression(tmp_path):
    (tmp_path / "empty").mkdir()
    found = metrics("validate", file_of(tmp_path, A), "--folder", tmp_path / "empty")
    assert found.exit_code == 2
    assert "name one by --manifest" in " ".join(found.stderr.split())


def test_a_key_that_is_no_manifests_is_impossible(tmp_path, data):
    found = metrics("validate", file_of(tmp_path, A), "--folder", data, "--manifest", "datasets/fx")
    assert (found.exit_code, "--manifest" in found.stderr) == (2, True)


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
def test_what_is_no_json_is_told_with_its_line_and_what_to_do(tmp_path, text, hint):
    (problem,) = problems_of(tmp_path, text)
    assert problem["text"].startswith("not JSON: ")
    assert hint in problem["suggestion"]


def test_the_line_that_is_no_json_is_shown(tmp_path):
    (problem,) = problems_of(tmp_path, '{\n  "a": 1,\n  b: 2\n}')
    assert "line 3, column 3" in problem["text"]
    assert problem["found"] == '"b: 2"'


@pytest.mark.parametrize("value", [[], 3, "x", None, [{"op": "sma"}]])
def test_json_that_is_no_object_is_told(tmp_path, value):
    (problem,) = problems_of(tmp_path, json.dumps(value))
    assert problem["text"] == "a request is a JSON object"


def test_brackets_without_end_are_told(tmp_path):
    (problem,) = problems_of(tmp_path, "[" * 200_000)
    assert "nested too deep" in problem["text"]


def test_a_file_that_is_no_text_is_told(tmp_path):
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
def test_an_event_without_records_is_told(tmp_path, records):
    (problem,) = problems_of(tmp_path, {"Records": records})
    assert problem["path"] == "Records"


def test_standard_input_is_a_file_too():
    found = metrics("validate", "-", stdin=json.dumps(request()))
    assert (found.exit_code, "ratio.a_to_b = A ÷ B" in found.stdout) == (0, True)


def test_every_sample_request_is_valid_but_that_which_must_fail():
    files = sorted((ROOT / "events").glob("*.json"))
    found = document("validate", *files, "--demo")["requests"]
    assert {of["file"].rpartition("/")[2] for of in found if not of["valid"]} == {"fails-no-such-series.json"}
    assert {len(of["problems"]) for of in found if of["valid"]} == {0}


def test_a_file_that_is_not_there_is_impossible_and_the_others_are_validated_all_the_same(tmp_path):
    found = metrics("validate", tmp_path / "none.json", file_of(tmp_path, request()))
    assert found.exit_code == 2
    assert "none.json: No such file or directory." in found.stderr
    assert "valid; its inputs were not looked at" in found.stdout


def test_two_places_are_impossible(tmp_path, data):
    assert metrics("validate", file_of(tmp_path, request()), "--folder", data, "--demo").exit_code == 2


def test_a_setting_that_can_not_be_used_is_impossible(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKER_MAX_ROWS", "many")
    found = metrics("validate", file_of(tmp_path, request()))
    assert (found.exit_code, "WORKER_MAX_ROWS" in found.stderr) == (2, True)


def test_without_a_place_the_bucket_is_the_one_that_the_request_names(tmp_path, data):
    event = request(output={"basePath": "s3://production/metrics/ratio.a_to_b/"})
    event["catalog"]["datasets"]["fx"]["manifestPath"] = (
        "s3://production/datasets/fx/versions/v1/manifest.json"
    )
    assert problems_of(tmp_path, event) == []
    assert set(told(problems_of(tmp_path, event, "--folder", data))) == {
        "output.basePath",
        "catalog.datasets.fx.manifestPath",
    }


# For machines and for people


def test_the_document_for_machines(tmp_path):
    found = document("validate", file_of(tmp_path, request(window("smaa", A, 3), kind="window_op")))
    assert (found["valid"], found["errors"], found["warnings"], found["unreadable"]) == (False, 1, 0, [])
    (of_request,) = found["requests"]
    assert of_request["metric"] == "ratio.a_to_b"
    assert of_request["problems"][0] == {
        "path": "expressionJson.op",
        "text": '"smaa" is no operation of a window_op',
        "found": '"smaa"',
        "allowed": "sma, ema, sum, max, min, lag",
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


def test_what_would_turn_a_terminal_around_is_escaped(tmp_path):
    event = request(ratio(A, {"op": "\u202e\x1b[31m[red]", "left": A, "right": B}))
    found = metrics("validate", file_of(tmp_path, event))
    assert found.exit_code == 1
    assert '"\\u202e\\u001b[31m[red]" is no operation' in found.stdout


def test_many_problems_are_cut_for_people_and_whole_for_machines(tmp_path):
    event = request(inputs={})
    event["inputs"] = [3] * 400
    assert "and 350 more: --json has them all" in metrics("validate", file_of(tmp_path, event)).stdout
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

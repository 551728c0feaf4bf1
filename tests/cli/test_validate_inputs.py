"""`metrics validate` with a location reports the problems of datasets, series and part files."""

import json
from pathlib import Path
from typing import Any

import pytest

from metrics_tools.validate.reading import Reader
from metrics_tools.validate.validation import validate
from tests.builders import (
    Cloud,
    day,
    put_a_and_b,
    put_dataset,
    ratio,
    request,
    rows,
    series,
    window,
)
from tests.cli.given import (
    described,
    document,
    file_of,
    folder_of,
    metrics,
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


# Inputs of a request


def test_with_a_place_the_inputs_are_read(tmp_path, data):
    file = file_of(tmp_path, request())
    found = metrics("validate", file, "--folder", data)
    assert found.exit_code == 0
    assert "valid, its inputs in" in found.stdout


def test_a_missing_manifest_is_reported_once_and_the_newest_one_is_suggested(tmp_path, data):
    event = request()
    event["catalog"]["datasets"]["fx"]["manifestPath"] = "datasets/fx/versions/v2/manifest.json"
    (problem,) = problems_of(tmp_path, event, "--folder", data)
    assert problem["path"] == "catalog.datasets.fx.manifestPath"
    assert problem["suggestion"] == "did you mean `datasets/fx/versions/v1/manifest.json`?"


def test_an_invalid_manifest_is_reported(tmp_path, data):
    (data / "datasets/fx/versions/v1/manifest.json").write_text('{"files": []}')
    (problem,) = problems_of(tmp_path, request(), "--folder", data)
    assert problem["path"] == "catalog.datasets.fx.manifestPath"
    assert "parquet_files" in problem["text"]


def test_each_series_that_its_dataset_lacks_is_reported_with_the_nearest_name(cloud, tmp_path):
    days = [day(1), day(2)]
    put_dataset(cloud.store, {"all.parquet": rows("USD_D", days, [1, 2])}, series_codes=["USD_D", "GBP_D"])
    folder = folder_of(cloud, tmp_path / "data")
    event = request(ratio(series("USDD"), series("XAU_D")), inputs={"USDD": "fx"})
    problems = described(problems_of(tmp_path, event, "--folder", folder))
    assert "not in series_codes" in problems["inputs[0].seriesCode"]
    assert "did you mean `USD_D`?" in problems["inputs[0].seriesCode"]
    assert "no dataset of the catalog has it" in problems["expressionJson.right"]


def test_a_series_that_two_datasets_contain_is_reported_with_a_suggestion(cloud, tmp_path):
    for dataset in ("fx", "more"):
        put_dataset(cloud.store, {"A/x.parquet": rows("A", [day(1)], [1.0])}, dataset=dataset)
    folder = folder_of(cloud, tmp_path / "data")
    event = request(A, kind="series", inputs={}, datasets=("fx", "more"))
    (problem,) = problems_of(tmp_path, event, "--folder", folder)
    assert "more than one dataset may have it (fx, more)" in problem["text"]
    assert problem["suggestion"] == "say in inputs which dataset it is in"


def test_a_formula_whose_series_two_datasets_contain_is_computed_with_the_manifest_of_the_suggestion(
    cloud, tmp_path
):
    for number, dataset in enumerate(("fx", "more"), 1):
        files = {"A/x.parquet": rows("A", [day(1), day(2)], [number, number + 1.0])}
        put_dataset(cloud.store, files, dataset=dataset)
    folder = folder_of(cloud, tmp_path / "data")
    failed = metrics("run", "A + 0.5", "--folder", folder)
    hint = "name the manifest of each dataset to use, as in --manifest datasets/fx/versions/v1/manifest.json"
    assert (failed.exit_code, hint in failed.stdout) == (1, True)
    key = hint.rsplit(maxsplit=1)[-1]
    for dataset, last in (("fx", 2.5), ("more", 3.5)):
        manifest = key.replace("/fx/", f"/{dataset}/")
        words = ("A + 0.5", "--folder", folder, "--manifest", manifest)
        assert document("validate", *words)["valid"]
        (run,) = document("run", *words)["runs"]
        assert run["last"][-1]["value"] == last
        assert run["warnings"] == []


def test_missing_part_files_are_counted_and_named(tmp_path, data):
    (data / "datasets/fx/projections/A/year=2026/month=01/data.parquet").unlink()
    (problem,) = problems_of(tmp_path, request(), "--folder", data)
    assert problem["path"] == "inputs[0].seriesCode"
    assert (
        "1 of the 1 part files of `A` are not there: datasets/fx/projections/A/year=2026" in problem["text"]
    )


def incremental(cloud: Cloud, tmp_path: Path, **manifest: Any) -> Path:
    """Return a folder that is used as a bucket, with a dataset whose manifest is incomplete.

    The manifest lists only the last of the three part files of the series A.

    Args:
        cloud: the fake cloud.
        tmp_path: the folder in which the result is created.
        manifest: further fields of the dataset manifest.
    """
    months = {f"A/month={n}/data.parquet": rows("A", [day(31 * n + 1)], [1.0]) for n in range(3)}
    put_dataset(cloud.store, months, parquet_files=["A/month=2/data.parquet"], **manifest)
    return folder_of(cloud, tmp_path / "data")


ONE = request(A, kind="series", inputs={"A": "fx"})


def test_a_manifest_that_omits_part_files_of_a_series_is_a_warning(cloud, tmp_path):
    (problem,) = problems_of(tmp_path, ONE, "--folder", incremental(cloud, tmp_path))
    assert problem["severity"] == "warning"
    assert problem["path"] == "inputs[0].seriesCode"
    assert problem["text"] == (
        "the manifest of `fx` lists 1 of the 3 part files of A below datasets/fx/projections/"
    )
    assert "WORKER_SERIES_FILES=listing" in problem["suggestion"]


def test_part_files_of_a_series_that_the_manifest_does_not_name_are_a_warning(cloud, tmp_path):
    data = incremental(cloud, tmp_path, series_codes=["B"])
    refused, warned = problems_of(tmp_path, ONE, "--folder", data)
    assert "not in series_codes" in refused["text"]
    assert "lists 1 of the 3 part files of A" in warned["text"]


def test_for_a_worker_that_lists_part_files_an_incomplete_manifest_is_not_a_warning(
    cloud, tmp_path, monkeypatch
):
    monkeypatch.setenv("WORKER_SERIES_FILES", "listing")
    assert problems_of(tmp_path, ONE, "--folder", incremental(cloud, tmp_path, series_codes=["B"])) == []


def test_a_layout_without_folders_of_series_is_not_compared(cloud, tmp_path):
    files = {f"month={n}/data.parquet": rows("A", [day(31 * n + 1)], [1.0]) for n in range(3)}
    put_dataset(cloud.store, files, parquet_files=["month=2/data.parquet"])
    assert problems_of(tmp_path, ONE, "--folder", folder_of(cloud, tmp_path / "data")) == []


def test_a_missing_manifest_that_the_worker_does_not_read_is_not_a_problem(cloud, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKER_SERIES_FILES", "listing")
    put_dataset(cloud.store, {"A/1.parquet": rows("A", [day(1)], [1.0])})
    event = request(A, kind="series", inputs={}, datasets=("gone", "fx"))
    assert problems_of(tmp_path, event, "--folder", folder_of(cloud, tmp_path / "data")) == []


def test_part_files_without_the_required_columns_are_reported(cloud, tmp_path):
    bad = rows("A", [day(1)], [1.0]).rename_columns(["time", "internal_series_code", "value"])
    put_dataset(cloud.store, {"A/x.parquet": bad, "B/x.parquet": b"no Parquet"})
    problems = described(problems_of(tmp_path, request(), "--folder", folder_of(cloud, tmp_path / "data")))
    assert "no column 'obs_time'; the file has time" in problems["inputs[0].seriesCode"]
    assert "not readable as Parquet" in problems["inputs[1].seriesCode"]


def test_a_window_longer_than_its_series_leaves_an_empty_result_which_is_a_warning(tmp_path, data):
    event = request(ratio(window("sma", A, 11), B))
    (problem,) = problems_of(tmp_path, event, "--folder", data)
    assert (problem["severity"], problem["path"]) == ("warning", "expressionJson.left")
    assert problem["text"] == "it has no observation: of 10 times 10 to warm up"


def test_a_limit_that_only_all_series_together_exceed_is_reported(tmp_path, data, monkeypatch):
    monkeypatch.setenv("WORKER_MAX_PART_FILES", "1")
    (problem,) = problems_of(tmp_path, request(), "--folder", data)
    assert (problem["path"], "WORKER_MAX_PART_FILES" in problem["text"]) == ("inputs", True)


@pytest.fixture
def long(cloud, tmp_path, monkeypatch):
    """Return a folder that is used as a bucket, with three series of 8,000 observations each.

    The memory limit of the worker is set to one megabyte, which is sufficient for each series alone, but not
    for the three series together.
    """
    monkeypatch.setenv("WORKER_MAX_MEMORY_MB", "1")
    days = [day(n) for n in range(1, 8_001)]
    put_dataset(cloud.store, {f"{code}/x.parquet": rows(code, days, range(8_000)) for code in "ABC"})
    return folder_of(cloud, tmp_path / "long")


def test_an_expression_that_needs_too_much_memory_is_reported(tmp_path, long):
    assert problems_of(tmp_path, window("lag", A, 3), "--folder", long) == []
    (problem,) = problems_of(tmp_path, {"op": "sum", "operands": [A, B, series("C")]}, "--folder", long)
    assert "WORKER_MAX_MEMORY_MB" in problem["text"]
    (problem,) = problems_of(tmp_path, {"op": "sum", "operands": [A] * 20}, "--folder", long)
    assert (problem["path"], "WORKER_MAX_MEMORY_MB" in problem["text"]) == ("expressionJson", True)


def test_the_requests_of_one_command_share_the_series_that_they_read(cloud):
    put_a_and_b(cloud.store)
    settings = cloud.worker().settings
    reader = Reader(cloud.bucket, settings, is_shared=True)
    events = [request(ratio(A, A), inputs={"A": "fx"}), request(ratio(A, B)), request(ratio(B, A))]
    bodies = [json.dumps(event) for event in events]
    found = [validate(body, settings.bounds, reader) for body in bodies]
    assert [of.problems for of in found] == [(), (), ()]
    # A manifest and the part file of A; the part file of B; nothing.
    assert [of.inputs.traffic.gets for of in found] == [2, 1, 0]
    alone = validate(bodies[1], settings.bounds, Reader(cloud.bucket, settings))
    assert alone.inputs.traffic.gets == 3
    assert found[1].inputs.series.keys() == alone.inputs.series.keys()


def test_series_of_earlier_requests_are_dropped_if_they_hold_the_memory(tmp_path, long):
    files = [file_of(tmp_path, window("lag", series(code), 3), f"{code}.json") for code in "ABC"]
    found = document("validate", *files, *files, "--folder", long)["requests"]
    assert [of["problems"] for of in found] == [[]] * 6


# Expressions without a request


def test_an_expression_alone_is_validated(tmp_path):
    (found,) = document("validate", file_of(tmp_path, window("sma", A, 3)))["requests"]
    assert (found["is_expression"], found["valid"], found["formula"]) == (True, True, "sma(A, 3)")
    assert described(problems_of(tmp_path, {"op": "smaa", "serie": A, "windows": 3})).keys() == {
        "expressionJson",
        "expressionJson.op",
    }


def test_the_series_of_an_expression_are_looked_up_in_the_newest_version_of_each_dataset(cloud, tmp_path):
    put_a_and_b(cloud.store)
    put_dataset(cloud.store, {"C/x.parquet": rows("C", [day(1)], [1.0])}, dataset="more")
    folder = folder_of(cloud, tmp_path / "data")
    versions = folder / "datasets/fx/versions"
    (versions / "v0").mkdir()
    (versions / "v0/manifest.json").write_text('{"parquet_files": []}')
    (versions / "v9").mkdir()  # the newest folder of a version, without a manifest
    assert problems_of(tmp_path, {"op": "sum", "operands": [A, B, series("C")]}, "--folder", folder) == []
    (problem,) = problems_of(tmp_path, ratio(A, series("D")), "--folder", folder)
    assert "`D`: it is not in inputs" in problem["text"]
    old = "datasets/fx/versions/v0/manifest.json"
    assert problems_of(tmp_path, A, "--folder", folder, "--manifest", old)[0]["severity"] == "error"


def test_for_an_expression_a_location_without_datasets_exits_with_2(tmp_path):
    (tmp_path / "empty").mkdir()
    found = metrics("validate", file_of(tmp_path, A), "--folder", tmp_path / "empty")
    assert found.exit_code == 2
    assert "name one by --manifest" in " ".join(found.stderr.split())


def test_a_key_that_is_not_of_a_manifest_exits_with_2(tmp_path, data):
    found = metrics("validate", file_of(tmp_path, A), "--folder", data, "--manifest", "datasets/fx")
    assert (found.exit_code, "--manifest" in found.stderr) == (2, True)


def test_a_series_of_an_unknown_dataset_does_not_keep_the_others_from_being_read(tmp_path, data):
    (problem,) = problems_of(tmp_path, request(inputs={"A": "unknown", "B": "fx"}), "--folder", data)
    assert problem["path"] == "inputs[0].datasetId"


@pytest.mark.parametrize("missing", ["DE.UNEMP", "SA"])
def test_a_difference_that_is_written_like_the_code_of_a_series_is_a_warning(cloud, tmp_path, missing):
    codes = {"DE.UNEMP", "SA", "DE.UNEMP-SA", "A-B-C"}
    files = {f"{code}/all.parquet": rows(code, [day(1)], [1.0]) for code in codes - {missing}}
    put_dataset(cloud.store, files, series_codes=sorted(codes - {missing}))
    data = folder_of(cloud, tmp_path / "data")
    (found,) = document("validate", "sma(DE.UNEMP-SA, 3)", "--folder", data)["requests"]
    *errors, quotes = found["problems"]
    assert [error["severity"] for error in errors] == ["error"]
    assert (quotes["severity"], quotes["position"]) == ("warning", 4)
    assert quotes["text"] == "this is a difference, but there is a series `DE.UNEMP-SA`"
    assert quotes["suggestion"] == 'if you mean the series, write its code in quotation marks: "DE.UNEMP-SA"'
    run = metrics("run", "sma(DE.UNEMP-SA, 3)", "--folder", data)
    assert quotes["suggestion"] in run.stdout
    for typed in ('"DE.UNEMP-SA" + "A-B-C"', 'sma("A-B-C", 1)', "DE.UNEMP - SA", "(DE.UNEMP-SAX)"):
        (found,) = document("validate", typed, "--folder", data)["requests"]
        assert "this is a difference" not in str(found["problems"]), typed

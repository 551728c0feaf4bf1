"""`metrics explain` describes an expression in words, with the cost of a run.

If a location is given, the output also has the number of observations and losses of each node. The output is
text for people, or JSON for programs.
"""

import json
import re
from pathlib import Path

import pytest

from metrics_tools.describe.losses import REASONS
from tests.builders import day, put_a_and_b, put_dataset, ratio, request, rows, series, window
from tests.cli.given import BOXES, ROOT, as_process, document, file_of, folder_of, metrics, on_terminal

A, B = series("A"), series("B")
MOMENTUM = ROOT / "events/momentum.json"


@pytest.fixture
def data(cloud, tmp_path) -> Path:
    """Return a folder that is used as a bucket, with the dataset fx.

    The series A and B of the dataset have ten daily observations each.
    """
    put_a_and_b(cloud.store)
    return folder_of(cloud, tmp_path / "data")


def test_without_a_place_the_formula_the_words_and_the_tree(tmp_path):
    found = metrics("explain", file_of(tmp_path, request(ratio(window("sma", A, 3), B, scale=100))))
    assert found.exit_code == 0
    assert found.stdout.splitlines() == [
        "ratio.a_to_b",
        "  (sma(A, 3) ÷ B) × 100",  # noqa: RUF001 - as in print
        "  the ratio of (the mean of the last 3 observations of A) to B, times 100",
        "  the ratio of left to right, times 100",
        "    left: the mean of the last 3 observations",
        "      A",
        "    right: B",
        "Series",
        "  A  fx",
        "  B  fx",
        "With --bucket, --folder or --demo: the observations and losses of each node, and the cost.",
    ]


def test_with_a_location_the_counts_of_each_node_and_the_needs_of_a_run(tmp_path, data):
    found = metrics("explain", file_of(tmp_path, request(ratio(window("sma", A, 3), B))), "--folder", data)
    assert found.exit_code == 0
    lines = found.stdout.splitlines()
    assert lines[3:7] == [
        "  the ratio of left to right  8 observations; 2 on the right only",
        "    left: the mean of the last 3 observations  8 observations; 2 to warm up",
        "      A  10 observations",
        "    right: B  10 observations",
    ]
    assert "  A  fx v1  1 part file, 10 observations of 10 rows" in lines
    assert "  8 rows, 2026-01-03 to 2026-01-10" in lines
    assert "  6 GETs: 1 manifest, 2 part files, 3 of its own" in lines
    assert re.search(r"(?m)^  4 PUTs, 2 status events, 3 queue calls, \d\.\d kB to read$", found.stdout)


def test_a_composite_counts_the_times_at_which_only_some_operands_have_an_observation(cloud, tmp_path):
    put_dataset(
        cloud.store,
        {
            "A/x.parquet": rows("A", [day(1), day(2)], [1.0, 2.0]),
            "B/x.parquet": rows("B", [day(2), day(2), day(3)], [3.0, 4.0, None]),
        },
    )
    file = file_of(tmp_path, {"op": "avg", "operands": [A, B]})
    shown = metrics("explain", file, "--folder", folder_of(cloud, tmp_path / "data")).stdout
    assert (
        "the mean of whichever of the 2 operands have a value  2 observations; 1 without some of its operands"
        in shown
    )
    assert "    2: B  1 observation\n" in shown
    assert "  B  fx v1  1 part file, 1 observation of 3 rows, 1 null, 1 duplicate" in shown


def test_the_numbers_of_a_sample_are_those_of_its_run():
    """Check the sample events/momentum.json: the mean of 14 daily rates of the dollar minus the mean of 30.

    The demo data have 7,126 rates of the dollar.
    """
    (found,) = document("explain", MOMENTUM, "--demo")["requests"]
    root = found["expression"]
    left, right = root["operands"]
    assert [node["counts"]["observations"] for node in (root, left, right)] == [7097, 7113, 7097]
    assert root["counts"]["lost"] == dict.fromkeys(REASONS, 0) | {"left_only": 16}
    assert (left["path"], left["words"]) == (
        "expressionJson.left",
        "the mean of the last 14 observations of ECB_USD_EUR_D",
    )
    assert found["needs"]["requests"] == {
        "gets": 338,
        "puts": 4,
        "lists": 0,
        "publishes": 2,
        "queue_calls": 3,
    }


def test_the_needs_with_snapshots_follow_those_without(monkeypatch):
    shown = metrics("explain", MOMENTUM, "--demo").stdout
    assert "  with 1 snapshot, if 1 part file must be read: 6 GETs, 1 LIST, " in shown
    (found,) = document("explain", MOMENTUM, "--demo")["requests"]
    needs = found["needs"]["with_snapshots"]
    assert (needs["snapshots"], needs["part_files"], needs["requests"]["gets"]) == (1, 1, 6)
    assert needs["dollars"] < found["needs"]["dollars"] / 3
    monkeypatch.setenv("WORKER_SNAPSHOTS", "off")
    assert "  no snapshot is used: WORKER_SNAPSHOTS is off" in metrics("explain", MOMENTUM, "--demo").stdout


def test_the_document_without_a_place(tmp_path):
    found = document("explain", file_of(tmp_path, request()))
    assert found["place"] is None
    (of_request,) = found["requests"]
    assert (of_request["valid"], of_request["metric"]) == (True, "ratio.a_to_b")
    assert of_request["expression"]["formula"] == "A ÷ B"
    assert of_request["expression"]["counts"] is None
    assert [need["code"] for need in of_request["needs"]["series"]] == ["A", "B"]
    assert of_request["needs"]["requests"] is None


def test_an_expression_alone_is_explained(tmp_path, data):
    file = file_of(tmp_path, window("lag", A, 4), "my momentum.json")
    assert metrics("explain", file).exit_code == 0
    (found,) = document("explain", file, "--folder", data)["requests"]
    assert (found["metric"], found["is_expression"]) == ("my-momentum", True)
    assert found["expression"]["counts"]["observations"] == 6


def test_the_valid_parts_of_an_invalid_request_are_explained(tmp_path):
    found = metrics("explain", file_of(tmp_path, request(output={"basePath": "x"})))
    assert found.exit_code == 1
    assert "  A ÷ B\n" in found.stdout
    assert "error  output.basePath" in found.stdout
    found = metrics("explain", file_of(tmp_path, request(window("smaa", A, 3), kind="window_op")))
    assert (found.exit_code, "did you mean `sma`?" in found.stdout) == (1, True)


def test_a_missing_series_is_reported(tmp_path, data):
    found = metrics("explain", file_of(tmp_path, ratio(A, series("C"))), "--folder", data)
    assert found.exit_code == 1
    assert "  A ÷ C\n" in found.stdout
    assert "error  expressionJson.right" in found.stdout


def test_an_empty_result_is_not_an_error(tmp_path, data):
    found = metrics("explain", file_of(tmp_path, window("sma", A, 11)), "--folder", data)
    assert found.exit_code == 0
    assert "the mean of the last 11 observations  0 observations; 10 to warm up" in found.stdout
    assert "warning  expressionJson" in found.stdout
    assert "Result" not in found.stdout


def test_an_expression_too_long_for_words_is_shown_as_a_tree(tmp_path):
    expression = {"op": "sum", "operands": [series(f"SERIES_{n}") for n in range(60)]}
    shown = metrics("explain", file_of(tmp_path, expression)).stdout
    assert "    60: SERIES_59" in shown
    assert "SERIES_0, SERIES_1" in shown, "the formula"
    assert "those of SERIES_0" not in shown


def test_of_an_event_every_request_is_explained(tmp_path):
    both = {"Records": [{"body": json.dumps(request(metric=name))} for name in ("m.a", "m.b")]}
    assert [of["metric"] for of in document("explain", file_of(tmp_path, both))["requests"]] == ["m.a", "m.b"]


def test_a_file_that_cannot_be_read_exits_with_2(tmp_path):
    found = metrics("explain", tmp_path / "none.json")
    assert (found.exit_code, "none.json" in found.stderr) == (2, True)


def test_as_a_process_with_pipes_it_writes_no_colour_and_no_boxes():
    found = as_process("explain", MOMENTUM, "--demo")
    assert (found.returncode, found.stderr) == (0, "")
    assert not set(found.stdout) & set(BOXES + "\x1b")
    assert (
        "\n    left: the mean of the last 14 observations  7,113 observations; 13 to warm up\n"
        in found.stdout
    )


def test_where_only_ascii_can_be_written_the_rest_is_escaped():
    found = as_process("explain", MOMENTUM, PYTHONIOENCODING="ascii")
    assert (found.returncode, found.stderr) == (0, "")
    assert r"sma(ECB_USD_EUR_D, 14) \u2212 sma(" in found.stdout


def test_on_a_narrow_terminal_it_is_a_tree_and_no_line_is_longer():
    written = on_terminal("explain", "events/stress.json", columns=60)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", written)
    assert "├── " in plain
    assert max(map(len, plain.splitlines())) <= 60


def test_help_has_examples_and_every_option():
    shown = metrics("explain", "--help").stdout
    for said in ("metrics explain my.json", "--bucket", "--folder", "--demo", "--manifest", "--json"):
        assert said in shown

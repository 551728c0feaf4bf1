"""Names from requests and datasets are printed as they are: markup and emoji codes in them have no effect.

Only control characters are replaced, by escapes such as `\\u001b`.
"""

import ast
import json
from pathlib import Path

import pytest
from obstore.store import LocalStore

from tests.builders import day, put_dataset, ratio, request, rows, series
from tests.cli.given import on_terminal

TOOLS = Path(__file__).parents[3] / "src" / "metrics_tools"
COLONS = "Q:S:L:A:smile:"
BRACKETS = "CPI[us][red]x[red]"
QUOTED = f'"{BRACKETS}"'
ESCAPE = "E\x1b[31m\u202eE"


@pytest.fixture
def place(tmp_path):
    """Return the path of a folder that is used as a bucket, with a dataset of two series.

    The series codes and the name of the folder contain emoji codes and markup.
    """
    path = tmp_path / "[b]da:smile:ta[us]"
    days = [day(n) for n in range(1, 11)]
    codes = (COLONS, BRACKETS)
    files = {f"{code}/part.parquet": rows(code, days, range(1, 11)) for code in codes}
    put_dataset(LocalStore(path, mkdir=True), files)
    return path


@pytest.fixture
def file(tmp_path):
    """Return the path of a file with a request for the ratio of the two series of the fixture `place`.

    The name of the file, the description and the unit contain emoji codes and markup.
    """
    path = tmp_path / ":smile:[us].json"
    both = {COLONS: "fx", BRACKETS: "fx"}
    asked = request(ratio(series(COLONS), series(BRACKETS)), inputs=both, description="[red]T[/red] :smile:")
    path.write_text(json.dumps(asked | {"unit": "[b]%:smile:"}))
    return path


def test_explain_prints_codes_unchanged(metrics, place, file):
    done = metrics("explain", file, "--folder", place)
    assert done.exit_code == 0
    assert f"{COLONS} ÷ {QUOTED}" in done.stdout


def test_validate_prints_codes_and_names_unchanged(metrics, place, file):
    done = metrics("validate", file, "--folder", place)
    assert f"{file}  ratio.a_to_b = {COLONS} ÷ {QUOTED}" in done.stdout
    assert f"its inputs in {place} too" in done.stdout


def test_run_prints_codes_titles_and_units_unchanged(metrics, place, file):
    done = metrics("run", file, "--folder", place, "--plot", "--publish")
    assert done.exit_code == 0
    for text in (COLONS, BRACKETS, "[red]T[/red] :smile:", "value ([b]%:smile:)", f"from {place}"):
        assert text in done.stdout


def test_history_doctor_and_compare_print_names_unchanged(metrics, place, file):
    assert metrics("run", file, "--folder", place, "--publish").exit_code == 0
    assert f"at {place}" in metrics("history", "ratio.a_to_b", "--folder", place).stdout
    assert f"at {place}" in metrics("doctor", "ratio.a_to_b", "--folder", place).stdout
    done = metrics("compare", "ratio.a_to_b@current", file, "--folder", place)
    assert f"{file} (computed now)" in done.stdout


@pytest.mark.parametrize("code", [COLONS, BRACKETS, "[/red]"])
@pytest.mark.parametrize("command", ["history", "doctor"])
def test_the_code_of_a_missing_metric_is_printed_unchanged(metrics, place, command, code):
    assert f"metrics/{code}/ at {place}" in metrics(command, code, "--folder", place).stderr


@pytest.mark.parametrize("command", ["run", "explain", "validate", "send"])
def test_the_name_of_a_missing_file_is_printed_unchanged(metrics, command):
    done = metrics(command, "no:smile:[us][/red].json", *(["--queue", "http://x/y"] * (command == "send")))
    assert "no:smile:[us][/red].json" in done.stderr


def test_the_folder_of_the_demo_data_is_printed_unchanged(metrics, tmp_path):
    taken = tmp_path / "a:smile:[us]"
    taken.write_text("")
    assert f"{taken}: " in metrics("demo", taken).stderr


@pytest.mark.parametrize("word", [COLONS, "[red]x[/red]"])
def test_the_name_of_an_unknown_command_is_printed_unchanged(metrics, word):
    assert word in metrics(word).stderr


def test_invalid_values_of_a_request_are_printed_unchanged(metrics, tmp_path):
    path = tmp_path / "wrong.json"
    wrong = request({"op": COLONS, "left": series("A"), "right": BRACKETS})
    path.write_text(json.dumps(wrong))
    printed = metrics("validate", path).stdout
    assert COLONS in printed
    assert BRACKETS in printed


def test_control_characters_are_printed_as_escapes(metrics):
    printed = metrics("explain", ESCAPE).stderr
    assert r"E\u001b[31m\u202eE" in printed
    assert not {"\x1b", "\u202e"} & set(printed)


def test_a_terminal_shows_names_unchanged(place, file):
    shown = on_terminal("run", file, "--folder", place, columns=250)
    for text in (COLONS, BRACKETS, "value ([b]%:smile:)"):
        assert text in shown


def test_every_console_and_column_of_the_commands_prints_plain_text():
    for path in sorted(TOOLS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "rich.console":
                assert path.name == "console.py", (
                    f"{path.name}: print through metrics_tools.console.PlainConsole"
                )
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"from_markup", "render_markup"}, f"{path.name}:{node.lineno}"
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "TextColumn":
                given = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert given.get("markup") == "False", f"{path.name}:{node.lineno}"

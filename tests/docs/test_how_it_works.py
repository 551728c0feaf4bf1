"""docs/how-it-works.md: every file on the page exists and defines the names that the page gives for it."""

import ast
import re
from pathlib import Path

import pytest

from metrics_worker.s3 import event_loop
from metrics_worker.settings import Settings
from tests.docs.pages import ROOT, blocks, rows, section, text_of
from tests.message_path import path_of_a_message

PAGE = "docs/how-it-works.md"
SOURCE = ROOT / "src" / "metrics_worker"
DECIDED = rows(section(PAGE, "Where to find each decision"))
MODULES = section(PAGE, "The modules")


def defined(path: Path) -> set[str]:
    """Return the names of the functions, methods and classes that a Python file defines."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)}


EVERYTHING = {name for path in SOURCE.rglob("*.py") for name in defined(path)}


@pytest.mark.parametrize(("question", "names", "link"), DECIDED)
def test_every_decision_is_made_in_the_file_that_its_row_links_to(question, names, link):
    (target,) = re.findall(r"\]\((.*)\)", link)
    found = re.findall(r"`(\w+)(?:\(\))?`", names)
    assert question
    assert found
    assert set(found) <= defined((ROOT / "docs" / target).resolve())


def test_every_function_and_class_on_the_page_exists():
    named = re.findall(r"([A-Za-z_.]+)\(\)", text_of(PAGE).replace("`code()`", ""))
    assert len(named) > 30
    for name in named:
        assert set(name.split(".")) <= EVERYTHING, name
    for name in re.findall(r"`([A-Z][A-Za-z]+)` in \[(\w+\.py)\]", text_of(PAGE)):
        assert name[0] in defined(*SOURCE.rglob(name[1]))


def test_the_steps_of_a_run_are_in_the_files_named_next_to_them():
    steps = re.findall(r"─▶ (\w+).*?(?:expression/)?(\w+\.py)", blocks(PAGE, "")[0])
    assert [name for name, _ in steps] == [
        "lambda_handler",
        "RunRequest",
        "read_state",
        "RunStarted",
        "Datasets",
        "evaluate",
        "commit",
        "move_current",
        "RunCompleted",
    ]
    for name, file in steps:
        assert name in defined(*SOURCE.rglob(file))


@pytest.mark.parametrize("module", sorted(set(re.findall(r"([a-z0-9_]+\.py)", MODULES))))
def test_every_module_on_the_page_exists(module):
    assert [*SOURCE.rglob(module), *(ROOT / "tests" / "infrastructure").glob(module)]


def test_the_page_names_every_module():
    modules = {path.name for path in SOURCE.rglob("*.py")} - {"__init__.py"}
    assert modules <= set(re.findall(r"([a-z0-9_]+\.py)", MODULES))


def test_the_numbers_on_the_page_are_those_of_the_worker():
    text = " ".join(text_of(PAGE).split())
    assert f"{event_loop.CONNECTIONS} in flight" in text
    interval = Settings.model_fields["heartbeat_interval_seconds"].default
    assert f"every {interval:g} seconds" in text


def test_the_pages_say_how_many_modules_and_functions_a_message_passes_through():
    path = path_of_a_message()
    modules = {module for module, _ in path}
    page = " ".join(text_of(PAGE).split())
    assert f"passes through {len(modules)} modules and calls {len(path)} functions" in page
    files = set(re.findall(r"\b(\w+\.py)", blocks(PAGE, "")[0]))
    assert files <= {module.rpartition("/")[2] for module in modules}
    assert len(files) == 8
    readme = " ".join(text_of("README.md").split())
    assert f"passes through {len(modules)} modules, and eight of them contain the steps of its run" in readme


def test_the_page_names_every_thread_that_the_worker_starts():
    source = "".join(path.read_text() for path in SOURCE.rglob("*.py"))
    started = re.findall(r"Thread\(.*name=\"([\w-]+)\"|ThreadPoolExecutor\(.*, \"(\w+)\"\)", source)
    assert {one or other for one, other in started} == set(
        re.findall(r"^\| `(.*?)` \|", section(PAGE, "Threads"), re.MULTILINE)
    )
    assert len(started) == len(re.findall(r"Thread\(|ThreadPoolExecutor\(", source))


def test_the_formula_equals_the_one_on_the_performance_page():
    formula = re.search(r"^    wall time = .*$", text_of(PAGE), re.MULTILINE)
    assert formula
    assert formula[0] in text_of("docs/performance.md")

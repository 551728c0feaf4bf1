"""Every file and name in docs/how-it-works.md is there, where the page says that it is."""

import ast
import re

import pytest

from metrics_worker import lane
from metrics_worker.settings import Settings
from tests.docs.pages import ROOT, blocks, rows, section, text_of

PAGE = "docs/how-it-works.md"
SOURCE = ROOT / "src" / "metrics_worker"
DECIDED = rows(section(PAGE, "Where to find each decision"))
ROOMS = section(PAGE, "The modules")


def defined(path):
    """The functions and classes of a file, methods among them."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)}


EVERYTHING = {name for path in SOURCE.rglob("*.py") for name in defined(path)}


@pytest.mark.parametrize(("question", "names", "link"), DECIDED)
def test_what_is_asked_for_is_decided_in_the_file_that_the_row_links_to(question, names, link):
    (target,) = re.findall(r"\]\((.*)\)", link)
    found = re.findall(r"`(\w+)(?:\(\))?`", names)
    assert question
    assert found
    assert set(found) <= defined((ROOT / "docs" / target).resolve())


def test_every_function_and_class_that_the_page_names_is_there():
    named = re.findall(r"([A-Za-z_.]+)\(\)", text_of(PAGE).replace("`code()`", ""))
    assert len(named) > 30
    for name in named:
        assert set(name.split(".")) <= EVERYTHING, name
    for name in re.findall(r"`([A-Z][A-Za-z]+)` in \[(\w+\.py)\]", text_of(PAGE)):
        assert name[0] in defined(SOURCE / name[1])


def test_the_steps_of_a_run_are_in_the_files_beside_them():
    steps = re.findall(r"─▶ (\w+).*?((?:expression/)?\w+\.py)", blocks(PAGE, "")[0])
    assert [name for name, _ in steps] == [
        "lambda_handler",
        "look",
        "RunStarted",
        "Datasets",
        "evaluate",
        "commit",
        "move_current",
        "RunCompleted",
    ]
    events = defined(SOURCE / "events.py")
    for name, file in steps:
        assert name in defined(SOURCE / file) or (file == "status.py" and name in events)


@pytest.mark.parametrize("room", sorted(set(re.findall(r"([a-z_]+\.py)", ROOMS))))
def test_the_rooms_that_the_page_names_exist(room):
    assert [*SOURCE.rglob(room), *(ROOT / "tests" / "infrastructure").glob(room)]


def test_the_page_names_every_room():
    modules = {path.name for path in SOURCE.rglob("*.py")} - {"__init__.py"}
    assert modules <= set(re.findall(r"([a-z_]+\.py)", ROOMS))


def test_its_numbers_are_the_workers():
    text = " ".join(text_of(PAGE).split())
    assert f"{lane.CONNECTIONS} in flight" in text
    interval = Settings.model_fields["heartbeat_interval_seconds"].default
    assert f"every {interval:g} seconds" in text


def test_the_formula_is_that_of_the_page_on_performance():
    formula = re.search(r"^    wall time = .*$", text_of(PAGE), re.MULTILINE)
    assert formula
    assert formula[0] in text_of("docs/performance.md")

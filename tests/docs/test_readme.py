"""What the README says is so: commands, settings, errors, examples, links."""

import json
import re
from pathlib import Path

import pytest

from metrics_worker import errors
from metrics_worker.contract import Bounds, RunRequest, open_record
from metrics_worker.expression.grammar import parse
from metrics_worker.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MAKEFILES = [(ROOT / name).read_text() for name in ("Makefile", "packaging.mk", "bench.mk")]
EXAMPLES = re.findall(
    r"^\| (?:series|series_math|window_op|composite) \|.*\| `(.*)` \|$", README, re.MULTILINE
)
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def targets() -> set[str]:
    return {found for text in MAKEFILES for found in re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE)}


def table_after(heading: str) -> list[list[str]]:
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_make_target_that_a_document_names_exists(document):
    text = document.read_text()
    named = re.findall(r"`make ([a-z-]+)", text)
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        named += re.findall(r"\bmake ([a-z-]+)", block)
    assert set(named) <= targets()


def test_the_readme_names_every_target_of_the_first_five_minutes():
    assert {
        "run",
        "test",
        "install",
        "check",
        "fmt",
        "lint",
        "typecheck",
        "test-cov",
        "clean",
        "help",
    } <= targets()
    assert {"build", "validate", "invoke", "deploy"} <= targets()


def test_ci_runs_the_readmes_test_command_and_the_checks():
    script = (ROOT / ".ci" / "run").read_text()
    assert "\nmake test\n" in script
    assert "\nmake check\n" in script


def test_every_setting_is_in_the_readme_with_its_default_and_in_the_example_environment():
    documented = {row[0].strip("`"): row[1].strip("`") for row in table_after("Settings")}
    example = (ROOT / ".env.example").read_text()
    for field in Settings.model_fields.values():
        assert field.alias is not None
        assert field.alias in documented
        assert field.alias in example
        if isinstance(field.default, bool):
            assert documented[field.alias] == str(field.default).lower()
        elif field.default is not None and not field.is_required():
            assert (
                documented[field.alias] == f"{field.default:g}"
                if isinstance(field.default, float)
                else (documented[field.alias] == str(field.default))
            )
    assert set(documented) == {field.alias for field in Settings.model_fields.values()}


def test_every_error_code_is_in_the_readme():
    codes = {
        kind.code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.PermanentError)
    }
    assert {row[0].strip("`") for row in table_after("Events") if row[0].startswith("`")} == codes


def test_the_readmes_request_is_one():
    body = re.search(r'```json\n(\{\n  "schema".*?)```', README, re.DOTALL)
    assert body is not None
    run = open_record(body[1], None)
    request = RunRequest.parse(run, Bounds("data-bucket", "metrics/", "datasets/"))
    assert request.base == "metrics/fx.usd_per_gbp/"


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_readmes_examples_of_the_grammar_are_valid(example):
    parse(json.loads(example))


def test_the_readme_has_an_example_of_every_kind_of_node():
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_and_files_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("room", re.findall(r"([a-z_]+\.py)", README.partition("## Where things live")[2]))
def test_the_rooms_that_the_readme_names_exist(room):
    assert list((ROOT / "src" / "metrics_worker").rglob(room)) or (ROOT / "tests" / room).exists()


def test_the_readme_names_every_room():
    named = set(re.findall(r"([a-z_]+\.py)", README.partition("## Where things live")[2]))
    modules = {path.name for path in (ROOT / "src" / "metrics_worker").rglob("*.py")} - {"__init__.py"}
    assert modules <= named

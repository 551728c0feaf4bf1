"""Rules for all pages: links work, JSON is valid, named targets and variables exist, commands are tested."""

import json
import re

import pytest

from metrics_worker.settings import Settings
from tests.docs.commands import NOT_RUN, RUN_BY
from tests.docs.pages import PAGES, ROOT, anchors, blocks, commands, links, name_of, prose, text_of
from tests.docs.test_readme import targets

EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=name_of)
SETTINGS = {field.alias for field in Settings.model_fields.values()}
VARIABLE = re.compile(r"\b(?:AWS|WORKER|OUTPUT|POWERTOOLS)_[A-Z0-9_]+\b(?![*…_])(?<!_ERROR)")


def named_in(*files):
    return {found for file in files for found in VARIABLE.findall(text_of(file))}


@EACH_PAGE
def test_every_link_leads_to_an_existing_file_or_heading(page):
    for link in links(page):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{link}: no such file"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


@EACH_PAGE
def test_every_make_target_exists(page):
    named = set(re.findall(r"`make ([a-z-]+)", text_of(page)))
    named |= {line.split()[1] for line in commands(page) if line.startswith("make ")}
    assert named <= targets()


@EACH_PAGE
def test_every_json_block_is_valid_json(page):
    for body in blocks(page, "json"):
        json.loads(body)


@EACH_PAGE
def test_every_environment_variable_is_a_setting_or_is_set_by_the_template_or_a_tool(page):
    known = SETTINGS | named_in(
        "template.yaml",
        "src/metrics_tools/local_cloud/emulator.py",
        "src/metrics_tools/local_cloud/cloud.py",
        "src/metrics_tools/buckets/places.py",
        ".env.example",
    )
    assert set(VARIABLE.findall(text_of(page))) <= known


@EACH_PAGE
def test_every_command_is_run_by_a_test_or_has_a_reason_why_not(page):
    assert set(commands(page)) <= RUN_BY.keys() | NOT_RUN.keys()


@pytest.mark.parametrize(("command", "test"), RUN_BY.items())
def test_the_test_that_runs_a_command_exists(command, test):
    file, _, name = test.partition("::")
    assert (ROOT / file).is_file(), command
    assert f"def {name}(" in text_of(file), command


def test_every_listed_command_is_on_some_page():
    written = {line for page in PAGES for line in commands(page)}
    assert RUN_BY.keys() | NOT_RUN.keys() <= written
    assert not RUN_BY.keys() & NOT_RUN.keys()


@EACH_PAGE
def test_every_picture_has_a_description(page):
    assert all(len(words) > 30 for words in re.findall(r"!\[(.*?)\]\(", prose(page)))


def test_the_index_lists_every_page():
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / link).resolve() for link in links(index) if link.endswith(".md")}
    assert set((ROOT / "docs").glob("*.md")) - {index} <= listed


def test_each_page_with_commands_of_metrics_says_where_metrics_is():
    command = re.compile(r"^(?:\$ )?metrics [a-z]+ |`metrics [a-z]+ \"", re.MULTILINE)
    pages = [page for page in (ROOT / "docs").glob("*.md") if command.search(text_of(page))]
    assert {"authoring", "grammar", "own-data", "testing-metrics"} <= {page.stem for page in pages}
    for page in pages:
        assert ".venv/bin" in text_of(page) or "(trying-metrics.md)" in prose(page), page.name

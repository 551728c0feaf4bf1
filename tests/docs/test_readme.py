"""What the README says is so: two commands, its example, its numbers. Its tables are in docs/."""

import json
import re

import pytest

from local.samples import all_samples, read_samples
from metrics_worker.expression.grammar import parse
from tests.docs.pages import ROOT, blocks, commands, section, text_of

README = "README.md"
PROMISES = section(README, "Properties").split("\n- ")
MAX_LINES = 150


def targets():
    """What `make` can make, and lists with a word on it."""
    texts = (text_of(name) for name in ("Makefile", "packaging.mk", "bench.mk"))
    return {found for text in texts for found in re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE)}


def test_two_commands_are_all_that_a_newcomer_needs():
    assert commands(README)[:2] == ["make run", "make test"]


def test_the_makefile_has_every_target_of_the_first_five_minutes():
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
    script = text_of(".ci/run")
    assert "\nmake test\n" in script
    assert "\nmake check\n" in script


def test_it_stays_a_page_that_is_read():
    lines = text_of(README).splitlines()
    assert len(lines) <= MAX_LINES
    assert max(map(len, lines)) <= 160


def test_its_example_is_the_one_of_the_plot_beside_it():
    (example,) = (json.loads(block) for block in blocks(README, "json"))
    parse(example)
    assert example in [json.loads(block) for block in blocks("docs/grammar.md", "json")]


@pytest.mark.parametrize("promise", PROMISES[1:], ids=lambda text: text.split("**")[1])
def test_the_numbers_of_a_promise_stand_on_the_page_that_it_links_to(promise):
    page = re.findall(r"\]\((docs/[^)#]*)", promise)[0]
    said = re.findall(r"\d[\d,]*(?:\.\d+)?", promise.partition("[")[0])
    there = set(re.findall(r"\d[\d,]*(?:\.\d+)?", text_of(page))) | {"300"}  # the house's limit for a module
    assert {number.rstrip(",") for number in said} <= {number.rstrip(",") for number in there}


def test_the_run_that_it_shows_is_of_the_samples():
    shown = re.findall(r"✓ (\S+)  (.*)", blocks(README, "")[1])
    samples = read_samples(all_samples(ROOT / "events"))
    assert set(shown) <= {(sample.metric_code, sample.title) for sample in samples}
    assert f"All {len(samples)} runs ended" in blocks(README, "")[1]


def test_no_module_is_longer_than_the_readme_says():
    said = int(re.findall(r"No deployed module above (\d+) lines", text_of(README))[0])
    for path in (ROOT / "src").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= said, path.name

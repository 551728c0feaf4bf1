"""README.md: the commands, the example and the numbers on the page are correct."""

import json
import re

import pytest

from metrics_tools.describe.formula import formula
from metrics_tools.request_files import all_samples, read_samples
from metrics_worker.expression.grammar import parse
from tests.docs.pages import ROOT, blocks, commands, section, text_of

README = "README.md"
CLAIMS = section(README, "Properties").split("\n- ")
MAX_LINES = 150


def targets() -> set[str]:
    """Return the make targets that `make help` lists."""
    texts = (text_of(name) for name in ("Makefile", "packaging.mk", "bench.mk"))
    return {found for text in texts for found in re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE)}


def test_a_newcomer_needs_two_commands():
    assert commands(README)[:2] == ["make run", "make test"]


def test_the_makefile_has_every_target_for_newcomers():
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


def test_ci_runs_the_tests_and_the_checks():
    script = text_of(".ci/run")
    assert "\nmake test\n" in script
    assert "\nmake check\n" in script


def test_the_readme_stays_short():
    lines = text_of(README).splitlines()
    assert len(lines) <= MAX_LINES
    assert max(map(len, lines)) <= 160


def test_the_example_is_that_of_the_plot():
    (example,) = (json.loads(block) for block in blocks(README, "json"))
    parse(example)
    assert f"`{formula(parse(example))}`" in text_of(README)
    assert example in [json.loads(block) for block in blocks("docs/grammar.md", "json")]


@pytest.mark.parametrize("claim", CLAIMS[1:], ids=lambda text: text.split("**")[1])
def test_the_numbers_of_a_claim_are_on_the_page_that_it_links_to(claim):
    page = re.findall(r"\]\((docs/[^)#]*)", claim)[0]
    claimed = re.findall(r"\d[\d,]*(?:\.\d+)?", claim.partition("[")[0])
    there = set(re.findall(r"\d[\d,]*(?:\.\d+)?", text_of(page))) | {"300"}  # the limit of lines in a module
    assert {number.rstrip(",") for number in claimed} <= {number.rstrip(",") for number in there}


def test_the_run_in_the_readme_shows_real_samples():
    shown = re.findall(r"✓ (\S+)  (.*)", blocks(README, "")[1])
    samples = read_samples(all_samples(ROOT / "events"))
    assert set(shown) <= {(sample.metric_code, sample.title) for sample in samples}
    assert f"All {len(samples)} runs ended" in blocks(README, "")[1]


def test_no_deployed_module_is_longer_than_the_readme_says():
    limit = int(re.findall(r"No deployed module above (\d+) lines", text_of(README))[0])
    for path in (ROOT / "src").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= limit, path.name

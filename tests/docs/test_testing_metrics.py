"""docs/testing-metrics.md and docs/examples/: the commands, the fields and the hooks on the page work.

The examples contain each operation at least once.
"""

import re
from typing import get_args

import pytest
import yaml
from obstore.store import LocalStore

from metrics_tools.definition_tests.checks import MetricChecks
from metrics_tools.definition_tests.model import DefinitionTest, Expectation
from metrics_tools.definition_tests.reading import read_tests
from metrics_worker.expression.grammar import children, parse
from metrics_worker.expression.nodes import NODES
from tests.builders import put_a_and_b, request
from tests.cli.given import ROOT, file_of, metrics
from tests.docs.pages import rows, section, text_of

PAGE = "docs/testing-metrics.md"
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```yaml\n(.*?)```", text_of(PAGE), re.DOTALL))
CONSOLES = re.findall(r"```console\n\$ metrics ([^\n]*)\n(.*?)```", text_of(PAGE), re.DOTALL)
EXAMPLES = sorted((ROOT / "docs/examples").glob("*.test.yaml"))


@pytest.mark.parametrize(("arguments", "printed"), CONSOLES, ids=[arguments for arguments, _ in CONSOLES])
def test_a_command_prints_the_output_on_the_page(tmp_path, monkeypatch, arguments, printed):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    if arguments.startswith("check "):
        put_a_and_b(LocalStore("data", mkdir=True))
        assert metrics("run", file_of(tmp_path, request()), "--folder", "data", "--publish").exit_code == 0
    assert metrics(*arguments.split()).stdout == printed


def test_the_page_lists_every_field():
    fields = {cells[0].strip("`") for cells in rows(section(PAGE, "Files"))}
    assert {*DefinitionTest.model_fields, *Expectation.model_fields} <= fields


def test_the_page_lists_every_check():
    table = rows(section(PAGE, "Checks of published metrics"))
    assert {cells[0].strip("`") for cells in table} == set(MetricChecks.model_fields)


def test_the_page_lists_every_hook():
    hooks = yaml.safe_load(text_of(".pre-commit-hooks.yaml"))
    assert [cells[0].strip("`") for cells in rows(section(PAGE, "Hooks for pre-commit"))] == [
        hook["id"] for hook in hooks
    ]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_every_example_passes(file):
    found = metrics("test", file)
    assert found.exit_code == 0, found.stdout


def test_the_examples_have_every_operation_of_every_kind_of_node():
    used = set()
    nodes = [
        parse(test.expression) for file in EXAMPLES for test in read_tests(str(file)).tests if is_valid(test)
    ]
    while nodes:
        node = nodes.pop()
        kind = next(kind for kind, model in NODES.items() if type(node) is model)
        used.add((kind, getattr(node, "op", None)))
        nodes.extend(children(node))
    fields = {kind: model.model_fields.get("op") for kind, model in NODES.items()}
    expected = {
        (kind, op)
        for kind, field in fields.items()
        for op in (get_args(field.annotation) if field else [None])
    }
    assert used == expected


def is_valid(test):
    return test.expression is not None and test.expect.error is None

"""The hooks in .pre-commit-hooks.yaml check the right files, and fail for files with problems."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from typing import Any

import pytest
import yaml

from tests.builders import request
from tests.cli.given import ROOT, as_process, file_of
from tests.infrastructure.test_locked_requirements import pins
from tests.infrastructure.test_tool_import_rules import IMPORTS

HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
DYNAMIC = PROJECT["tool"]["setuptools"]["dynamic"]
INSTALLED = DYNAMIC["dependencies"]["file"] + DYNAMIC["optional-dependencies"]["tools"]["file"]
FILES = ["README.md", "metrics/a.json", "metrics/a.test.json", "metrics/b.test.yaml", "b.test.yml", "c.json"]
NOT_THE_COMMAND_LINE = {"local_cloud", "contracts"}
"""Packages of the tools that no command imports."""


def matching(hook: dict[str, Any], files: Iterable[str]) -> list[str]:
    """Return those of the files that pre-commit would pass to a hook.

    Args:
        hook: the hook's entry in .pre-commit-hooks.yaml.
        files: the paths of files.
    """
    exclude = hook.get("exclude", "^$")
    return [file for file in files if re.search(hook["files"], file) and not re.search(exclude, file)]


def run(hook: dict[str, Any], files: Iterable[object]) -> int:
    """Run the command of a hook as pre-commit would, and return its exit code.

    Args:
        hook: the hook's entry in .pre-commit-hooks.yaml.
        files: the paths of the files that are passed to the command.
    """
    program, *arguments = shlex.split(hook["entry"])
    assert PROJECT["project"]["scripts"][program] == "metrics_tools.command_line.app:main"
    return as_process(*arguments, *files).returncode


def test_each_hook_runs_on_its_own_files():
    assert {name: matching(hook, FILES) for name, hook in HOOKS.items()} == {
        "metrics-validate": ["metrics/a.json"],
        "metrics-test": ["metrics/a.test.json", "metrics/b.test.yaml", "b.test.yml"],
    }


@pytest.mark.parametrize("wrong", [False, True])
def test_a_hook_fails_if_a_file_is_wrong(tmp_path, wrong):
    (tmp_path / "metrics").mkdir()
    value = 2 if wrong else 1
    content = {
        "name": "it",
        "series": {"A": {"2026-01-01": 1}},
        "expression": {"series_code": "A"},
        "expect": {"observations": {"2026-01-01": value}},
    }
    files = [
        file_of(tmp_path, request() | ({"expressionType": "series"} if wrong else {}), "metrics/a.json"),
        file_of(tmp_path, json.dumps({"tests": [content]}), "metrics/a.test.yaml"),
    ]
    for hook, file in zip(HOOKS.values(), files, strict=True):
        assert matching(hook, map(str, files)) == [str(file)]
        assert run(hook, [file]) == int(wrong)


def test_the_hooks_install_every_library_that_the_command_line_imports():
    assert all(hook["additional_dependencies"] == [".[tools]"] for hook in HOOKS.values())
    tools = IMPORTS.keys() - NOT_THE_COMMAND_LINE
    imported = {library for name in tools for library in IMPORTS[name].libraries.split()}
    installed = {name for file in INSTALLED for name in pins(ROOT / file)} | {"botocore"}  # boto3 requires it
    for library in imported:
        (distribution,) = set(packages_distributions()[library])
        assert distribution.lower().replace("_", "-") in installed

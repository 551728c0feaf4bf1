"""`metrics --help`, `metrics --version` and the completion of a subcommand's name import no subcommand.

This makes each of them answer within 0.4 s. The tests compare imported modules, because a time depends on the
machine.
"""

import os
import subprocess
import sys

import pytest

from metrics_tools.command_line.app import SUMMARIES
from tests.cli.given import ROOT

PROGRAM = """
import atexit, sys
before = set(sys.modules)
atexit.register(lambda: print("imported:", *(sys.modules.keys() - before)))
from metrics_tools.command_line.app import main
sys.argv[0] = "metrics"
main()
"""
OURS = {
    "metrics_tools",
    "metrics_tools.command_line",
    "metrics_tools.command_line.app",
    "metrics_tools.process_exit",
    "metrics_worker",
}
TYPER = {"typer", "annotated_doc", "shellingham"}
PYDANTIC = {"pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
"""Pydantic and its dependencies: typer uses pydantic to parse options."""


def start(*arguments: str, **environment: str) -> tuple[str, set[str]]:
    """Run `metrics` in a new process.

    Args:
        arguments: the arguments of `metrics`.
        environment: further environment variables.

    Returns:
        The output, and the dotted names of all modules that were imported.
    """
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "src"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    output, _, imported = done.stdout.rpartition("imported: ")
    return output, set(imported.split())


def ours_and_libraries(imported: set[str]) -> tuple[set[str], set[str]]:
    """Divide imported modules into those of this project and those of libraries.

    Args:
        imported: the dotted names of all imported modules.

    Returns:
        The dotted names of this project's modules, and the names of the libraries' top-level modules.
    """
    ours = {name for name in imported if name.startswith("metrics_")}
    others = {name.partition(".")[0] for name in imported - ours} - sys.stdlib_module_names
    return ours, {name for name in others if not name.startswith("_")}  # _sysconfigdata is Python's own


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_only_typer(option):
    output, imported = start(option)

    assert "metrics" in output
    assert ours_and_libraries(imported) == (OURS, TYPER)


def test_completing_the_name_of_a_subcommand_imports_only_typer_and_pydantic():
    output, imported = start(_METRICS_COMPLETE="complete_bash", COMP_WORDS="metrics ", COMP_CWORD="1")

    assert output.split() == sorted(SUMMARIES)
    assert ours_and_libraries(imported) == (OURS, TYPER | PYDANTIC)


def test_completing_the_options_of_a_subcommand_imports_that_subcommand_only():
    output, imported = start(_METRICS_COMPLETE="complete_bash", COMP_WORDS="metrics demo --", COMP_CWORD="2")

    assert "--help" in output
    commands = "metrics_tools.command_line.commands"
    assert {name for name in imported if name.startswith(f"{commands}.")} == {f"{commands}.demo"}

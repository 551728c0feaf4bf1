"""`metrics --help`, `metrics --version` and the completion in a shell import no subcommand.

This makes each of them answer within 0.4 s. The tests compare imported modules, because a time depends on the
machine.
"""

import os
import subprocess
import sys

import pytest

from metrics_tools.command_line.app import SUMMARIES
from tests.cli.given import ROOT

REPORT_IMPORTS = """
import atexit, sys
before = set(sys.modules)
imported = lambda: {name for name, module in sys.modules.items() if module} - before
atexit.register(lambda: print("imported:", *imported()))
"""
MAIN = """
from metrics_tools.command_line.app import main
sys.argv[0] = "metrics"
main()
"""
COMPLETE_ALL_OPTIONS = """
import contextlib, io, os
from metrics_tools.command_line.app import SUMMARIES, app
given, shell = dict(os.environ), {"_METRICS_COMPLETE": "complete_bash", "COMP_CWORD": "2"}
for name in SUMMARIES:
    os.environ.update(shell, COMP_WORDS=f"metrics {name} --")
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as options:
        app(prog_name="metrics")
    print(name, *options.getvalue().split())
os.environ.update(given)
"""
"""A program that prints for each subcommand its name and the completions of `--`."""
OURS = {
    "metrics_tools",
    "metrics_tools.command_line",
    "metrics_tools.command_line.app",
    "metrics_tools.command_line.signatures",
    "metrics_tools.process_exit",
    "metrics_worker",
}
TYPER = {"typer", "annotated_doc", "shellingham"}
PYDANTIC = {"pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
"""Pydantic and its dependencies: typer uses pydantic to parse options."""


def start(*arguments: str, first: str = "", **environment: str) -> tuple[str, set[str]]:
    """Run `metrics` in a new process.

    Args:
        arguments: the arguments of `metrics`.
        first: a program that the process runs before `metrics`.
        environment: further environment variables.

    Returns:
        The output, and the dotted names of all modules that were imported.
    """
    done = subprocess.run(
        [sys.executable, "-c", REPORT_IMPORTS + first + MAIN, *arguments],
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


def test_completing_options_and_values_imports_the_signatures_of_the_commands_only():
    shell = {"_METRICS_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "metrics format --to "}
    output, imported = start(first=COMPLETE_ALL_OPTIONS, **shell)

    assert '"formula"\n"json"' in output
    completed = {line.split()[0]: line.split()[1:] for line in output.splitlines()}
    assert {name for name in SUMMARIES if "--help" in completed[name]} == set(SUMMARIES)
    assert {"--plot", "--json", "--folder"} <= set(completed["run"])
    with_signatures = OURS | {"metrics_tools.command_line.commands", "metrics_tools.command_line.options"}
    assert ours_and_libraries(imported) == (with_signatures, TYPER | PYDANTIC)

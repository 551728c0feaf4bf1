"""`metrics test`: run unit tests of metrics, which have small input series and expected observations."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.text import Text

from metrics_tools.command_line.options import JsonOption, JunitOption
from metrics_tools.console import IMPOSSIBLE, WRONG, add_row, emit, impossible, new_table, print_table
from metrics_tools.definition_tests.junit import write_junit
from metrics_tools.definition_tests.running import FileResult, Outcome, run_file
from metrics_tools.formatting import count
from metrics_tools.runs.validation import print_problem, print_text

MOST_SHOWN = 20
"""The number of differences of a test that are printed at most; the JSON has all."""


def test(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Tests in YAML or JSON, as docs/testing-metrics.md says."),
    ],
    *,
    as_json: JsonOption = False,  # noqa: PT028 - a command, not a test of pytest
    junit: JunitOption = None,  # noqa: PT028 - as above
) -> None:
    """Run tests of metrics: small input series, an expression, and the expected observations.

    Each test is evaluated by the worker's own code, without data and without
    a cloud. For a test that fails, the command shows each time at which the
    result differs from the expectation.

    Exit: 0 all passed, 1 a test failed, 2 a file cannot be read or is not
    valid.

    [bold]Examples[/bold]

      metrics test docs/examples/*.test.yaml

      metrics test my.test.yaml --junit report.xml
    """
    results = [run_file(file) for file in files]
    if junit is not None:
        try:
            write_junit(junit, results, command="metrics test")
        except OSError as error:
            raise impossible(f"{junit}: {error.strerror}.") from error
    if as_json:
        emit(_document(results))
    else:
        for result in results:
            _print(result)
        _print_sum(results)
    if any(result.problems for result in results):
        raise typer.Exit(IMPOSSIBLE)
    if any(result.failed for result in results):
        raise typer.Exit(WRONG)


def _document(results: Sequence[FileResult]) -> dict[str, Any]:
    return {
        "passed": not any(result.failed or result.problems for result in results),
        "tests": sum(len(result.outcomes) for result in results),
        "failed": sum(result.failed for result in results),
        "invalid_files": sum(bool(result.problems) for result in results),
        "files": [
            {
                "file": result.file,
                "problems": [asdict(problem) for problem in result.problems],
                "tests": [{"passed": not each.failure, **asdict(each)} for each in result.outcomes],
            }
            for result in results
        ],
    }


def _print(result: FileResult) -> None:
    failed = [outcome for outcome in result.outcomes if outcome.failure]
    head = Text(result.file, "bold")
    if not result.is_readable:
        print_text(head.append(f"  not read: {result.problems[0].text}", "not bold red"))
        return
    head.append(f"  {len(result.outcomes) - len(failed)} passed", "not bold green")
    if failed:
        head.append(f", {len(failed)} failed", "not bold red")
    if result.problems:
        head.append(", not valid", "not bold red")
    print_text(head)
    for outcome in failed:
        _print_failure(outcome)
    for problem in result.problems:
        print_problem(problem)


def _print_failure(outcome: Outcome) -> None:
    print_text(Text.assemble(("failed", "bold red"), "  ", outcome.name), 2)
    print_text(Text(outcome.failure), 4)
    if not outcome.differences:
        return
    table = new_table("   ", "time", numbers=("expected", "actual", "difference"))
    for found in outcome.differences[:MOST_SHOWN]:
        values = ["none" if value is None else repr(value) for value in (found.expected, found.actual)]
        add_row(table, "", found.time, *values, "-" if found.amount is None else f"{found.amount:.6g}")
    print_table(table)
    if (more := len(outcome.differences) - MOST_SHOWN) > 0:
        print_text(Text(f"and {more:,} more: --json shows all", "dim"), 4)


def _print_sum(results: Sequence[FileResult]) -> None:
    tests, failed = (
        sum(len(result.outcomes) for result in results),
        sum(result.failed for result in results),
    )
    unread = sum(not result.is_readable for result in results)
    invalid = sum(bool(result.problems) for result in results) - unread
    parts = [f"{tests - failed:,} passed", f"{failed:,} failed"]
    if invalid:
        parts.append(f"{count(invalid, 'file')} not valid")
    if unread:
        parts.append(f"{count(unread, 'file')} not read")
    text = f"{count(tests, 'test')} in {count(len(results), 'file')}: {', '.join(parts)}"
    print_text(Text(text, "bold red" if failed or invalid or unread else "bold green"))

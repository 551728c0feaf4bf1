"""`metrics format`: convert an expression in JSON to a formula, or a formula to JSON."""

from typing import Annotated, Any

import typer

from metrics_tools.command_line.options import FileArgument, Form, JsonOption
from metrics_tools.console import WRONG, emit, impossible, print_line, report_on_stderr
from metrics_tools.formulas.as_json import expression_json
from metrics_tools.runs.requests import FileUnreadableError, read_argument
from metrics_tools.runs.validation import Finding, Validation, print_problem
from metrics_worker.expression.grammar import ROOT


def format(  # noqa: A001 - the name of the command
    file: FileArgument,
    *,
    to: Annotated[Form | None, typer.Option("--to", help="The form to print. Default: the other.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Convert an expression from JSON to a formula, or from a formula to JSON.

    For a formula, the command prints its expression in JSON. For an
    expression, a request or an event in JSON, it prints the formula of the
    expression. With --to formula, it prints a formula in its usual
    notation, as the other commands print it. With --json, it prints both
    forms for programs.

    Exit: 0 converted, 1 the expression is not valid, 2 the command could
    not complete.

    [bold]Examples[/bold]

      metrics format my.json

      metrics format "ratio(A, lag(A, 250)) * 100" > my.json

      metrics format --to formula "A/B*100"

      echo "sma(A, 14)" | metrics format -
    """
    validation = Validation(None)
    try:
        findings = [validation.of(asked) for asked in read_argument(file)]
    except FileUnreadableError as error:
        raise impossible(str(error)) from error
    if as_json:
        emit({"expressions": [_document(finding) for finding in findings]})
    else:
        for finding in findings:
            _print(finding, to or (Form.FORMULA if finding.asked.formula is None else Form.JSON))
    if any(finding.found.view is None for finding in findings):
        raise typer.Exit(WRONG)


def _document(finding: Finding) -> dict[str, Any]:
    view = finding.found.view
    return {
        "file": finding.asked.file,
        "record": finding.asked.record,
        "formula": view and view.formula,
        ROOT: view and expression_json(view.node),
        "problems": finding.problems_to_json() if view is None else [],
    }


def _print(finding: Finding, form: Form) -> None:
    """Print the expression of a request as a formula or as JSON.

    If the expression is not valid, its problems are printed on standard error instead.
    """
    view = finding.found.view
    if view is None:
        with report_on_stderr():
            for problem in finding.found.problems:
                print_problem(problem, finding.asked.formula)
    elif form is Form.JSON:
        emit(expression_json(view.node))
    else:
        print_line(view.formula)

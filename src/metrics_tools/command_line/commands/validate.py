"""`metrics validate`: find every problem of requests and expressions, before they run."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.text import Text

from metrics_tools.buckets.places import Place, open_place
from metrics_tools.command_line.options import (
    BucketOption,
    DemoOption,
    FilesArgument,
    FolderOption,
    JsonOption,
    ManifestOption,
)
from metrics_tools.console import IMPOSSIBLE, WRONG, complain, emit
from metrics_tools.formatting import count
from metrics_tools.runs.requests import FileUnreadableError, read_argument
from metrics_tools.runs.validation import Finding, Validation, print_problems, print_text
from metrics_tools.validate.problems import warning

_NOT_READ = "its inputs were not read (add --demo, --folder or --bucket to check them too)"


def validate(
    files: FilesArgument,
    *,
    bucket: BucketOption = None,
    folder: FolderOption = None,
    demo: DemoOption = False,
    manifest: ManifestOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Count warnings as errors.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find every problem of requests and expressions, before they run.

    The command checks the schema and then the meaning. With a bucket, a
    folder or the demo data, it also reads the inputs, as the worker does.
    It reports an error if and only if the worker would refuse the run.

    Exit: 0 valid, 1 problems, 2 a file or location was
    not found.

    [bold]Examples[/bold]

      metrics validate my.json

      metrics validate events/*.json --demo --strict

      metrics validate my.json --bucket my-data --json

      metrics validate "sma(ECB_USD_EUR_D, 20)" --demo
    """
    place = open_place(bucket, folder, demo=demo, files=files)
    findings, unreadable = _all_of(files, Validation(place, manifest or (), is_shared=True))
    if as_json:
        emit(_document(findings, unreadable, strict=strict))
    else:
        for finding in findings:
            _print(finding, place)
        _print_sum(findings)
    for text in unreadable:
        complain(text)
    if unreadable:
        raise typer.Exit(IMPOSSIBLE)
    if any(finding.is_wrong(strict=strict) for finding in findings):
        raise typer.Exit(WRONG)


def _all_of(files: Sequence[str], validation: Validation) -> tuple[list[Finding], list[str]]:
    """Return all requests with their problems, and an error text for each file that cannot be read.

    Args:
        files: the paths of files, or formulas.
        validation: the validator of the requests.
    """
    findings, unreadable = list[Finding](), list[str]()
    for file in files:
        try:
            findings += [validation.of(asked) for asked in read_argument(file)]
        except FileUnreadableError as error:
            unreadable.append(str(error))
    return list(_with_repeats(findings)), unreadable


def _with_repeats(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield the findings, and add a warning to each request whose run id occurred in an earlier request."""
    seen: dict[str, str] = {}
    for finding in findings:
        asked, found = finding.asked, finding.found
        run_id = found.request.run.run_id if found.request and not asked.is_expression else None
        if run_id in seen:
            text = f"{seen[run_id]} asks for this run too: the queue drops the second request as a duplicate"
            hint = "give each request a run id of its own"
            repeated = warning("runId", text, run_id, hint)
            found = replace(found, problems=(*found.problems, repeated))
        elif run_id is not None:
            seen[run_id] = asked.file
        yield Finding(asked, found)


def _document(findings: Sequence[Finding], unreadable: Sequence[str], *, strict: bool) -> dict[str, Any]:
    return {
        "valid": not unreadable and not any(finding.is_wrong(strict=strict) for finding in findings),
        "errors": sum(finding.found.errors for finding in findings),
        "warnings": sum(finding.found.warnings for finding in findings),
        "unreadable": list(unreadable),
        "requests": [
            finding.to_json(strict=strict, formula=finding.found.view and finding.found.view.formula)
            for finding in findings
        ],
    }


def _print(finding: Finding, place: Place | None) -> None:
    asked, found = finding.asked, finding.found
    head = Text(asked.file, "bold")
    if asked.record:
        head.append(f" Records[{asked.record}]")
    if found.view is not None:
        named = found.metric_code and not asked.is_expression
        head.append(f"  {found.metric_code} = " if named else "  ", "default")
        head.append(found.view.formula, "not bold")
    print_text(head)
    print_problems(found.problems, asked.formula)
    if not found.errors:
        where = f"valid, its inputs in {place.label} too" if place else f"valid; {_NOT_READ}"
        print_text(Text(where, "green"), 2)


def _print_sum(findings: Sequence[Finding]) -> None:
    errors = sum(finding.found.errors for finding in findings)
    warnings = sum(finding.found.warnings for finding in findings)
    if errors or warnings:
        text = f"{count(errors, 'error')}, {count(warnings, 'warning')}"
        print_text(Text(text, "bold red" if errors else "bold yellow"))

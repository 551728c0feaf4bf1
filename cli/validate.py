"""`metrics validate`: what is wrong with requests and expressions, all at once, before anything runs."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.text import Text

from cli.console import IMPOSSIBLE, WRONG, JsonOption, complain, emit, err, impossible, out
from cli.places import BucketOption, DemoOption, FolderOption, Place, open_place
from cli.requests import (
    Asked,
    FilesArgument,
    FileUnreadableError,
    ManifestOption,
    body_around,
    bounds_of,
    datasets_there,
    read_file,
    settings_of,
)
from explain.problems import Problem
from explain.reading import Reader
from explain.validation import Validated
from explain.validation import validate as validated
from metrics_worker.errors import StoreUnavailable

MOST_SHOWN = 50
"""Problems of one request that are printed; the JSON has them all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a file asks for, and what is known of it."""

    asked: Asked
    found: Validated


class Validation:
    """Validates what files ask for; with a place, reads what they need there.

    Args:
        place: where; None where nothing is to be read.
        manifests: the keys of the manifests in which an expression's series are looked for.
    """

    def __init__(self, place: Place | None, manifests: Sequence[str] = ()) -> None:
        self._place = place
        self._settings = settings_of(place)
        self._manifests = manifests
        self._reader = Reader(place.bucket, self._settings) if place else None

    def of(self, asked: Asked) -> Finding:
        """Validate a request, or the expression of one."""
        if asked.problems:
            return Finding(asked, Validated(asked.problems))
        body = self.body(asked)
        bounds = bounds_of(self._settings, body, self._place)
        try:
            with self._reading():
                found = validated(body, bounds, self._reader, whole=not asked.is_expression)
        except StoreUnavailable as error:
            raise impossible(f"{self._place.label if self._place else asked.file}: {error}.") from error
        return Finding(asked, found)

    def _reading(self) -> AbstractContextManager[object]:
        """While a place is read, a terminal says so."""
        if self._place is None or not err.is_terminal:
            return nullcontext()
        return err.status(Text(f"Reading {self._place.label} …"))

    def body(self, asked: Asked) -> str:
        """The body of the request; around an expression one is made."""
        if not asked.is_expression:
            return asked.body
        there = datasets_there(self._place, self._settings, self._manifests) if self._place else None
        return body_around(asked, self._settings, there)


def validate(
    files: FilesArgument,
    *,
    bucket: BucketOption = None,
    folder: FolderOption = None,
    demo: DemoOption = False,
    manifest: ManifestOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Take warnings for errors.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find everything that is wrong with requests and expressions, before anything runs.

    First the schema, then the meaning; and with a bucket, a folder or the
    demo data the inputs too: they are read as the worker reads them. There is
    an error where the worker would refuse the run, and nowhere else.

    Exit: 0 valid, 1 problems, 2 impossible (a file or place that is none).

    [bold]Examples[/bold]

      metrics validate my.json

      metrics validate events/*.json --demo --strict

      metrics validate my.json --bucket my-data --json
    """
    place = open_place(bucket, folder, demo=demo)
    findings, unreadable = _all_of(files, Validation(place, manifest or ()))
    if as_json:
        emit(_document(findings, unreadable, strict=strict))
    else:
        for finding in findings:
            _tell(finding, place)
        _tell_sum(findings)
    for text in unreadable:
        complain(text)
    if unreadable:
        raise typer.Exit(IMPOSSIBLE)
    if any(_is_wrong(finding, strict=strict) for finding in findings):
        raise typer.Exit(WRONG)


def _all_of(files: Sequence[str], validation: Validation) -> tuple[list[Finding], list[str]]:
    """What is known of all that the files ask for; and which files can't be read, and why."""
    findings, unreadable = list[Finding](), list[str]()
    for file in files:
        try:
            findings += [validation.of(asked) for asked in read_file(file)]
        except FileUnreadableError as error:
            unreadable.append(str(error))
    return list(_with_repeats(findings)), unreadable


def _with_repeats(findings: Sequence[Finding]) -> Iterator[Finding]:
    """With a warning where a run id has been asked for before."""
    seen: dict[str, str] = {}
    for finding in findings:
        asked, found = finding.asked, finding.found
        run_id = found.request.run.run_id if found.request and not asked.is_expression else None
        if run_id in seen:
            text = (
                f"{seen[run_id]} asks for this run too: the queue takes the second for a repeat of the first"
            )
            hint = "give each request a run id of its own"
            doubt = Problem("runId", text, f'"{run_id}"', None, hint, "warning")
            found = replace(found, problems=(*found.problems, doubt))
        elif run_id is not None:
            seen[run_id] = asked.file
        yield Finding(asked, found)


def _is_wrong(finding: Finding, *, strict: bool) -> bool:
    return bool(finding.found.errors or (strict and finding.found.warnings))


def _document(findings: Sequence[Finding], unreadable: Sequence[str], *, strict: bool) -> dict[str, Any]:
    return {
        "valid": not unreadable and not any(_is_wrong(finding, strict=strict) for finding in findings),
        "errors": sum(finding.found.errors for finding in findings),
        "warnings": sum(finding.found.warnings for finding in findings),
        "unreadable": list(unreadable),
        "requests": [
            {
                "file": finding.asked.file,
                "record": finding.asked.record,
                "is_expression": finding.asked.is_expression,
                "metric": finding.found.metric_code,
                "valid": not _is_wrong(finding, strict=strict),
                "formula": finding.found.view and finding.found.view.formula,
                "problems": [problem.to_json() for problem in finding.found.problems],
            }
            for finding in findings
        ],
    }


def _tell(finding: Finding, place: Place | None) -> None:
    asked, found = finding.asked, finding.found
    head = Text(asked.file, "bold")
    if asked.record:
        head.append(f" Records[{asked.record}]")
    if found.view is not None:
        head.append(f"  {found.metric_code} = " if not asked.is_expression else "  ", "default")
        head.append(found.view.formula, "not bold")
    print_text(head)
    for problem in found.problems[:MOST_SHOWN]:
        tell_problem(problem)
    if (more := len(found.problems) - MOST_SHOWN) > 0:
        print_text(Text(f"and {more:,} more: --json has them all", "dim"), 2)
    if not found.errors:
        where = f"valid, its inputs in {place.label} too" if place else "valid; its inputs were not looked at"
        print_text(Text(where, "green"), 2)


def tell_problem(problem: Problem) -> None:
    """Print a problem: where and what; what stands there and what may; what was perhaps meant."""
    colour = "red" if problem.severity == "error" else "yellow"
    print_text(
        Text.assemble(
            (problem.severity, f"bold {colour}"), "  ", (problem.path or "the whole of it", "cyan")
        ),
        2,
    )
    print_text(Text(problem.text), 4)
    for label, said in (("found", problem.found), ("allowed", problem.allowed)):
        if said is not None and said.strip('"') not in problem.text:
            print_text(Text.assemble((f"{label} ", "dim"), said), 4)
    if problem.suggestion:
        print_text(Text(problem.suggestion, "green"), 4)


def _tell_sum(findings: Sequence[Finding]) -> None:
    errors = sum(finding.found.errors for finding in findings)
    warnings = sum(finding.found.warnings for finding in findings)
    if errors or warnings:
        text = f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"
        print_text(Text(text, "bold red" if errors else "bold yellow"))


def print_text(text: Text, indent: int = 0) -> None:
    """Print a text: on a terminal wrapped within its width, in a pipe or a file a line for itself."""
    if out.is_terminal:
        out.print(Padding(text, (0, 0, 0, indent), expand=False))
    else:
        out.print(Text(" " * indent) + text, soft_wrap=True)

"""`metrics check`: the checks in checks.yaml, evaluated on published versions."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from metrics_tools.buckets.places import Place, metrics_prefix
from metrics_tools.command_line.options import BucketOption, FolderOption, JsonOption, JunitOption
from metrics_tools.command_line.published_metric import nothing_published, published_place
from metrics_tools.console import (
    IMPOSSIBLE,
    WRONG,
    add_row,
    emit,
    impossible,
    new_table,
    print_table,
    report_on_stderr,
)
from metrics_tools.definition_tests.checks import (
    CheckOutcome,
    MetricChecks,
    check_age,
    check_drop,
    check_result,
)
from metrics_tools.definition_tests.junit import write_junit
from metrics_tools.definition_tests.reading import InvalidFileError, UnreadableFileError, read_checks
from metrics_tools.definition_tests.running import FileResult, Outcome
from metrics_tools.formatting import count, iso_time, shown_time
from metrics_tools.published.documents import Current
from metrics_tools.published.metric import keys_of
from metrics_tools.published.versions import read_version, rows_before
from metrics_tools.runs.validation import print_problem, print_text
from metrics_tools.validate.near import did_you_mean
from metrics_tools.validate.problems import Problem
from metrics_worker.errors import MetricsWorkerError


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcomes of the checks of one metric.

    Attributes:
        code: the metric code.
        version_ts: the timestamp of the version that was checked; empty if no version was read.
        outcomes: the outcome of each check.
        error: the reason why the metric could not be checked; empty if it was checked.
    """

    code: str
    version_ts: str = ""
    outcomes: Sequence[CheckOutcome] = ()
    error: str = ""

    @property
    def failed(self) -> list[CheckOutcome]:
        """Return the outcomes of the checks that failed."""
        return [outcome for outcome in self.outcomes if outcome.failure]


def check(
    codes: Annotated[
        list[str] | None,
        typer.Argument(metavar="CODE", help="Metric codes; all in the file if none is given."),
    ] = None,
    *,
    checks: Annotated[
        Path, typer.Option("--checks", metavar="FILE", help="The checks, as docs/testing-metrics.md says.")
    ] = Path("checks.yaml"),
    bucket: BucketOption = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
    junit: JunitOption = None,
) -> None:
    """Check the current versions of metrics: their rows, age, values and changes.

    The checks of each metric are in a file, checks.yaml. For a check that
    fails, the command shows what was found, the first observations at fault,
    and what to do. The command only reads.

    Exit: 0 all passed, 1 a check failed, 2 impossible (the file cannot be
    read or is not valid, or a metric cannot be read; the other metrics are
    still checked).

    [bold]Examples[/bold]

      metrics check --bucket my-data

      metrics check fx.usd_per_brl --folder data --checks my/checks.yaml
    """
    chosen = _chosen(str(checks), codes or [])
    now = datetime.now(UTC)
    with published_place(bucket=bucket, folder=folder) as place:
        found = [_checked(place, code, wanted, now) for code, wanted in chosen.items()]
    if junit is not None:
        try:
            write_junit(
                junit,
                [_file_result(each) for each in found],
                command="metrics check",
                precondition="the metric can be read",
            )
        except OSError as error:
            raise impossible(f"{junit}: {error.strerror}.") from error
    if as_json:
        emit(_document(place, found))
    else:
        for each in found:
            _print(each)
        _print_sum(found)
    if any(each.error for each in found):
        raise typer.Exit(IMPOSSIBLE)
    if any(each.failed for each in found):
        raise typer.Exit(WRONG)


def _chosen(file: str, codes: Sequence[str]) -> dict[str, MetricChecks]:
    """Return the checks of the given metrics by code, or of all metrics in the file if no code is given.

    The command ends with an error if the file cannot be read, is not valid, or has no checks of one of the
    metrics.

    Args:
        file: the path of `checks.yaml`.
        codes: the metric codes; empty for all metrics in the file.
    """
    try:
        every = read_checks(file).checks
    except UnreadableFileError as error:
        hint = "Name the file with --checks FILE, or create it as docs/testing-metrics.md describes."
        raise impossible(f"{file}: {error.problems[0].text}. {hint}") from error
    except InvalidFileError as error:
        with report_on_stderr():
            for problem in error.problems:
                print_problem(problem)
        raise impossible(f"{file} is not a valid file with checks.") from error
    for code in codes:
        if code not in every:
            hint = did_you_mean(code, every) or f"it has checks of {', '.join(sorted(every)[:5])}"
            raise impossible(f"{file} has no checks of {code}: {hint}")
    return {code: every[code] for code in codes} if codes else every


def _checked(place: Place, code: str, checks: MetricChecks, now: datetime) -> Checked:
    """Return the outcomes of the checks of a metric's current version.

    If the version cannot be read, the result contains the error.

    Args:
        place: the location of the metric.
        code: the metric code.
        checks: the checks of the metric.
        now: the current time in UTC, from which the age of the last observation is computed.
    """
    keys = keys_of(code, prefix=metrics_prefix())
    try:
        stored = place.bucket.find(keys.current)
        if stored is None:
            return Checked(code, error=nothing_published(code, place))
        version_ts = Current.of(stored).version_ts
        series = read_version(place.bucket, keys, version_ts).series
        outcomes = check_result(checks, series)
        if checks.max_age_days is not None:
            outcomes.append(check_age(checks.max_age_days, series, now))
        if checks.no_drop_over is not None:
            previous = rows_before(place.bucket, keys, version_ts)
            outcomes.append(check_drop(checks.no_drop_over, rows=len(series), previous=previous))
    except MetricsWorkerError as error:
        return Checked(code, error=f"{place.label}: {error}")
    return Checked(code, version_ts, outcomes)


def _file_result(checked: Checked) -> FileResult:
    """Return the outcomes of a metric's checks as a `FileResult`, from which the JUnit report is written."""
    outcomes = [
        Outcome(each.check, f"{each.text()}; {each.remedy}" if each.failure else "")
        for each in checked.outcomes
    ]
    return FileResult(
        checked.code, tuple(outcomes), (Problem(checked.code, checked.error),) if checked.error else ()
    )


def _document(place: Place, found: Sequence[Checked]) -> dict[str, Any]:
    return {
        "place": place.label,
        "passed": not any(each.failed or each.error for each in found),
        "checks": sum(len(each.outcomes) for each in found),
        "failed": sum(len(each.failed) for each in found),
        "unreadable_metrics": sum(bool(each.error) for each in found),
        "metrics": [
            {
                "metric_code": each.code,
                "version_ts": each.version_ts or None,
                "error": each.error or None,
                "checks": [_outcome(outcome) for outcome in each.outcomes],
            }
            for each in found
        ],
    }


def _outcome(outcome: CheckOutcome) -> dict[str, Any]:
    first = [asdict(each) | {"time": iso_time(each.time)} for each in outcome.first]
    return {"passed": not outcome.failure, **asdict(outcome), "first": first}


def _print(checked: Checked) -> None:
    head = Text(checked.code, "bold")
    if checked.error:
        head.append("  not checked", "not bold red")
    else:
        head.append(f"  {len(checked.outcomes) - len(checked.failed)} passed", "not bold green")
    if checked.failed:
        head.append(f", {len(checked.failed)} failed", "not bold red")
    print_text(head)
    if checked.error:
        print_text(Text(checked.error), 2)
    for outcome in checked.failed:
        print_text(Text.assemble(("failed", "bold red"), "  ", outcome.check, ": ", outcome.failure), 2)
        _print_offenders(outcome)
        print_text(Text(outcome.remedy, "green"), 4)


def _print_offenders(outcome: CheckOutcome) -> None:
    if not outcome.first:
        return
    has_previous = any(each.previous is not None for each in outcome.first)
    table = new_table("   ", "time", numbers=("value", *(["previous"] if has_previous else [])))
    for each in outcome.first:
        values = [repr(value) for value in (each.value, each.previous) if value is not None]
        add_row(table, "", shown_time(each.time), *values)
    print_table(table)
    if (more := outcome.offenders - len(outcome.first)) > 0:
        print_text(Text(f"and {more:,} more", "dim"), 4)


def _print_sum(found: Sequence[Checked]) -> None:
    every, failed = (
        sum(map(len, counts))
        for counts in zip(*((each.outcomes, each.failed) for each in found), strict=True)
    )
    unreadable = sum(bool(each.error) for each in found)
    parts = [f"{every - failed:,} passed", f"{failed:,} failed"]
    if unreadable:
        parts.append(f"{count(unreadable, 'metric')} not checked")
    text = f"{count(every, 'check')} of {count(len(found), 'metric')}: {', '.join(parts)}"
    print_text(Text(text, "bold red" if failed or unreadable else "bold green"))

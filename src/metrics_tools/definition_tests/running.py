"""The run of a test: the worker's check of the expression or request, the evaluation, and the comparison."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from metrics_tools.definition_tests.checks import check_result
from metrics_tools.definition_tests.model import DefinitionTest
from metrics_tools.definition_tests.observations import Points, time_text
from metrics_tools.definition_tests.reading import InvalidFileError, UnreadableFileError, read_tests
from metrics_tools.file_contents import Asked
from metrics_tools.formatting import count
from metrics_tools.formulas.parsing import parse_formula
from metrics_tools.formulas.tokens import FormulaError
from metrics_tools.runs.requests import FileUnreadableError, bounds_of, read_file, settings_of
from metrics_tools.validate.json_text import load
from metrics_tools.validate.near import did_you_mean
from metrics_tools.validate.problems import Problem, quoted, shown
from metrics_worker.errors import MetricsWorkerError, PermanentError
from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.grammar import parse, series_codes
from metrics_worker.expression.nodes import Node
from metrics_worker.request import RunRequest, open_record
from metrics_worker.series import Series


@dataclass(frozen=True, slots=True)
class Difference:
    """A time at which the result differs from the expectation.

    Attributes:
        time: the time as text, in the zone of the test.
        expected: the expected value; None if the result must not have an observation.
        actual: the value of the result; None if the result has no observation.
    """

    time: str
    expected: float | None
    actual: float | None

    @property
    def amount(self) -> float | None:
        """Return the actual minus the expected value; None if one of them is missing."""
        return None if self.expected is None or self.actual is None else self.actual - self.expected


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a test.

    Attributes:
        name: the name of the test.
        failure: the reason why the test failed; empty if it passed.
        differences: the differences between the result and the expectation, in order of time.
        seconds: the duration of the test.
    """

    name: str
    failure: str = ""
    differences: tuple[Difference, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class FileResult:
    """The outcomes of the tests in a file, and the problems of the file or of invalid tests in it.

    Attributes:
        file: the path of the file.
        outcomes: the outcomes of all valid tests.
        problems: the problems of the file; the only one of an unreadable file is the reason.
        is_readable: whether the file could be read.
    """

    file: str
    outcomes: tuple[Outcome, ...] = ()
    problems: tuple[Problem, ...] = ()
    is_readable: bool = True

    @property
    def failed(self) -> int:
        """Return the number of tests that failed."""
        return sum(bool(outcome.failure) for outcome in self.outcomes)


def run_file(file: str) -> FileResult:
    """Run all valid tests in a file. The path of a request in a test is relative to the file's folder."""
    outcomes, problems = list[Outcome](), list[Problem]()
    try:
        tests = read_tests(file).tests
    except InvalidFileError as error:
        return FileResult(
            file, problems=error.problems, is_readable=not isinstance(error, UnreadableFileError)
        )
    for number, test in enumerate(tests):
        try:
            outcomes.append(_run(test, number, Path(file).parent))
        except InvalidFileError as error:
            problems += error.problems
    return FileResult(file, tuple(outcomes), tuple(problems))


def _run(test: DefinitionTest, number: int, folder: Path) -> Outcome:
    """Run a test, and return its outcome.

    Args:
        test: the test.
        number: the position of the test in its file, for the paths of problems.
        folder: the folder of the file, to which the path of a request in the test is relative.

    Raises:
        InvalidFileError: the expression reads a series that the test does not give, the expression is not a
            formula, or the file of the request cannot be read or does not contain exactly one request.
    """
    begun = time.perf_counter()
    try:
        node = _expression(test, number, folder)
        inputs = {code: _series(points) for code, points in test.inputs().items()}
        if missing := [code for code in series_codes(node) if code not in inputs]:
            text = (
                f"in the test {quoted(test.name)}: the expression reads {quoted(missing[0])}, not in `series`"
            )
            hint = did_you_mean(missing[0], sorted(inputs)) or "add the observations of the series"
            raise InvalidFileError(Problem(f"tests[{number}].series", text, suggestion=hint))
        failure, differences = _compared(test, evaluate(node, inputs))
    except MetricsWorkerError as error:
        failure, differences = _of_error(test, error), ()
    return Outcome(test.name, failure, differences, time.perf_counter() - begun)


def _expression(test: DefinitionTest, number: int, folder: Path) -> Node:
    """Return the expression of a test, checked as the worker checks it.

    Args:
        test: the test.
        number: the position of the test in its file, for the paths of problems.
        folder: the folder of the file.

    Raises:
        MetricsWorkerError: the worker would reject the expression or the request.
        InvalidFileError: the file of the request cannot be read, or does not contain exactly one request.
    """
    if isinstance(test.expression, str):
        return _of_formula(test, test.expression, number)
    if test.request is None:
        return parse(test.expression)
    path, file = f"tests[{number}].request", str(folder / test.request)
    try:
        match read_file(file):
            case [Asked(problems=(), is_expression=True, body=body)]:
                return parse(load(body).value)
            case [Asked(problems=(), body=body)]:
                return RunRequest.parse(
                    open_record(body, None), bounds_of(settings_of(None), body, None)
                ).expression
            case [Asked(problems=(problem, *_))]:
                text = f"{file}: {problem.text}"
            case several:
                text = f"{file} contains {len(several)} requests, and a test needs exactly one"
    except FileUnreadableError as error:
        text = str(error)
    raise InvalidFileError(Problem(path, f"in the test {quoted(test.name)}: {text}"))


def _of_formula(test: DefinitionTest, text: str, number: int) -> Node:
    """Return the expression of a test that is written as a formula.

    Args:
        test: the test.
        text: the formula.
        number: the position of the test in its file, for the path of a problem.

    Raises:
        MetricsWorkerError: the worker would reject the expression.
        InvalidFileError: the text is not a formula.
    """
    try:
        return parse(parse_formula(text).expression)
    except FormulaError as error:
        reason = f"in the test {quoted(test.name)}: not a formula: {error.text}, column {error.start + 1}"
        problem = Problem(f"tests[{number}].expression", reason, shown(text), suggestion=error.hint)
        raise InvalidFileError(problem) from error


def _series(points: Points) -> Series:
    """Return observations that are given by time as a series. Times whose value is None are left out."""
    held = sorted((at, value) for at, value in points.items() if value is not None)
    times, values = ([pair[i] for pair in held] for i in (0, 1))
    return Series(np.array(times, np.int64), np.array(values, np.float64))


def _compared(test: DefinitionTest, result: Series) -> tuple[str, tuple[Difference, ...]]:
    """Return the reason why a test fails, and the differences from the expected observations.

    The reason is an empty string if the test passes. There are no differences if the test expects an error or
    only checks.
    """
    if test.expect.error is not None:
        return f"an error was expected, but the result has {count(len(result), 'observation')}", ()
    actual = dict(zip(result.times.tolist(), result.values.tolist(), strict=True))
    found = tuple(_differences(test, test.expected(), actual)) if test.expect.has_times else ()
    reasons = [f"the result differs at {count(len(found), 'time')}"] if found else []
    if test.expect.checks is not None:
        outcomes = check_result(test.expect.checks, result)
        reasons += [each.text(partial(time_text, zone=test.zone)) for each in outcomes if each.failure]
    return "; ".join(reasons), found


def _differences(test: DefinitionTest, expected: Points, actual: Mapping[int, float]) -> list[Difference]:
    times = expected.keys() if test.expect.others == "allow" else expected.keys() | actual.keys()
    found = []
    for at in sorted(times):
        wanted, value = expected.get(at), actual.get(at)
        if wanted is None or value is None:
            is_equal = wanted is value
        else:
            is_equal = test.expect.tolerance.allows(value, wanted)
        if not is_equal:
            found.append(Difference(time_text(at, test.zone), wanted, value))
    return found


def _of_error(test: DefinitionTest, error: MetricsWorkerError) -> str:
    """Return the reason why a test fails, if the worker rejects its expression or request with an error.

    The reason is an empty string if the test expects this error.
    """
    code = error.code if isinstance(error, PermanentError) else type(error).__name__
    expected = test.expect.error
    if expected is None:
        return f"{code}: {error.message}"
    if expected.code is not None and expected.code != code:
        return f"expected the error code {expected.code}, found {code}: {error.message}"
    if expected.text is not None and expected.text not in error.message:
        return f"expected an error with the text {expected.text!r}, found {code}: {error.message}"
    return ""

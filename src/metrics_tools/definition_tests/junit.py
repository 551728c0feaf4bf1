"""JUnit reports, which CI systems show: one test suite for each file, and one test case for each test."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from metrics_tools.definition_tests.running import Difference, FileResult
from metrics_tools.validate.problems import printable


def write_junit(
    path: Path, results: Sequence[FileResult], *, command: str, precondition: str = "the file is valid"
) -> None:
    """Write a JUnit report. Characters that XML does not allow are escaped as in JSON.

    A file that is not valid becomes a test case with an error, in addition to those of its tests.

    Args:
        path: the file to write.
        results: the results, each of which becomes a test suite.
        command: the name of the report, such as that of the command which writes it.
        precondition: the name of the additional test case of a file that is not valid: the condition which
            the file does not meet.

    Raises:
        OSError: the report cannot be written.
    """
    root = Element("testsuites", name=command)
    for result in results:
        tests, errors = len(result.outcomes), int(bool(result.problems))
        counts = {"tests": tests + errors, "failures": result.failed, "errors": errors}
        seconds = sum(outcome.seconds for outcome in result.outcomes)
        suite = _child(root, "testsuite", name=result.file, time=f"{seconds:.6f}", **counts)
        for outcome in result.outcomes:
            case = _child(
                suite, "testcase", classname=result.file, name=outcome.name, time=f"{outcome.seconds:.6f}"
            )
            if outcome.failure:
                failure = _child(case, "failure", message=outcome.failure, type="failure")
                failure.text = _lines(map(_difference_text, outcome.differences))
        if result.problems:
            case = _child(suite, "testcase", classname=result.file, name=precondition, time="0")
            message = result.problems[0].text
            error = _child(case, "error", message=message, type="invalid")
            error.text = _lines(
                f"{problem.path or 'the whole file'}: {problem.text}" for problem in result.problems
            )
    indent(root)
    ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _difference_text(found: Difference) -> str:
    expected, actual = ("none" if value is None else value for value in (found.expected, found.actual))
    return f"{found.time}: expected {expected}, found {actual}"


def _child(parent: Element, name: str, /, **attributes: str | int) -> Element:
    return SubElement(parent, name, {key: printable(str(value)) for key, value in attributes.items()})


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(map(printable, lines))

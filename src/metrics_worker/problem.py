"""The problems that a check finds in a decoded JSON value: the location and description of each problem.

A check collects every problem. The worker reports the first problem in an error; `metrics validate` shows
all problems.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metrics_worker.errors import ConfigError, MetricsWorkerError

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

type Path = tuple[str | int, ...]
"""A JSON path: the names of fields and the positions in lists that lead to a value."""

ABSENT: Any = object()
"""The `found` value of a problem whose field is missing, or whose message does not repeat the value."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a request.

    Attributes:
        path: the JSON path of the value at fault.
        kind: pydantic's error type, such as `missing`, or the name of the check that failed.
        text: the description of the problem, without the value.
        found: the value at fault; ABSENT if the message does not repeat the value.
        node: the type of the expression node that contains the value, such as `window_op`; None if the value
            is not in an expression.
        error: the class of the error that reports the problem.
        max_shown: the maximum number of characters of the value in the message.
    """

    path: Path
    kind: str
    text: str
    found: Any = ABSENT
    node: str | None = None
    error: type[MetricsWorkerError] = ConfigError
    max_shown: int = 80

    @property
    def message(self) -> str:
        """The error message: `text`, followed by the value if it is a string, a number, a Boolean or null."""
        if self.found is None or isinstance(self.found, str | int | float):
            return f"{self.text}, found {self.found!r:.{self.max_shown}}"
        return self.text


def problems_of(
    error: "ValidationError", root: Path = (), kind: type[MetricsWorkerError] = ConfigError
) -> list[Problem]:
    """Return a `Problem` for each error in pydantic's ValidationError.

    Args:
        error: the error of any pydantic model. In its locations, a name in angle brackets (`<window_op>`) is
            the type of an expression node, not a field.
        root: the JSON path of the validated value.
        kind: the class of the error that reports these problems to the control plane (`Problem.error`).
    """
    return [_problem(details, root, kind) for details in error.errors(include_url=False)]


def _problem(details: "ErrorDetails", root: Path, kind: type[MetricsWorkerError]) -> Problem:
    location = details["loc"]
    end = len(location) - (details["type"] == "extra_forbidden")  # an unknown field may be named like a tag
    tags = [part for part in location[:end] if isinstance(part, str) and part.startswith("<")]
    return Problem(
        path=(*root, *(part for part in location[:end] if part not in tags), *location[end:]),
        kind=details["type"],
        text=details["msg"].removeprefix("Value error, "),
        found=ABSENT if details["type"] == "missing" else details["input"],
        node=tags[-1].strip("<>") if tags else None,
        error=kind,
    )


def path_text(path: Path) -> str:
    """Return a JSON path as text for error messages, such as `expressionJson.operands[0].window`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def first_error(problems: Sequence[Problem]) -> MetricsWorkerError:
    """Return an error that describes the first of one or more problems, and the number of the others."""
    first, more = problems[0], len(problems) - 1
    return first.error(path_text(first.path), first.message + (f" (and {more} more)" if more else ""))


def first_problem(error: "ValidationError") -> tuple[str, str]:
    """Return (JSON path, text) of the first problem that pydantic found.

    The text also contains the number of the other problems.
    """
    first = first_error(problems_of(error))
    return first.subject, first.problem

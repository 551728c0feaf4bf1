"""A problem of a request for its author: the JSON path, the value, the allowed values and a suggestion."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

MAX_SHOWN = 80
"""The most characters of a value or a name that a problem shows."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error, or a warning about something that is allowed but probably not intended.

    Attributes:
        path: the JSON path, as error messages show it; empty for the whole file.
        text: a description of the problem.
        found: the value at the path as JSON, shortened; None if the problem shows no value.
        allowed: a description of the values that are allowed at the path; None if the problem shows none.
        suggestion: a correction for the author; None if the problem has none.
        severity: an error if the worker refuses the run because of the problem, else a warning.
    """

    path: str
    text: str
    found: str | None = None
    allowed: str | None = None
    suggestion: str | None = None
    severity: Literal["error", "warning"] = "error"

    def __post_init__(self) -> None:
        """Replace each character of the texts that is not printable by an escape sequence."""
        for name in ("path", "text", "found", "allowed", "suggestion"):
            if (said := getattr(self, name)) is not None:
                object.__setattr__(self, name, printable(said))


def warning(path: str, text: str, found: Any = None, hint: str | None = None) -> Problem:
    """Return a warning about the value at a JSON path. A value of None is not shown in the warning."""
    return Problem(path, text, None if found is None else shown(found), None, hint, "warning")


def path_text(path: Iterable[str | int]) -> str:
    """Return a JSON path as error messages show it: `expressionJson.operands[0].window`.

    Long names in the path are shortened.
    """
    parts = (f"[{part}]" if isinstance(part, int) else f".{_shortened(part)}" for part in path)
    return "".join(parts).removeprefix(".")


def quoted(name: str) -> str:
    """Return a name in backquotes, shortened."""
    return f"`{_shortened(name)}`"


def a_or_an(noun: str) -> str:
    """Return a noun after its indefinite article: "a series_math", "an object"."""
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def printable(text: str) -> str:
    """Return a text in which an escape sequence replaces each character that is not printable."""
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def shown(value: Any) -> str:
    """Return a value as JSON of at most `MAX_SHOWN` characters, without unprintable characters.

    For an object or a list that is not empty, the result is only its size: `a list of 3`.
    """
    match value:
        case dict() | list() if value:
            text = f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value):,}"
        case str():
            text = json.dumps(value[: MAX_SHOWN + 1], ensure_ascii=False)
        case _:
            text = json.dumps(value)
    return _shortened(printable(text))


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"

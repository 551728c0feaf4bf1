"""The text of a file, as JSON: where it is none, the line and what to do; and names that stand twice."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from metrics_tools.validate.problems import Problem, path_text, shown
from metrics_worker.request import whole_number

_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a text holds: a value where it is JSON, and what is wrong with it."""

    value: Any
    problems: tuple[Problem, ...]

    @property
    def is_json(self) -> bool:
        """Whether there is a value; it may still hold a name twice."""
        return all(problem.severity == "warning" for problem in self.problems)


class _Object(dict[str, Any]):
    """An object that knows which of its names stand in it twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.twice = [name for name in self if names.count(name) > 1] if len(self) < len(names) else []


def load(text: str) -> Loaded:
    """The value of a text, read as the worker reads it; never raises."""
    try:
        value = json.loads(text, parse_int=whole_number)
    except json.JSONDecodeError as error:
        return Loaded(None, (_no_json(text, error),))
    except RecursionError:
        return Loaded(None, (Problem("", "not JSON: nested too deep to be read"),))
    return Loaded(value, tuple(_twice(text)))


def _no_json(text: str, error: json.JSONDecodeError) -> Problem:
    line = text.split("\n")[error.lineno - 1].strip()
    where = f"not JSON: {error.msg}, line {error.lineno}, column {error.colno}"
    return Problem("", where, shown(line) if line else None, "JSON", _what_to_do(text, error.pos))


def _what_to_do(text: str, at: int) -> str | None:
    """The usual slips, the first that it is."""
    rest, before = text[at:], text[:at].rstrip()
    slips = {
        "the file is empty": not text.strip(),
        "the file begins with a byte order mark: save it as UTF-8 without one": text.startswith(_BOM),
        "there is a comma too many before the bracket": (
            re.match(r",?\s*[}\]]", rest) is not None and (before.endswith(",") or rest.startswith(","))
        ),
        "JSON has no comments": rest.startswith(("//", "#", "/*")),
        "JSON has double quotes only": rest.startswith("'"),
        "JSON writes true, false and null": re.match(r"(True|False|None)\b", rest) is not None,
        "the end is missing: a bracket or a quote is not closed": not rest.strip(),
        "it doesn't look like JSON at all: is it the right file?": text.lstrip()[:1] not in {"{", "["},
    }
    return next((hint for hint, it_is in slips.items() if it_is), None)


def _twice(text: str) -> Iterator[Problem]:
    """Names that stand twice in one object: of these the last counts, for the worker as well."""
    value = json.loads(text, parse_int=whole_number, object_pairs_hook=_Object)
    rest: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while rest:
        path, found = rest.pop()
        if isinstance(found, _Object):
            for name in found.twice:
                told = f"`{name}` stands here twice, and the last one counts"
                yield Problem(
                    path_text((*path, name)), told, severity="warning", suggestion="keep one of them"
                )
            rest.extend(((*path, name), below) for name, below in found.items())
        elif isinstance(found, list):
            rest.extend(((*path, i), below) for i, below in enumerate(found))

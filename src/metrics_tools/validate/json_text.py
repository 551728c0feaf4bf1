"""Decoding of JSON, with the reason why a text is not valid JSON and the names that an object has twice."""

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from metrics_tools.validate.problems import Problem, path_text, shown, warning
from metrics_worker.request import whole_number

SMALLEST = math.ulp(0.0)
"""The smallest positive float64, 5e-324."""
LARGEST = sys.float_info.max
"""The largest float64, about 1.8e308."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The result of decoding a text: the JSON value (None if the text is not JSON), and the problems."""

    value: Any
    problems: tuple[Problem, ...]

    @property
    def is_json(self) -> bool:
        """Return whether the text is valid JSON; an object in it may still contain a name twice."""
        return all(problem.severity == "warning" for problem in self.problems)


class _Object(dict[str, Any]):
    """A decoded JSON object, as a dict.

    Attributes:
        twice: the names that the object contains more than once in its text.
    """

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice = [name for name, number in Counter(name for name, _ in pairs).items() if number > 1]


def load(text: str) -> Loaded:
    """Decode a JSON text as the worker does.

    Invalid JSON raises no error: it is a problem in the result.
    """
    read_as = dict[str, tuple[str, str | None]]()

    def number(written: str) -> float:
        if is_too_small(written):
            read_as[written] = "is too small for a float64, and the worker reads it as 0", "write 0"
        elif is_too_large(written):
            read_as[written] = "is too large for a float64, and the worker reads it as infinity", None
        return float(written)

    try:
        value = json.loads(text, parse_int=whole_number, parse_float=number, object_pairs_hook=_Object)
    except json.JSONDecodeError as error:
        line = text.split("\n")[error.lineno - 1].strip()
        where = f"not JSON: {error.msg}, line {error.lineno}, column {error.colno}"
        hint = _what_to_do(text, error.pos)
        return Loaded(None, (Problem("", where, shown(line) if line else None, "JSON", hint),))
    except RecursionError:
        return Loaded(None, (Problem("", "not JSON: nested too deep to be read"),))
    warnings = [
        warning("", f"the number {written} {text}", hint=hint) for written, (text, hint) in read_as.items()
    ]
    return Loaded(value, (*_names_twice(value), *warnings))


def is_too_small(number: str) -> bool:
    """Return whether a number, given as text, is not 0 although its nearest float64 is 0."""
    return float(number) == 0 and re.match(r"[-0.]*[1-9]", number) is not None


def is_too_large(number: str) -> bool:
    """Return whether the absolute value of a number, given as text, is larger than every float64."""
    return math.isinf(float(number))


def _what_to_do(text: str, at: int) -> str | None:
    """Return a suggestion for a common mistake because of which a text is not JSON; None for other mistakes.

    Args:
        text: the text.
        at: the index of the character at which the decoder found the error.
    """
    rest, before = text[at:], text[:at].rstrip()
    mistakes = {
        "the file is empty": not text.strip(),
        "the file begins with a byte order mark: save it as UTF-8 without one": text.startswith("\ufeff"),
        "there is a comma too many before the bracket": (
            re.match(r",?\s*[}\]]", rest) is not None and (before.endswith(",") or rest.startswith(","))
        ),
        "JSON has no comments": rest.startswith(("//", "#", "/*")),
        "JSON has double quotes only": rest.startswith("'"),
        "JSON writes true, false and null": re.match(r"(True|False|None)\b", rest) is not None,
        "the end is missing: a bracket or a quote is not closed": not rest.strip(),
        "it doesn't look like JSON at all: is it the right file?": text.lstrip()[:1] not in {"{", "["},
    }
    return next((hint for hint, it_is in mistakes.items() if it_is), None)


def _names_twice(value: Any) -> Iterator[Problem]:
    """Yield a warning for each name that an object in a decoded JSON text contains twice.

    The worker uses the last of the values with this name.
    """
    rest: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while rest:
        path, found = rest.pop()
        if isinstance(found, _Object):
            for name in found.twice:
                text = f"the object has `{name}` twice, and the last one counts"
                yield warning(path_text((*path, name)), text, hint="keep one of them")
            rest.extend(((*path, name), below) for name, below in found.items())
        elif isinstance(found, list):
            rest.extend(((*path, i), below) for i, below in enumerate(found))

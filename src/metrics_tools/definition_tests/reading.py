"""Reading of files with tests or checks of metrics, in YAML or JSON, with every problem and its path.

Plain scalars in YAML have the types of JSON and no others. The rules of PyYAML itself would convert an
unquoted date to a date without a zone, `on`, `off`, `yes` and `no` to Booleans, `010` to 8, and `1e-9` to
text. Here, a date and `on` are texts, `010` is 10, and `1e-9` is a number.
"""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from metrics_tools.definition_tests.checks import CheckFile, MetricChecks
from metrics_tools.definition_tests.model import (
    DefinitionTest,
    DefinitionTests,
    Expectation,
    ExpectedError,
    Tolerance,
)
from metrics_tools.definition_tests.observations import Part, Regular
from metrics_tools.validate.json_text import load
from metrics_tools.validate.near import did_you_mean
from metrics_tools.validate.problems import Problem, path_text, quoted, shown
from metrics_tools.validate.zones_and_dates import zone_hint
from metrics_worker.problem import problems_of

_TAG = "tag:yaml.org,2002:"
_SCALARS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+", list("-+0123456789")),
    "float": (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
}
"""By type: the pattern of plain scalars, and the characters with which they can begin."""
_KEY = "[key]"
"""The last part of pydantic's path of a problem if the key of a mapping is not valid."""
_FIELDS = {
    name
    for model in (DefinitionTests, DefinitionTest, Expectation, ExpectedError, Regular, Tolerance)
    for name in model.model_fields
}
_CHECK_FIELDS = {*CheckFile.model_fields, *MetricChecks.model_fields}


class _Loader(yaml.SafeLoader):  # type: ignore[misc] # PyYAML has no types
    """A safe YAML loader with the scalar types of JSON, which rejects a key that a mapping has twice."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own attribute, not one of instances

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - PyYAML's signature
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            at, twice = next((i, key) for i, key in enumerate(keys) if key in keys[:i])
            raise yaml.constructor.ConstructorError(
                problem=f"the key {twice} occurs twice", problem_mark=node.value[at][0].start_mark
            )
        return mapping


for _name, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})\Z"), _first)
_Loader.add_constructor(f"{_TAG}int", lambda _, node: int(node.value))


class InvalidFileError(Exception):
    """The error if a file with tests or checks is not valid.

    Attributes:
        problems: every problem of the file, at least one.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__(problems)
        self.problems = problems


class UnreadableFileError(InvalidFileError):
    """The error if a file cannot be read, for example because it does not exist."""


def read_tests(file: str) -> DefinitionTests:
    """Return the tests in a file. The content is JSON if the name ends in `.json`, else YAML.

    Raises:
        UnreadableFileError: the file cannot be read.
        InvalidFileError: the content of the file is not valid.
    """
    return _read(file, DefinitionTests, "a file with tests has the field `tests`, a list")


def read_checks(file: str) -> CheckFile:
    """Return the checks in a file. The content is JSON if the name ends in `.json`, else YAML.

    Raises:
        UnreadableFileError: the file cannot be read.
        InvalidFileError: the content of the file is not valid.
    """
    return _read(file, CheckFile, "a file with checks has the field `checks`, the checks by metric code")


def _read[Content: Part](file: str, model: type[Content], expected: str) -> Content:
    """Return the content of a file as an instance of a model.

    Args:
        file: the path of the file.
        model: the pydantic model of the content.
        expected: the text of the problem if the content is not a mapping, which describes a valid content.

    Raises:
        UnreadableFileError: the file cannot be read.
        InvalidFileError: the content of the file is not valid.
    """
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UnreadableFileError(Problem("", error.strerror or str(error))) from error
    except UnicodeDecodeError as error:
        raise InvalidFileError(Problem("", "not UTF-8", suggestion="save the file as UTF-8")) from error
    value = _json(text) if file.endswith(".json") else yaml_value(text)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        fields = _CHECK_FIELDS if model is CheckFile else _FIELDS | _CHECK_FIELDS
        raise InvalidFileError(*_problems(error, value, expected, fields)) from error


def _json(text: str) -> Any:
    loaded = load(text)
    if loaded.problems:
        raise InvalidFileError(*loaded.problems)
    return loaded.value


def yaml_value(text: str) -> Any:
    """Return the value of a YAML text, whose plain scalars have the types of JSON.

    Raises:
        InvalidFileError: the text is not YAML.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - the loader is a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InvalidFileError(Problem("", f"not YAML: {error.problem or error.context}{where}")) from error
    except RecursionError as error:
        raise InvalidFileError(Problem("", "not YAML: nested too deep to be read")) from error
    except (yaml.YAMLError, ValueError) as error:  # a character or number that PyYAML does not accept
        raise InvalidFileError(Problem("", f"not YAML: {' '.join(str(error).split())}")) from error


def _problems(error: ValidationError, value: Any, expected: str, fields: Collection[str]) -> list[Problem]:
    """Return every problem that pydantic found in a file, each with the name of the test that contains it.

    Args:
        error: pydantic's error.
        value: the decoded content of the file, in which the names of the tests are looked up.
        expected: the text of the problem if the content is not a mapping, which describes a valid content.
        fields: the field names that are suggested in place of an unknown name.
    """
    found = []
    for problem in problems_of(error):
        path = tuple(part for part in problem.path if part != _KEY)
        text, hint = problem.text.replace("Input should", "it should"), None
        name = str(path[-1]) if path else ""
        if problem.kind == "missing":
            text = f"the field {quoted(name)} is missing"
        elif problem.kind == "extra_forbidden":
            text, hint = f"there is no field {quoted(name)} here", did_you_mean(name, sorted(fields))
        elif problem.kind == "model_type":
            text = "it should be a mapping" if path else expected
        elif name == "tz" and isinstance(problem.found, str):
            hint = zone_hint(problem.found)
        match path, value:
            case ("tests", int(number), *_), {"tests": list(tests)}:
                test = tests[number]
                if isinstance(test, dict) and isinstance(test.get("name"), str):
                    text = f"in the test {quoted(test['name'])}: {text}"
        is_shown = isinstance(problem.found, str | int | float | None)
        found.append(Problem(path_text(path), text, shown(problem.found) if is_shown else None, None, hint))
    return found

"""The misspelled names of required fields in a request, and a copy of the request with the right names.

A misspelled name is one problem. In the copy, the check of the request continues below the field.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from metrics_tools.validate.contract import (
    A_NODE,
    ALLOWED,
    FIELDS,
    NODE_FIELDS,
    OPTIONAL_FIELDS,
    REQUEST_FIELDS,
    REQUIRED,
)
from metrics_tools.validate.near import near
from metrics_tools.validate.problems import Problem, path_text, quoted, shown
from metrics_worker.expression.grammar import MAX_DEPTH, MAX_NODES, ROOT, raw_operands, raw_type
from metrics_worker.problem import Path


def renamed(fields: Mapping[str, Any], required: Iterable[str], known: Iterable[str] = ()) -> dict[str, str]:
    """Return the misspelled field names of an object, each with the name of the missing field that was meant.

    Args:
        fields: the object.
        required: the names of the required fields; those that are missing are suggested.
        known: the names of the optional fields, which are not misspelled.
    """
    missing, found = [name for name in required if name not in fields], dict[str, str]()
    right = {*required, *known}
    for name in fields if missing else ():
        if name not in right and (meant := near(name, missing)) is not None:
            found[name] = meant
            missing.remove(meant)
    return found


class Spelling:
    """A copy of a request in which the names of required fields are right.

    Args:
        event: the decoded request.

    Attributes:
        event: the copy.
        problems: a problem for each object or field with a misspelled name.
    """

    def __init__(self, event: Mapping[str, Any]) -> None:
        self.problems: list[Problem] = []
        self._written: dict[Path, str] = {}
        self._nodes = 0
        self.event = self._corrected(event, (), REQUEST_FIELDS, (*REQUEST_FIELDS, *OPTIONAL_FIELDS))
        for name, field in (("catalog", "datasets"), ("output", "basePath")):
            if isinstance(part := self.event.get(name), dict):
                self.event[name] = self._corrected(part, (name,), (field,))
        if isinstance(inputs := self.event.get("inputs"), list):
            required = ("datasetId", "seriesCode")
            self.event["inputs"] = [
                self._corrected(entry, ("inputs", i), required) if isinstance(entry, dict) else entry
                for i, entry in enumerate(inputs)
            ]
        if ROOT in self.event:
            self.event[ROOT] = self._node(self.event[ROOT], (ROOT,), 1)

    def as_written(self, path: Path) -> Path:
        """Return the path in the author's file, with its misspelled names, of a value in the copy."""
        return tuple(self._written.get(path[: i + 1], part) for i, part in enumerate(path))

    def _corrected(
        self, fields: Mapping[str, Any], path: Path, required: Iterable[str], known: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Return a copy of an object with corrected names, and add a problem for each misspelled name.

        Args:
            fields: the object.
            path: the path of the object in the copy of the request.
            required: the names of the required fields.
            known: the names of the optional fields.
        """
        names = renamed(fields, required, known)
        copy = self._copy(fields, path, names)
        kind = raw_type(fields) if path[:1] == (ROOT,) else None
        for name, meant in names.items():
            whose = a_or_an(kind) if kind else path_text(path) or "a request"
            text, hint = f"{whose} has no field {quoted(name)}", f"did you mean `{meant}`?"
            where = path_text(self.as_written((*path, meant)))
            self.problems.append(Problem(where, text, shown(fields[name]), ALLOWED.get(meant), hint))
        return copy

    def _copy(self, fields: Mapping[str, Any], path: Path, names: Mapping[str, str]) -> dict[str, Any]:
        self._written |= {(*path, meant): name for name, meant in names.items()}
        return {names.get(name, name): value for name, value in fields.items()}

    def _node(self, value: Any, path: Path, depth: int) -> Any:
        """Return a copy of a node and of all nodes below it, with corrected names.

        An object that has the shape of no node is corrected with the fields of all node types.
        """
        self._nodes += 1
        if not isinstance(value, dict) or depth > MAX_DEPTH or self._nodes > MAX_NODES:
            return value
        if (kind := raw_type(value)) is not None:
            node = self._corrected(value, path, REQUIRED.get(kind, ()), FIELDS[kind])
        else:
            names = renamed(value, NODE_FIELDS)
            node = self._copy(value, path, names)
            if names:
                where = path_text(self.as_written(path))
                problem = Problem(where, "not a valid node", shown(value), A_NODE, meant_names(names))
                self.problems.append(problem)
        if isinstance(node.get("operands"), list):
            node["operands"] = list(node["operands"])
        for below, operand in list(raw_operands(node)):
            holder: Any = node if len(below) == 1 else node["operands"]
            holder[below[-1]] = self._node(operand, path + below, depth + 1)
        return node


def meant_names(names: Mapping[str, str]) -> str:
    """Return the question "did you mean `…` for `…`?" for misspelled names and the names that were meant."""
    return f"did you mean {' and '.join(f'`{meant}` for {quoted(name)}' for name, meant in names.items())}?"


def a_or_an(noun: str) -> str:
    """Return a noun after its indefinite article: "a series_math", "an object"."""
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"

"""A copy of a request, mended where the worker names what is wrong, so that it can go on to the rest.

What is put in is no proposal: it only is something that the worker takes. A name that is nearly right is
mended to the right one, so that what stands under it is looked at too, and told under the author's name.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from metrics_tools.validate.near import near
from metrics_tools.validate.problems import (
    ALLOWED,
    FIELDS,
    KINDS,
    NODE_FIELDS,
    OPERATIONS,
    TAGS,
    Part,
    Path,
    Problem,
    a_or_an,
    path_of,
    path_text,
    quoted,
    shown,
    told,
)
from metrics_worker.errors import PermanentError
from metrics_worker.expression.grammar import MAX_SERIES_CODE, ROOT, expression_type, parse
from metrics_worker.request import Bounds

_LEVELS: dict[Path, tuple[str, ...]] = {
    (): ("schema", "type", "runId", "metricCode", "expressionType", ROOT, "inputs", "catalog", "output"),
    ("inputs", 0): ("datasetId", "seriesCode"),
    ("catalog",): ("datasets",),
    ("output",): ("basePath",),
}
"""The fields of the contract, by the path of what they are in."""

type _Finding = tuple[Mapping[str, Any], Path, str | None]
"""One of pydantic's errors, where it is, and the kind of node that it is in."""


STAND_IN = "(stand-in)"
"""What the series and datasets are called that the copy has and the author's request has not."""


def _a_node() -> dict[str, Any]:
    return {"series_code": STAND_IN}


class Mended:
    """The copy.

    Args:
        event: the request, parsed; it is changed.
        bounds: where a request may lead.
        metric_code: the metric that it asks for.

    Attributes:
        event: the request so far.
    """

    def __init__(self, event: dict[str, Any], bounds: Bounds, metric_code: str) -> None:
        self.event = event
        self._base = f"s3://{bounds.bucket}/{bounds.metrics_prefix}{metric_code}/"
        self._written: dict[Path, str] = {}
        self._fresh = 0
        self._type_is_ours = False

    def take(self, error: PermanentError) -> list[Problem]:
        """What the worker's refusal means; and mend it.

        The worker raises the first problem only. Behind it stands the list of all that pydantic found.
        """
        behind = error.__context__
        if not isinstance(behind, ValidationError):
            problem = self._of_worker(error)
            return [problem] if problem else []
        found = list(_located(behind))
        problems, renamed = self._renamed(found)
        for finding, path, kind in found:
            if path not in renamed:
                if not _only_follows(finding):
                    problems.append(told(finding, path, self.as_written(path), kind))
                self._mend(finding, path, kind)
        return problems

    def give_up(self, error: PermanentError) -> None:
        """Replace the whole field that can't be mended in its place."""
        field = path_of(error.subject)[0]
        self._put((field,), self._good((field,), None))
        if field == ROOT:
            self._stand_in_type()

    def as_written(self, path: Path) -> Path:
        """The path as it stands in the author's file."""
        return tuple(self._written.get(path[: i + 1], part) for i, part in enumerate(path))

    def _of_worker(self, error: PermanentError) -> Problem | None:
        """A problem that the worker has words of its own for; None where it is about a value of ours."""
        path = path_of(error.subject)
        value = _value(self.event, path)
        text = error.problem.removesuffix(f", found {value!r:.200}")
        allowed, hint = ALLOWED.get(str(path[-1])), None
        match path:
            case ("expressionType",) if self._type_is_ours:
                self._retype()
                return None
            case ("expressionType",):
                return self._of_type(value)
            case ("expressionJson", *_):
                allowed = None
                self._cut(path)
            case ("inputs", int(), _):
                allowed, hint = ALLOWED["inputs"], "keep one of them"
                self._put(path, self._good(path, None))
            case _:
                if path[0] == "output":
                    hint = f"write s3://bucket/{self._base.split('/', 3)[3]}"
                self._put(path, self._good(path, None))
        return Problem(path_text(self.as_written(path)), text, shown(value), allowed, hint)

    def _cut(self, path: Path) -> None:
        """Of an expression too deep, replace the last node that may be there; of one too large, all."""
        above = path[:-2] if isinstance(path[-1], int) else path[:-1]
        self._put(above or path, _a_node())
        if not above or above == (ROOT,):
            self._stand_in_type()

    def _of_type(self, value: Any) -> Problem:
        shape = self._retype()
        if value not in KINDS:
            return Problem(
                "expressionType",
                "there is no such type",
                shown(value),
                ALLOWED["expressionType"],
                f"this expression is a `{shape}`",
            )
        text = f"it says {value}, but the expression is a {shape}"
        return Problem("expressionType", text, shown(value), shape, f"write `{shape}`")

    def _retype(self) -> str:
        """Let `expressionType` be what the expression is now."""
        shape = expression_type(parse(self.event[ROOT]))
        self._put(("expressionType",), shape)
        return shape

    def _renamed(self, found: Iterable[_Finding]) -> tuple[list[Problem], set[Path]]:
        """Fields that are missing and stand there under a name that is nearly right."""
        missing: dict[Path, tuple[list[str], str | None]] = {}
        for finding, path, kind in found:
            if finding["type"] == "missing":
                missing.setdefault(path[:-1], ([], kind))[0].append(str(path[-1]))
        problems, done = [], set[Path]()
        for parent, (names, kind) in missing.items():
            holder = _value(self.event, parent)
            level = tuple(0 if isinstance(part, int) else part for part in parent)
            known = FIELDS[kind] if kind else _LEVELS.get(level, ())
            for name in [name for name in holder if name not in known]:
                meant = near(name, [missed for missed in names if missed not in holder])
                if meant is None:
                    continue
                at, whose = self.as_written((*parent, name)), a_or_an(kind) if kind else path_text(parent)
                text, hint = f"{whose or 'a request'} has no field {quoted(name)}", f"did you mean `{meant}`?"
                problems.append(Problem(path_text(at), text, shown(holder[name]), ALLOWED.get(meant), hint))
                self._rename(parent, name, meant)
                done |= {(*parent, name), (*parent, meant)}
        return problems, done

    def _rename(self, parent: Path, name: str, meant: str) -> None:
        holder = _value(self.event, parent)
        holder[meant] = holder.pop(name)
        self._written[*parent, meant] = name

    def _mend(self, finding: Mapping[str, Any], path: Path, kind: str | None) -> None:
        """Put in what the worker takes."""
        value = finding["input"]
        match finding["type"]:
            case "extra_forbidden":
                _value(self.event, path[:-1]).pop(path[-1], None)
            case "too_short":  # of enough operands it only says that some of them are wrong, which is told
                operands = _value(self.event, path)
                operands.extend(_a_node() for _ in range(2 - len(operands)))
            case "node_shape" if isinstance(value, dict) and self._mend_names(path, value):
                pass
            case "node_shape" if isinstance(value, str) and re.fullmatch(r"[\w.-]+", value) and len(path) > 1:
                self._put(path, {"series_code": value[:MAX_SERIES_CODE]})  # so that it counts as named
            case _:
                self._put(path, self._good(path, kind))
                if path == (ROOT,):
                    self._stand_in_type()

    def _mend_names(self, path: Path, node: dict[str, Any]) -> bool:
        """Rename the fields of a node that are nearly right; whether any were."""
        before = len(self._written)
        for name in [name for name in node if name not in NODE_FIELDS]:
            meant = near(name, [field for field in NODE_FIELDS if field not in node])
            if meant is not None:
                self._rename(path, name, meant)
        return len(self._written) > before

    def _stand_in_type(self) -> None:
        """The expression is another one now, so its type can't be held against the author's."""
        if str(self.event.get("expressionType")) in KINDS:
            self._retype()

    def _put(self, path: Path, value: Any) -> None:
        holder = _value(self.event, path[:-1])
        holder[path[-1]] = value

    def _good(self, path: Path, kind: str | None) -> Any:
        """Something that the worker takes at this place."""
        self._fresh += 1  # a series stands in inputs once
        code, name = f"{STAND_IN} {self._fresh}", path[-1]
        self._type_is_ours |= path == ("expressionType",)
        if isinstance(name, int) and path[0] == "inputs":
            return {"datasetId": code, "seriesCode": code}
        values: dict[str, Any] = {
            "op": OPERATIONS.get(kind or "", ("",))[0],
            "window": 1,
            "scale": 1,
            **dict.fromkeys(("series_code", "seriesCode", "datasetId"), code),
            "operands": [_a_node(), _a_node()],
            "schema": None,
            "inputs": None,
            "catalog": {"datasets": {}},
            "datasets": {},
            "output": {"basePath": self._base},
            "basePath": self._base,
            "expressionType": "series",
        }
        return values.get(str(name), _a_node())


def _only_follows(finding: Mapping[str, Any]) -> bool:
    """Whether it says of enough operands that they are too few: pydantic counts those that are right."""
    return finding["type"] == "too_short" and isinstance(finding["input"], list) and len(finding["input"]) > 1


def _located(behind: ValidationError) -> Iterator[_Finding]:
    for finding in behind.errors(include_url=False):
        location = finding["loc"]
        kinds = [TAGS[part] for part in location if part in TAGS]
        path: Path = tuple(part for part in location if part not in TAGS)
        of_expression = not location or location[0] in TAGS
        yield finding, (ROOT, *path) if of_expression else path, kinds[-1] if kinds else None


def _value(event: Any, path: Iterable[Part]) -> Any:
    """What stands at a path; None where nothing does."""
    for part in path:
        try:
            event = event[part]
        except (LookupError, TypeError):
            return None
    return event

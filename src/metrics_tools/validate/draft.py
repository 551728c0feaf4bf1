"""A request that may be invalid: its valid parts, and every problem that can be found without its inputs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
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
from metrics_tools.validate.near import did_you_mean, meant_names, renamed
from metrics_tools.validate.problems import Problem, a_or_an, path_text, quoted, shown
from metrics_tools.validate.wording import usable_id, value_at, worded
from metrics_worker.expression.grammar import MAX_DEPTH, MAX_NODES, ROOT, raw_operands
from metrics_worker.expression.nodes import Composite, SeriesRef
from metrics_worker.expression.shapes import kind_of
from metrics_worker.names import is_id
from metrics_worker.problem import Path
from metrics_worker.request import V1, Run, RunRequest, identity_problems
from metrics_worker.request_check import Bounds, check_dataset, check_request

_MAX_ALLOWED = 20
"""The largest number of datasets that a problem lists."""


class Draft:
    """A request that may be invalid.

    Fields whose names are misspelled get the right names in a copy of the request, and the copy is checked. A
    misspelled name is therefore reported once, and the value of its field is checked nevertheless.

    Args:
        event: the decoded request.
        body_bytes: the size of the message's body in bytes.
        bounds: the limits of a request.
        whole: whether the author wrote the whole request, and not only the expression.

    Attributes:
        event: the copy of the request.
        checked: the result of the worker's check of the copy: the valid parts, and the problems of the rest.
    """

    def __init__(self, event: Mapping[str, Any], body_bytes: int, bounds: Bounds, *, whole: bool) -> None:
        is_small = body_bytes <= bounds.max_body_bytes
        self._misspelled: list[Problem] = []
        self._written: dict[Path, str] = {}
        self._nodes = 0
        self._bounds = bounds
        self._is_whole = whole
        self.event = self._corrected_request(event if is_small else {})
        code = _code_for_path(self.event)
        self.checked = check_request(self.event, code, body_bytes, bounds)
        self._identity = list(identity_problems(self.event)) if is_small else []
        self._run = Run(
            run_id=str(self.event.get("runId")),
            metric_code=code,
            v1=self.event.get("schema") == V1,
            requested_at=datetime.now(UTC),
            event=self.event,
            body_bytes=body_bytes,
        )

    def _corrected_request(self, event: Mapping[str, Any]) -> dict[str, Any]:
        copy = self._corrected(event, (), REQUEST_FIELDS, OPTIONAL_FIELDS)
        for name, field in (("catalog", "datasets"), ("output", "basePath")):
            if isinstance(part := copy.get(name), dict):
                copy[name] = self._corrected(part, (name,), (field,))
        if isinstance(inputs := copy.get("inputs"), list):
            required = ("datasetId", "seriesCode")
            copy["inputs"] = [
                self._corrected(entry, ("inputs", i), required) if isinstance(entry, dict) else entry
                for i, entry in enumerate(inputs)
            ]
        if ROOT in copy:
            copy[ROOT] = self._corrected_node(copy[ROOT], (ROOT,), 1)
        return copy

    def _corrected_node(self, value: Any, path: Path, depth: int) -> Any:
        """Return a copy of a node and of all nodes below it, with corrected field names.

        If the fields of a node do not show its kind, its names are compared with the fields of all kinds.

        Args:
            value: the node as JSON values. A value that is not an object is returned unchanged.
            path: the path of the node in the copy of the request.
            depth: the depth of the node in the expression. Nodes that are nested too deep are not corrected.
        """
        self._nodes += 1
        if not isinstance(value, dict) or depth > MAX_DEPTH or self._nodes > MAX_NODES:
            return value
        kind = kind_of(value)
        fields = (REQUIRED.get(kind, ()), FIELDS[kind]) if kind else (NODE_FIELDS, ())
        node = self._corrected(value, path, *fields)
        if isinstance(node.get("operands"), list):
            node["operands"] = list(node["operands"])
        for below, operand in list(raw_operands(node)):
            holder: Any = node if len(below) == 1 else node["operands"]
            holder[below[-1]] = self._corrected_node(operand, path + below, depth + 1)
        return node

    def _corrected(
        self, fields: Mapping[str, Any], path: Path, required: Iterable[str], known: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Return a copy of an object with corrected field names, and record a problem for each wrong name.

        Args:
            fields: the object.
            path: the path of the object in the copy of the request.
            required: the names of the required fields.
            known: the names of the optional fields.
        """
        names = renamed(fields, required, known)
        self._written |= {(*path, meant): name for name, meant in names.items()}
        is_node = path[:1] == (ROOT,)
        kind = kind_of(fields) if is_node else None
        if is_node and kind is None and names:
            where, hint = path_text(self._as_written(path)), meant_names(names)
            self._misspelled.append(Problem(where, "not a valid node", shown(fields), A_NODE, hint))
        else:
            whose = a_or_an(kind) if kind else path_text(path) or "a request"
            for name, meant in names.items():
                where, text = (
                    path_text(self._as_written((*path, meant))),
                    f"{whose} has no field {quoted(name)}",
                )
                hint = f"did you mean `{meant}`?"
                self._misspelled.append(Problem(where, text, shown(fields[name]), ALLOWED.get(meant), hint))
        return {names.get(name, name): value for name, value in fields.items()}

    def _as_written(self, path: Path) -> Path:
        """Return the path of a value in the author's file, which may contain misspelled names.

        Args:
            path: the path of the same value in the copy, whose names are corrected.
        """
        return tuple(self._written.get(path[: i + 1], part) for i, part in enumerate(path))

    @property
    def catalog(self) -> dict[str, Any]:
        """Return the datasets of the catalog as JSON values by dataset id, whether they are valid or not.

        The result is empty if the catalog itself is not valid.
        """
        catalog = value_at(self.event, ("catalog", "datasets"))
        return catalog if isinstance(catalog, dict) else {}

    def problems(self) -> Iterator[Problem]:
        """Yield a problem for each misspelled name, then each reason why the worker refuses the request."""
        yield from self._misspelled
        for problem in (*self._identity, *self.checked.problems):
            if problem.kind == "no_dataset":
                yield self._no_dataset(str(problem.path[-1]))
            else:
                yield worded(problem, self.event, self._as_written(problem.path))

    def dataset_problems(self) -> Iterator[Problem]:
        """Yield the problems of the datasets that can be found without reading the bucket.

        If the catalog is empty, the problems contain an error for each series that `inputs` does not list,
        because no dataset can contain the series. They contain a warning for each invalid dataset that the
        run does not read.
        """
        omitted = [code for code in self.checked.codes if code not in self.checked.declared]
        for code in omitted if not self.catalog else ():
            text = f"{quoted(code)} is not in inputs, and the catalog has no dataset that could contain it"
            yield Problem(self.input_path(code), text, shown(code), None, self.how_to_choose())
        for dataset_id in [id_ for id_ in self.catalog if id_ not in self.checked.needed]:
            for problem in check_dataset(dataset_id, self.catalog[dataset_id], self._bounds)[1]:
                found = worded(problem, self.event, problem.path)
                text = f"{found.text}; the dataset is not read here, so the run is not affected"
                yield replace(found, text=text, severity="warning")

    def how_to_choose(self, manifest_keys: Iterable[str] = ()) -> str:
        """Return a suggestion for a series that is in no or in several datasets.

        Args:
            manifest_keys: the keys of the manifests of the datasets that may contain the series. The author
                of a bare expression chooses one of them by an option, because an expression has no `inputs`.
        """
        key = None if self._is_whole else next(iter(manifest_keys), None)
        if key is None:
            return "say in inputs which dataset it is in"
        return f"name the manifest of each dataset to use, as in --manifest {key}"

    def input_path(self, code: str, field: str = "seriesCode") -> str:
        """Return the JSON path at which a problem of a series is reported.

        It is the path of a field in the entry of the series in `inputs`. If `inputs` has no such entry, it is
        the path of the first node that refers to the series.

        Args:
            code: the series code.
            field: the field of the entry.
        """
        position = self.checked.positions.get(code)
        path = ("inputs", position, field) if position is not None else self._first_node(code)
        return path_text(self._as_written(path))

    def over(self, codes: Sequence[str]) -> RunRequest:
        """Return a request that reads exactly the given series, so that the reader of datasets can read them.

        The request's expression is not the author's: it is the sum of the series, or the only series.

        Args:
            codes: the series codes, at least one.
        """
        first, *more = (SeriesRef(series_code=code) for code in codes)
        expression = Composite(op="sum", operands=(first, *more)) if more else first
        declared = {code: id_ for code, id_ in self.checked.named().items() if code in codes}
        return RunRequest(self._run, expression, declared, self.checked.datasets)

    def request(self) -> RunRequest | None:
        """Return the parsed request; None if its expression is not valid."""
        expression = self.checked.expression
        return None if expression is None else replace(self.over(self.checked.codes), expression=expression)

    def _no_dataset(self, dataset_id: str) -> Problem:
        code = next(code for code, home in self.checked.named().items() if home == dataset_id)
        known = list(self.catalog)
        return Problem(
            self.input_path(code, "datasetId"),
            f"{quoted(dataset_id)} is not in catalog.datasets",
            shown(dataset_id),
            ", ".join(map(quoted, known[:_MAX_ALLOWED])) or "no dataset: the catalog is empty",
            did_you_mean(dataset_id, known),
        )

    def _first_node(self, code: str) -> Path:
        stack: list[tuple[Any, Path]] = [(self.event.get(ROOT), (ROOT,))]
        while stack:
            node, path = stack.pop()
            if isinstance(node, dict) and code in (node.get("series_code"), node.get("seriesCode")):
                return path
            if len(path) < 2 * MAX_DEPTH:
                stack.extend(reversed([(operand, path + below) for below, operand in raw_operands(node)]))
        return (ROOT,)


def _code_for_path(event: Mapping[str, Any]) -> str:
    """Return the metric code with which `output.basePath` must end.

    It is the request's `metricCode`. If this code is not valid, it is the last part of `basePath`; if that is
    not valid either, it is a valid code similar to `metricCode`, or else `metric`.

    Args:
        event: the request as JSON values.
    """
    code, base = event.get("metricCode"), value_at(event, ("output", "basePath"))
    if is_id(code):
        return code
    end = base.removesuffix("/").rpartition("/")[2] if isinstance(base, str) else ""
    return end if is_id(end) else usable_id(code) or "metric"

"""The check of a request's fields: it finds all problems, each with its JSON path, and the valid parts.

The worker reports the first problem, and `metrics validate` reports all problems.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from metrics_worker.errors import ExpressionError
from metrics_worker.expression.fields import MAX_SERIES_CODE
from metrics_worker.expression.grammar import MAX_DEPTH, check, raw_operands, series_codes
from metrics_worker.expression.nodes import Node
from metrics_worker.expression.shapes import shape_of
from metrics_worker.names import is_key, metric_base
from metrics_worker.problem import Path, Problem, problems_of

PLACEHOLDER_BUCKET = "bucket"
"""A placeholder in `output.basePath`, with which the control plane denotes the configured bucket."""
_SETTINGS = {
    "body": "WORKER_MAX_BODY_BYTES",
    "inputs": "WORKER_MAX_INPUTS",
    "catalog": "WORKER_MAX_INPUTS",
}
"""The environment variable that limits the size of a field, by the field's name."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of a request: the bucket and the prefixes of its keys, and its maximum size.

    Attributes:
        bucket: the data bucket.
        metrics_prefix: the prefix of all metrics, which ends in a slash.
        datasets_prefix: the prefix of all datasets, which ends in a slash.
        max_body_bytes: the maximum size of the message's body in bytes.
        max_inputs: the maximum number of entries in `inputs`, and of datasets in the catalog.
    """

    bucket: str
    metrics_prefix: str
    datasets_prefix: str
    max_body_bytes: int = 1_048_576
    max_inputs: int = 512


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset of the request's catalog, with valid paths.

    Attributes:
        dataset_id: the id of the dataset in the catalog.
        manifest_key: the key of the dataset's manifest in the data bucket.
        projections_prefix: the key prefix of the dataset's part files, which ends in a slash.
    """

    dataset_id: str
    manifest_key: str
    projections_prefix: str


class _Part(BaseModel):
    """The base class of the models of a request's parts. Unknown fields are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, strict=True, frozen=True)


class _Input(_Part):
    dataset_id: str = Field(min_length=1)
    series_code: str = Field(min_length=1, max_length=MAX_SERIES_CODE)


class _DatasetPaths(_Part):
    manifest_path: str
    projections_path: str


class _Catalog(_Part):
    datasets: dict[str, Any]  # only the datasets that the run reads are checked


class _Output(_Part):
    base_path: str


class _Body(_Part):
    schema_: Literal["metrics.run.v1"] | None = Field(None, alias="schema")
    expression_type: str
    expression_json: Any
    inputs: list[_Input] | None = None
    catalog: _Catalog
    output: _Output


@dataclass(slots=True)
class Checked:
    """The valid parts of a request, and every problem of the other parts.

    Attributes:
        problems: all problems, in the order of the checks; the worker reports the first.
        expression: the expression; None if it is not valid.
        codes: the codes of the series in the expression, without codes in invalid nodes.
        declared: series code → dataset id, for the valid entries of the request's `inputs`.
        positions: series code → position in the request's `inputs`, for the entries in `declared`.
        needed: the ids of the datasets that the run reads, including ids that the catalog does not contain.
        datasets: dataset id → dataset, for the ids in `needed` that have a valid entry in the catalog.
    """

    problems: list[Problem] = field(default_factory=list)
    expression: Node | None = None
    codes: tuple[str, ...] = ()
    declared: dict[str, str] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    needed: tuple[str, ...] = ()
    datasets: dict[str, Dataset] = field(default_factory=dict)

    def named(self) -> dict[str, str]:
        """Return the dataset id, by series code, of each series that is in the expression and `declared`."""
        return {code: self.declared[code] for code in self.codes if code in self.declared}


def check_request(event: dict[str, Any], metric_code: str, body_bytes: int, bounds: Bounds) -> Checked:
    """Check all fields of a request except its identity, and continue after each problem.

    If the message's body is too large, no field is checked, and the size is the only problem.

    Args:
        event: the decoded event.
        metric_code: the code of the metric, with which `output.basePath` must end.
        body_bytes: the size of the message's body in bytes.
        bounds: the limits of the request.
    """
    found = Checked()
    _check_size(("body",), body_bytes, bounds.max_body_bytes, found.problems)
    if not found.problems:
        body = _valid_fields(event, found.problems)
        _check_expression(body, found)
        _check_size(("inputs",), len(body.get("inputs") or ()), bounds.max_inputs, found.problems)
        catalog = body["catalog"]["datasets"] if "catalog" in body else {}
        _check_size(("catalog", "datasets"), len(catalog), bounds.max_inputs, found.problems)
        _check_inputs(body.get("inputs") or (), found)
        if "output" in body:
            _check_base_path(body["output"]["basePath"], metric_code, bounds, found.problems)
        if "catalog" in body:
            _check_catalog(catalog, bounds, found)
    return found


def _valid_fields(event: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """Return the valid fields of the event, and append the problems of the other fields to `problems`.

    None replaces each invalid entry of the request's `inputs`. The models are strict, so a valid value is the
    decoded JSON value itself.
    """
    try:
        _Body.model_validate(event)
    except ValidationError as error:
        for problem in problems_of(error):
            is_expression = str(problem.path[0]).startswith("expression")
            problems.append(replace(problem, error=ExpressionError) if is_expression else problem)
    else:
        return event
    entries = {problem.path[1] for problem in problems if problem.path[0] == "inputs" and problem.path[1:]}
    invalid = {problem.path[0] for problem in problems if problem.path[0] != "inputs" or not problem.path[1:]}
    valid = {name: value for name, value in event.items() if name not in invalid}
    if entries:
        valid["inputs"] = [None if i in entries else entry for i, entry in enumerate(event["inputs"])]
    return valid


def _check_expression(body: dict[str, Any], found: Checked) -> None:
    """Check the expression, and compare `expressionType` with the type of the root node.

    The results and the problems are stored in `found`.
    """
    if "expressionJson" not in body:
        return
    value = body["expressionJson"]
    found.expression, problems = check(value)
    found.problems += problems
    if found.expression is not None:
        found.codes = series_codes(found.expression)
    elif all(problem.kind != "too_many_nodes" for problem in problems):
        found.codes = _valid_codes(value)
    says, shape = body.get("expressionType"), shape_of(value)
    if says != shape and says is not None and shape is not None:
        text = f"says {says!r:.80}, but expressionJson is a {shape}"
        found.problems.append(Problem(("expressionType",), "expression_type", text, error=ExpressionError))


def _valid_codes(value: Any) -> tuple[str, ...]:
    """Return the codes of the valid series nodes in an invalid expression, in order of appearance."""
    codes: list[str] = []
    stack: list[tuple[Any, int]] = [(value, 1)]
    while stack:
        value, depth = stack.pop()
        if shape_of(value) == "series":
            node, _ = check(value)
            codes += series_codes(node) if node else ()
        if depth < MAX_DEPTH:
            stack.extend(reversed([(operand, depth + 1) for _, operand in raw_operands(value)]))
    return tuple(dict.fromkeys(codes))


def _check_inputs(inputs: Iterable[dict[str, str] | None], found: Checked) -> None:
    """Store the dataset of each series in `found`, and a problem for each series that is listed twice.

    Args:
        inputs: the entries of the request's `inputs`; None in place of each invalid entry, which is skipped.
        found: the result of the check, which receives the datasets and problems.
    """
    for i, entry in enumerate(inputs):
        if entry is None:
            continue
        code = entry["seriesCode"]
        if code in found.declared:
            path = ("inputs", i, "seriesCode")
            found.problems.append(Problem(path, "series_twice", "this series is listed twice", code))
        else:
            found.declared[code], found.positions[code] = entry["datasetId"], i


def _check_base_path(base_path: str, metric_code: str, bounds: Bounds, problems: list[Problem]) -> None:
    """Append a problem unless `output.basePath` is the metric's own key prefix in the data bucket."""
    base = metric_base(bounds.metrics_prefix, metric_code)
    accepted = (f"s3://{bucket}/{base}" for bucket in (bounds.bucket, PLACEHOLDER_BUCKET))
    if f"{base_path.removesuffix('/')}/" not in accepted:
        path, text = ("output", "basePath"), f"expected s3://{bounds.bucket}/{base}"
        problems.append(Problem(path, "base_path", text, base_path, max_shown=200))


def _check_catalog(catalog: dict[str, Any], bounds: Bounds, found: Checked) -> None:
    """Check the datasets that the run reads, and store the valid ones and all problems in `found`.

    The other datasets of the catalog are not checked.
    """
    named = found.named()
    omits = len(named) < len(found.codes)
    found.needed = tuple(dict.fromkeys([*named.values(), *catalog] if omits else named.values()))
    for dataset_id in found.needed:
        if dataset_id not in catalog:
            text = "an input is said to be in this dataset, but it is not in the catalog"
            found.problems.append(Problem(("catalog", "datasets", dataset_id), "no_dataset", text))
            continue
        dataset, problems = check_dataset(dataset_id, catalog[dataset_id], bounds)
        found.problems += problems
        if dataset is not None:
            found.datasets[dataset_id] = dataset
    if omits:
        found.datasets = {id_: found.datasets[id_] for id_ in catalog if id_ in found.datasets}


def check_dataset(dataset_id: str, entry: Any, bounds: Bounds) -> tuple[Dataset | None, list[Problem]]:
    """Return (dataset, no problems) for a valid catalog entry, else (None, every problem of the entry)."""
    at = ("catalog", "datasets", dataset_id)
    problems: list[Problem] = []
    try:
        _DatasetPaths.model_validate(entry)
    except ValidationError as error:
        problems = problems_of(error, at)
    invalid = {problem.path for problem in problems}
    keys = {}
    for name in ("manifestPath", "projectionsPath"):
        if at not in invalid and (*at, name) not in invalid:
            path = entry[name].removesuffix("/") if name == "projectionsPath" else entry[name]
            keys[name] = path.removeprefix(f"s3://{bounds.bucket}/")
            text = _key_problem(keys[name], bounds, "/" * (name == "projectionsPath"))
            if text is not None:
                problems.append(Problem((*at, name), "key", text, entry[name], max_shown=200))
    if problems:
        return None, problems
    return Dataset(dataset_id, keys["manifestPath"], keys["projectionsPath"] + "/"), []


def _key_problem(key: str, bounds: Bounds, end: str) -> str | None:
    """Return None for a key that the worker may read, and else the text of a problem that states the rule.

    Args:
        key: the key of an object, or of a folder without the final slash.
        bounds: the limits of the request, which contain the allowed prefixes.
        end: "/" if the key is that of a folder, otherwise "".
    """
    if not is_key(key):
        return "expected a relative key without empty parts or '..'"
    if not (key + end).startswith((bounds.datasets_prefix, bounds.metrics_prefix)):
        return f"expected a key under {bounds.datasets_prefix} or {bounds.metrics_prefix}"
    return None


def _check_size(path: Path, size: int, limit: int, problems: list[Problem]) -> None:
    if size > limit:
        text = f"has a size of {size:,}, at most {limit:,} is allowed ({_SETTINGS[str(path[0])]})"
        problems.append(Problem(path, "too_large", text))

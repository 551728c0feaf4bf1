"""The datasets that a request reads, as far as it tells itself: in its catalog, with good paths.

Looks at the mended request (see `mending`), and at no stand-in in it: so a mistake is told once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from metrics_tools.describe.nodes import NodeView, outlined
from metrics_tools.validate.mending import STAND_IN
from metrics_tools.validate.near import did_you_mean, near
from metrics_tools.validate.problems import ALLOWED, Problem, quoted, shown
from metrics_worker.errors import ConfigError
from metrics_worker.expression.grammar import SeriesRef, series_codes
from metrics_worker.request import Dataset, RunRequest

_PATHS = ("manifestPath", "projectionsPath")


def named_codes(request: RunRequest) -> list[str]:
    """The series that the author's expression names."""
    return [code for code in series_codes(request.expression) if not code.startswith(STAND_IN)]


def input_path(request: RunRequest, code: str, field: str = "seriesCode") -> str:
    """Where `inputs` says a series' dataset; where it doesn't, where the expression first names it."""
    for i, item in enumerate(request.run.event.get("inputs") or ()):
        if item["seriesCode"] == code:
            return f"inputs[{i}].{field}"
    return _first_named(outlined(request.expression), code)


def check_datasets(request: RunRequest) -> tuple[list[Problem], dict[str, Dataset]]:
    """Check the datasets that a run reads: those that `inputs` names, and all where it leaves a series out.

    Args:
        request: mended.

    Returns:
        What is wrong with them (with one that is not read it is a warning); and the good ones that are read.
    """
    codes = named_codes(request)
    left_out = [code for code in codes if code not in request.declared]
    wanted = {request.declared[code]: code for code in reversed(codes) if code in request.declared}
    problems = [] if request.catalog else [_nowhere(request, code) for code in left_out]
    problems += [
        _not_there(request, dataset_id, code)
        for dataset_id, code in wanted.items()
        if dataset_id not in request.catalog and not dataset_id.startswith(STAND_IN)
    ]
    good: dict[str, Dataset] = {}
    for dataset_id in request.catalog:
        faults = list(_faults(request, dataset_id))
        if left_out or dataset_id in wanted:
            problems += faults
            good |= {} if faults else {dataset_id: request.dataset(dataset_id)}
        else:
            problems += [
                replace(
                    fault, text=f"{fault.text}; it is not read here, so it does no harm", severity="warning"
                )
                for fault in faults
            ]
    return problems, good


def _nowhere(request: RunRequest, code: str) -> Problem:
    text = f"{quoted(code)} is not in inputs, and there is no dataset in the catalog to look for it in"
    return Problem(input_path(request, code), text, shown(code), None, "say in inputs which dataset it is in")


def _not_there(request: RunRequest, dataset_id: str, code: str) -> Problem:
    known = list(request.catalog)
    return Problem(
        input_path(request, code, "datasetId"),
        f"{quoted(dataset_id)} is not in catalog.datasets",
        shown(dataset_id),
        ", ".join(map(quoted, known[:20])) or "no dataset: the catalog is empty",
        did_you_mean(dataset_id, known),
    )


def _faults(request: RunRequest, dataset_id: str) -> Iterator[Problem]:
    """What is wrong with a dataset: the worker is asked, and one path after the other mended."""
    prefix, entry = f"catalog.datasets.{dataset_id}", request.catalog[dataset_id]
    paths: dict[str, Any] = dict(entry) if isinstance(entry, Mapping) else {}
    asked = request
    for _ in range(len(_PATHS) + 1):
        try:
            asked.dataset(dataset_id)
        except ConfigError as error:
            name = error.subject.removeprefix(prefix).removeprefix(".")
            if name not in _PATHS:
                yield Problem(prefix, "it should be an object", shown(entry), " and ".join(_PATHS))
                return
            yield _of_path(error, name, paths, request)
            paths[name] = f"{request.bounds.datasets_prefix}x"
            asked = replace(request, catalog={dataset_id: paths})
        else:
            return


def _of_path(error: ConfigError, name: str, paths: Mapping[str, Any], request: RunRequest) -> Problem:
    if name not in paths:
        key = next((key for key in paths if key not in _PATHS and near(key, [name])), None)
        hint = f"there is {quoted(key)}: did you mean `{name}`?" if key else None
        return Problem(error.subject, f"a dataset needs `{name}`", None, ALLOWED[name], hint)
    value = paths[name]
    if not isinstance(value, str):
        return Problem(error.subject, "it should be a text", shown(value), ALLOWED[name])
    hint = None
    if value.startswith("s3://"):
        hint = f"write the key alone, or s3://{request.bounds.bucket}/ before it"
    text = error.problem
    for said in (value, value.removesuffix("/")):
        text = text.removesuffix(f", found {said!r:.200}")
    return Problem(error.subject, text, shown(value), ALLOWED[name], hint)


def _first_named(view: NodeView, code: str) -> str:
    """The path of the first node that is the series."""
    if isinstance(view.node, SeriesRef):
        return view.path if view.node.series_code == code else ""
    return next((path for operand in view.operands if (path := _first_named(operand, code))), "")

"""The validation of the requests in files, and the printing of their problems.

Every command validates and prints problems by this module, so that an author always reads the same texts.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

from rich.padding import Padding
from rich.text import Text

from metrics_tools.buckets.places import Place
from metrics_tools.console import err, impossible, out
from metrics_tools.file_contents import Asked
from metrics_tools.formulas.formula import Formula
from metrics_tools.runs.requests import body_around, bounds_of, settings_of
from metrics_tools.validate.problems import Problem, quoted, warning
from metrics_tools.validate.reading import Reader
from metrics_tools.validate.validation import Validated
from metrics_tools.validate.validation import validate as validated
from metrics_worker.dataset.datasets import Datasets
from metrics_worker.dataset.manifest import Manifest
from metrics_worker.errors import StoreUnavailable

_CODE_WITH_MINUS = re.compile(r"[^\W\d][\w.:]*(-[\w.:]+)+")
MOST_SHOWN = 50
"""The number of problems of a request that are printed at most; the JSON has all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A request from a file, and the result of its validation.

    Attributes:
        asked: the request as it was found in the file.
        found: its problems and, if it is valid, the parsed request.
    """

    asked: Asked
    found: Validated

    def is_wrong(self, *, strict: bool = False) -> bool:
        """Return whether the request has an error or, if `strict` is true, an error or a warning."""
        return bool(self.found.errors or (strict and self.found.warnings))

    def to_json(self, *, strict: bool = False, **fields: Any) -> dict[str, Any]:
        """Return the file, metric code, validity and problems of the request, as `--json` prints them.

        Args:
            strict: whether a request with a warning counts as not valid.
            fields: further fields of the result, which are placed before the problems.
        """
        return {
            "file": self.asked.file,
            "record": self.asked.record,
            "is_expression": self.asked.is_expression,
            "metric": self.found.metric_code,
            "valid": not self.is_wrong(strict=strict),
            **fields,
            "problems": self.problems_to_json(),
        }

    def problems_to_json(self) -> list[dict[str, Any]]:
        """Return the problems of the request, each as a dict of the attributes of `Problem`.

        If the request is a formula, each dict also has `position`: where the problem begins in the formula,
        in characters from 0.
        """
        problems, formula = [asdict(problem) for problem in self.found.problems], self.asked.formula
        if formula is None:
            return problems
        return [problem | {"position": formula.position(problem["path"])} for problem in problems]


class Validation:
    """A validator of requests, with the settings of the worker.

    Args:
        place: the location of the inputs, which are checked too; None to check only the requests.
        manifests: the keys of the dataset manifests in which the series of a bare expression are looked up;
            if empty, those of the newest version of each dataset.
        is_shared: whether each series is read only once for all requests. The traffic of a request then
            lacks what an earlier request has read.
        datasets: the datasets of runs in this process, whose series are not read again.
    """

    def __init__(
        self,
        place: Place | None,
        manifests: Sequence[str] = (),
        *,
        is_shared: bool = False,
        datasets: Datasets | None = None,
    ) -> None:
        self._place = place
        self._settings = settings_of(place)
        self._manifests = manifests
        self._reader = (
            Reader(place.bucket, self._settings, is_shared=is_shared, datasets=datasets) if place else None
        )

    def of(self, asked: Asked) -> Finding:
        """Validate a request or a bare expression, and return it with its problems.

        If S3 fails, the command ends with exit code 2.
        """
        if asked.problems:
            return Finding(asked, Validated(asked.problems))
        body, place = asked.body, self._place
        if asked.is_expression:
            body = body_around(asked, self._settings, place, self._manifests)
        bounds = bounds_of(self._settings, body, place)
        reading = err.status(Text(f"Reading {place.label} …")) if place and err.is_terminal else nullcontext()
        try:
            with reading:
                found = validated(body, bounds, self._reader, whole=not asked.is_expression)
        except StoreUnavailable as error:
            raise impossible(f"{place.label if place else asked.file}: {error}.") from error
        if asked.formula is not None:
            warnings = _codes_without_quotes(asked.formula, found.inputs.manifests.values())
            found = replace(found, problems=(*found.problems, *warnings))
        return Finding(asked, found)


def _codes_without_quotes(formula: Formula, manifests: Iterable[Manifest]) -> Iterator[Problem]:
    """Yield a warning for each difference in a formula that is written like the code of an existing series.

    Without quotation marks, the code `DE.UNEMP-SA` is the difference of `DE.UNEMP` and `SA`.
    """
    for path, (start, end) in formula.spans.items():
        code = formula.text[start:end]
        if _CODE_WITH_MINUS.fullmatch(code) and any(manifest.has(code) for manifest in manifests):
            text = f"this is a difference, but there is a series {quoted(code)}"
            hint = f'if you mean the series, write its code in quotation marks: "{code}"'
            yield warning(path, text, hint=hint)


def print_problems(problems: Sequence[Problem], formula: Formula | None = None) -> None:
    """Print the first problems of a request, `MOST_SHOWN` at most, and the number of the others.

    Args:
        problems: the problems.
        formula: the formula that has the problems; None if the expression is JSON.
    """
    for problem in problems[:MOST_SHOWN]:
        print_problem(problem, formula)
    if (more := len(problems) - MOST_SHOWN) > 0:
        print_text(Text(f"and {more:,} more: metrics validate --json shows all", "dim"), 2)


def print_problem(problem: Problem, formula: Formula | None = None) -> None:
    """Print a problem: its path and text, the value that was found, the allowed values and the suggestion.

    Args:
        problem: the problem.
        formula: the formula that has the problem; None if the expression is JSON. The formula is printed
            with a caret below the part with the problem.
    """
    colour = "red" if problem.severity == "error" else "yellow"
    where = problem.path or ("the formula" if formula else "the whole file")
    print_text(Text.assemble((problem.severity, f"bold {colour}"), "  ", (where, "cyan")), 2)
    for line in formula.pointer(problem.path) if formula else ():
        out.print(Text(" " * 4 + line), soft_wrap=True)
    print_text(Text(problem.text), 4)
    for label, said in (("found", problem.found), ("allowed", problem.allowed)):
        if said is not None and said.strip('"') not in problem.text:
            print_text(Text.assemble((f"{label} ", "dim"), said), 4)
    if problem.suggestion:
        print_text(Text(problem.suggestion, "green"), 4)


def print_text(text: Text, indent: int = 0) -> None:
    """Print a text, indented by `indent` columns.

    On a terminal, the text is broken into lines; in a pipe or a file, it is one line.
    """
    if out.is_terminal:
        out.print(Padding(text, (0, 0, 0, indent), expand=False))
    else:
        out.print(Text(" " * indent) + text, soft_wrap=True)

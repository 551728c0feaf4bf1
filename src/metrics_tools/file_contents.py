"""The requests and expressions in a file, in standard input or in the argument of a command.

A text is a formula if it begins with neither `{` nor `[` and the name of the file does not end in `.json`.
"""

import json
import re
from dataclasses import dataclass
from shlex import quote
from typing import Any

from metrics_tools.formulas.formula import Formula
from metrics_tools.formulas.parsing import parse_formula
from metrics_tools.formulas.tokens import FormulaError
from metrics_tools.validate.contract import NODE_FIELDS, REQUEST_FIELDS
from metrics_tools.validate.json_text import load
from metrics_tools.validate.problems import Problem, shown

ARGUMENT = "formula"
"""The name, in place of the name of a file, of a formula that is an argument of a command."""
_SIGNS = re.compile(r"""[("'×÷−^*+·⋅•∗✕]|\s[-/xX:]\s""")  # noqa: RUF001 - as in print
_KNOWN_FIELDS = {*REQUEST_FIELDS, "inputs", "Message"}
"""Fields that identify a request or notification: it has at least one of them, an expression has none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, a bare expression or a formula in a file.

    Attributes:
        file: the path of the file, as it was given.
        body: the JSON text of the request (alone or in an SNS notification) or of the expression; empty if
            there is none.
        is_expression: whether the file contains only an expression, in JSON or as a formula, and no request.
        record: the position among the records of an event; None for a file that is not an event.
        problems: the reasons why the body could not be read; empty if it could.
        formula: the formula in the file, whose expression is in `body`; None if the file contains JSON.
    """

    file: str
    body: str = ""
    is_expression: bool = False
    record: int | None = None
    problems: tuple[Problem, ...] = ()
    formula: Formula | None = None

    @property
    def as_argument(self) -> str:
        """Return the file or the formula as an argument of a command, quoted for a shell if necessary."""
        if self.file == ARGUMENT and self.formula is not None:
            return quote(self.formula.text)
        return quote(self.file)


def asked_in(file: str, raw: bytes) -> list[Asked]:
    """Return the request, expression or formula in a file; for a file with an event, one for each record.

    Invalid content does not raise an error: `Asked.problems` describes it.

    Args:
        file: the path of the file, which is shown in messages. A formula cannot be in a `.json` file.
        raw: the content of the file.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        text = f"not UTF-8: byte {error.start:,} is 0x{raw[error.start]:02x}"
        return [Asked(file, problems=(Problem("", text, suggestion="save it as UTF-8"),))]
    return [of_formula(text, file=file)] if _is_formula(text, file=file) else _of_json(text, file=file)


def _of_json(text: str, *, file: str) -> list[Asked]:
    loaded = load(text)
    if not loaded.is_json:
        problems = (_formula_in_json(text, file),) if _has_formula(text) else loaded.problems
        return [Asked(file, problems=problems)]
    match loaded.value:
        case {"Records": list(records)} if records:
            return [_of_record(file, number, record) for number, record in enumerate(records)]
        case {"Records": records}:
            problem = Problem("Records", "an event holds a list of records, one or more", shown(records))
            return [Asked(file, problems=(problem,))]
        case dict() as fields if not fields.keys() & _KNOWN_FIELDS and fields.keys() & set(NODE_FIELDS):
            return [Asked(file, text, is_expression=True)]
    return [Asked(file, text)]


def _has_formula(text: str) -> bool:
    """Return whether a text is the formula of an expression, not only of a series, which any word is."""
    try:
        return "op" in (parse_formula(text).expression or {})
    except FormulaError:
        return False


def _formula_in_json(text: str, file: str) -> Problem:
    name = f"{file.removesuffix('.json')}.formula"
    hint = f"rename the file: a formula is read from {name}, or as an argument in quotes in place of the file"
    return Problem("", "not JSON: it looks like a formula", shown(text.strip()), "JSON", hint)


def of_formula(text: str, *, file: str) -> Asked:
    """Return the expression that a formula describes, or the reason in `problems` why it describes none.

    Args:
        text: the formula.
        file: the name of the file that contains it, or `ARGUMENT` if it is an argument of a command.
    """
    text = text.rstrip()
    try:
        formula = parse_formula(text)
    except FormulaError as error:
        what = "neither a file nor a formula" if file == ARGUMENT else "not a formula"
        problem = Problem("", f"{what}: {error.text}", suggestion=error.hint)
        mistake = {"": (error.start, error.start + 1)}
        return Asked(file, problems=(problem,), formula=Formula(text, None, mistake))
    return Asked(file, json.dumps(formula.expression), is_expression=True, formula=formula)


def is_formula_argument(argument: str) -> bool:
    """Return whether an argument of a command is probably a formula, if no file has this name.

    The argument is taken for a formula if it contains a bracket, a quotation mark or an operator. The
    operators `-` and `/` count only between blanks, because both occur in the names of files. Other signs for
    a multiplication or a division, such as a letter x between blanks, count too, although they are not
    operators: the error then says which operator to write. An argument that ends in `.json` is never a
    formula.
    """
    return not argument.endswith(".json") and _SIGNS.search(argument) is not None


def _is_formula(text: str, *, file: str) -> bool:
    return not file.endswith(".json") and text.lstrip()[:1] not in {"{", "[", "\ufeff"}


def pointed_out(formula: Formula, problem: Problem) -> str:
    """Return the text that explains a problem of a formula, in several lines.

    They are the description of the problem, the formula, a caret below the part with the problem, and the
    suggestion if the problem has one.
    """
    line, caret = formula.pointer(problem.path)
    return "\n".join([problem.text, f"  {line}", f"  {caret}", *filter(None, [problem.suggestion])])


def _of_record(file: str, number: int, record: Any) -> Asked:
    body = record.get("body") if isinstance(record, dict) else None
    if isinstance(body, str):
        return Asked(file, body, record=number)
    text = "a record has a body, a text" if isinstance(record, dict) else "a record is an object with a body"
    path = f"Records[{number}].body" if isinstance(record, dict) else f"Records[{number}]"
    return Asked(file, record=number, problems=(Problem(path, text, shown(body or record)),))

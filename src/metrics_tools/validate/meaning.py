"""What a request says that is allowed and probably not meant: warnings, each with what it comes to."""

from collections.abc import Iterator, Mapping
from typing import Any

from metrics_tools.describe.nodes import NodeView, outlined
from metrics_tools.validate.mending import STAND_IN
from metrics_tools.validate.near import near
from metrics_tools.validate.problems import ALLOWED, Problem, quoted, shown
from metrics_worker.expression.grammar import SeriesMath, WindowOp, series_codes
from metrics_worker.request import RunRequest

_OPTIONAL = ("schema", "inputs")
_SAID_BESIDE = ("description", "unit", "expectedError")
"""What an author may say too; the worker ignores it, as it does all that it doesn't know."""


def doubts_about_request(request: RunRequest) -> Iterator[Problem]:
    """What is probably not meant in a request whose expression is valid, the expression included.

    Args:
        request: mended.
    """
    event = request.run.event
    yield from _ignored(event)
    named = series_codes(request.expression)
    declared = {item["seriesCode"] for item in event.get("inputs") or ()}
    for i, item in enumerate(event.get("inputs") or ()):
        code = item["seriesCode"]
        if code not in named and not code.startswith(STAND_IN):
            meant = near(code, [other for other in named if other not in declared])
            hint = f"did you mean {quoted(meant)}?" if meant else "leave it out, or use it"
            text = f"the expression does not name {quoted(code)}, so it is not read"
            yield _warning(f"inputs[{i}].seriesCode", text, code, hint)
    yield from doubts_about_nodes(outlined(request.expression))


def doubts_about_nodes(view: NodeView) -> Iterator[Problem]:
    """What is probably not meant in an expression."""
    match view.node:
        case WindowOp(op=op, window=1) if op != "lag":
            yield _warning(f"{view.path}.window", f"the {op} of one observation is that observation", 1)
        case SeriesMath(scale=0):
            yield _warning(
                f"{view.path}.scale", "times 0, every value is 0", 0, "leave scale out, or give it"
            )
        case SeriesMath(op="subtract", left=left, right=right) if left == right:
            # A ratio of a series to itself is no mistake: with a scale, it is how a constant is written.
            yield _warning(view.path, "left and right are the same, so every value is 0", None)
        case _:
            pass
    for operand in view.operands:
        yield from doubts_about_nodes(operand)


def _ignored(event: Mapping[str, Any]) -> Iterator[Problem]:
    """Fields that the worker doesn't know and whose names are near one that may be left out, and is."""
    absent = [name for name in _OPTIONAL if event.get(name) is None]
    for name in event:
        if name not in ALLOWED and name not in _SAID_BESIDE and (meant := near(name, absent)):
            text, hint = (
                f"a request has no field {quoted(name)}, so it is ignored",
                f"did you mean `{meant}`?",
            )
            yield _warning(name, text, event[name], hint)


def _warning(path: str, text: str, found: Any, hint: str | None = None) -> Problem:
    return Problem(path, text, None if found is None else shown(found), None, hint, "warning")

"""Warnings about parts of a valid request that are allowed but probably not intended."""

from collections.abc import Iterator

from metrics_tools.describe.nodes import NodeView
from metrics_tools.validate.contract import ALLOWED, OPTIONAL_FIELDS
from metrics_tools.validate.draft import Draft
from metrics_tools.validate.near import near
from metrics_tools.validate.problems import Problem, quoted, warning
from metrics_worker.expression.grammar import SeriesMath, WindowOp

_COMMENTS = ("description", "unit", "expectedError")
"""Fields that an author may add; the worker ignores them, as it ignores every unknown field."""


def warnings_about_request(draft: Draft, view: NodeView) -> Iterator[Problem]:
    """Yield the warnings about a request whose expression is valid.

    Args:
        draft: the request.
        view: the expression of the request.
    """
    absent = [name for name in OPTIONAL_FIELDS if draft.event.get(name) is None]
    for name in draft.event:
        if name not in ALLOWED and name not in _COMMENTS and (meant := near(name, absent)):
            text = f"a request has no field {quoted(name)}, so it is ignored"
            yield warning(name, text, draft.event[name], f"did you mean `{meant}`?")
    declared, codes = draft.checked.declared, draft.checked.codes
    for code in declared:
        if code not in codes:
            meant = near(code, [other for other in codes if other not in declared])
            hint = f"did you mean {quoted(meant)}?" if meant else "leave it out, or use it"
            text = f"the expression does not name {quoted(code)}, so it is not read"
            yield warning(draft.input_path(code), text, code, hint)
    yield from _warnings_about_nodes(view)


def _warnings_about_nodes(view: NodeView) -> Iterator[Problem]:
    match view.node:
        case WindowOp(op=op, window=1) if op != "lag":
            yield warning(f"{view.path}.window", f"the {op} of one observation is that observation", 1)
        case SeriesMath(scale=0):
            hint = "leave scale out, or give it another value"
            yield warning(f"{view.path}.scale", "times 0, every value is 0", 0, hint)
        case SeriesMath(op="subtract", left=left, right=right) if left == right:
            # The ratio of a series to itself is intended: with a scale, it is how a constant is written.
            yield warning(view.path, "left and right are the same, so every value is 0")
        case _:
            pass
    for operand in view.operands:
        yield from _warnings_about_nodes(operand)

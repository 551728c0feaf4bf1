"""A formula as a Python expression that `ast.parse` can read.

In the Python expression, each word, number and quoted text of the formula is replaced by a name such as `_7`,
with the number of the token, and each operator by Python's ASCII operator. Therefore no keyword, escape
sequence or literal of Python has a meaning in a formula, and each column that Python reports belongs to a
token.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from metrics_tools.formulas.tokens import VALUES, Token

_SIGNS = {"+": "+", "-": "-", "−": "-", "*": "*", "×": "*", "/": "/", "÷": "/", "^": "**", "**": "**"}  # noqa: RUF001
"""The operators of formulas, and those of Python."""


@dataclass(frozen=True, slots=True)
class PythonSource:
    """A formula as a Python expression, and the columns of the formula's tokens in this expression.

    Attributes:
        text: the Python expression.
        starts: column in `text` → number of the token that begins there.
        ends: column in `text` → number of the token that ends before it.
    """

    text: str
    starts: dict[int, int]
    ends: dict[int, int]


def python_source(tokens: Sequence[Token]) -> PythonSource:
    """Return a formula, given by its tokens, as a Python expression. The name `_7` represents token 7."""
    pieces, starts, ends, column = list[str](), dict[int, int](), dict[int, int](), 0
    for number, token in enumerate(tokens):
        piece = f"_{number}" if token.kind in VALUES else _SIGNS.get(token.text, token.text)
        starts[column], ends[column + len(piece)] = number, number
        column += len(piece) + 1
        pieces.append(piece)
    return PythonSource(" ".join(pieces), starts, ends)

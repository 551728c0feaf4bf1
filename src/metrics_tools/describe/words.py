"""An expression as text for people: as a formula, and in plain words.

`formula()` returns `sma(ECB_USD_EUR_D, 14) + lag(ECB_USD_EUR_D, 30)`. `in_words()` returns `the mean of the
last 14 observations of ECB_USD_EUR_D`; an operand that is not a series is in brackets. `step_in_words()`
describes a node without its operands, for a tree that shows them below the node.
"""

from collections.abc import Sequence
from typing import assert_never

from metrics_tools.formatting import count
from metrics_worker.expression.grammar import Composite, Node, SeriesMath, SeriesRef, WindowOp, children

_SUM, _QUOTIENT, _PRODUCT, _WHOLE = range(4)
"""Operator precedences, the lowest first. An operand of too low a precedence is written in brackets."""
_MATH = {
    "add": ("+", _SUM, "{} plus {}"),
    "subtract": ("−", _SUM, "{} minus {}"),  # noqa: RUF001 - as in print
    "multiply": ("×", _PRODUCT, "{} times {}"),  # noqa: RUF001
    "ratio": ("÷", _QUOTIENT, "the ratio of {} to {}"),
}
"""By operation: the sign, its precedence, and the operation in words."""
_MEASURES = {"sma": "mean", "avg": "mean", "sum": "sum", "max": "highest", "min": "lowest"}


def formula(node: Node) -> str:
    """Return an expression as one line of text."""
    return _written(node)[0]


def _written(node: Node) -> tuple[str, int]:
    """Return the text of a node, and the precedence of its outermost operator."""
    match node:
        case SeriesRef(series_code=code):
            return code, _WHOLE
        case SeriesMath(op=op, left=left, right=right, scale=scale):
            sign, binds, _ = _MATH[op]
            # An operand of equal precedence needs brackets on the right. A quotient needs them as any factor.
            on_left, on_right = (_SUM, _QUOTIENT) if binds == _SUM else (_PRODUCT, _WHOLE)
            text = f"{_bracketed(*_written(left), on_left)} {sign} {_bracketed(*_written(right), on_right)}"
            if scale == 1:
                return text, binds
            return f"{_bracketed(text, binds, _PRODUCT)} × {scale:g}", _PRODUCT  # noqa: RUF001 - as in print
        case WindowOp(op=op, series=series, window=window):
            return f"{op}({formula(series)}, {window})", _WHOLE
        case Composite(op=op, operands=operands):
            return f"{op}({', '.join(map(formula, operands))})", _WHOLE
        case _:
            assert_never(node)


def _bracketed(text: str, binds: int, least: int) -> str:
    return text if binds >= least else f"({text})"


def in_words(node: Node) -> str:
    """Return a noun phrase for a node and its operands."""
    if isinstance(node, SeriesRef):
        return node.series_code
    operands = [(below, in_words(below)) for below in children(node)]
    return _phrase(node, [text if isinstance(below, SeriesRef) else f"({text})" for below, text in operands])


def step_in_words(node: Node) -> str:
    """Return what a node does to its operands, which are called left, right or by their number."""
    return _phrase(node, ())


def _phrase(node: Node, operands: Sequence[str]) -> str:
    """Return a node in words with the given operands; without operands, what the node does to any."""
    match node:
        case SeriesRef():
            return "series"
        case SeriesMath(op=op, scale=scale):
            text = _MATH[op][2].format(*operands or ("left", "right"))
            return text if scale == 1 else f"{text}, times {scale:g}"
        case WindowOp(op=op, window=window):
            length, of = count(window, "observation"), f" of {operands[0]}" if operands else ""
            if op == "lag":
                return f"the value{of} {length} earlier"
            if op == "ema":
                return f"the exponential mean{of} over {length}"
            return f"the {_MEASURES[op]} of the last {'observation' if window == 1 else length}{of}"
        case Composite(op=op):
            which = f"the {len(node.operands)} operands"
            if operands:
                which = f"{', '.join(operands[:-1])} and {operands[-1]}"
            return f"the {_MEASURES[op]} of whichever of {which} have a value"
        case _:
            assert_never(node)

"""An expression as text for people: as a formula, and in plain words.

`formula()` returns `sma(ECB_USD_EUR_D, 14) + lag(ECB_USD_EUR_D, 30)`. `in_words()` returns `the mean of the
last 14 observations of ECB_USD_EUR_D`; an operand that is not a series is in brackets. `step_in_words()`
describes a node without its operands, for a tree that shows them below the node.
"""

from collections.abc import Sequence
from typing import Any

from metrics_tools.formatting import count
from metrics_worker.expression.grammar import children, dump
from metrics_worker.expression.nodes import (
    Composite,
    Constant,
    Ema,
    Lag,
    Node,
    SeriesMath,
    SeriesRef,
    WindowOp,
)

_SUM, _QUOTIENT, _PRODUCT, _POWER, _WHOLE = range(5)
"""Operator precedences, the lowest first. An operand of too low a precedence is written in brackets."""
_MATH = {
    "add": ("+", _SUM, "{} plus {}"),
    "subtract": ("−", _SUM, "{} minus {}"),  # noqa: RUF001 - as in print
    "multiply": ("×", _PRODUCT, "{} times {}"),  # noqa: RUF001
    "ratio": ("÷", _QUOTIENT, "the ratio of {} to {}"),
    "power": ("^", _POWER, "{} to the power of {}"),
}
"""By operation: the sign, its precedence, and the operation in words."""
_MEASURES = {"sma": "mean", "avg": "mean", "sum": "sum", "max": "highest", "min": "lowest"}


_LEAST = {_SUM: (_SUM, _QUOTIENT), _POWER: (_WHOLE, _WHOLE)}
"""By precedence of an operator: the lowest precedence of a left and of a right operand without brackets."""
_OPERANDS = ("op", "left", "right", "series", "like", "operands")


def formula(node: Node) -> str:
    """Return an expression as one line of text."""
    return _written(node)[0]


def _written(node: Node) -> tuple[str, int]:
    """Return the text of a node, and the precedence of its outermost operator."""
    match node:
        case SeriesRef(series_code=code):
            return code, _WHOLE
        case Constant(const=value):
            return f"{value:.15g}", _SUM if value < 0 else _WHOLE
        case SeriesMath(op=op, left=left, right=right, scale=scale):
            sign, binds, _ = _MATH[op]
            # An operand of equal precedence needs brackets on the right. A quotient needs them as any factor.
            on_left, on_right = _LEAST.get(binds, (_PRODUCT, _WHOLE))
            text = f"{_bracketed(*_written(left), on_left)} {sign} {_bracketed(*_written(right), on_right)}"
            if scale == 1:
                return text, binds
            return f"{_bracketed(text, binds, _PRODUCT)} × {scale:g}", _PRODUCT  # noqa: RUF001 - as in print
        case _:
            options = [f"{v}" if name == "window" else f"{name}={v}" for name, v in _options(node).items()]
            return f"{node.op}({', '.join([*map(formula, children(node)), *options])})", _WHOLE


def _options(node: Node) -> dict[str, Any]:
    """Return the fields of a node that are neither its operation nor an operand, without default values."""
    return {name: value for name, value in dump(node).items() if name not in _OPERANDS}


def _bracketed(text: str, binds: int, least: int) -> str:
    return text if binds >= least else f"({text})"


def in_words(node: Node) -> str:
    """Return a noun phrase for a node and its operands."""
    if isinstance(node, SeriesRef):
        return node.series_code
    if isinstance(node, Constant):
        return f"{node.const:g}"
    operands = [(below, in_words(below)) for below in children(node)]
    return _phrase(
        node, [text if isinstance(below, SeriesRef | Constant) else f"({text})" for below, text in operands]
    )


def step_in_words(node: Node) -> str:
    """Return what a node does to its operands, which are called left, right or by their number."""
    return _phrase(node, ())


def _phrase(node: Node, operands: Sequence[str]) -> str:  # noqa: PLR0911 - one case for each kind
    """Return a node in words with the given operands; without operands, what the node does to any."""
    of = f" of {operands[0]}" if operands else ""
    match node:
        case SeriesRef():
            return "series"
        case SeriesMath(op=op, scale=scale):
            text = _MATH[op][2].format(*operands or ("left", "right"))
            return text if scale == 1 else f"{text}, times {scale:g}"
        case Lag(op="lag", window=window, unit="observations"):
            return f"the value{of} {count(window, 'observation')} earlier"
        case Ema(window=window):
            return f"the exponential mean{of} over {count(window, 'observation')}"
        case WindowOp(window=window, unit="observations", min_periods=None) if node.op in _MEASURES:
            last = "observation" if window == 1 else count(window, "observation")
            return f"the {_MEASURES[node.op]} of the last {last}{of}"
        case Composite(op=op):
            which = f"the {len(node.operands)} operands"
            if operands:
                which = f"{', '.join(operands[:-1])} and {operands[-1]}"
            return f"the {_MEASURES[op]} of whichever of {which} have a value"
        case Constant(const=value):
            return f"{value:g}"
        case _:
            options = ", ".join(f"{name} {value}" for name, value in _options(node).items())
            of = f" of {' and '.join(operands)}" if operands else ""
            return f"{node.op}{of}" + (f" ({options})" if options else "")

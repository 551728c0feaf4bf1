"""An expression in plain words: `the mean of the last 14 observations of ECB_USD_EUR_D`.

`in_words()` describes a node with its operands; an operand that is not a series is in brackets.
`step_in_words()` describes a node without its operands, for a tree that shows them below the node.
"""

from collections.abc import Sequence
from typing import assert_never

from metrics_tools.formatting import count
from metrics_worker.expression.grammar import Composite, Node, SeriesMath, SeriesRef, WindowOp

_OF_WINDOW = {"sma": "mean", "sum": "sum", "max": "highest", "min": "lowest"}
_OF_COMPOSITE = {"sum": "sum", "avg": "mean", "max": "highest", "min": "lowest"}


def in_words(node: Node) -> str:
    """Return a noun phrase for a node and its operands."""
    match node:
        case SeriesRef(series_code=code):
            return code
        case SeriesMath(op=op, left=left, right=right, scale=scale):
            return _math(op, _operand(left), _operand(right)) + _scaled(scale)
        case WindowOp(op=op, series=series, window=window):
            return _window(op, _operand(series), window)
        case Composite(op=op, operands=operands):
            listed = _listed([_operand(operand) for operand in operands])
            return f"the {_OF_COMPOSITE[op]} of whichever of {listed} have a value"
        case _:
            assert_never(node)


def step_in_words(node: Node) -> str:
    """Return what a node does to its operands, which are called left, right or by their number."""
    match node:
        case SeriesRef():
            return "series"
        case SeriesMath(op=op, scale=scale):
            return _math(op, "left", "right") + _scaled(scale)
        case WindowOp(op="lag", window=window):
            return f"the value {count(window, 'observation')} earlier"
        case WindowOp(op="ema", window=window):
            return f"the exponential mean over {count(window, 'observation')}"
        case WindowOp(op=op, window=window):
            return f"the {_OF_WINDOW[op]} of the last {_last(window)}"
        case Composite(op=op, operands=operands):
            return f"the {_OF_COMPOSITE[op]} of whichever of the {len(operands)} operands have a value"
        case _:
            assert_never(node)


def _math(op: str, left: str, right: str) -> str:
    match op:
        case "add":
            return f"{left} plus {right}"
        case "subtract":
            return f"{left} minus {right}"
        case "multiply":
            return f"{left} times {right}"
        case _:
            return f"the ratio of {left} to {right}"


def _scaled(scale: float) -> str:
    return "" if scale == 1 else f", times {scale:g}"


def _window(op: str, series: str, window: int) -> str:
    match op:
        case "lag":
            return f"the value of {series} {count(window, 'observation')} earlier"
        case "ema":
            return f"the exponential mean of {series} over {count(window, 'observation')}"
        case _:
            return f"the {_OF_WINDOW[op]} of the last {_last(window)} of {series}"


def _last(window: int) -> str:
    return "observation" if window == 1 else count(window, "observation")


def _operand(node: Node) -> str:
    return in_words(node) if isinstance(node, SeriesRef) else f"({in_words(node)})"


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"

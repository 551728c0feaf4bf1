"""An expression in plain words: `the mean of the last 14 observations of ECB_USD_EUR_D`.

`in_words()` describes a node with its operands; an operand that is not a series is in brackets.
`step_in_words()` describes a node without its operands, for a tree that shows them below the node.
"""

from typing import assert_never

from metrics_tools.formatting import count
from metrics_worker.expression.grammar import Composite, Node, SeriesMath, SeriesRef, WindowOp

_OF_WINDOW = {"sma": "mean", "sum": "sum", "max": "highest", "min": "lowest"}
_OF_COMPOSITE = {"sum": "sum", "avg": "mean", "max": "highest", "min": "lowest"}


_OF_MATH = {
    "add": "{} plus {}",
    "subtract": "{} minus {}",
    "multiply": "{} times {}",
    "ratio": "the ratio of {} to {}",
}


def in_words(node: Node) -> str:
    """Return a noun phrase for a node and its operands."""
    match node:
        case SeriesRef(series_code=code):
            return code
        case SeriesMath(left=left, right=right):
            return _math(node, _operand(left), _operand(right))
        case WindowOp(series=series):
            return _window(node, f" of {_operand(series)}")
        case Composite(op=op, operands=operands):
            *others, last = map(_operand, operands)
            return f"the {_OF_COMPOSITE[op]} of whichever of {', '.join(others)} and {last} have a value"
        case _:
            assert_never(node)


def step_in_words(node: Node) -> str:
    """Return what a node does to its operands, which are called left, right or by their number."""
    match node:
        case SeriesRef():
            return "series"
        case SeriesMath():
            return _math(node, "left", "right")
        case WindowOp():
            return _window(node)
        case Composite(op=op, operands=operands):
            return f"the {_OF_COMPOSITE[op]} of whichever of the {len(operands)} operands have a value"
        case _:
            assert_never(node)


def _math(node: SeriesMath, left: str, right: str) -> str:
    scaled = "" if node.scale == 1 else f", times {node.scale:g}"
    return _OF_MATH[node.op].format(left, right) + scaled


def _window(node: WindowOp, of_series: str = "") -> str:
    """Return a window operation in words; `of_series` is " of" and the operand, or empty."""
    length = count(node.window, "observation")
    match node.op:
        case "lag":
            return f"the value{of_series} {length} earlier"
        case "ema":
            return f"the exponential mean{of_series} over {length}"
        case op:
            last = "observation" if node.window == 1 else length
            return f"the {_OF_WINDOW[op]} of the last {last}{of_series}"


def _operand(node: Node) -> str:
    return in_words(node) if isinstance(node, SeriesRef) else f"({in_words(node)})"

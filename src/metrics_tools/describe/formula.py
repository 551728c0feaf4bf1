"""The text of an expression as a formula: `sma(ECB_USD_EUR_D, 14) + pct_change(ECB_GBP_EUR_D, 1 year)`.

`metrics_tools.formulas` parses formulas: parsing the formula of a node gives an equal node. docs/authoring.md
describes the notation.
"""

import json
import re
from typing import Any

from metrics_tools.formatting import count
from metrics_worker.expression import nodes
from metrics_worker.expression.grammar import children, dump

_SUM, _QUOTIENT, _PRODUCT, _POWER, _WHOLE = range(5)
"""Operator precedences, the lowest first. An operand of too low a precedence is written in brackets."""
SIGNS = {
    "add": "+",
    "subtract": "−",  # noqa: RUF001 - as in print
    "multiply": "×",  # noqa: RUF001
    "ratio": "÷",
    "power": "^",
}
"""By operation on two sides, the sign that a formula writes between the sides."""
_BINDS = {"add": _SUM, "subtract": _SUM, "multiply": _PRODUCT, "ratio": _QUOTIENT, "power": _POWER}
_LEAST = {_SUM: (_SUM, _QUOTIENT), _POWER: (_WHOLE, _WHOLE)}
"""By precedence of an operator: the lowest precedence of a left and of a right operand without brackets."""
OPERANDS = ("op", "left", "right", "series", "like", "operands")
"""The fields of nodes that are not options."""
PLAIN = ("window", "to", "how", "method", "digits")
"""The options that a formula writes without their names, in this order."""
_CODE = re.compile(r"[^\W\d][\w.:]*")
"""The series codes that a formula writes without quotation marks. A `-` would be a minus sign."""


def formula(node: nodes.Node) -> str:
    """Return an expression as a formula in one line. Options with their default value are not written."""
    return _written(node)[0]


def number_text(value: float) -> str:
    """Return the shortest text that is read back as the same float64: "1", "0.57813", "1e-07"."""
    return repr(float(value)).removesuffix(".0")


def _written(node: nodes.Node) -> tuple[str, int]:
    """Return the formula of a node, and the precedence of its outermost operator.

    The caller compares the precedence with that of its own operator to decide whether brackets are needed. A
    node that needs no brackets, such as a call, has the highest precedence.
    """
    match node:
        case nodes.SeriesRef(series_code=code):
            return code if _CODE.fullmatch(code) else _in_quotes(code), _WHOLE
        case nodes.Constant(const=value):
            return number_text(value), _SUM if number_text(value).startswith("-") else _WHOLE
        case nodes.SeriesMath():
            return _math(node)
        case nodes.Composite(operands=operands):
            return f"{node.op}({', '.join(map(_named_constant, operands))})", _WHOLE
        case _:
            named = [(name, value) for name, value in _options(node).items() if name not in PLAIN]
            options = plain_options(node) + [f"{name}={_option_text(value)}" for name, value in named]
            return f"{node.op}({', '.join([*map(formula, children(node)), *options])})", _WHOLE


def _math(node: nodes.SeriesMath) -> tuple[str, int]:
    """Return the formula of an operation on two sides, and the precedence of its outermost operator."""
    binds = _BINDS[node.op]
    # An operand of equal precedence needs brackets on the right. A quotient needs them as any factor.
    on_left, on_right = _LEAST.get(binds, (_PRODUCT, _WHOLE))
    left, right = _bracketed(*_written(node.left), on_left), _bracketed(*_written(node.right), on_right)
    match node:
        case nodes.SeriesMath(
            op="multiply", left=nodes.SeriesMath(scale=1), right=nodes.Constant() as constant
        ):
            right = _named_constant(constant)
    text = f"{left} {SIGNS[node.op]} {right}"
    if node.scale == 1:
        return text, binds
    return f"{_bracketed(text, binds, _PRODUCT)} {SIGNS['multiply']} {number_text(node.scale)}", _PRODUCT


def _named_constant(node: nodes.Node) -> str:
    """Return the formula of an operand; a constant is written as `const(3)`.

    The name distinguishes a constant from the length of a window, as in max(X, const(3)) and max(X, 3), and
    from a scale, as in (A + B) × const(3) and (A + B) × 3.
    """  # noqa: RUF002 - a multiplication sign
    return f"const({formula(node)})" if isinstance(node, nodes.Constant) else formula(node)


def plain_options(node: nodes.Node) -> list[str]:
    """Return the options that a formula writes without their names, such as the length of a window."""
    options = _options(node)
    return [str(options[name]) for name in PLAIN if name in options]


def _options(node: nodes.Node) -> dict[str, Any]:
    """Return, by name, the options of a node that do not have their default value; the time zone is last."""
    options = {name: value for name, value in dump(node).items() if name not in OPERANDS}
    if (unit := options.pop("unit", None)) is not None:
        options["window"] = count(options["window"], unit.removesuffix("s")).replace(",", "")
    if (zone := options.pop("tz", None)) is not None:
        options["tz"] = _in_quotes(zone)
    return options


def _option_text(value: Any) -> str:
    if isinstance(value, float):
        return number_text(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _in_quotes(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _bracketed(text: str, binds: int, least: int) -> str:
    return text if binds >= least else f"({text})"

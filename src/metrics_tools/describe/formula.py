"""An expression as a formula, for people: `sma(ECB_USD_EUR_D, 14) + lag(ECB_USD_EUR_D, 30)`."""

from typing import assert_never

from metrics_worker.expression.grammar import Composite, Node, SeriesMath, SeriesRef, WindowOp

_SUM, _QUOTIENT, _PRODUCT, _WHOLE = range(4)
"""Operator precedences, the lowest first. An operand of too low a precedence is written in brackets."""
_SIGNS = {
    "add": ("+", _SUM),
    "subtract": ("−", _SUM),  # noqa: RUF001 - as in print
    "multiply": ("×", _PRODUCT),  # noqa: RUF001
    "ratio": ("÷", _QUOTIENT),
}


def formula(node: Node) -> str:
    """Return an expression as one line of text."""
    return _written(node)[0]


def _written(node: Node) -> tuple[str, int]:
    """Return the text of a node, and the precedence of its outermost operator."""
    match node:
        case SeriesRef(series_code=code):
            return code, _WHOLE
        case SeriesMath(op=op, left=left, right=right, scale=scale):
            sign, binds = _SIGNS[op]
            # An operand of equal precedence needs brackets on the right. A quotient needs them as any factor.
            on_left, on_right = (_SUM, _QUOTIENT) if binds == _SUM else (_PRODUCT, _WHOLE)
            text = f"{_operand(left, on_left)} {sign} {_operand(right, on_right)}"
            if scale == 1:
                return text, binds
            return f"{_bracketed(text, binds, _PRODUCT)} × {scale:g}", _PRODUCT  # noqa: RUF001 - as in print
        case WindowOp(op=op, series=series, window=window):
            return f"{op}({formula(series)}, {window})", _WHOLE
        case Composite(op=op, operands=operands):
            return f"{op}({', '.join(map(formula, operands))})", _WHOLE
        case _:
            assert_never(node)


def _operand(node: Node, least: int) -> str:
    return _bracketed(*_written(node), least)


def _bracketed(text: str, binds: int, least: int) -> str:
    return text if binds >= least else f"({text})"

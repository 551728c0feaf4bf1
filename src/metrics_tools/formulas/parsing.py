"""The parsing of a formula to an expression as JSON values, with the position of each part in the formula.

Python's own parser determines the structure: it knows brackets, calls and the precedence of operators. Only
names, calls, named arguments and six operators are accepted from its result, and nothing is evaluated. The
values of options are not checked: `metrics_worker.expression.grammar` checks the expression.
"""

import ast
from collections.abc import Iterable
from typing import Any, get_args

from metrics_tools.formatting import count
from metrics_tools.formulas.formula import Formula, FormulaNode, Span
from metrics_tools.formulas.names import (
    CONST,
    kind_of_call,
    operand_names,
    option_with_name,
    order_of_arguments,
    positional,
    similar_operation,
    takes_scale,
    value_error,
)
from metrics_tools.formulas.python_source import PythonSource, python_source
from metrics_tools.formulas.tokens import (
    NUMBERS,
    FormulaError,
    Token,
    code_around,
    duration_of,
    number_of,
    number_with_commas,
    tokens_of,
)
from metrics_tools.validate.near import did_you_mean
from metrics_tools.validate.problems import quoted
from metrics_worker.expression.fields import Unit
from metrics_worker.expression.grammar import ROOT, raw_operands
from metrics_worker.problem import Path, path_text

_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "ratio",
    ast.Pow: "power",
}
_UNITS: tuple[str, ...] = get_args(Unit)


def parse_formula(text: str) -> Formula:
    """Return the expression that a formula describes. The values of the options are not checked.

    Raises:
        FormulaError: the text is not a formula.
    """
    tokens = tokens_of(text)
    source = python_source(tokens)
    try:
        tree = ast.parse(source.text, mode="eval")
        expression = _Builder(text, tokens, source).node(tree.body)
    except SyntaxError as error:
        raise _syntax_error(error, tokens, source) from error
    except (RecursionError, MemoryError) as error:
        raise FormulaError("the formula is nested too deep to be read", tokens[0].start) from error
    return Formula(text, expression, dict(_spans(expression)))


def _syntax_error(error: SyntaxError, tokens: list[Token], source: PythonSource) -> FormulaError:
    """Return a FormulaError at the token to which the column of a syntax error in `source` belongs."""
    column = (error.offset or 1) - 1
    number = next((at for start, at in source.starts.items() if start >= column), -1)
    if "too many nested" in error.msg:
        return FormulaError("the formula is nested too deep to be read", tokens[number].start)
    return FormulaError(f"`{tokens[number].text}` is not expected here", tokens[number].start)


def _spans(root: FormulaNode) -> list[tuple[str, Span]]:
    """Return (JSON path, place in the formula) for the root, all nodes below it, and their given options."""
    found, rest = list[tuple[str, Span]](), list[tuple[Path, FormulaNode]]([((ROOT,), root)])
    while rest:
        path, node = rest.pop()
        found.append((path_text(path), node.span))
        found += [(path_text((*path, name)), span) for name, span in node.spans.items()]
        rest += [((*path, *below), operand) for below, operand in raw_operands(node)]
    return found


class _Builder:
    """A converter of a formula's syntax tree to the nodes of an expression.

    In the tree, which Python's parser made from a `PythonSource`, the name `_7` represents token 7.
    """

    def __init__(self, text: str, tokens: list[Token], source: PythonSource) -> None:
        self._text = text
        self._tokens = tokens
        self._source = source

    def node(self, tree: ast.expr) -> FormulaNode:
        """Return the node that a part of the syntax tree describes, with its operands.

        Raises:
            FormulaError: the part is not a series, number or operation, or an operation is used wrongly.
        """
        match tree:
            case ast.Name():
                return self._leaf(tree)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._negative(tree, self.node(operand))
            case ast.BinOp(left=left, op=op, right=right):
                return self._math(tree, _OPERATORS[type(op)], left=self.node(left), right=self.node(right))
            case ast.Call(func=ast.Name()):
                return self._call(tree)
        hint = None
        if isinstance(tree, ast.Tuple):
            self._check_commas(tree.elts, is_call=False)
            hint = f"a comma separates the arguments of an operation; {NUMBERS}"
        raise self._error(tree, "expected a series, a number or an operation", hint)

    def _leaf(self, tree: ast.Name) -> FormulaNode:
        token = self._token(tree)
        if token.kind == "number":
            return FormulaNode(self._span(tree), {"const": number_of(token)}, is_bare=True)
        if token.kind in {"word", "text"}:
            return FormulaNode(self._span(tree), {"series_code": token.text})
        text = f"expected a series, a number or an operation, not a {token.kind}"
        hint = "the window follows the series: lag(X, 12 months)"
        if (code := code_around(self._tokens, self._source.starts[tree.col_offset])) is not None:
            hint = f'a series code with a minus is in quotes: "{code}"'
        elif token.kind == "duration" and len(token.text.split()) == 1:
            hint = f'a series code that begins with a digit is in quotes: "{token.text}"'
        raise self._error(tree, text, hint)

    def _negative(self, tree: ast.expr, operand: FormulaNode) -> FormulaNode:
        if "const" in operand:
            return FormulaNode(self._span(tree), {"const": -float(operand["const"])}, is_bare=operand.is_bare)
        return FormulaNode(self._span(tree), {"op": "neg", "series": operand})

    def _math(self, tree: ast.expr, op: str, *, left: FormulaNode, right: FormulaNode) -> FormulaNode:
        """Return the node of an operation on two sides.

        A product with a number, as in `(A / B) * 100`, becomes its left node with the number as `scale`, if
        that node can have a scale. The place of the node in the formula is that of `tree`.
        """
        if op == "multiply" and right.is_bare and takes_scale(left):
            left["scale"] = right["const"]
            left.spans["scale"] = right.span
            left.span = self._span(tree)
            return left
        return FormulaNode(self._span(tree), {"op": op, "left": left, "right": right})

    def _call(self, tree: ast.Call) -> FormulaNode:
        op = self._token(tree.func)
        if op.text == CONST:
            return self._constant(tree)
        given = [argument for argument in tree.args if not self._is_option(argument)]
        kind = kind_of_call(op.text, len(given))
        if kind is None:
            operand = self.node(given[0]) if len(given) == 1 else None
            hint = similar_operation(op.text, len(given), operand)
            raise self._error(tree.func, f"there is no operation {quoted(op.text)}", hint)
        node = FormulaNode(self._span(tree), {"op": op.text})
        node.spans["op"] = self._span(tree.func)
        if kind == "composite":
            self._check_commas(tree.args)
            node["operands"] = [self._operand_of_many(argument) for argument in tree.args]
        else:
            self._positional(node, kind, tree)
        self._named(node, operand_names(kind), tree)
        return node

    def _constant(self, tree: ast.Call) -> FormulaNode:
        if len(tree.args) != 1 or tree.keywords or "const" not in (number := self.node(tree.args[0])):
            raise self._error(tree, "a constant is one number", "write const(3)")
        return FormulaNode(self._span(tree), {"const": number["const"]})

    def _operand_of_many(self, tree: ast.expr) -> FormulaNode:
        operand = self.node(tree)
        if operand.is_bare:
            text = "a number among several operands is written as a constant"
            raise self._error(tree, text, f"write const({operand['const']})")
        return operand

    def _positional(self, node: FormulaNode, kind: str, tree: ast.Call) -> None:
        """Add the arguments that the call `tree` has without a name to the call's node.

        The kind of the node, such as `lag`, determines their order. It must not be `composite`.
        """
        names, operands = positional(kind), len(operand_names(kind))
        options_first = any(map(self._is_option, tree.args[:operands]))
        if kind != "series_math" and options_first and not all(map(self._is_option, tree.args[operands:])):
            hint = order_of_arguments(node["op"], operands)
            raise self._error(tree.args[0], "the operands come first, then the options", hint)
        for number, argument in enumerate(tree.args):
            if number == len(names):
                self._check_commas(tree.args)
                text = f"{node['op']} has at most {count(len(names), 'argument')} without a name"
                written = self._text[slice(*self._span(argument))]
                raise self._error(argument, text, option_with_name(kind, written))
            self._add(node, names[number], argument, is_operand=number < operands)

    def _named(self, node: FormulaNode, operands: list[str], tree: ast.Call) -> None:
        for keyword in tree.keywords:
            if keyword.arg is None:
                raise self._error(tree, "a sign is not expected here")
            token = self._tokens[int(keyword.arg[1:])]
            if token.kind != "word" or token.text in node:
                fault = "is given twice" if token.text in node else "is not the name of an option"
                raise FormulaError(f"{quoted(token.text)} {fault}", token.start)
            self._add(node, token.text, keyword.value, is_operand=token.text in operands)
            node.spans[token.text] = token.start, self._span(keyword.value)[1]

    def _add(self, node: FormulaNode, name: str, tree: ast.expr, *, is_operand: bool) -> None:
        """Add one argument of a call to the node of the call, as an operand or as an option.

        Args:
            node: the node of the call.
            name: the field of the node to which the argument belongs.
            tree: the argument in the syntax tree.
            is_operand: whether the argument is an operand.
        """
        if is_operand:
            node[name] = self.node(tree)
            return
        node.spans[name] = self._span(tree)
        token = self._token(tree) if isinstance(tree, ast.Name) else None
        if token is not None and token.kind == "duration" and name == "window":
            node["window"], unit = duration_of(token)
            node["unit"] = f"{unit}s" if f"{unit}s" in _UNITS else unit
            if node["unit"] not in _UNITS:
                hint = did_you_mean(unit, _UNITS) or f"the units are {', '.join(_UNITS)}"
                raise self._error(tree, f"there is no unit {quoted(unit)}", hint)
            node.spans["unit"] = self._span(tree)
        elif name == "window" and not self._is_option(tree):
            text = "a window is a number of observations, or a length such as 12 months"
            raise self._error(tree, text)
        else:
            node[name] = self._value(tree, name)

    def _value(self, tree: ast.expr, name: str) -> Any:
        """Return the value of the option `name`: a number, a Boolean or a text.

        Raises:
            FormulaError: the value is of another kind, such as a call.
        """
        match tree:
            case ast.UnaryOp(op=ast.USub(), operand=ast.Name() as operand):
                if (token := self._token(operand)).kind == "number":
                    return -float(number_of(token))
            case ast.Name():
                token = self._token(tree)
                if token.kind == "number":
                    return number_of(token)
                if token.kind != "duration":
                    return {"true": True, "false": False}.get(token.text, token.text)
        raise self._error(tree, *value_error(name, self._text[slice(*self._span(tree))]))

    def _check_commas(self, arguments: Iterable[ast.expr], *, is_call: bool = True) -> None:
        """Raise a FormulaError if an argument ends with a number that continues after a comma, as in 1,000.

        Args:
            arguments: the parts of the syntax tree between the commas.
            is_call: whether the parts are arguments of an operation. If true, 2,500 can also be two arguments
                if a number alone is before the comma, and 2,5 always, so both are accepted.
        """
        for tree in arguments:
            last = self._tokens[self._source.ends[tree.end_col_offset or 0]]
            if last.kind == "number" and not (is_call and self._is_option(tree)):
                error = number_with_commas(self._text, last.start, only_thousands=is_call)
                if error is not None:
                    raise error

    def _is_option(self, tree: ast.expr) -> bool:
        """Return whether an argument of a call is a number, date or duration, and so cannot be an operand."""
        match tree:
            case ast.UnaryOp(operand=operand):
                return self._is_option(operand)
            case ast.Name():
                return self._token(tree).kind in {"number", "date", "duration"}
        return False

    def _token(self, tree: ast.expr) -> Token:
        """Return the token of the formula at the beginning of a node of Python's syntax tree.

        Python has parsed a text in which token 7 of the formula, for example, is the name `_7`.
        """
        return self._tokens[self._source.starts[tree.col_offset]]

    def _span(self, tree: ast.expr) -> Span:
        first, last = self._source.starts[tree.col_offset], self._source.ends[tree.end_col_offset or 0]
        return self._tokens[first].start, self._tokens[last].end

    def _error(self, tree: ast.expr, text: str, hint: str | None = None) -> FormulaError:
        return FormulaError(text, self._span(tree)[0], hint)

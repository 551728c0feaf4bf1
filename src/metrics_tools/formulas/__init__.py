"""Formulas that authors type, such as `sma(X, 14) ÷ X`: their tokens, their nodes, and their problems.

    tokens.py         the tokens of a formula
    python_source.py  the tokens of a formula as an expression of Python
    parsing.py        the expression that a formula describes, and the position of each node in the text
    names.py          the operations and their arguments
    formula.py        a formula that was parsed, and its lines with a caret below a problem
    as_json.py        an expression as JSON values in their shortest form

`metrics_tools.describe.formula` writes formulas.
"""

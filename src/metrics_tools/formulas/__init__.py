"""Formulas that authors type, such as `sma(X, 14) ÷ X`: their tokens, their nodes, and their problems.

    tokens.py    the tokens of a formula, and the same tokens as an expression of Python
    parsing.py   the expression that a formula describes, and the position of each node in the text
    names.py     the operations and their arguments

`metrics_tools.describe.formula` writes formulas.
"""

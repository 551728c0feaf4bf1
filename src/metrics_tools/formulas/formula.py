"""A formula that an author typed: its expression, and the positions of the nodes and options in its text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

type Span = tuple[int, int]
"""The position of the first character of a part of a formula, and the position after its last character."""
_WIDTH = 76
"""The most characters of a formula that are shown above a caret."""
_BEFORE = 40
"""The most of them that are before the caret."""
_LAST_PART = re.compile(r"(\.[^.\[\]]*|\[\d+\]|^[^.\[\]]+)$")


class FormulaNode(dict[str, Any]):
    """A node as a dict of JSON values, with the places of its parts in the formula.

    A place is the index of the first character and the index after the last character.

    Attributes:
        span: the place of the node.
        spans: by option name, the place of the option.
        is_bare: whether the node is a constant that is written as a number, not as `const(3)`.
    """

    def __init__(self, span: Span, fields: Mapping[str, Any], *, is_bare: bool = False) -> None:
        super().__init__(fields)
        self.span = span
        self.spans = dict[str, Span]()
        self.is_bare = is_bare


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that an author typed, and the expression that it describes.

    Attributes:
        text: the formula.
        expression: the expression as JSON values, which may be invalid; None if the text is not a formula.
        spans: by JSON path (`expressionJson.left.window`), the place of a node or an option in the text: the
            index of its first character and the index after its last character. If the text is not a formula,
            the only path is the empty string, and its place is that of the mistake.
    """

    text: str
    expression: dict[str, Any] | None
    spans: Mapping[str, Span]

    def position(self, path: str) -> int:
        """Return the index in the text at which the node or option at a JSON path begins.

        For a path that is not in `spans`, return the index at which the innermost enclosing node begins; 0 if
        there is no such node.
        """
        while path not in self.spans and (shorter := _LAST_PART.sub("", path)) != path:
            path = shorter
        return self.spans.get(path, (0, 0))[0]

    def pointer(self, path: str) -> tuple[str, str]:
        """Return the formula as one line, and a second line with a caret below the part at a JSON path.

        Line breaks become blanks, and a formula that is too long for one line is shortened at both ends.
        """
        at, text = self.position(path), re.sub(r"\s", " ", self.text)
        first = max(0, min(at - _BEFORE, len(text) - _WIDTH))
        line = text[first : first + _WIDTH]
        if first:
            line = f"…{line[1:]}"
        if first + _WIDTH < len(text):
            line = f"{line[:-1]}…"
        return line.rstrip(), f"{' ' * (at - first)}^"

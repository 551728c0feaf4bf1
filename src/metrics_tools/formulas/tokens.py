"""The tokens of a formula, and the mistakes that they show without the structure of the formula."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from metrics_tools.validate.json_text import LARGEST, SMALLEST, is_too_large, is_too_small
from metrics_worker.request import whole_number

MAX_LENGTH = 400_000
"""The most characters of a formula. The largest expression with the longest series codes has fewer."""
MAX_TOKENS = 20_000
"""The most tokens of a formula. Each of the 512 nodes has at most 30, all of its options included."""
MAX_SIGNS = 3_000
"""The most operators of a formula. Each node has at most three: its sign, its scale, and a minus."""
_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2}(?![\w.]))
      | (?P<duration>[0-9]+\s*(?![eE][+-]?[0-9])[^\W\d][\w.:]*)
      | (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.]))
      | (?P<word>[^\W\d][\w.:]*)
      | (?P<sign>\*\*|[-+*/^×÷−])
      | (?P<mark>[(),=])""",  # noqa: RUF001
    re.VERBOSE,
)
_FOREIGN_NUMBER = re.compile(r"[0-9][0-9_]*_[0-9_.]*(?:[eE][0-9_]+)?|0[xXoObB][0-9a-fA-F_]+")
"""A number in a notation of programming languages that formulas do not have, such as 1_000 or 0x10."""
_WITH_COMMAS = re.compile(r"[0-9]+(?:,[0-9]+)+(?:\.[0-9]+)?(?![\w.])")
"""A number with commas, such as 1,000 or 6,5. It may also be two arguments of an operation without blanks."""
_LEADING_ZERO = re.compile(r"[0-9]+(?:,[0-9]{3})*,0[0-9]{2}(?![0-9])")
"""The beginning of a number with commas that cannot be several arguments, because a group begins with 0."""
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
"""A number whose thousands are separated by commas."""
NUMBERS = "a number is written with digits, a point and an exponent: 1000, 2.5 or 1e-3"
_NUMBER_AT_END = re.compile(r"(?<![\w.])(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?=\s*\Z)")
_BLANK = re.compile(r"\s*")
_CROSSES = {"x", "X"}
"""Letters that authors write for the multiplication sign; each of them can also be a series code."""
VALUES = {"text", "date", "duration", "number", "word"}


class FormulaError(Exception):
    """The error if a text is not a formula.

    Attributes:
        text: the description of the problem.
        start: the position in the formula at which the problem begins, in characters.
        hint: a suggestion for the author; None if there is none.
    """

    def __init__(self, text: str, start: int, hint: str | None = None) -> None:
        super().__init__(text)
        self.text, self.start, self.hint = text, start, hint


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a formula. Positions are indices of characters in the formula, from 0.

    Attributes:
        kind: text (in quotes), date, duration (`12 months`), number, word, sign (an operator) or mark.
        text: the characters of the token; for a token in quotes, those between the quotes.
        start: the position of the first character.
        end: the position after the last character.
    """

    kind: str
    text: str
    start: int
    end: int


def tokens_of(formula: str) -> list[Token]:
    """Return the tokens of a formula.

    Raises:
        FormulaError: the formula is empty, too long or incomplete, a character has no meaning, a bracket has
            no partner, two values have no sign between them, or an argument is in the wrong order.
    """
    if len(formula) > MAX_LENGTH:
        raise FormulaError(f"a formula has at most {MAX_LENGTH:,} characters", MAX_LENGTH)
    found, at = list[Token](), _after_blanks(formula, 0)
    while at < len(formula):
        token = _token_at(formula, at)
        found.append(token)
        if len(found) > MAX_TOKENS:
            raise FormulaError(f"a formula has at most {MAX_TOKENS:,} words, numbers and signs", at)
        at = _after_blanks(formula, token.end)
    if not found:
        raise FormulaError("the formula is empty", 0)
    _check_brackets(found)
    _check_neighbours(found)
    _check_order(found)
    if sum(token.kind == "sign" for token in found) > MAX_SIGNS:
        raise FormulaError(f"a formula has at most {MAX_SIGNS:,} signs", 0)
    return found


def _after_blanks(formula: str, at: int) -> int:
    blanks = _BLANK.match(formula, at)
    return blanks.end() if blanks else at


def _token_at(formula: str, at: int) -> Token:
    match = _TOKEN.match(formula, at)
    if match is None or match.lastgroup is None:
        char = formula[at]
        if char in "\"'":
            raise FormulaError("the quotation mark is never closed", at)
        what = "this is not a number" if char.isdigit() or char == "." else f"`{char}` has no meaning here"
        before = _NUMBER_AT_END.search(formula, 0, at) if char == "%" else None
        raise FormulaError(what, at, _without_percent(before[0]) if before else _INSTEAD.get(char))
    text = match[0]
    if _FOREIGN_NUMBER.fullmatch(text):
        raise FormulaError(f"`{text}` is not a number", at, NUMBERS)
    if match.lastgroup == "number" and _LEADING_ZERO.match(formula, at):
        raise number_with_commas(formula, at) or FormulaError("this is not a number", at, NUMBERS)
    if match.lastgroup == "text":
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    return Token(match.lastgroup, text, at, match.end())


def _without_percent(number: str) -> str:
    """Return a suggestion for a number that is followed by a percent sign.

    Args:
        number: the number, as the author wrote it.
    """
    share = f"{float(number) / 100:.12g}"
    return f"write {number} if the series is in percent, or {share} if it is a share"


def number_with_commas(formula: str, at: int, *, only_thousands: bool = False) -> FormulaError | None:
    """Return the error for a number with commas, such as 1,000 or 6,5, that begins at a position.

    The result is None if no such number begins there.

    Args:
        formula: the formula.
        at: the index of the first digit.
        only_thousands: whether the comma must separate thousands, as in 1,000.
    """
    match = _WITH_COMMAS.match(formula, at)
    is_grouped = match is not None and _THOUSANDS.fullmatch(match[0]) is not None
    if match is None or (only_thousands and not is_grouped):
        return None
    written = match[0]
    meant = written.replace(",", "" if is_grouped else ".")
    hint = f"write {meant}: {NUMBERS}" if meant.count(".") <= 1 else NUMBERS
    return FormulaError(f"`{written}` is not a number", at, hint)


_TIMES = "multiplication is written * or ×: A * 100"  # noqa: RUF001
_INSTEAD = {
    **dict.fromkeys("·⋅•∗✕", _TIMES),  # noqa: RUF001
    "%": "for a result in percent, write × 100: (A ÷ B) × 100",  # noqa: RUF001
    "[": "the arguments of an operation are in round brackets: sma(X, 14)",
    "{": "an expression in JSON and a formula cannot be mixed",
    ":": "division is written / or ÷: A / B",
    ";": "a comma separates the arguments of an operation",
    "<": "there are no comparisons: max(sign(B - A), const(0)) is 1 where A is less than B, and otherwise 0",
    ">": "there are no comparisons: max(sign(A - B), const(0)) is 1 where A is more than B, and otherwise 0",
    "–": "a minus is - or −",  # noqa: RUF001 - a dash that word processors write in place of a minus
    "“": 'quotation marks are straight: "A B"',
    "”": 'quotation marks are straight: "A B"',
}
"""By character, the suggestion for an author who wrote it."""


def _check_brackets(tokens: Sequence[Token]) -> None:
    """Raise a FormulaError if a bracket is not closed or was not opened."""
    opened = list[Token]()
    for token in tokens:
        if token.kind == "mark" and token.text == "(":
            opened.append(token)
        elif token.kind == "mark" and token.text == ")":
            if not opened:
                raise FormulaError("the bracket is never opened", token.start)
            opened.pop()
    if opened:
        raise FormulaError("the bracket is never closed", opened[-1].start)


def _check_neighbours(tokens: Sequence[Token]) -> None:
    """Raise a FormulaError if no operator or comma is between two values, or if the formula ends too early.

    An opening bracket begins a value, and a closing bracket ends a value.
    """
    for number, (before, token) in enumerate(pairwise(tokens), 1):
        ends = before.kind in VALUES or (before.kind == "mark" and before.text == ")")
        is_call = before.kind == "word" and token.text == "("
        begins = token.kind in VALUES or (token.kind == "mark" and token.text == "(")
        if ends and begins and not is_call:
            text = "a comma or an operator is missing here"
            raise FormulaError(text, token.start, _what_to_do(tokens, number))
    if tokens[-1].kind not in VALUES and tokens[-1].text != ")":
        raise FormulaError("the formula ends too early", tokens[-1].end)


def _check_order(tokens: Sequence[Token]) -> None:
    """Raise a FormulaError if an argument without a name follows an argument with a name."""
    named = [False]  # for each open bracket, whether an argument with a name was found in it
    for number, token in enumerate(tokens):
        match token:
            case Token("mark", "("):
                named.append(False)
            case Token("mark", ")"):
                named.pop()
            case Token("mark", "="):
                named[-1] = True
            case Token("mark", ",") if named[-1]:
                following, sign = tokens[number + 1], tokens[number + 2]
                if following.kind in VALUES and sign.text != "=":
                    text = "an argument without a name follows an argument with a name"
                    hint = "the operands come first, then the options: sma(X, window=3)"
                    raise FormulaError(text, following.start, hint)


def _what_to_do(tokens: Sequence[Token], number: int) -> str | None:
    """Return a suggestion for a missing comma or operator before a token; None if there is none.

    Args:
        tokens: the tokens of the formula.
        number: the index of the token.
    """
    before, token, after = tokens[number - 1], tokens[number], tokens[number + 1 : number + 2]
    if token.text == "(" and before.kind in {"text", "duration"}:
        return "a bracket follows only the name of an operation"
    if token.kind != "word":
        return None
    begins = after and (after[0].kind in VALUES or after[0].text == "(")
    if token.text in _CROSSES and begins:
        return _TIMES
    return 'a series code with other characters is in quotes: "A B"'


def code_around(tokens: Sequence[Token], number: int) -> str | None:
    """Return the characters around a token, without blanks, that may be a series code with a minus.

    For the last token of `EURIBOR-3M`, the result is `EURIBOR-3M`. It is None if no minus is directly before
    or after the token, or if the characters do not begin with a letter.

    Args:
        tokens: the tokens of the formula.
        number: the index of the token.
    """
    first = last = number
    while first > 0 and _is_joined(tokens[first - 1], tokens[first]):
        first -= 1
    while last + 1 < len(tokens) and _is_joined(tokens[last], tokens[last + 1]):
        last += 1
    parts = tokens[first : last + 1]
    if parts[0].kind != "word" or parts[-1].text == "-" or len(parts) == 1:
        return None
    return "".join(part.text for part in parts)


def _is_joined(before: Token, token: Token) -> bool:
    """Return whether two tokens can be in one series code: there is no blank between them or in them."""
    can_be = all(
        part.text == "-" or (part.kind in {"word", "number", "duration", "date"} and " " not in part.text)
        for part in (before, token)
    )
    return can_be and before.end == token.start


def number_of(token: Token) -> int | float:
    """Return the value of a number.

    Raises:
        FormulaError: the number is not 0, but its nearest float64 is, or it is too large for a float64.
    """
    if is_too_small(token.text):
        text = f"the number is too small for a float64, whose smallest positive value is {SMALLEST}"
        raise FormulaError(text, token.start)
    if is_too_large(token.text):
        text = f"the number is too large for a float64, whose largest value is {LARGEST}"
        raise FormulaError(text, token.start)
    return whole_number(token.text) if token.text.isdecimal() else float(token.text)


def duration_of(token: Token) -> tuple[int | float, str]:
    """Return the number and the unit of a duration: 12 and `months` for `12 months`."""
    unit = token.text.lstrip("0123456789")
    return whole_number(token.text.removesuffix(unit)), unit.lstrip()

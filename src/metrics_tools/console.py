"""The output of all commands: text for people, JSON for programs, and exit codes for scripts.

Text is printed unchanged: nothing in the name of a series, a file or an error is read as markup or as an
emoji code. Styles are given with `style=` or as a `rich.text.Text`.

The exit code is 0 for success. It is 1 if the command completed and found something wrong: a problem, a
failed run or a difference. It is 2 if the command could not complete: a wrong argument, or a file or location
that was not found.
"""

import json
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, override

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

WRONG, IMPOSSIBLE = 1, 2
_FILE_WIDTH = 400
"""The width limit of a table that is printed to a file or a pipe, in characters."""
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""The Unicode categories of characters that control a terminal or are invisible in a text."""


class PlainConsole(Console):
    """A rich console that prints text unchanged, except that it escapes control characters."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)

    @override
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments (texts with a style) of an object to print, with control characters escaped."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


out = PlainConsole()
err = PlainConsole(stderr=True)


@contextmanager
def report_on_stderr() -> Iterator[None]:
    """Send the output of `print_line` and `print_table` to standard error during the `with` block.

    A command uses it while it writes a file, such as CSV, to standard output.
    """
    out.stderr = True
    try:
        yield
    finally:
        out.stderr = False


def emit(document: Any) -> None:
    """Print a document as JSON on standard output."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def impossible(text: str) -> typer.Exit:
    """Print on standard error why the command cannot complete.

    Returns:
        The exception to raise, which ends the command with exit code 2.
    """
    complain(text)
    return typer.Exit(IMPOSSIBLE)


def complain(text: str) -> None:
    """Print an error on standard error."""
    err.print(text, style="red", soft_wrap=True)


def visible(text: str) -> str:
    """Return a text in which the escape sequences of JSON replace control and invisible characters.

    Line breaks remain.
    """
    if text.isprintable():
        return text
    return "".join(
        json.dumps(char)[1:-1] if char != "\n" and unicodedata.category(char) in _INVISIBLE else char
        for char in text
    )


def print_line(text: str = "", style: str = "") -> None:
    """Print a text and a line break. A long text is not broken into lines of the terminal's width."""
    out.print(text, style=style or None, soft_wrap=True)


def new_table(*text: str, numbers: tuple[str, ...] = (), more: tuple[str, ...] = ()) -> Table:
    """Return an empty table without lines between its cells.

    Args:
        text: the headings of the first columns, which contain text.
        numbers: the headings of the columns that follow, which contain numbers and are aligned to the right.
        more: the headings of the last columns, which contain text.
    """
    table = Table(box=None, pad_edge=False)
    for name in (*text, *numbers, *more):
        is_number = name in numbers
        table.add_column(name, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    return table


def add_row(table: Table, *cells: str, style: str = "") -> None:
    """Add a row of plain text to a table."""
    table.add_row(*(Text(cell) for cell in cells), style=style)


def print_table(table: Table) -> None:
    """Print a table that is at most as wide as the terminal, or 400 characters wide in a file or a pipe."""
    (out if out.is_terminal else PlainConsole(stderr=out.stderr, width=_FILE_WIDTH)).print(table)


def is_wide(needed: int) -> bool:
    """Return whether the terminal has `needed` columns. Return True if the output is a file or a pipe."""
    return not out.is_terminal or out.width >= needed

"""How the commands print and end: text for people, JSON for machines, exit codes for scripts.

Text is printed as it is: none of it is markup or an emoji code, whatever a series, a file or an error is
called. Styles are given by `style=` or a `rich.text.Text`.

Exit codes: 0 success. 1: the command did its work, and something is wrong (a problem, a failed run, a
difference). 2: the command could not do its work: a bad argument, or a file or location not found.
"""

import json
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, override

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

WRONG, IMPOSSIBLE = 1, 2
_NO_TERMINAL = 400
"""The greatest width of a table that is printed into a file or a pipe, in characters."""
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories of characters that steer a terminal or hide in a text."""


class PlainConsole(Console):
    """A console that prints text as it is, with an escape in place of each control character.

    All commands print through one of these.
    """

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)

    @override
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render to segments, as `rich` does; the text that would steer a terminal is escaped."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


out = PlainConsole()
err = PlainConsole(stderr=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines, and nothing else.")]


@contextmanager
def report_on_stderr() -> Iterator[None]:
    """Print on standard error what would go to standard output."""
    out.stderr = True
    try:
        yield
    finally:
        out.stderr = False


def emit(document: Any) -> None:
    """Print a document as JSON, to standard output."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def impossible(text: str) -> typer.Exit:
    """Print on standard error why the command can't do its work, and what to do; return the exit to raise."""
    complain(text)
    return typer.Exit(IMPOSSIBLE)


def complain(text: str) -> None:
    """Print an error on standard error."""
    err.print(text, style="red", soft_wrap=True)


def visible(text: str) -> str:
    """Return the text with an escape in place of each control or formatting character but line breaks."""
    if text.isprintable():
        return text
    return "".join(
        json.dumps(char)[1:-1] if char != "\n" and unicodedata.category(char) in _UNSEEN else char
        for char in text
    )


def print_line(text: str = "", style: str = "") -> None:
    """Print a line. A terminal wraps it; a file gets it whole."""
    out.print(text, style=style or None, soft_wrap=True)


def new_table(*text: str, numbers: tuple[str, ...] = (), more: tuple[str, ...] = ()) -> Table:
    """Return an empty table without lines: columns of text, then of numbers, then of text again.

    Cells that are too wide are folded.
    """
    made = Table(box=None, pad_edge=False)
    for name in text:
        made.add_column(name, overflow="fold")
    for name in numbers:
        made.add_column(name, justify="right", no_wrap=True, overflow="fold")
    for name in more:
        made.add_column(name, overflow="fold")
    return made


def add_row(made: Table, *cells: str, style: str = "") -> None:
    """Add a row to a table."""
    made.add_row(*(Text(cell) for cell in cells), style=style)


def print_table(made: Table) -> None:
    """Print a table as wide as the terminal; into a file, as wide as the table needs."""
    (out if out.is_terminal else PlainConsole(stderr=out.stderr, width=_NO_TERMINAL)).print(made)


def is_wide(needed: int) -> bool:
    """Return whether the terminal has so many columns; a file always has."""
    return not out.is_terminal or out.width >= needed

"""Lines and tables for people: nothing in them is taken for markup, and nothing is cut off."""

from rich.table import Table
from rich.text import Text

from cli.console import PlainConsole, out

_NO_TERMINAL = 400
"""Columns of a table that goes into a file or a pipe: as many as it needs."""


def line(text: str = "", style: str = "") -> None:
    """Print a line. A terminal wraps it; a file gets it whole."""
    out.print(text, style=style or None, soft_wrap=True)


def columns(*text: str, numbers: tuple[str, ...] = (), more: tuple[str, ...] = ()) -> Table:
    """A table without lines: columns of text, of numbers, and of text again. What is too wide is folded."""
    made = Table(box=None, pad_edge=False)
    for name in text:
        made.add_column(name, overflow="fold")
    for name in numbers:
        made.add_column(name, justify="right", no_wrap=True, overflow="fold")
    for name in more:
        made.add_column(name, overflow="fold")
    return made


def row(made: Table, *cells: str, style: str = "") -> None:
    """Add a row to a table."""
    made.add_row(*(Text(cell) for cell in cells), style=style)


def table(made: Table) -> None:
    """Print a table: as wide as the terminal, or as it needs where there is none."""
    (out if out.is_terminal else PlainConsole(stderr=out.stderr, width=_NO_TERMINAL)).print(made)


def is_wide(needed: int) -> bool:
    """Whether there is room for so many columns."""
    return not out.is_terminal or out.width >= needed


def count(number: int, one: str, many: str = "") -> str:
    """A number and what is counted: "1 row", "4,822 rows"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"

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

WRONG, IMPOSSIBLE = 1, 2
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

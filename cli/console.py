"""What the commands print, and how they end: text for people, JSON for machines, exit codes for scripts.

0: as it should be. 1: the command did its work, and something is wrong (a problem, a failed run, a
difference). 2: it could not do its work: an argument, a file or a place that is none.
"""

import json
from typing import Annotated, Any

import typer
from rich.console import Console

WRONG, IMPOSSIBLE = 1, 2

out = Console()
err = Console(stderr=True)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines, and nothing else.")]


def emit(document: Any) -> None:
    """Print a document as JSON, to standard output."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def impossible(text: str) -> typer.Exit:
    """Say on standard error why the command can't do its work, and what to do; to be raised."""
    err.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(IMPOSSIBLE)

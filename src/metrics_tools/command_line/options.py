"""The arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

RequestFileArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="A request, an event as in events/, or an expression; - is standard input. Or a formula.",
    ),
]
KeepRunIdOption = Annotated[
    bool, typer.Option("--keep-run-id", help="Use the run id in the file instead of a new one.")
]
PlotOption = Annotated[bool, typer.Option("--plot", help="Plot the result in the terminal.")]
JunitOption = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Also write a JUnit report for a CI system.")
]

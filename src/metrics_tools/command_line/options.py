"""The arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

RequestFileArgument = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="A request, or an event as in events/; - is standard input."),
]
KeepRunIdOption = Annotated[
    bool, typer.Option("--keep-run-id", help="Use the run id in the file instead of a new one.")
]
PlotOption = Annotated[bool, typer.Option("--plot", help="Plot the result in the terminal.")]

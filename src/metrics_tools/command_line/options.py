"""The arguments and options that several commands share, and the names in the help of an option.

The module imports only typer and the standard library: the completion of the options of a command imports it.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

FileArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="A request, an event as in events/, or an expression; - is standard input. Or a formula.",
    ),
]
FilesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE",
        help="Requests, events as in events/, or expressions; - is standard input. Or formulas.",
    ),
]
CodeArgument = Annotated[str, typer.Argument(metavar="CODE", help="The metric's code.")]
BucketOption = Annotated[
    str | None,
    typer.Option("--bucket", help="A bucket, with your AWS credentials; AWS_ENDPOINT_URL is honoured."),
]
FolderOption = Annotated[
    Path | None, typer.Option("--folder", help="A folder with the bucket's keys: datasets/…, metrics/…")
]
DemoOption = Annotated[
    bool, typer.Option("--demo", help="The ECB's daily exchange rates, in memory: no cloud, no network.")
]
ManifestOption = Annotated[
    list[str] | None,
    typer.Option(
        "--manifest",
        metavar="KEY",
        help="For a bare expression: the key of a dataset's manifest, in place of all datasets' newest.",
    ),
]
KeepRunIdOption = Annotated[
    bool, typer.Option("--keep-run-id", help="Use the run id in the file instead of a new one.")
]
PlotOption = Annotated[bool, typer.Option("--plot", help="Plot the result in the terminal.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs, and nothing else.")]
JunitOption = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Also write a JUnit report for a CI system.")
]

TOPIC, STATUS_QUEUE = "METRICS_REQUEST_TOPIC", "METRICS_STATUS_QUEUE"
"""The environment variables with the defaults of two options of `metrics send`."""


class Form(StrEnum):
    """The form in which `metrics format` prints an expression: a formula or JSON."""

    FORMULA = "formula"
    JSON = "json"

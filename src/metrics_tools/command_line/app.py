"""The command `metrics` and its subcommands.

The module of a subcommand is imported when the subcommand runs, because the libraries of all subcommands take
more than a second to import. Neither `--help` nor the completion of names, options and values in a shell
needs any of them. `metrics --help` is plain text, because importing rich, which formats the help of each
subcommand, would double its time.
"""

import io
import os
import sys
from keyword import iskeyword
from typing import Annotated, Any, NoReturn, override

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from metrics_tools.command_line.signatures import deferred
from metrics_tools.process_exit import run_and_exit
from metrics_worker import __version__

SUMMARIES = {
    "check": "Check the current versions of metrics: their rows, age, values and changes.",
    "compare": "Compare two versions of a metric, or a request that is computed now with a version.",
    "demo": "Write the demo data, the ECB's daily exchange rates, to a folder.",
    "doctor": "Check that the published objects of a metric are complete and consistent.",
    "explain": "Explain an expression: its meaning, its inputs, its cost, and the observations of each node.",
    "format": "Convert an expression from JSON to a formula, or from a formula to JSON.",
    "history": "List the versions of a metric, newest first.",
    "import": "Import a series from a CSV file into a dataset of your own.",
    "ls": "List the published metrics, each with the version that readers use.",
    "prune": "List versions and snapshots that nothing refers to; delete them with --yes.",
    "redrive": "List dead letters, or send chosen ones back to the request queue.",
    "rollback": "Let readers use another version of a metric until a later request is published.",
    "run": "Compute a metric on this machine with the worker's own code, and show it.",
    "send": "Request a run from a deployment, as the control plane does.",
    "series": "List the series of a dataset, with their part files, observations and rows.",
    "test": "Run tests of metrics: small input series, an expression, and the expected observations.",
    "validate": "Find every problem of requests and expressions, before they run.",
    "why": "Report what became of a run: its marker, version, dead letter and log lines.",
}
"""By subcommand, the sentence that `metrics --help` shows for it."""
COMPLETION = "_METRICS_COMPLETE"
"""The environment variable with which a shell calls `metrics` for completions."""


class _Subcommand(TyperCommand):
    """A subcommand whose module is imported when the subcommand runs, after its options were parsed."""

    @override
    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        name = f"{self.name}_" if iskeyword(str(self.name)) else str(self.name)
        loaded = typer.Typer(rich_markup_mode="rich", add_completion=False)
        loaded.command(self.name)(deferred(name))
        return get_command(loaded).make_context(info_name, args, parent, **extra)


class _Metrics(TyperGroup):
    """The command group `metrics`, whose `--help` lists all subcommands without importing their modules."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, summary in SUMMARIES.items():
            self.add_command(_Subcommand(name, help=summary, short_help=summary))


app = typer.Typer(
    name="metrics",
    cls=_Metrics,
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"max_content_width": 120},
)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - the signature of a typer callback
    if asked:
        typer.echo(f"metrics {__version__}")
        raise typer.Exit


@app.callback()
def _metrics(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Write metrics, try them on real data, and inspect what was published."""


def main() -> NoReturn:
    """Run the command `metrics` with the arguments of the process, and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an encoding without ÷ shows an escape instead
            stream.reconfigure(errors="backslashreplace")
    if COMPLETION in os.environ:
        # For zsh and fish, typer renders each help text with rich if it is installed: 0.2 s for plain text.
        # An entry None in sys.modules is Python's way to hide a module.
        sys.modules["rich"] = None  # type: ignore[assignment]
    run_and_exit(app)

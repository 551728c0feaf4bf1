"""The command line: its commands, and nothing else."""

import io
import sys
from typing import Annotated, NoReturn

import typer

from metrics_tools.command_line.commands.compare import compare
from metrics_tools.command_line.commands.demo import demo
from metrics_tools.command_line.commands.doctor import doctor
from metrics_tools.command_line.commands.explain import explain
from metrics_tools.command_line.commands.history import history
from metrics_tools.command_line.commands.rollback import rollback
from metrics_tools.command_line.commands.run import run
from metrics_tools.command_line.commands.send import send
from metrics_tools.command_line.commands.validate import validate
from metrics_tools.process_exit import run_and_exit
from metrics_worker import __version__

app = typer.Typer(
    name="metrics",
    help="Write metrics, try them on real data, and see what became of them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer's callback
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
    """Write metrics, try them on real data, and see what became of them."""


for command in (compare, demo, doctor, explain, history, rollback, run, send, validate):
    app.command()(command)


def main() -> NoReturn:
    """Run the command line and end the process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # one that has no ÷ shows an escape in its place
            stream.reconfigure(errors="backslashreplace")
    run_and_exit(app)

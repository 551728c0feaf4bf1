"""The command line: its commands, and nothing else."""

import typer

from cli.compare import compare
from cli.demo import demo
from cli.doctor import doctor
from cli.history import history
from cli.run import run
from cli.send import send

app = typer.Typer(
    name="metrics",
    help="Write metrics, try them on real data, and see what became of them.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.callback()
def _metrics() -> None:
    """Write metrics, try them on real data, and see what became of them."""


app.command()(compare)
app.command()(demo)
app.command()(doctor)
app.command()(history)
app.command()(run)
app.command()(send)


def main() -> None:
    """What the command `metrics` runs."""
    app()

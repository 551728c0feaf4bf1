"""The command line: `python -m metrics_tools.local_cloud [EVENT…]`, or `--serve`."""

import argparse
import os
import signal
from pathlib import Path

from metrics_tools.local_cloud.ending import run_and_exit
from metrics_tools.local_cloud.errors import EventFileError, LocalError
from metrics_tools.local_cloud.samples import Sample, all_samples, read_samples
from metrics_tools.local_cloud.terminal import Terminal

_ROOT = Path(__file__).resolve().parents[3]


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; the exit status.

    0 right, 1 wrong or not possible, 2 a file or an argument that is none, 130 interrupted.
    """
    parser = argparse.ArgumentParser(
        prog="python -m metrics_tools.local_cloud",
        description="Computes real metrics with the real handler: no AWS account, no Docker.",
    )
    parser.add_argument(
        "events", nargs="*", type=Path, metavar="EVENT", help="a request (default: all of events/)"
    )
    parser.add_argument(
        "--serve",
        action="store_true",
        help="just the local cloud with the dataset (with EVENTs, their series), until Ctrl-C",
    )
    parser.add_argument(
        "--worker", action="store_true", help="with --serve: the worker too, which takes what is sent"
    )
    parser.add_argument(
        "--out", type=Path, default=_ROOT / "out", help="where logs, the page and copies go (default: out/)"
    )
    parser.add_argument("--handler", help="the function (default: the worker's)")
    parser.add_argument(
        "--patience", type=float, default=120.0, help="seconds to wait for outcomes (default: %(default)g)"
    )
    chosen = parser.parse_args(arguments)
    if chosen.worker and not chosen.serve:
        parser.error("--worker goes with --serve: without it, the worker runs anyway")
    # As Ctrl-C, so that everything that was started is ended in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    terminal = Terminal()
    try:
        whole = [] if chosen.serve else all_samples(_ROOT / "events")
        return _go(chosen, read_samples(chosen.events or whole), terminal)
    except LocalError as error:
        terminal.line(terminal.styled(str(error), "red"))
        return 2 if isinstance(error, EventFileError) else 1
    except KeyboardInterrupt:
        terminal.line("Interrupted: everything that was started has been ended.")
        return 130


def _go(chosen: argparse.Namespace, samples: list[Sample], terminal: Terminal) -> int:
    """Start the local cloud, and do with it what was chosen."""
    # A second and a half: the files are checked before.
    from metrics_tools.local_cloud.cloud import isolated  # noqa: PLC0415 - as above
    from metrics_tools.local_cloud.emulator import HANDLER  # noqa: PLC0415 - as above
    from metrics_tools.local_cloud.run import Options, run, serve  # noqa: PLC0415 - as above

    # For this process, which makes clients too, and for all that it starts.
    environment = isolated(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    handler = chosen.handler or HANDLER
    options = Options(_ROOT, chosen.out, samples, bool(chosen.events), handler, chosen.patience)
    if chosen.serve:
        serve(options, terminal, with_worker=chosen.worker)
        return 0
    return run(options, terminal)


if __name__ == "__main__":
    run_and_exit(main)

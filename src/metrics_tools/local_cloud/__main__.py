"""The command line: `python -m metrics_tools.local_cloud [EVENT…]`, or `--serve`."""

import argparse
import signal
from pathlib import Path

from metrics_tools.console import print_line
from metrics_tools.local_cloud.errors import LocalError
from metrics_tools.process_exit import run_and_exit
from metrics_tools.request_files import EventFileError, Sample, all_samples, read_samples

_ROOT = Path(__file__).resolve().parents[3]
_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line, and return the exit status.

    The status is 0 if all runs end as expected; 1 if a run ends in another way or the local run cannot
    start; 2 for an invalid file or argument; and 130 after an interruption.
    """
    parser = argparse.ArgumentParser(
        prog="python -m metrics_tools.local_cloud",
        description="Compute real metrics with the deployed handler, without an AWS account or Docker.",
    )
    parser.add_argument(
        "events", nargs="*", type=Path, metavar="EVENT", help="a request (default: all of events/)"
    )
    parser.add_argument(
        "--serve",
        action="store_true",
        help="run only the local cloud, with the dataset (of the series in EVENTs, if given), until Ctrl-C",
    )
    parser.add_argument(
        "--worker", action="store_true", help="with --serve: also run the worker, which processes requests"
    )
    parser.add_argument(
        "--out", type=Path, default=_ROOT / "out", help="folder for logs, page and copies (default: out/)"
    )
    parser.add_argument("--handler", help="the function (default: that of the worker)")
    parser.add_argument(
        "--timeout", type=float, default=120.0, help="seconds to wait for outcomes (default: %(default)g)"
    )
    options = parser.parse_args(arguments)
    if options.worker and not options.serve:
        parser.error("--worker requires --serve; without --serve, the worker always runs")
    # Handle SIGTERM like Ctrl-C, so that everything that was started is stopped in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        paths = options.events or ([] if options.serve else all_samples(_ROOT / "events"))
        return _run(options, read_samples(paths))
    except (EventFileError, LocalError) as error:
        print_line(str(error), "red")
        return 2 if isinstance(error, EventFileError) else 1
    except KeyboardInterrupt:
        print_line("Interrupted: everything that was started has been stopped.")
        return _INTERRUPTED


def _run(chosen: argparse.Namespace, samples: list[Sample]) -> int:
    # These imports take a second and a half. The files have been checked before.
    from metrics_tools.local_cloud.cloud import isolate_this_process  # noqa: PLC0415 - as above
    from metrics_tools.local_cloud.emulator import HANDLER  # noqa: PLC0415 - as above
    from metrics_tools.local_cloud.run import Options, run, serve  # noqa: PLC0415 - as above

    isolate_this_process()
    handler = chosen.handler or HANDLER
    options = Options(_ROOT, chosen.out, samples, bool(chosen.events), handler, chosen.timeout)
    if chosen.serve:
        serve(options, with_worker=chosen.worker)
        return 0
    return run(options)


if __name__ == "__main__":
    run_and_exit(main)

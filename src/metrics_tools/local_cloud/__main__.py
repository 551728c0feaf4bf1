"""The command line: `python -m metrics_tools.local_cloud [EVENT…]`, or `--serve`."""

import signal
from argparse import ArgumentParser
from pathlib import Path

from metrics_tools.console import print_line
from metrics_tools.local_cloud import ROOT, LocalError
from metrics_tools.process_exit import run_and_exit
from metrics_tools.request_files import EventFileError, all_samples, read_samples

_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line, and return the exit status.

    The status is 0 if all runs end as expected; 1 if a run ends in another way or the local run cannot
    start; 2 for an invalid file or argument; and 130 after an interruption.
    """
    parser = ArgumentParser(
        prog="python -m metrics_tools.local_cloud",
        description="Compute real metrics with the deployed handler, without an AWS account or Docker.",
    )
    parser.add_argument(
        "events", nargs="*", metavar="EVENT", help="a request, or a formula (default: all of events/)"
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
        "--out", type=Path, default=ROOT / "out", help="folder for logs, page and copies (default: out/)"
    )
    handler = "metrics_worker.handler.lambda_handler"
    parser.add_argument("--handler", default=handler, help="the function (default: that of the worker)")
    parser.add_argument(
        "--timeout", type=float, default=120.0, help="seconds to wait for outcomes (default: %(default)g)"
    )
    options = parser.parse_args(arguments)
    if options.worker and not options.serve:
        parser.error("--worker requires --serve; without --serve, the worker always runs")
    # Handle SIGTERM like Ctrl-C, so that everything that was started is stopped in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        samples = read_samples(options.events or ([] if options.serve else all_samples(ROOT / "events")))
        # These imports take a second and a half. The files have been checked before.
        from metrics_tools.local_cloud.cloud import isolate_this_process  # noqa: PLC0415 - as above
        from metrics_tools.local_cloud.run import Options, run, serve  # noqa: PLC0415 - as above

        isolate_this_process()
        chosen = Options(options.out, samples, bool(options.events), options.handler, options.timeout)
        return serve(chosen, with_worker=options.worker) if options.serve else run(chosen)
    except (EventFileError, LocalError) as error:
        print_line(str(error), "red")
        return 2 if isinstance(error, EventFileError) else 1
    except KeyboardInterrupt:
        print_line("Interrupted: everything that was started has been stopped.")
        return _INTERRUPTED


if __name__ == "__main__":
    run_and_exit(main)

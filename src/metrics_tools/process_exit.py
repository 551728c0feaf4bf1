"""A function that ends a process without finalising the interpreter, for processes that used the bucket.

The S3 client has runtime threads that cannot be stopped or joined. Shortly after a request, one of these
threads may enter Python while the interpreter is finalising, which aborts the process (SIGABRT) although its
work is done. Therefore `run_and_exit` calls the registered exit functions and flushes the output itself, and
then ends the process with `os._exit`.
"""

import atexit
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

_LOST_OUTPUT = 120
"""The exit status of a process that cannot write its buffered output, as in Python itself."""


def run_and_exit(main: Callable[[], object]) -> NoReturn:
    """Run a program and end the process with its exit status, as `sys.exit(main())` would.

    Args:
        main: the program. It returns the exit status or raises SystemExit. If it raises another exception,
            the traceback is printed and the exit status is 1.
    """
    status: object
    try:
        status = main()
    except SystemExit as error:
        status = error.code
    except BaseException as error:  # noqa: BLE001 - no caller is left that could report it
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    if not isinstance(status, int | None):  # sys.exit("message")
        sys.stderr.write(f"{status}\n")
        status = 1
    with suppress(Exception):
        atexit._run_exitfuncs()  # noqa: SLF001 - the only way to call what libraries have registered
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):  # the reader has ended, the disk is full, or the stream is closed
            status = status or _LOST_OUTPUT
    os._exit((status or 0) & 0xFF)

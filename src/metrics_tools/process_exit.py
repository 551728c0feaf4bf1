"""The end of a process that used the bucket, without the finalisation of the interpreter.

The S3 client has runtime threads that nothing can stop or join. Shortly after a request, one of them may
enter Python while the interpreter is finalising, which aborts the process (SIGABRT) after its work is done.
Therefore a program does the interpreter's last steps itself and then ends the process directly.
"""

import atexit
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, TextIO

_LOST_OUTPUT = 120
"""The status with which Python ends if it cannot write buffered output."""


def run_and_exit(main: Callable[[], object]) -> NoReturn:
    """Run a program and end the process with its exit status, as `sys.exit(main())` would.

    Args:
        main: the program. It returns the exit status or raises SystemExit; another error is reported.
    """
    status = 0
    try:
        status = _status(main())
    except SystemExit as error:
        status = _status(error.code)
    except BaseException as error:  # noqa: BLE001 - no caller is left that could report it
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    with suppress(Exception):
        atexit._run_exitfuncs()  # noqa: SLF001 - the only way to call what libraries have registered
    if not all([_flush(sys.stdout), _flush(sys.stderr)]):
        status = status or _LOST_OUTPUT
    os._exit(status & 0xFF)


def _status(code: object) -> int:
    """Return the exit status for an argument of `sys.exit`. A text is an error message, which is printed."""
    if code is None:
        return 0
    if isinstance(code, int):
        return int(code)
    sys.stderr.write(f"{code}\n")
    return 1


def _flush(stream: TextIO | None) -> bool:
    """Write the buffered output of a stream, and return whether that succeeded."""
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):  # the reader has ended, the disk is full, or the stream is closed
        return False
    return True

"""How a process that used the bucket ends: without the interpreter's own finalisation.

The S3 client's runtime threads are not stopped by anybody, and a request that was just answered leaves one of
them about to enter Python. If the interpreter is finalising by then, that thread aborts the process (SIGABRT)
after all its work is done. There is nothing to wait for: the client has no call that stops or joins its
threads. So a program does here what the interpreter would do, and then ends at once.
"""

import atexit
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, TextIO

_LOST_OUTPUT = 120
"""Python's own status when what was printed could not be written."""


def run_and_exit(main: Callable[[], object]) -> NoReturn:
    """Run a program and end the process with its exit status, as `sys.exit(main())` would.

    Args:
        main: returns the status, or raises what ends the program: SystemExit, or an error to be reported.
    """
    status = 0
    try:
        status = _status(main())
    except SystemExit as error:
        status = _status(error.code)
    except BaseException as error:  # noqa: BLE001 - the last one that can report it
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    with suppress(Exception):
        atexit._run_exitfuncs()  # noqa: SLF001 - the only way to do what libraries have registered
    if not all([_flushed(sys.stdout), _flushed(sys.stderr)]):
        status = status or _LOST_OUTPUT
    os._exit(status & 0xFF)


def _status(code: object) -> int:
    """Return the status that an exit code means. A text is the reason of a failure: print it."""
    if code is None:
        return 0
    if isinstance(code, int):
        return int(code)
    print(code, file=sys.stderr)
    return 1


def _flushed(stream: TextIO | None) -> bool:
    """Write what a stream still holds, and return whether that succeeded."""
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):  # its reader has gone, the disk is full, or it was closed
        return False
    return True

"""A guard that ends a child process together with its parent, even if the parent is killed.

`guarded()` starts this file as a script, and the script starts the command. The parent holds the other end of
the script's standard input. When the parent ends for any reason, the operating system closes this pipe. The
script then sends SIGTERM to the command, and SIGKILL after three seconds.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO

_GRACE_SECONDS = 3


@contextmanager
def guarded(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdout: IO[bytes] | int,
    stderr: IO[bytes] | int,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command during the `with` block, and yield the process of the guard that runs the command.

    The command runs in a separate session, so that Ctrl-C reaches only the parent, which then ends the
    commands in order.

    Args:
        command: the program and its arguments.
        environment: all environment variables of the command.
        stdout: the target of the command's standard output, as for `subprocess.Popen`.
        stderr: the target of the command's standard error, as for `subprocess.Popen`.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", __file__, *command],
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        yield process
    finally:  # not `with process`, which does not wait for the end of the process after a KeyboardInterrupt
        process.stdin.close()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _guard(command: Sequence[str]) -> int:
    """Run a command, end it when standard input is closed, and return the exit status of the command."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def stop(*_: object) -> None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
        process.kill()

    def stop_at_end_of_input() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        stop()

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=stop_at_end_of_input, daemon=True).start()
    return process.wait()


if __name__ == "__main__":
    sys.exit(_guard(sys.argv[1:]))

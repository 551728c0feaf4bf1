"""Lets no process outlive the run, however the run ends.

Run as a script, this file starts a command and ends it (SIGTERM, after three seconds SIGKILL) as soon as its
own standard input closes, which the system does for whoever holds the other end, even when that one is
killed. `leashed()` is the other end.
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
def leashed(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdout: IO[bytes] | int,
    stderr: IO[bytes] | int,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command for the length of the context; what is given is the process that holds its leash.

    The command runs in a session of its own, so Ctrl-C in the terminal reaches the run alone, which then ends
    its processes in order.

    Args:
        command: program and arguments.
        environment: the whole of it.
        stdout: where the command's output goes, as with `subprocess.Popen`.
        stderr: likewise.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", __file__, *command],
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(2 * _GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _hold(command: Sequence[str]) -> int:
    """Run the command until it ends, or standard input does; its exit status."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def stop(*_: object) -> None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
        process.kill()

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        stop()

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=watch, daemon=True).start()
    return process.wait()


if __name__ == "__main__":
    sys.exit(_hold(sys.argv[1:]))

"""The child process that decodes unusual part files, seen from the worker.

A large part file, or one whose pages may expand without bound, is decoded in a child process: if the file
ends the process that decodes it, or needs more memory than it may take, one run fails and the rest of the
batch goes on. The child (`decoder_process`) is started at the first such file of an invocation and ended with
the invocation. It has no credentials and makes no requests: it names the byte ranges that it needs, and this
side reads them from S3.

The conversation about one file, as frames over two pipes:

    worker                                         child
    {"key": …, "size": …, "codes": …}, last bytes  ▶
                                                   ◀ {"ranges": [[start, end], …]}      any number of times
    each range's bytes                             ▶
                                                   ◀ {"rows": …, "bytes": …}            before decoding
    {} if that much is free                        ▶
                                                   ◀ {"table": true}, an Arrow stream   any number of times
                                                   ◀ {"done": true} or {"error": "…"}
"""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Self

import pyarrow as pa

from metrics_worker.errors import DecoderUnavailable, InputReadError, OutOfTime

if TYPE_CHECKING:
    from collections.abc import Callable

    from metrics_worker.deadline import Deadline
    from metrics_worker.s3.bucket import Bucket, StoredObject

COMMAND = (sys.executable, "-P", "-m", "metrics_worker.dataset.decoder_process")
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "LANG", "TZ", "ARROW_DEFAULT_MEMORY_POOL", "OPENBLAS_NUM_THREADS")
"""The environment variables that the child gets. The credentials are not among them."""


class _Child:
    """A running child process, and the two pipes to it."""

    def __init__(self, command: Sequence[str]) -> None:
        from multiprocessing.connection import Connection  # noqa: PLC0415 - usual runs need no child
        from subprocess import PIPE, Popen  # noqa: PLC0415 - as above

        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        self.process: Popen[bytes] = Popen(  # noqa: S603 - our own module
            command, stdin=PIPE, stdout=PIPE, env=environment, start_new_session=True
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.to: Connection = Connection(os.dup(self.process.stdin.fileno()), readable=False)
        self.back: Connection = Connection(os.dup(self.process.stdout.fileno()), writable=False)
        self.process.stdin.close()
        self.process.stdout.close()

    def end(self) -> int:
        """End the process, wait for it, and return its exit status (negative: the signal that ended it)."""
        self.to.close()
        self.back.close()
        status = self.process.poll()
        self.process.kill()
        self.process.wait()
        return self.process.returncode if status is None else status


class Decoder:
    """Decodes unusual part files in a child process, one at a time. May be called by several threads.

    A context manager: the child ends with the context, since Lambda freezes a process between invocations.

    Args:
        deadline: when a read that is under way is cut off; None for never.
        command: the child's command line.
    """

    def __init__(self, deadline: "Deadline | None" = None, command: Sequence[str] = COMMAND) -> None:
        self._deadline = deadline
        self._command = command
        self._child: _Child | None = None
        self._lock = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child, if there is one. The next read starts another."""
        with self._lock:
            self._end()

    def read(
        self,
        file: "StoredObject",
        bucket: "Bucket",
        codes: Iterable[str] | None,
        admit: "Callable[[str, int, int], None]",
        *,
        with_codes: bool = True,
    ) -> pa.Table:
        """Read a part file: `obs_time`, `value` and, if present and wanted, `internal_series_code`.

        Args:
            file: the object, or its last bytes.
            bucket: the bucket that has the rest of it.
            codes: the series whose rows are kept; None keeps all rows. A file without the code column is kept
                whole.
            admit: called with the key, and the rows and bytes that decoding takes; what it raises ends the
                read.
            with_codes: whether the table has the code column.

        Raises:
            InputReadError: not a Parquet file, a column is missing or of the wrong type, or decoding the file
                took too much memory or ended the child process.
            DecoderUnavailable: no child process could be started.
            OutOfTime: the invocation's time is used up.
            StoreUnavailable, StoreRefusal: reading the rest of the file failed.
        """
        with self._lock:
            child = self._started()
            try:
                wanted = {
                    "key": file.key,
                    "size": file.size,
                    "codes": None if codes is None else sorted(codes),
                    "with_codes": with_codes,
                }
                child.to.send_bytes(json.dumps(wanted).encode())
                child.to.send_bytes(file.body)
                answer = self._converse(child, file, bucket, admit)
            except (EOFError, BrokenPipeError, ConnectionResetError) as error:
                raise InputReadError(file.key, _death(self._end())) from error
            except BaseException:
                self._end()
                raise
        if isinstance(answer, str):
            raise InputReadError(file.key, answer)
        return answer

    def _converse(
        self,
        child: _Child,
        file: "StoredObject",
        bucket: "Bucket",
        admit: "Callable[[str, int, int], None]",
    ) -> pa.Table | str:
        """Answer the child until it is done with the file. Return the table, or the problem with the file."""
        batches: list[pa.RecordBatch] = []
        while True:
            match json.loads(self._receive(child)):
                case {"ranges": ranges}:
                    for part in bucket.get_ranges(file, [(start, end) for start, end in ranges]):
                        child.to.send_bytes(part)
                case {"rows": rows, "bytes": size}:
                    admit(file.key, rows, size)
                    child.to.send_bytes(b"{}")
                case {"table": _}:
                    with pa.ipc.open_stream(pa.py_buffer(self._receive(child))) as stream:
                        schema = stream.schema
                        batches += stream
                case {"done": _}:
                    return pa.Table.from_batches(batches, schema)
                case {"error": problem}:
                    return str(problem)

    def _receive(self, child: _Child) -> bytes:
        """Return the child's next frame.

        Raises:
            EOFError: the child has ended.
            OutOfTime: there was none before the deadline.
        """
        seconds = None if self._deadline is None else max(0.0, self._deadline.seconds_left())
        if not child.back.poll(seconds):
            raise OutOfTime("invocation", "its time is used up, and a part file was still being decoded")
        return child.back.recv_bytes()

    def _started(self) -> _Child:
        """Return the child process, started if there is none.

        Raises:
            DecoderUnavailable, OutOfTime.
        """
        if self._child is None:
            try:
                self._child = _Child(self._command)
                self._receive(self._child)  # it is ready
            except (EOFError, OSError) as error:
                self._end()
                raise DecoderUnavailable(
                    "decoder", f"the process that decodes part files did not start: {error!r}"
                ) from error
            except OutOfTime:
                self._end()
                raise
        return self._child

    def _end(self) -> int:
        """End the child, if there is one, and return its exit status."""
        child, self._child = self._child, None
        return 0 if child is None else child.end()


def _death(status: int) -> str:
    """Return why a part file could not be decoded, from the exit status of the child that tried."""
    if status < 0:
        from signal import Signals  # noqa: PLC0415 - only after a death

        how = f"with signal {Signals(-status).name}"
    else:
        how = f"with exit status {status}"
    return f"not readable as Parquet: it is damaged or too large: it ended the decoding process {how}"

"""The worker's side of the child process that decodes unusual part files.

A large part file, or one whose pages may expand without bound, is decoded in a child process. If the file
crashes the child process, or needs more memory than the process can allocate, one run fails and the rest of
the batch continues. The child (`decoder_process`) starts at the first such file of an invocation and ends
with the invocation. The child has no credentials and makes no requests: it sends the byte ranges that it
needs, and the worker reads these ranges from S3.

The two processes exchange these frames over two pipes for each file:

    worker                                         child
    {"key": …, "size": …, "codes": …}, last bytes  ▶
                                                   ◀ {"ranges": [[start, end], …]}      any number of times
    each range's bytes                             ▶
                                                   ◀ {"rows": …, "bytes": …}            before decoding
    {} after the memory is reserved                ▶
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
    from metrics_worker.dataset.part_file import Admit
    from metrics_worker.deadline import Deadline
    from metrics_worker.s3.bucket import Bucket, StoredObject

COMMAND = (sys.executable, "-P", "-m", "metrics_worker.dataset.decoder_process")
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "LANG", "TZ", "ARROW_DEFAULT_MEMORY_POOL", "OPENBLAS_NUM_THREADS")
"""The environment variables that are passed to the child. They contain no credentials."""


class _Child:
    """A running child process, with one pipe for requests to it and one pipe for its answers."""

    def __init__(self, command: Sequence[str]) -> None:
        from multiprocessing.connection import Connection  # noqa: PLC0415 - most runs need no child process
        from subprocess import PIPE, Popen  # noqa: PLC0415 - as above

        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        self.process: Popen[bytes] = Popen(  # noqa: S603 - the command runs a module of this package
            command, stdin=PIPE, stdout=PIPE, env=environment, start_new_session=True
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.requests: Connection = Connection(os.dup(self.process.stdin.fileno()), readable=False)
        self.answers: Connection = Connection(os.dup(self.process.stdout.fileno()), writable=False)
        self.process.stdin.close()
        self.process.stdout.close()

    def end(self) -> int:
        """End the process if it is still running, and return its exit status.

        If a signal ended the process, the status is minus the number of the signal.
        """
        self.requests.close()
        self.answers.close()
        status = self.process.poll()
        self.process.kill()
        self.process.wait()
        return self.process.returncode if status is None else status


class Decoder:
    """A context manager that decodes unusual part files in a child process, one at a time.

    An unusual part file is one for which `part_file.read_usual` returns None: for example, a very large or
    damaged file. Several threads can call `read`. The child process ends at the end of the `with`
    block, because Lambda freezes processes between invocations.

    Args:
        deadline: the time at which `read` raises OutOfTime; None for no deadline.
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
        """End the child process if it runs. The next read starts a new one."""
        with self._lock:
            self._end()

    def read(
        self,
        file: "StoredObject",
        bucket: "Bucket",
        codes: Iterable[str] | None,
        admit: "Admit",
        *,
        with_codes: bool = True,
    ) -> pa.Table:
        """Read the columns `obs_time`, `value` and, if present, `internal_series_code` of a part file.

        Args:
            file: the object, or the last bytes of the object.
            bucket: the bucket from which the rest of the object is read.
            codes: the codes of the series whose rows are returned. If `codes` is None, or the file has no
                code column, all rows are returned.
            admit: a function that reserves memory before the file is decoded; `read` raises its exceptions.
            with_codes: whether to return the code column.

        Raises:
            InputReadError: the file is not Parquet, a column is missing or of the wrong type, or decoding the
                file needed too much memory or crashed the child process.
            DecoderUnavailable: the child process could not be started.
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
                child.requests.send_bytes(json.dumps(wanted).encode())
                child.requests.send_bytes(file.body)
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
        admit: "Admit",
    ) -> pa.Table | str:
        """Answer the child's requests for bytes and memory, until it has sent the table or an error.

        Returns:
            The table, or the text of the child's error.
        """
        batches: list[pa.RecordBatch] = []
        while True:
            match json.loads(self._receive(child)):
                case {"ranges": ranges}:
                    for part in bucket.get_ranges(file, [(start, end) for start, end in ranges]):
                        child.requests.send_bytes(part)
                case {"rows": rows, "bytes": size}:
                    admit(file.key, rows, size)
                    child.requests.send_bytes(b"{}")
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
            OutOfTime: no frame arrived before the deadline.
        """
        seconds = None if self._deadline is None else max(0.0, self._deadline.seconds_left())
        if not child.answers.poll(seconds):
            raise OutOfTime("invocation", "its time is used up, and a part file was still being decoded")
        return child.answers.recv_bytes()

    def _started(self) -> _Child:
        """Return the running child process; start a child process first if none is running.

        Raises:
            DecoderUnavailable: the child process did not start.
            OutOfTime: the child process was not ready before the deadline.
        """
        if self._child is None:
            try:
                self._child = _Child(self._command)
                self._receive(self._child)  # the first frame means that the child is ready
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
        """End the child process and return its exit status; return 0 if no child process is running."""
        child, self._child = self._child, None
        return 0 if child is None else child.end()


def _death(status: int) -> str:
    """Return the text of the InputReadError for a part file whose decoding ended the child process.

    Args:
        status: the exit status of the child, as `_Child.end` returns it.
    """
    if status < 0:
        from signal import Signals  # noqa: PLC0415 - only if the child died

        how = f"with signal {Signals(-status).name}"
    else:
        how = f"with exit status {status}"
    return f"not readable as Parquet: it is damaged or too large: it ended the decoding process {how}"

"""The requests of a run to S3: their number and bytes, and optionally a trace with the time of each.

Requests are always counted. A `Trace`, whose size is limited, exists only at log level DEBUG, in local runs
and on the command line.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

MAX_REQUESTS = 2000
"""The maximum number of requests in a trace."""
MAX_KEY_BYTES = 400_000
"""The maximum number of bytes of all keys in a trace, so that it fits in a CloudWatch log line (1 MiB)."""


@dataclass(slots=True)
class Timed:
    """One request to S3 or SNS, with its time and size.

    Attributes:
        operation: GET, HEAD, PUT or LIST, or PUBLISH for a status event.
        key: The key of the object, the listed prefix, or the type of the event.
        start: The start of the request in seconds since the start of the trace.
        seconds: The duration of the request in seconds.
        size: The size of the body in bytes.
        problem: The class name of the error; an empty string if the request succeeded.
    """

    operation: str
    key: str
    start: float
    seconds: float = 0.0
    size: int = 0
    problem: str = ""

    def row(self) -> list[object]:
        """Return the attributes as a list, in the order of their declaration; times are in milliseconds."""
        return [self.operation, self.key, _ms(self.start), _ms(self.seconds), self.size, self.problem]


@dataclass(slots=True)
class Trace:
    """The requests and stages of an attempt at a run, in the order in which they ended.

    Attributes:
        began: The start of the trace in seconds of `time.perf_counter()`.
        began_at: The start of the trace in seconds since 1970 (UTC).
        requests: The recorded requests, at most `MAX_REQUESTS`.
        stages: (name, start, duration) of each stage; times are seconds, and starts count from `began`.
        left_out: The number of requests that were not recorded because of the limits.
    """

    began: float = field(default_factory=time.perf_counter)
    began_at: float = field(default_factory=time.time)
    requests: list[Timed] = field(default_factory=list)
    stages: list[tuple[str, float, float]] = field(default_factory=list)
    left_out: int = 0
    _key_bytes: int = 0

    @contextmanager
    def timed(self, operation: str, *, key: str) -> Iterator[Timed]:
        """Record the one request that is made in the `with` block, even if the request fails.

        The context manager yields the record, so that the caller can set the size of the body.
        """
        request = Timed(operation, key, time.perf_counter() - self.began)
        try:
            yield request
        except BaseException as error:
            request.problem = type(error).__name__
            raise
        finally:
            request.seconds = time.perf_counter() - self.began - request.start
            self._keep(request)

    def stage(self, name: str, *, began: float, seconds: float) -> None:
        """Record a stage that has ended.

        Args:
            name: The name of the stage.
            began: The start of the stage, a value of `time.perf_counter()`.
            seconds: The duration of the stage.
        """
        self.stages.append((name, began - self.began, seconds))

    def line(self) -> dict[str, object]:
        """Return the trace as JSON values for the log line, with times in milliseconds."""
        return {
            "began_at": round(self.began_at, 4),
            "stages": [[name, _ms(start), _ms(seconds)] for name, start, seconds in self.stages],
            "requests": [request.row() for request in self.requests],
            "left_out": self.left_out,
        }

    def _keep(self, request: Timed) -> None:
        self._key_bytes += len(request.key.encode())
        if len(self.requests) < MAX_REQUESTS and self._key_bytes <= MAX_KEY_BYTES:
            self.requests.append(request)
        else:
            self.left_out += 1


@dataclass(slots=True)
class Traffic:
    """The number and the bytes of a run's requests to S3.

    Only the bytes of bodies are counted. A PUT that the client repeats counts once.

    Attributes:
        gets: The number of GET requests.
        puts: The number of PUT requests.
        lists: The number of LIST requests, one for each page.
        bytes_read: The number of bytes in the bodies of responses.
        bytes_written: The number of bytes in the bodies of PUT requests.
        trace: The record of each request; None if requests are not recorded.
    """

    gets: int = 0
    puts: int = 0
    lists: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    trace: Trace | None = None

    @property
    def requests(self) -> int:
        """The number of all requests: GET, PUT and LIST."""
        return self.gets + self.puts + self.lists

    def timed(self, operation: str, *, key: str) -> AbstractContextManager[Timed | None]:
        """Return a context manager that records the request of its `with` block in the trace.

        It yields the record, in which the caller sets the size of the body. Without a trace, it yields None.
        """
        return _UNTIMED if self.trace is None else self.trace.timed(operation, key=key)

    def counts(self) -> dict[str, int]:
        """Return the five counts of requests and bytes, by attribute name."""
        return {
            "gets": self.gets,
            "puts": self.puts,
            "lists": self.lists,
            "bytes_read": self.bytes_read,
            "bytes_written": self.bytes_written,
        }


_UNTIMED: AbstractContextManager[None] = nullcontext()


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)

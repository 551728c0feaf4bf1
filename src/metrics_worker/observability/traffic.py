"""What a run asks of S3: how often and how much, and where that is wanted, each request with its time.

The counts are always kept. A `Trace` is there only where somebody will look at it (log level DEBUG, the local
run, the command line), and is bounded; without one a request pays for a context that does nothing.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

MAX_REQUESTS = 2000
MAX_KEY_BYTES = 400_000
"""Of all keys of a trace: with it, it fits into a line of CloudWatch's, 1 MiB, however long the keys are."""


@dataclass(slots=True)
class Timed:
    """A request.

    Attributes:
        operation: GET, HEAD, PUT, LIST, or PUBLISH of a status event.
        key: of the object, the prefix that is listed, or the event's type.
        start: seconds since the trace began.
        seconds: until its answer was there, or its failure.
        size: bytes of its body.
        problem: what it failed with, the name of an error; empty where it didn't.
    """

    operation: str
    key: str
    start: float
    seconds: float = 0.0
    size: int = 0
    problem: str = ""

    def row(self) -> list[object]:
        """It as the log and the page have it, times in milliseconds."""
        return [self.operation, self.key, _ms(self.start), _ms(self.seconds), self.size, self.problem]


@dataclass(slots=True)
class Trace:
    """The requests and stages of an attempt at a run, in the order in which they ended.

    Attributes:
        began_at: seconds since 1970, UTC.
        stages: name, start and length; a stage that comes twice is there twice.
        left_out: requests beyond the bounds.
    """

    began: float = field(default_factory=time.perf_counter)
    began_at: float = field(default_factory=time.time)
    requests: list[Timed] = field(default_factory=list)
    stages: list[tuple[str, float, float]] = field(default_factory=list)
    left_out: int = 0
    _key_bytes: int = 0

    @contextmanager
    def timed(self, operation: str, key: str) -> Iterator[Timed]:
        """Time a request, to its end or its failure."""
        request = Timed(operation, key, time.perf_counter() - self.began)
        try:
            yield request
        except BaseException as error:
            request.problem = type(error).__name__
            raise
        finally:
            request.seconds = time.perf_counter() - self.began - request.start
            self._keep(request)

    def stage(self, name: str, began: float, seconds: float) -> None:
        """A stage is over; `began` as `time.perf_counter()` gave it."""
        self.stages.append((name, began - self.began, seconds))

    def line(self) -> dict[str, object]:
        """It as the log has it: requests and stages as rows, times in milliseconds."""
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
    """What a run asked of S3. Bytes are of bodies; a PUT sent again inside the client counts once.

    Attributes:
        trace: each request, where somebody will look at it.
    """

    gets: int = 0
    puts: int = 0
    lists: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    trace: Trace | None = None

    @property
    def requests(self) -> int:
        """Of every kind."""
        return self.gets + self.puts + self.lists

    def timed(self, operation: str, key: str) -> AbstractContextManager[Timed | None]:
        """Time a request, where there is a trace. The size of what is given is the caller's to fill in."""
        return _UNTIMED if self.trace is None else self.trace.timed(operation, key)

    def counts(self) -> dict[str, int]:
        """The counts by name."""
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

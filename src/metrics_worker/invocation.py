"""What the runs of one batch share, and one delivery of a run's message within it."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from metrics_worker.dataset.datasets import Datasets
from metrics_worker.dataset.decoder import Decoder
from metrics_worker.deadline import Deadline
from metrics_worker.limits import Limits, Memory
from metrics_worker.observability.report import RunReport
from metrics_worker.s3.event_loop import EventLoop

if TYPE_CHECKING:
    from metrics_worker.settings import Settings


LARGE_BYTES = 64 * 1024 * 1024
"""After an invocation that took more, the allocator returns its free pages, which takes milliseconds."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """The resources that the runs of one batch share.

    Attributes:
        datasets: the manifests and series that were read, so that each is read once.
        memory: the bytes that decoded rows and evaluations may take.
        event_loop: the event loop in which requests are made.
        threads: two for each message group: one runs it, one does the work for which a run need not wait.
        deadline: when work must stop.
    """

    datasets: Datasets
    memory: Memory
    event_loop: EventLoop
    threads: Executor
    deadline: Deadline

    @classmethod
    @contextmanager
    def begin(
        cls, settings: "Settings", groups: int, remaining_ms: Callable[[], int]
    ) -> "Iterator[Invocation]":
        """Yield an invocation for the given number of message groups. Its threads end with the context."""
        deadline = Deadline(remaining_ms)
        limits = Limits(settings.max_part_files, settings.max_rows, settings.max_manifest_bytes)
        memory = Memory(settings.memory_bytes)
        with (
            Decoder(deadline) as decoder,
            EventLoop(deadline) as event_loop,
            ThreadPoolExecutor(2 * groups or 1) as threads,
        ):
            datasets = Datasets(settings.series_files, limits, memory, decoder)
            # Decoding needs it and importing the handler does not: it is loaded during the first requests.
            threads.submit(import_module, "pyarrow.compute")
            yield cls(datasets, memory, event_loop, threads, deadline)
        if memory.most > LARGE_BYTES:
            import pyarrow as pa  # noqa: PLC0415 - loaded by now: the invocation has read with it

            pa.default_memory_pool().release_unused()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery of a run's message.

    Attributes:
        report: the record of what happened, filled in as it happens.
        receipt_handle: the handle by which the message's visibility is extended.
        invocation: the batch in which the message arrived.
        redriven: whether `make redrive` sent the message back.
    """

    report: RunReport
    receipt_handle: str
    invocation: Invocation
    redriven: bool = False

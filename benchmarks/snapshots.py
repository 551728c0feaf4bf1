"""Measure runs after one part file of each series was updated, with snapshots and without them.

Two processes of the worker run in turn on one server: one with `WORKER_SNAPSHOTS=on`, one with `off`. Each
process reads SQS events from its standard input, one JSON object a line. After each event it writes the wall
time, the CPU time and its peak memory to its standard output. For comparison, a process can also read the
part files in a plain loop, or compute the metrics with polars.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.store import ObjectStore

from benchmarks import workload
from benchmarks.batch import handle
from benchmarks.measure import Spread, ratios, table
from benchmarks.s3 import FakeS3
from metrics_tools.process_exit import run_and_exit
from metrics_worker.s3.connection import connect
from metrics_worker.s3.event_loop import CONNECTIONS

DELAYS_MS = (20, 0)
MONTHS_OF_HISTORY = (12, 60, 240, 1200)
PART_FILES = (8, 16, 32, 64, 128)
"""Numbers of part files around the one from which snapshots are used."""
GET, PUT, LIST = 0.4, 5.0, 5.0
"""US dollars for a million requests: S3 Standard, us-east-1."""
_numbers = count()


class Measured(NamedTuple):
    """The measurements of one batch.

    Attributes:
        wall: the wall time in seconds.
        cpu: the CPU time of all threads in seconds.
        peak: the peak memory of the process since its start, in MiB.
    """

    wall: float
    cpu: float
    peak: float


class Worker:
    """A process of the worker, which runs with snapshots or without them.

    Args:
        url: the address of the S3 server.
        snapshots: `on` or `off`.
    """

    def __init__(self, url: str, snapshots: str) -> None:
        environment = os.environ | {"WORKER_SNAPSHOTS": snapshots}
        command = [sys.executable, "-m", "benchmarks.snapshots", url]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, event: dict[str, Any]) -> Measured:
        """Let the process compute the metrics of an SQS event, and return the measurements.

        For comparison, the event can also be {"loop": part files to read} or {"polars": names of metrics to
        compute}.
        """
        print(json.dumps(event), file=_opened(self._process.stdin), flush=True)
        return Measured(*json.loads(_opened(self._process.stdout).readline()))

    def close(self) -> None:
        """End the process and wait for its exit."""
        _opened(self._process.stdin).close()
        self._process.wait()


def _opened(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


@contextmanager
def workers(url: str) -> Iterator[dict[str, Worker]]:
    """Yield two worker processes by their WORKER_SNAPSHOTS, `on` and `off`, and end them afterwards."""
    found = {name: Worker(url, name) for name in ("on", "off")}
    try:
        yield found
    finally:
        for worker in found.values():
            worker.close()


def update(store: ObjectStore, codes: Iterable[str], months: int = workload.MONTHS) -> None:
    """Replace the last part file of each series with new values, as an ingestor does each day.

    Args:
        store: the obstore store of the dataset.
        codes: the series codes.
        months: the number of part files of each series.
    """
    year, month = divmod(months - 1, 12)
    year, month = workload.FIRST_YEAR + year, month + 1
    for code in codes:
        key = f"{workload.PROJECTIONS}{code}/year={year}/month={month:02d}/data.parquet"
        body = workload.part_file(code, year, month, np.random.default_rng(next(_numbers)))
        obstore.put(store, key, body, use_multipart=False)


def usual_day(server: FakeS3, store: ObjectStore, rounds: int) -> str:
    """Return two Markdown tables, of times and of requests, of batches and single runs on a usual day.

    On a usual day, one part file of each series was replaced since the last batch. `store` writes to
    `server`. Each job is measured `rounds` times with snapshots and without them.
    """
    rows, requests = [], []
    with workers(server.url) as both:
        for worker in both.values():
            worker.run(_batch(workload.EXPRESSIONS))
        for delay in DELAYS_MS:
            server.delay(delay)
            for job, names in (("batch", list(workload.EXPRESSIONS)), ("single run", ["high"])):
                times: dict[str, list[Measured]] = {name: [] for name in both}
                for _ in range(rounds):
                    update(store, workload.SERIES)
                    for name, worker in both.items():
                        server.counts()
                        times[name].append(worker.run(_batch(names)))
                        if delay == DELAYS_MS[0] and len(times[name]) == 1:
                            requests.append([job, name, *_requests(server.counts(), len(names))])
                rows += [[job, delay, name, *_spreads(times[name], times["off"])] for name in both]
        server.delay(0)
    head = ["job", "delay, ms", "snapshots", "wall, s", "share", "CPU, s", "share", "peak, MiB"]
    columns = ["job", "snapshots", "GET", "LIST", "PUT", "S3, $ for a million runs"]
    return (
        table("One part file of each series changed", head, rows)
        + "\n"
        + table("Requests", columns, requests)
    )


def others(server: FakeS3, rounds: int, store: ObjectStore) -> str:
    """Return a Markdown table that compares the worker's batches with two other programs.

    One program reads the part files in a plain loop and computes nothing; the other one computes the metrics
    with polars. The loop runs in the same process as the batches without snapshots, and after them. `store`
    writes to `server`. Each program is measured `rounds` times.
    """
    names = list(workload.EXPRESSIONS)
    loop, polars = {"loop": list(workload.dataset())}, {"polars": names}
    times: dict[str, list[Measured]] = {"on": [], "off": [], "loop": [], "polars": []}
    with workers(server.url) as both:
        for turn in range(rounds + 1):
            update(store, workload.SERIES)
            jobs = [
                ("on", both["on"], _batch(names)),
                ("polars", both["off"], polars),
                ("off", both["off"], _batch(names)),
                ("loop", both["off"], loop),
            ]
            for name, worker, job in jobs:
                measured = worker.run(job)
                if turn:  # the first one is a cold start, and writes the snapshots
                    times[name].append(measured)
    rows = [
        [ours, rival, *_spreads(times[ours], times[rival])[:4]]
        for ours, rival in (("off", "loop"), ("on", "loop"), ("off", "polars"), ("on", "polars"))
    ]
    head = ["snapshots", "compared with", "wall, s", "share", "CPU, s", "share"]
    return table("A batch against other programs, 0 ms a request", head, rows)


def growth(server: FakeS3, store: ObjectStore, rounds: int) -> str:
    """Return a Markdown table with the times of single runs over series with different numbers of part files.

    The numbers of part files are a few around the number from which the worker uses snapshots, and then those
    of 1 to 100 years of monthly files.

    Args:
        server: the S3 server.
        store: an obstore store that writes to the server.
        rounds: the number of measurements for each series.
    """
    server.delay(DELAYS_MS[0])
    rows = []
    for months in (*PART_FILES, *MONTHS_OF_HISTORY):
        code = f"GROWTH_{months}"
        server.delay(0)
        workload.upload(store, workload.dataset([code], months))
        server.delay(DELAYS_MS[0])
        with workers(server.url) as both:
            times: dict[str, list[Measured]] = {name: [] for name in both}
            for turn in range(rounds + 1):
                update(store, [code], months)
                for name, worker in both.items():
                    measured = worker.run(_single(code))
                    if turn:  # the first one is a cold start, and writes the snapshot
                        times[name].append(measured)
        rows += [[months, name, *_spreads(times[name], times["off"])[:4]] for name in both]
    server.delay(0)
    head = ["part files", "snapshots", "wall, s", "share", "CPU, s", "share"]
    return table(f"A single run by the number of part files, {DELAYS_MS[0]} ms a request", head, rows)


def _spreads(times: list[Measured], others: list[Measured]) -> list[object]:
    wall, cpu = [each.wall for each in times], [each.cpu for each in times]
    return [
        Spread.of(wall),
        ratios(wall, [each.wall for each in others]),
        Spread.of(cpu),
        ratios(cpu, [each.cpu for each in others]),
        f"{max(each.peak for each in times):.0f}",
    ]


def _requests(counts: dict[str, int], runs: int) -> list[object]:
    gets = counts.get("GET", 0) + counts.get("GET range", 0) + counts.get("HEAD", 0)
    puts, lists = counts.get("PUT", 0), counts.get("LIST", 0)
    return [gets, lists, puts, f"{(gets * GET + puts * PUT + lists * LIST) / runs:.2f}"]


def _batch(names: Iterable[str]) -> dict[str, Any]:
    number = next(_numbers)
    return workload.event([f"{name}.s{number}" for name in names], number)


def _single(code: str) -> dict[str, Any]:
    number = next(_numbers)
    record = workload.record(f"{code}.s{number}", f"{code}-{number}", workload.average([code]), [code])
    return {"Records": [record]}


async def _read_in_a_loop(store: ObjectStore, names: Iterable[str]) -> None:
    """Read and decode part files concurrently, without any of the worker's checks.

    Args:
        store: the obstore store of the dataset.
        names: the keys of the part files, relative to the dataset's projections.
    """
    waiting = iter(names)

    async def read_on() -> None:
        for name in waiting:
            found = await obstore.get_async(store, workload.PROJECTIONS + name)
            body = pa.py_buffer(await found.bytes_async())
            pq.ParquetFile(pa.BufferReader(body)).read(["obs_time", "internal_series_code", "value"])

    await asyncio.gather(*(read_on() for _ in range(CONNECTIONS)))


def _job(event: dict[str, Any], store: ObjectStore, url: str) -> Callable[[], object]:
    """Return a function that does what an event requests: a batch, `_read_in_a_loop`, or metrics with polars.

    Args:
        event: an event as in `Worker.run`.
        store: the obstore store of the dataset.
        url: the address of the S3 server.
    """
    if "loop" in event:
        return lambda: asyncio.run(_read_in_a_loop(store, event["loop"]))
    if "polars" in event:
        from benchmarks.others import WithPolars  # noqa: PLC0415 - a worker does not load polars

        return partial(WithPolars(url).run, event["polars"])
    return partial(handle, event)


def _serve(url: str) -> None:
    workload.environment(url)
    store = connect(workload.BUCKET, region="us-east-1", endpoint_url=url)
    for line in sys.stdin:
        work = _job(json.loads(line), store, url)
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        status = Path("/proc/self/status").read_text(encoding="ascii")
        peak = next(int(each.split()[1]) for each in status.splitlines() if each.startswith("VmHWM"))
        print(json.dumps([wall, cpu, peak / 1024]), flush=True)


if __name__ == "__main__":
    run_and_exit(partial(_serve, sys.argv[1]))

"""Compare the worker with programs that use pandas or polars: wall time, CPU time, requests and memory.

The compared jobs are a batch of six metrics and a single run.
"""

import io
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, cast

from benchmarks.measure import Spread, in_turn, number, ratios, table
from benchmarks.s3 import FakeS3
from benchmarks.workload import BUCKET, EXPRESSIONS, Context, environment, event
from metrics_tools.process_exit import run_and_exit

DELAYS_MS = (0, 10, 20, 30)
JOBS = {"batch": list(EXPRESSIONS), "single run": ["high"]}
CONTESTANTS = ("worker", "pandas", "polars")
ROUNDS = {"worker": 5, "pandas": 2, "polars": 3}
"""At 30 ms a request, a batch takes the worker 0.5 s, polars about ten seconds and pandas half a minute."""
MEMORY_DELAY_MS = 5
MIB = 2**20
DEPLOYED = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}
"""Variables that the package and the template of the deployed function set before pyarrow is loaded."""
_attempts = count()


def handle(request: dict[str, Any]) -> None:
    """Pass an SQS event to the worker's handler, and assert that no run failed. Discard the log output."""
    from metrics_worker.handler import lambda_handler  # noqa: PLC0415 - reads the environment

    with redirect_stdout(io.StringIO()):
        answer = lambda_handler(request, Context())
    assert not answer["batchItemFailures"]


def run_worker(names: Iterable[str]) -> None:
    """Compute the metrics with the given names (keys of `EXPRESSIONS`) with the worker, in one batch.

    Each call uses new metric codes. If a metric were computed twice within a second, the second run would
    have to wait, because both versions would have the same timestamp.
    """
    attempt = next(_attempts)
    handle(event([f"{name}.{attempt}" for name in names], attempt))


def contestant(name: str, url: str) -> Callable[[Iterable[str]], None]:
    """Return a function that computes metrics, by their names in `EXPRESSIONS`, without the worker.

    Args:
        name: the library that the function uses: `pandas` or `polars`.
        url: the address of the S3 server.
    """
    from benchmarks.others import WithPandas, WithPolars  # noqa: PLC0415 - not in the memory of the worker

    return WithPandas(url).run if name == "pandas" else WithPolars(url).run


def compare(server: FakeS3, delays: Iterable[int] = DELAYS_MS, rounds: Mapping[str, int] = ROUNDS) -> str:
    """Return two Markdown tables that compare the worker, pandas and polars: one of times, one of requests.

    Args:
        server: the S3 server.
        delays: the server's response times in ms; each job is measured with each of them.
        rounds: the number of measurements of each contestant, by its name.
    """
    runs = {name: run_worker if name == "worker" else contestant(name, server.url) for name in CONTESTANTS}
    rows, requests = [], []
    for run in runs.values():  # This first call opens connections and loads lazy imports.
        run(list(EXPRESSIONS))
    check_same(server.url)
    for delay in delays:
        server.delay(delay)
        for job, names in JOBS.items():
            times = in_turn({name: partial(runs[name], names) for name in CONTESTANTS}, rounds)
            ours = times["worker"]
            for name, timed in times.items():
                times_slower = "" if name == "worker" else ratios(timed.wall, ours.wall)
                rows.append([job, delay, name, Spread.of(timed.wall), times_slower, Spread.of(timed.cpu)])
    server.delay(0)
    for job, names in JOBS.items():
        for name in CONTESTANTS:
            server.counts()
            runs[name](names)
            requests.append([job, name, *_requests(server.counts())])
    head = ["job", "delay, ms", "by", "wall, s", "times the worker's", "CPU, s"]
    columns = ["job", "by", "GET", "HEAD", "PUT", "other S3", "SNS", "KiB read"]
    return table("Wall and CPU time", head, rows) + "\n" + table("Requests", columns, requests)


def check_same(url: str) -> None:
    """Assert that the worker, pandas and polars wrote equal values for the six metrics in their first run.

    Args:
        url: the address of the S3 server.
    """
    import numpy as np  # noqa: PLC0415 - not loaded in the process whose memory is measured
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    from metrics_worker.s3.s3_bucket import S3Bucket  # noqa: PLC0415

    bucket = S3Bucket.connect(BUCKET, region="us-east-1", endpoint_url=url)

    def keys_below(prefix: str) -> list[str]:
        return [found.key for found in bucket.list(prefix)]

    for metric in EXPRESSIONS:
        written = {
            "worker": [key for key in keys_below(f"metrics/{metric}.0/") if key.endswith("metrics.parquet")],
            "pandas": keys_below(f"others/pandas/{metric}/"),
            "polars": keys_below(f"others/polars/{metric}/"),
        }
        values = [
            pq.read_table(pa.BufferReader(bytes(bucket.get(keys[0]).body)))["value"].to_numpy()
            for keys in written.values()
        ]
        for others in values[1:]:
            np.testing.assert_allclose(others, values[0], rtol=1e-12, atol=1e-12, err_msg=metric)


def _requests(counts: dict[str, int]) -> list[object]:
    gets = counts.pop("GET", 0) + counts.pop("GET range", 0)
    head, puts, sns = (counts.pop(kind, 0) for kind in ("HEAD", "PUT", "SNS"))
    read, _ = counts.pop("bytes out", 0), counts.pop("bytes in", 0)
    return [gets, head, puts, sum(counts.values()), sns, number(read / 1024)]


def memory(server: FakeS3, rounds: int) -> str:
    """Return a Markdown table with the peak memory of processes; each process computes the batch twice.

    Args:
        server: the S3 server.
        rounds: the number of processes for each contestant.
    """
    server.delay(MEMORY_DELAY_MS)
    rows = []
    for name in CONTESTANTS:
        found = []
        for turn in range(rounds):
            # Each process numbers its runs from this number, because a committed run is not computed again.
            numbers_from = str(1_000_000 + 2 * turn)
            command = [sys.executable, "-m", "benchmarks.batch", name, server.url, numbers_from]
            server.counts()
            variables = os.environ | DEPLOYED
            ended = subprocess.run(command, check=True, capture_output=True, text=True, env=variables)
            found.append(float(ended.stdout))
            assert server.counts()["bytes out"] > 2 * MIB, "the process read no data"
        rows.append([name, Spread.of(found)])
    server.delay(0)
    return table(
        f"Peak memory of a process: two batches, {MEMORY_DELAY_MS} ms a request", ["by", "MiB"], rows
    )


def _peak_mib() -> float:
    """Return the peak memory of this process in MiB.

    On Linux, this is VmHWM. Elsewhere it is ru_maxrss, which can be too large: it starts with the memory of
    the parent process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text(encoding="ascii").splitlines() if "VmHWM" in line)
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    environment(sys.argv[2])
    if sys.argv[1] == "worker":
        # pandas is not deployed; if it is installed, pyarrow loads it (28 MiB).
        sys.modules["pandas"] = cast("Any", None)
    _attempts = count(int(sys.argv[3]))
    run = run_worker if sys.argv[1] == "worker" else contestant(sys.argv[1], sys.argv[2])
    for _ in range(2):
        run(list(EXPRESSIONS))
    run_and_exit(partial(print, _peak_mib()))

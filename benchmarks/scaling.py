"""Measure how the wall time of the handler grows with part files, series, runs and rows.

Each request to S3 takes 20 ms.
"""

import io
import math
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.store import ObjectStore

from benchmarks import workload
from benchmarks.batch import handle
from benchmarks.measure import Spread, in_turn, table
from benchmarks.s3 import FakeS3
from metrics_worker.s3.event_loop import CONNECTIONS

DELAY_MS = 20
FILES = (100, 300, 1_000, 3_000, 10_000)
SERIES = (1, 5, 10, 25, 50)
RUNS = (1, 2, 4, 6, 8, 10)
ROWS = (10_000, 100_000, 1_000_000, 10_000_000)
ROW_GROUP = 100_000
_attempts = count()

type Points = list[tuple[int, Spread]]


def _large_file(rows: int) -> dict[str, bytes]:
    """Return a dataset of one large part file, as {key of the file: content}.

    The file has one series with an observation each second, in row groups of 100,000 rows.
    """
    values = np.random.default_rng(1).normal(100, 1, rows)
    times = pa.array(np.arange(rows) * 1_000_000, pa.timestamp("us"))
    sink = io.BytesIO()
    pq.write_table(pa.table({"obs_time": times, "value": values}), sink, row_group_size=ROW_GROUP)
    return {"LARGE/data.parquet": sink.getvalue()}


def _many_files(series: int, files: int) -> dict[str, bytes]:
    return workload.dataset((f"SCALE_{n}" for n in range(series)), math.ceil(files / series))


def _run(codes: list[str], runs: int) -> None:
    handle(_batch(codes, runs))


def _batch(codes: list[str], runs: int) -> dict[str, Any]:
    attempt = next(_attempts)
    expression = workload.average(codes)
    names = [f"scale.{attempt}.{n}" for n in range(runs)]
    return {"Records": [workload.record(name, name, expression, codes) for name in names]}


def _measure(
    sizes: Iterable[int],
    make: Callable[[int], tuple[dict[str, bytes], int]],
    place: tuple[FakeS3, ObjectStore],
    rounds: int,
) -> Points:
    """Upload a dataset of each size, run batches on it, and return a pair for each size.

    The pair is (size, median and range of the wall times of the batches in seconds).

    Args:
        sizes: the sizes to measure, such as numbers of part files.
        make: returns for a size the part files by key, and the number of runs in the batch.
        place: the S3 server, and an obstore store that writes to it.
        rounds: the number of measurements for each size.
    """
    server, store = place
    points = []
    for size in sizes:
        files, runs = make(size)
        server.delay(0)
        workload.upload(store, files)
        server.delay(DELAY_MS)
        codes = sorted({name.partition("/")[0] for name in files})
        run = partial(_run, codes, runs)
        run()
        points.append((size, Spread.of(in_turn({size: run}, {size: rounds})[size].wall)))
    return points


def grow(server: FakeS3, store: ObjectStore, rounds: int, *, quick: bool, picture: Path | None) -> str:
    """Return Markdown tables with the wall times of batches, one table for each quantity that grows.

    The quantities are part files, series, runs and rows.

    Args:
        server: the S3 server.
        store: an obstore store that writes to the server.
        rounds: the number of measurements for each size.
        quick: whether to leave out the largest sizes.
        picture: an SVG file to which the wall times are drawn; None to draw nothing.
    """
    place = (server, store)
    cut = 2 if quick else None
    five = workload.dataset()
    found = {
        "part files (ten series, one run)": _measure(
            FILES[:-cut] if cut else FILES, lambda n: (_many_files(10, n), 1), place, rounds
        ),
        "series (1,000 part files in all, one run)": _measure(
            SERIES[:cut], lambda n: (_many_files(n, 1_000), 1), place, rounds
        ),
        "runs in a batch (the same 1,375 part files)": _measure(
            RUNS[:cut], lambda n: (five, n), place, rounds
        ),
        "rows in one large file (row groups of 100,000)": _measure(
            ROWS[:cut], lambda n: (_large_file(n), 1), place, rounds
        ),
    }
    if picture is not None:
        _draw(found, picture)
    tables = [
        table(title, ["number", "wall, s"], [[f"{n:,}", spread] for n, spread in points])
        for title, points in found.items()
    ]
    return "\n".join(tables)


def _floor(title: str, n: int) -> float | None:
    """Return the least time in seconds that the requests for part files can take; None if it is not known.

    Args:
        title: the title of the table.
        n: the number in the first column of the table's row.
    """
    files = {"part": n, "series": 1_000, "runs": 1_375}.get(title.partition(" ")[0])
    return None if files is None else math.ceil(files / CONNECTIONS) * DELAY_MS / 1000


def _draw(found: dict[str, Points], picture: Path) -> None:
    mpl.use("svg")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "scaling", "font.size": 9})
    from matplotlib import pyplot as plt  # noqa: PLC0415 - only after the backend is set

    figure, panels = plt.subplots(2, 2, figsize=(9, 6.4), constrained_layout=True)
    for axes, (title, points) in zip(panels.flat, found.items(), strict=True):
        sizes, middle = [n for n, _ in points], [spread.middle for _, spread in points]
        error = [[s.middle - s.low for _, s in points], [s.high - s.middle for _, s in points]]
        axes.errorbar(sizes, middle, yerr=error, marker="o", capsize=3, label="measured: median, range")
        floor = [_floor(title, n) for n in sizes]
        if None not in floor:
            axes.plot(sizes, floor, "--", color="grey", label="requests alone")
        if sizes[-1] / sizes[0] > 50:
            axes.set(xscale="log", yscale="log")
        else:
            axes.set_ylim(bottom=0)
        axes.set(xlabel=title, ylabel="seconds")
        axes.grid(visible=True, which="major", alpha=0.3)
    panels[0][0].legend(frameon=False)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, metadata={"Date": None})

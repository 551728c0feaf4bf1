"""Functions that kill the process of the worker at a call of a run that reads or writes a snapshot.

The series has enough part files for a snapshot. Two states of its part files are compared: in `OLD`, the
ingestor has written them once; in `NEW`, it has replaced two of them. Before a kill, the part files are in
the state `NEW`, and the snapshot is either missing, so that the run creates it, or has the state `OLD`, so
that the run reads its rows and replaces it.
"""

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow.parquet as pq

from metrics_tools.ecb import BUCKET
from metrics_worker.dataset.snapshots import MIN_PART_FILES
from metrics_worker.publication import records
from tests.builders import day, parquet, rows, series
from tests.faults.killing import (
    COMPLETED,
    CURRENT,
    DATA,
    MANIFEST,
    MARKER,
    NEVER,
    Death,
    assert_the_next_delivery_ends_the_run,
    deliver_to,
    metric_of,
    of_run,
)
from tests.picture import Picture
from tests.processes import World

PROJECTIONS = "datasets/long/projections/"
PARTS = [f"L/month={month:02d}/data.parquet" for month in range(1, MIN_PART_FILES + 2)]
REPLACED = PARTS[4], PARTS[-1]
SNAPSHOT = records.snapshot("metrics/", projections=PROJECTIONS, code="L")
LIST = f"GET /{BUCKET}?list-type=2&prefix={PROJECTIONS}L/"
CALLS_OF_SNAPSHOTS = [LIST, f"GET {SNAPSHOT}", f"PUT {SNAPSHOT}"]
CALLS = [
    f"GET {MARKER}",
    f"GET {CURRENT}",
    "GET datasets/long/versions/v1/manifest.json",
    *CALLS_OF_SNAPSHOTS,
    *(f"GET {PROJECTIONS}{part}" for part in REPLACED),
    f"PUT {DATA}",
    f"PUT {MANIFEST}",
    f"PUT {MARKER}",
    f"PUT {CURRENT}",
    COMPLETED,
]
"""The calls to S3 of a run that reads the snapshot and replaces it, and its completed event."""
OTHER_READS = [*CALLS[:3], f"GET {PROJECTIONS}{REPLACED[1]}"]
"""Reads of every run, at which other tests kill the worker, and the read of a second part file."""
CALLS_TO_DIE_BEFORE = [call for call in CALLS if call not in OTHER_READS]
CALLS_OF_THE_FIRST_RUN = [*CALLS_OF_SNAPSHOTS, f"GET {PROJECTIONS}{PARTS[0]}", f"PUT {CURRENT}", COMPLETED]
"""Calls of a run that creates a snapshot. A kill at any other call is as in a run that replaces one."""


@dataclass(frozen=True)
class Expected:
    """The results of runs that are not killed.

    Attributes:
        old: the snapshot of the part files in the state `OLD`.
        new: the snapshot of the part files in the state `NEW`.
        data: the columns of the version of a run that reads every part file in the state `NEW`.
    """

    old: bytes
    new: bytes
    data: dict[str, bytes]


def put_part_files(world: World, names: Iterable[str], *, value: float) -> None:
    """Write part files of the series L, each with one observation a day.

    Args:
        world: the world with the bucket.
        names: the names of the part files, each an element of `PARTS`.
        value: a number that determines the content: each part file has `value` rows, rounded down, and its
            values begin at `value` plus the position of its name in `PARTS`.
    """
    for name in names:
        month = PARTS.index(name)
        times = [day(30 * month + n) for n in range(int(value))]
        body = parquet(rows("L", times, [value + month + n / 7 for n in range(int(value))]))
        world.s3.put_object(Bucket=BUCKET, Key=PROJECTIONS + name, Body=body)


def request_run(world: World, run: str) -> None:
    """Request a run that reads series L."""
    world.request_run(
        metric_of(run), run, expression=series("L"), kind="series", inputs={"L": "long"}, datasets=["long"]
    )


def expected_results(world: World) -> Expected:
    """Compute two runs that are not killed, and return their snapshots and data.

    Afterwards, the part files are in the state `NEW`.
    """
    put_part_files(world, PARTS, value=3.0)
    manifest = json.dumps({"parquet_files": PARTS, "version_id": "v1"}).encode()
    world.s3.put_object(Bucket=BUCKET, Key="datasets/long/versions/v1/manifest.json", Body=manifest)
    old, _ = _from_part_files(world, "m.snapshot.old-1")
    put_part_files(world, REPLACED, value=5.0)
    new, data = _from_part_files(world, "m.snapshot.new-1")
    assert old != new
    return Expected(old, new, data)


def _from_part_files(world: World, run: str) -> tuple[bytes, dict[str, bytes]]:
    """Delete the snapshot, and compute a run, which therefore reads every part file.

    Returns:
        The snapshot that the run writes, and the columns of its version, as `data_of` returns them.
    """
    put_snapshot(world, None)
    request_run(world, run)
    assert world.deliver()
    world.check_all_succeeded()
    snapshot = read_snapshot(world)
    assert snapshot is not None
    return snapshot, data_of(world.picture, run)


def put_snapshot(world: World, body: bytes | None) -> None:
    """Replace the snapshot of the series L by `body`; delete the snapshot if `body` is None."""
    if body is None:
        world.s3.delete_object(Bucket=BUCKET, Key=SNAPSHOT)
    else:
        world.s3.put_object(Bucket=BUCKET, Key=SNAPSHOT, Body=body)


def read_snapshot(world: World) -> bytes | None:
    """Return the snapshot of the series L, or None if it does not exist."""
    if "Contents" not in world.s3.list_objects_v2(Bucket=BUCKET, Prefix=SNAPSHOT):
        return None
    body: bytes = world.s3.get_object(Bucket=BUCKET, Key=SNAPSHOT)["Body"].read()
    return body


def data_of(picture: Picture, run: str) -> dict[str, bytes]:
    """Return the columns of the version that the marker of a run names.

    Returns:
        A dict from the name of each column to the bytes of its decoded values.
    """
    marker = picture.marker(run)
    assert marker is not None
    key = f"metrics/{metric_of(run)}/{marker['version_ts']}/data/metrics.parquet"
    table = pq.ParquetFile(io.BytesIO(picture.objects[key])).read()
    return {name: table[name].to_numpy().tobytes() for name in table.column_names}


def assert_that_a_kill_loses_nothing(
    world: World, run: str, expected: Expected, *, stored: bytes | None, call: str, after: bool
) -> None:
    """Kill the worker at a call of a run, redeliver the message, and compare the result and the snapshot.

    Args:
        world: the world, in which no message waits.
        run: the id of a run that was not requested yet.
        expected: the results of runs that are not killed.
        stored: the snapshot before the kill; None if there must be no snapshot.
        call: the name of the fatal call, with `{run}` and `{metric}` in place of the run id and metric code.
        after: whether the fatal call has its effect before the kill.
    """
    put_snapshot(world, stored)
    request_run(world, run)
    assert not deliver_to(Death(world, of_run(call, run), after=after, holds={}), world)
    dead, left = world.observe(), read_snapshot(world)
    if call == f"PUT {SNAPSHOT}":
        assert left == (expected.new if after else stored)
        assert dead.completed(run), "a snapshot is written after the completed event"
    else:
        assert left == stored, "the snapshot changes by its own PUT alone"

    assert_the_next_delivery_ends_the_run(world, run, dead)
    committed = dead.marker(run)
    assert committed in (None, world.picture.marker(run))
    assert data_of(world.picture, run) == expected.data
    assert read_snapshot(world) == (expected.new if committed is None else left)

    later = f"{metric_of(run)}-2"
    request_run(world, later)
    calls = Death(world, NEVER, after=False, holds={})
    assert deliver_to(calls, world)
    world.check_all_succeeded()
    assert data_of(world.picture, later) == expected.data
    assert read_snapshot(world) == expected.new
    if committed is None:
        assert not [name for name in calls.arrived if name.startswith(f"GET {PROJECTIONS}")]

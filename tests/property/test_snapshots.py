"""With snapshots, a run reads exactly the same series as without them, whatever happened to the part files.

The tests generate random histories of part files.
"""

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import obstore
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from metrics_worker.dataset import snapshots
from metrics_worker.dataset.datasets import Datasets, InputSeries
from metrics_worker.dataset.snapshots import Snapshots
from metrics_worker.errors import InputReadError
from metrics_worker.limits import Limits, Memory
from metrics_worker.request import RunRequest, open_record
from metrics_worker.s3.s3_bucket import S3Bucket
from tests.builders import BUCKET, day, parquet, request, rows
from tests.contract.reading import BOUNDS
from tests.decoding import DECODER

PROJECTIONS = "datasets/fx/projections/"
MANIFEST = "datasets/fx/versions/v1/manifest.json"
SERIES = ("A", "B")
_SECONDS = (0, 1, 2, 86_400, 86_401, -5, 10**9)
"""Few different times, so that several part files have the same."""
_numbers = count()


def _times(kind: pa.DataType, seconds: Iterable[int | None]) -> pa.Array:
    if pa.types.is_date(kind):
        return pa.array(
            [None if each is None else date.fromordinal(719163 + each // 86400) for each in seconds], kind
        )
    return pa.array([None if each is None else datetime.fromtimestamp(each, UTC) for each in seconds], kind)


def _values(kind: pa.DataType, numbers: Iterable[float | None]) -> pa.Array:
    finite = [each if each is None or math.isfinite(each) else 7.0 for each in numbers]
    if pa.types.is_null(kind):
        return pa.nulls(len(finite))
    if pa.types.is_decimal(kind):
        return pa.array([None if each is None else Decimal(repr(round(each, 4))) for each in finite], kind)
    if pa.types.is_integer(kind):
        return pa.array([None if each is None else int(each) for each in finite], kind)
    return pa.array(list(numbers), kind)


time_kinds = st.sampled_from(
    [
        *(pa.timestamp(unit) for unit in ("ns", "us", "ms", "s")),
        pa.timestamp("ns", "UTC"),
        pa.timestamp("us", "America/Argentina/Buenos_Aires"),
        pa.date32(),
        pa.date64(),
    ]
)
value_kinds = st.sampled_from(
    [pa.float64(), pa.float64(), pa.float32(), pa.int64(), pa.int16(), pa.decimal128(20, 4), pa.null()]
)
numbers = st.none() | st.sampled_from([0.0, -0.0, 1.5, -2.25, 0.1, 3.0, math.nan, math.inf, -math.inf, 1e4])


@st.composite
def contents(draw: st.DrawFn, codes: tuple[str, ...]) -> bytes:
    """Generate the bytes of a part file with up to four rows.

    Each row belongs to one of the series `codes` or to the series C. If `codes` has only one code, the file
    may have no column with codes; all rows then belong to this series.
    """
    size = draw(st.integers(0, 4))
    columns = {
        "obs_time": _times(
            draw(time_kinds),
            draw(st.lists(st.none() | st.sampled_from(_SECONDS), min_size=size, max_size=size)),
        ),
        "value": _values(draw(value_kinds), draw(st.lists(numbers, min_size=size, max_size=size))),
    }
    if len(codes) > 1 or draw(st.booleans()):
        named = st.sampled_from([*codes, "C"])
        columns["internal_series_code"] = pa.array(
            draw(st.lists(named, min_size=size, max_size=size)), pa.string()
        )
    codec = draw(st.sampled_from(["snappy", "zstd", "none"]))
    return parquet(pa.table(columns), compression=codec, use_dictionary=draw(st.booleans()))


@dataclass
class Dataset:
    """A dataset whose part files change, in a bucket in memory that also has the snapshots of its series.

    Attributes:
        by_listing: whether runs find the part files by listing; otherwise the manifest lists `files`.
        files: the keys of the part files, relative to `projectionsPath`, in the order of the manifest.
        store: the obstore store with the objects of the bucket.
    """

    by_listing: bool
    files: list[str] = field(default_factory=list)
    store: MemoryStore = field(default_factory=MemoryStore)

    def put(self, name: str, body: bytes) -> None:
        obstore.put(self.store, PROJECTIONS + name, body, use_multipart=False)
        if name not in self.files:
            self.files.append(name)

    def remove(self, name: str) -> None:
        self.files.remove(name)
        obstore.delete(self.store, PROJECTIONS + name)

    def snapshots(self) -> list[str]:
        return sorted(found["path"] for found in obstore.list(self.store, "metrics/_snapshots/").collect())

    def read(self, *, use: bool) -> dict[str, Any]:
        """Read both series in a new run.

        Args:
            use: whether the run uses snapshots. If so, it also writes new ones at the end.

        Returns:
            A dict from each series code to a dict with the dataset, the bytes of the times and of the values,
            and the counts of the rows; or, if the run has failed, only its error message, under the key
            `error`.
        """
        listed = {"version_id": "v1", "parquet_files": self.files, "series_codes": list(SERIES)}
        obstore.put(self.store, MANIFEST, json.dumps(listed).encode(), use_multipart=False)
        memory = Memory(10**9)
        datasets = Datasets(
            "listing" if self.by_listing else "manifest",
            Limits(part_files=1000, rows=10**6, manifest_bytes=10**6),
            memory,
            DECODER,
            Snapshots("metrics/", memory) if use else None,
        )
        run = open_record(json.dumps(request(run_id=f"run-{next(_numbers)}")), "0")
        bucket = S3Bucket(self.store, BUCKET)
        try:
            inputs = datasets.read(RunRequest.parse(run, BOUNDS), bucket, lambda _: None)
        except InputReadError as error:
            return {"error": error.message}
        finally:
            saved = datasets.save_snapshots(run.run_id, bucket)
        assert not saved.failed, saved.problem
        hits = sum(found.has_snapshot is True for found in inputs.values())
        event(f"snapshots used: {hits}" if use else "")
        return {code: _bits(found) for code, found in inputs.items()}


def _bits(found: InputSeries) -> dict[str, Any]:
    rows = found.cleaned
    return {
        "dataset": (found.dataset_id, found.dataset_version, found.part_files),
        "times": rows.series.times.tobytes(),
        "values": rows.series.values.tobytes(),
        "counts": (rows.rows, rows.null, rows.nan, rows.infinite, rows.duplicate),
    }


@contextmanager
def for_any_number_of_part_files(changed: int) -> Iterator[None]:
    """Let runs in the `with` block use snapshots even for a single part file.

    Args:
        changed: the number of part files that must have changed before a run writes a new snapshot.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "MIN_PART_FILES", 1)
        patch.setattr(snapshots, "MIN_CHANGED", changed)
        yield


def _name(layout: str, code: str, number: int) -> str:
    return {
        "folder": f"{code}/month={number}/data.parquet",
        "hive": f"internal_series_code={code}/month={number}/data.parquet",
        "year first": f"year={2000 + number}/{code}/data.parquet",
        "shared": f"month={number}/data.parquet",
    }[layout]


CHANGES = (
    "add",
    "replace",
    "replace",
    "remove",
    "reorder",
    "same bytes",
    "cut a snapshot",
    "lose a snapshot",
)


@dataclass
class History:
    """A dataset, and random changes of its part files and its snapshots.

    Attributes:
        draw: the function with which Hypothesis draws a value from a strategy.
        layout: the name of the layout of the part files' keys; in the layout "shared", each part file has
            rows of all series, otherwise of one series.
        dataset: the dataset.
    """

    draw: Any
    layout: str
    dataset: Dataset

    def add(self, number: int) -> None:
        """Write the part files of month `number`: one for each series, or one for both in layout `shared`."""
        for code in SERIES if self.layout != "shared" else SERIES[:1]:
            codes = SERIES if self.layout == "shared" else (code,)
            self.dataset.put(_name(self.layout, code, number), self.draw(contents(codes)))

    def change(self) -> None:
        """Draw one change, such as replacing a part file or cutting off a snapshot, and apply it."""
        kind = self.draw(st.sampled_from(CHANGES))
        if "snapshot" in kind:
            self._harm(kind)
        elif kind == "add" or not self.dataset.files:
            self.add(self.draw(st.integers(0, 8)))
        elif kind == "reorder":
            self.dataset.files = self.draw(st.permutations(self.dataset.files))
        else:
            self._change(kind, self.draw(st.sampled_from(self.dataset.files)))

    def _change(self, kind: str, name: str) -> None:
        if kind == "remove":
            self.dataset.remove(name)
        elif kind == "same bytes":
            self.dataset.put(name, bytes(obstore.get(self.dataset.store, PROJECTIONS + name).bytes()))
        else:
            own = tuple(code for code in SERIES if code in name.replace("=", "/").split("/"))
            self.dataset.put(name, self.draw(contents(own or SERIES)))

    def _harm(self, kind: str) -> None:
        if keys := self.dataset.snapshots():
            key = self.draw(st.sampled_from(keys))
            body = bytes(obstore.get(self.dataset.store, key).bytes())
            obstore.delete(self.dataset.store, key)
            if kind == "cut a snapshot":
                end = self.draw(st.integers(0, len(body)))
                obstore.put(self.dataset.store, key, body[:end], use_multipart=False)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Generate a dataset with a few part files, whose history a test then continues.

    Usually each series has at least one observation.
    """
    layout = draw(st.sampled_from(["folder", "folder", "hive", "year first", "shared"]))
    by_listing = layout in {"folder", "hive"} and draw(st.booleans())
    history = History(draw, layout, Dataset(by_listing))
    if draw(st.sampled_from([True, True, True, False])):
        for code in SERIES if layout != "shared" else SERIES[:1]:
            whole = pa.concat_tables([rows(each, [day(1), day(2)], [1.0, 2.0]) for each in SERIES])
            history.dataset.put(_name(layout, code, 99), parquet(whole))
    for number in range(draw(st.integers(1, 4))):
        history.add(number)
    return history


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(history=histories(), changed=st.sampled_from([1, 1, 2]), data=st.data())
def test_a_run_reads_the_same_with_snapshots_without_them_and_from_a_cold_cache(history, changed, data):
    dataset, history.draw = history.dataset, data.draw
    with for_any_number_of_part_files(changed):
        for _ in range(data.draw(st.integers(2, 6))):
            expected = dataset.read(use=False)
            event("error" if "error" in expected else "series")
            assert dataset.read(use=True) == expected
            assert dataset.read(use=True) == expected, "a second run, with the snapshots of the first"
            for _ in range(data.draw(st.integers(1, 3))):
                history.change()
        expected = dataset.read(use=False)
        assert dataset.read(use=True) == expected
        if dataset.snapshots():
            obstore.delete(dataset.store, dataset.snapshots())
        assert dataset.read(use=True) == expected, "from a cold cache"

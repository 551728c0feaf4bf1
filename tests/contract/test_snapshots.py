"""The snapshots that runs read and write: in memory, on an S3 server, and behind a proxy with faults."""

import json
import struct
from bisect import bisect_left
from itertools import count
from typing import Any

import obstore
import pytest

from benchmarks import s3
from metrics_worker.dataset import snapshot as documents
from metrics_worker.dataset import snapshots
from metrics_worker.dataset.datasets import Datasets, InputSeries
from metrics_worker.dataset.snapshot import Subject, encode
from metrics_worker.dataset.snapshots import MIN_PART_FILES, Snapshots
from metrics_worker.errors import InputReadError
from metrics_worker.limits import Limits, Memory
from metrics_worker.observability.traffic import Trace, Traffic
from metrics_worker.publication import records
from metrics_worker.request import RunRequest, open_record
from metrics_worker.s3.s3_bucket import S3Bucket
from tests.builders import BUCKET, day, parquet, request, rows, series
from tests.contract.reading import BOUNDS
from tests.decoding import DECODER
from tests.faulty_proxy import PASS, SLOW, status
from tests.faulty_store import Faults, denied, throttled

PROJECTIONS = "datasets/fx/projections/"
MANIFEST = "datasets/fx/versions/v1/manifest.json"
MANY = MIN_PART_FILES + 1
_runs = count()


class Place:
    """A bucket with a dataset that contains the series A, each month of which is a part file with one value.

    Each call of `run` reads A in a new invocation.
    """

    def __init__(self, bucket, *, name="fx", files=MANY, by="manifest"):
        self.bucket, self.by = bucket, by
        self.projections = f"datasets/{name}/projections/"
        self.manifest = f"datasets/{name}/versions/v1/manifest.json"
        self.names = [f"A/month={number:04d}/data.parquet" for number in range(files)]
        for number, file in enumerate(self.names):
            self.put(file, [float(number)])
        self.list_in_manifest()

    @property
    def key(self):
        return records.snapshot("metrics/", projections=self.projections, code="A")

    def put(self, name, values):
        number = self.names.index(name)
        body = parquet(rows("A", [day(5 * number + n) for n in range(len(values))], values))
        obstore.put(self.bucket.store, self.projections + name, body, use_multipart=False)

    def list_in_manifest(self):
        body = json.dumps({"parquet_files": self.names, "version_id": "v1"}).encode()
        obstore.put(self.bucket.store, self.manifest, body, use_multipart=False)

    def put_snapshot(self, body):
        obstore.put(self.bucket.store, self.key, body, use_multipart=False)

    def run(
        self, *, bucket: S3Bucket | None = None, memory: int = 10**9, use: bool = True
    ) -> tuple[InputSeries, tuple[int, int], Any]:
        """Read A as a run does, and then save its snapshot.

        Args:
            bucket: the bucket that the run uses in place of the one of this object.
            memory: the memory of the invocation in bytes.
            use: whether the run uses snapshots.

        Returns:
            The input series; (number of GETs, number of LISTs) of the read; and what
            `Datasets.save_snapshots` returns.
        """
        self.trace = Trace()
        traffic = Traffic(trace=self.trace)
        metered = (bucket or self.bucket).metered(traffic)
        shared = Memory(memory)
        datasets = Datasets(
            self.by,
            Limits(part_files=5000, rows=10**6, manifest_bytes=10**6),
            shared,
            DECODER,
            Snapshots("metrics/", shared) if use else None,
        )
        dataset = self.projections.split("/")[1]
        event = request(series("A"), kind="series", inputs={"A": dataset}, datasets=[dataset])
        run = open_record(json.dumps(event | {"runId": f"run-{next(_runs)}"}), "0")
        found = datasets.read(RunRequest.parse(run, BOUNDS), metered, lambda _: None)["A"]
        reads = traffic.gets, traffic.lists
        saved = datasets.save_snapshots(run.run_id, metered)
        return found, reads, saved


@pytest.fixture
def place(cloud):
    return Place(cloud.bucket)


def values(found):
    return found.cleaned.series.values.tolist()


# Reading and writing


@pytest.mark.parametrize("by", ["manifest", "listing"])
def test_a_second_run_reads_no_part_file(cloud, by):
    place = Place(cloud.bucket, by=by)
    found, reads, saved = place.run()
    assert (found.part_files_read, found.has_snapshot, saved.written) == (MANY, False, 1)
    assert reads == (1 + MANY + 1, 1)
    again, reads, saved = place.run()
    assert reads == (2, 1), "the manifest and the snapshot; one listing"
    assert (again.part_files, again.part_files_read, again.has_snapshot) == (MANY, 0, True)
    assert (saved.written, saved.failed) == (0, 0)
    assert values(again) == values(found) == [float(n) for n in range(MANY)]


def test_only_the_part_file_that_was_replaced_is_read(place):
    place.run()
    place.put(place.names[-1], [7.0, 8.0])
    found, reads, saved = place.run()
    assert (found.part_files_read, reads) == (1, (3, 1))
    assert values(found)[-2:] == [7.0, 8.0]
    assert saved.written == 0, "the part file that changes at every update is not worth a write"


def test_a_snapshot_is_written_again_after_two_changes(place):
    place.run()
    for name in place.names[:2]:
        place.put(name, [0.5])
    _, _, saved = place.run()
    assert saved.written == 1
    _, reads, _ = place.run()
    assert reads == (2, 1)


def test_few_part_files_are_read_directly(cloud):
    place = Place(cloud.bucket, files=MIN_PART_FILES - 1)
    for _ in range(2):
        found, reads, saved = place.run()
        assert (found.has_snapshot, reads, saved.written) == (None, (MIN_PART_FILES, 0), 0)


@pytest.mark.parametrize("by", ["manifest", "listing"])
def test_a_series_without_part_files_is_an_input_error(cloud, by):
    place = Place(cloud.bucket, files=0, by=by)
    messages = []
    for use in (True, False):
        with pytest.raises(InputReadError) as raised:
            place.run(use=use)
        messages.append(raised.value.message)
    assert messages[0] == messages[1]


def test_without_snapshots_nothing_is_listed_or_written(place):
    found, reads, saved = place.run(use=False)
    assert (found.has_snapshot, reads, saved.written) == (None, (1 + MANY, 0), 0)


def test_a_part_file_twice_in_a_manifest_is_read_directly(place):
    place.names.append(place.names[0])
    place.list_in_manifest()
    expected, _, _ = place.run(use=False)
    found, _, saved = place.run()
    assert (found.cleaned.rows, found.has_snapshot, saved.written) == (expected.cleaned.rows, None, 0)


def test_a_part_file_that_the_listing_lacks_is_read_and_named(place):
    place.run()
    obstore.delete(place.bucket.store, place.projections + place.names[3])
    messages = []
    for use in (True, False):
        with pytest.raises(InputReadError) as raised:
            place.run(use=use)
        messages.append(raised.value.message)
    assert messages[0] == messages[1]
    assert place.names[3] in messages[0]


def test_a_folder_of_many_series_is_only_listed_if_it_is_cheaper_than_reading(cloud):
    """Use a layout in which the month comes before the series in the key.

    A listing would need 3 pages, because it also returns the part files of 80 other series; A has only 33.
    """
    place = Place(cloud.bucket)
    place.names = [f"month={n:04d}/{code}/data.parquet" for n in range(MANY) for code in ("A", *range(80))]
    for number, name in enumerate(place.names):
        if "/A/" in name:
            obstore.put(
                place.bucket.store,
                place.projections + name,
                parquet(rows("A", [day(number + 1)], [1.0])),
                use_multipart=False,
            )
    place.list_in_manifest()
    found, reads, _ = place.run()
    assert (found.has_snapshot, reads) == (None, (1 + MANY, 0))


# Snapshots that cannot be used


def foreign(_):
    subject = Subject("datasets/gx/projections/", "A", by_path=True)
    return encode(documents.EMPTY, subject)


def of_another_version(place):
    body = bytes(obstore.get(place.bucket.store, place.key).bytes())
    return body[:7] + b"\x02" + body[8:]


def with_a_forged_size(place):
    body = bytes(obstore.get(place.bucket.store, place.key).bytes())
    return body[:40] + struct.pack("<QQ", 2**40, 2**50) + body[56:]


def cut_short(place):
    return bytes(obstore.get(place.bucket.store, place.key).bytes())[:-1]


@pytest.mark.parametrize(
    "harm",
    [
        lambda _: b"",
        lambda _: b"not a snapshot" * 100,
        foreign,
        of_another_version,
        with_a_forged_size,
        cut_short,
    ],
)
def test_a_snapshot_that_cannot_be_used_costs_only_requests_and_is_replaced(place, harm):
    expected, _, _ = place.run()
    place.put_snapshot(harm(place))
    found, _, saved = place.run()
    assert (found.part_files_read, found.has_snapshot, saved.written) == (MANY, False, 1)
    assert values(found) == values(expected)
    found, _, _ = place.run()
    assert (found.part_files_read, values(found)) == (0, values(expected))


def test_a_snapshot_larger_than_allowed_is_neither_read_nor_written(place, monkeypatch):
    expected, _, _ = place.run()
    monkeypatch.setattr(snapshots, "MAX_BYTES", 100)
    found, _, saved = place.run()
    assert (found.part_files_read, saved.failed, values(found)) == (MANY, 0, values(expected))


def test_a_snapshot_of_several_requests_is_read_whole(place, monkeypatch):
    place.run()
    monkeypatch.setattr("metrics_worker.s3.s3_bucket.WHOLE_BYTES", 1000)
    monkeypatch.setattr(snapshots, "_RANGE_BYTES", 500)
    found, reads, _ = place.run()
    assert found.part_files_read == 0
    assert reads[0] > 3
    assert values(found) == [float(n) for n in range(MANY)]


def test_a_snapshot_that_memory_does_not_allow_is_not_used(place):
    """Give a run just enough memory for its part files: it must not fail because of the snapshot."""
    place.run()
    needed = bisect_left(range(10**5), 1, key=lambda size: _fits(place, size))
    assert _fits(place, needed)
    found, _, _ = place.run(memory=needed)
    assert values(found) == [float(n) for n in range(MANY)]


def _fits(place, memory):
    try:
        place.run(memory=memory, use=False)
    except InputReadError:
        return False
    return True


def test_a_snapshot_that_is_mostly_out_of_date_is_replaced(place):
    place.run()
    for name in place.names[5:]:
        place.put(name, [1.0, 2.0])
    found, _, saved = place.run()
    assert (found.part_files_read, found.has_snapshot, saved.written) == (MANY, False, 1)


def test_the_snapshots_of_two_datasets_with_the_same_series_are_two_objects(cloud):
    one, other = Place(cloud.bucket), Place(cloud.bucket, name="gx")
    assert one.key != other.key
    one.run()
    other.put(other.names[0], [99.0])
    other.run()
    assert (values(one.run()[0])[0], values(other.run()[0])[0]) == (0.0, 99.0)


@pytest.mark.parametrize("code", ["A", "a/b", "..", "FX:USD", "ä", "%41", " ", "x" * 200, "\ud800"])
def test_the_key_of_a_snapshot_is_a_usable_key_for_any_series_code(code):
    key = records.snapshot("metrics/", projections=PROJECTIONS, code=code)
    assert key.startswith("metrics/_snapshots/")
    assert key.count("/") == 2
    assert key.isascii()
    assert len(key) < 250


# Requests that S3 refuses


@pytest.mark.parametrize("fault", [denied, throttled])
@pytest.mark.parametrize(("operation", "key"), [("LIST", PROJECTIONS + "*"), ("GET", "metrics/_snapshots/*")])
def test_a_refused_listing_or_snapshot_is_replaced_by_reading(place, monkeypatch, fault, operation, key):
    place.run()
    before = place.bucket.get(place.key).etag
    Faults.install(monkeypatch).before(operation, key, fault, times=99)
    found, _, saved = place.run()
    assert (found.part_files_read, found.has_snapshot) == (MANY, None)
    assert (saved.written, saved.failed) == (0, 0)
    assert values(found) == [float(n) for n in range(MANY)]
    monkeypatch.undo()
    assert place.bucket.get(place.key).etag == before


def test_a_refused_write_is_counted(place, monkeypatch):
    Faults.install(monkeypatch).before("PUT", "metrics/_snapshots/*", denied, times=99)
    _, _, saved = place.run()
    assert (saved.written, saved.failed) == (0, 1)
    assert "access denied" in saved.problem


def test_of_two_workers_that_write_one_snapshot_one_wins_and_the_other_does_not_fail(place, monkeypatch):
    place.run()
    for name in place.names[:2]:
        place.put(name, [0.5])
    faults = Faults.install(monkeypatch)
    inner = []
    faults.before("PUT", "metrics/_snapshots/*", lambda: inner.append(place.run()))
    _, _, saved = place.run()
    assert inner[0][2].written == 1
    assert (saved.written, saved.failed) == (0, 0)
    found, _, _ = place.run()
    assert (found.part_files_read, values(found)[:2]) == (0, [0.5, 0.5])


def test_memory_for_writing_that_other_runs_hold_is_a_counted_failure(place, monkeypatch):
    monkeypatch.setattr(snapshots, "_WRITTEN_ROW_BYTES", 10**12)
    _, _, saved = place.run()
    assert (saved.written, saved.failed) == (0, 1)


# Snapshots on an S3 server


def test_the_etags_of_a_listing_are_those_of_reads_on_an_s3_server(on_s3):
    place = Place(on_s3, name="etags")
    place.run()
    place.put(place.names[1], [4.0, 5.0])
    found, reads, _ = place.run()
    assert (found.part_files_read, reads) == (1, (3, 1))


def test_a_listing_of_several_pages():
    """Use the S3 server of the benchmarks: it is fast enough for the 7,500 requests of this test."""
    with s3.running() as server:
        place = Place(S3Bucket.connect(BUCKET, region="us-east-1", endpoint_url=server.url), files=2500)
        _test_pages(place)


def _test_pages(place):
    place.run()
    place.put(place.names[1200], [4.0, 5.0])
    found, reads, _ = place.run()
    assert reads == (3, 3)
    assert (found.part_files, found.part_files_read) == (2500, 1)
    expected, _, _ = place.run(use=False)
    assert values(found) == values(expected)
    assert found.cleaned.rows == 2501


@pytest.mark.parametrize("what", ["list-type", "_snapshots"])
def test_an_answer_that_does_not_come_is_given_up_after_a_while(proxy, faulty, monkeypatch, what):
    place = Place(faulty, name=f"slow{len(what)}")
    place.run()
    monkeypatch.setattr(snapshots, "READ_SECONDS", 0.3)
    proxy.decide = lambda call: SLOW if what in call.target else PASS
    found, _, saved = place.run()
    slow = [one for one in place.trace.requests if one.operation == "LIST" or "_snapshots" in one.key]
    assert max(one.seconds for one in slow) < 5, "the client alone would wait for ten seconds"
    assert (found.part_files_read, found.has_snapshot, saved.written) == (MANY, None, 0)


@pytest.mark.parametrize("code", [403, 404, 500, 503])
def test_an_error_of_a_server_for_the_listing_or_the_snapshot_is_replaced_by_reading(proxy, faulty, code):
    place = Place(faulty, name=f"error{code}")
    place.run()
    proxy.decide = lambda call: (
        status(code) if "list-type" in call.target or "_snapshots" in call.target else PASS
    )
    found, _, _ = place.run()
    assert values(found) == [float(n) for n in range(MANY)]


def test_a_write_that_is_denied_by_a_server_is_counted(proxy, faulty):
    place = Place(faulty, name="denied")
    proxy.decide = lambda call: status(403) if "_snapshots" in call.target and call.method == "PUT" else PASS
    _, _, saved = place.run()
    assert saved.failed == 1
    assert "access denied" in saved.problem


def test_a_folder_keeps_its_snapshots(tmp_path):
    """Read and save a snapshot in a folder, as the command line does; files in a folder have ETags, too."""
    from metrics_tools.buckets.folder import FolderBucket  # noqa: PLC0415 - only here

    memory = S3Bucket(obstore.store.MemoryStore(), BUCKET)
    place = Place(memory)
    for found in obstore.list(memory.store).collect():
        target = tmp_path / found["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(bytes(obstore.get(memory.store, found["path"]).bytes()))
    folder = FolderBucket(tmp_path, BUCKET)
    first, _, saved = place.run(bucket=folder)
    again, _, _ = place.run(bucket=folder)
    assert (saved.written, again.part_files_read, values(again)) == (1, 0, values(first))

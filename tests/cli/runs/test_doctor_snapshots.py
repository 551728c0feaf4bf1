"""`metrics doctor` compares the snapshots of a metric's series with their part files."""

import json

import pytest

from metrics_tools.buckets.folder import FolderBucket
from metrics_worker.dataset.snapshot import Subject, decode, encode
from metrics_worker.dataset.snapshots import MIN_PART_FILES
from metrics_worker.publication import records
from tests.builders import BUCKET, series
from tests.contract.test_snapshots import Place

CODE = "m.a"
SUBJECT = Subject("datasets/more/projections/", "A", by_path=True)
KEY = records.snapshot("metrics/", projections=SUBJECT.projections, code=SUBJECT.code)


class Published(Place):
    """A folder that is used as a bucket, with the metric `m.a`, which equals the series A.

    The constructor publishes one version of the metric, and writes the snapshot of A.

    Attributes:
        folder: the path of the folder.
        stored: the decoded snapshot of A as it is in the folder now.
    """

    def __init__(self, folder):
        self.folder = folder
        super().__init__(FolderBucket(folder, BUCKET), name="more", files=MIN_PART_FILES)
        self.run()

    @property
    def stored(self):
        return decode(memoryview((self.folder / KEY).read_bytes()), SUBJECT)

    def store(self, snapshot):
        (self.folder / KEY).write_bytes(encode(snapshot, SUBJECT))


@pytest.fixture
def place(metrics, folder, ask):
    published = Published(folder)
    file = ask(series("A"), kind="series", metric=CODE, inputs={"A": "more"}, datasets=["more"])
    assert metrics("run", file, "--folder", folder, "--publish").exit_code == 0
    return published


@pytest.fixture
def doctor(metrics, folder):
    """Return `doctor()`, which runs `metrics doctor` for the metric `m.a`.

    It returns (exit code, findings); the findings are a list of JSON objects from the output of the command.
    """

    def run():
        done = metrics("doctor", CODE, "--folder", folder, "--json")
        return done.exit_code, json.loads(done.stdout)["findings"]

    return run


def test_a_snapshot_with_the_rows_of_the_part_files_is_healthy(place, doctor):
    assert place.stored.times.size == MIN_PART_FILES
    assert doctor() == (0, [])


def test_no_part_file_is_read_for_a_series_without_a_snapshot(place, doctor):
    (place.folder / KEY).unlink()
    for path in (place.folder / SUBJECT.projections).rglob("*.parquet"):
        path.write_bytes(b"damaged")
    assert doctor() == (0, [])


def test_a_replaced_and_a_removed_part_file_make_a_snapshot_outdated(place, doctor):
    place.put(place.names[-1], [7.0, 8.0])
    place.names.pop(0)
    place.list_in_manifest()
    code, findings = doctor()
    (found,) = [one for one in findings if one["where"] == KEY]
    assert (code, found["grade"]) == (0, "note")
    assert found["what"] == (
        "snapshot of A: outdated, the next run reads 1 part file; 1 stored part file no longer in the series"
    )


def another_value(stored):
    values = stored.values.copy()
    values[3] += 1
    return stored._replace(values=values)


def another_time(stored):
    times = stored.times.copy()
    times[3] += 1
    return stored._replace(times=times)


def another_count_of_nulls(stored):
    stored.files.nulls[3] += 1
    return stored


@pytest.mark.parametrize("change", [another_value, another_time, another_count_of_nulls])
def test_other_rows_than_those_of_the_part_files_are_a_finding(place, doctor, change):
    place.store(change(place.stored))
    code, (found,) = doctor()
    assert (code, found["grade"], found["where"]) == (1, "finding", KEY)
    part_file = f"{SUBJECT.projections}{place.names[3]}"
    assert found["what"] == f"snapshot of A: the rows of 1 part file differ, such as {part_file}"
    assert found["do"].startswith("Delete this object, which is always safe")


def damaged(stored):
    return encode(stored, SUBJECT)[:-1] + b"x"


def of_another_format(stored):
    return b"MWSNAP\0\x09" + encode(stored, SUBJECT)[8:]


def of_another_series(stored):
    return encode(stored, SUBJECT._replace(code="B"))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (damaged, "its checksum differs"),
        (of_another_format, "it is not a snapshot of this format version"),
        (of_another_series, "it is the snapshot of another series"),
        (lambda _: b"", "it is shorter than the smallest snapshot"),
    ],
)
def test_a_snapshot_that_cannot_be_used_is_a_note(place, doctor, body, why):
    (place.folder / KEY).write_bytes(body(place.stored))
    code, (found,) = doctor()
    assert (code, found["grade"]) == (0, "note")
    assert found["what"] == f"snapshot of A: not used, because {why}"


def test_part_files_that_cannot_be_read_are_a_note(place, doctor):
    (place.folder / SUBJECT.projections / place.names[0]).write_bytes(b"damaged")
    code, (found,) = doctor()
    assert (code, found["grade"]) == (0, "note")
    assert found["what"].startswith("snapshot not compared with the part files: ")
    assert place.names[0] in found["what"]

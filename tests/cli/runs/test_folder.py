"""A plain folder works as a bucket, even if several processes and threads use it at the same time."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from metrics_tools.buckets.folder import PRIVATE, FolderBucket
from metrics_worker.errors import AccessDenied, ObjectTaken, StoreUnavailable
from tests.builders import BUCKET

ROOT = Path(__file__).parents[3]
PROCESSES = 3

PUBLISH = """
import sys
from pathlib import Path
from metrics_tools.runs.computing import LocalWorker
from metrics_tools.buckets.places import folder_place
from metrics_tools.runs.samples import read_requests
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
with LocalWorker.at(folder_place(Path(sys.argv[1])), publish=True) as worker:
    for _ in range(4):
        found = worker.compute(read_requests(Path(sys.argv[2]))[0])
        print(found.report.version_ts, found.report.run_id, found.error)
"""
COUNT = """
import sys
from pathlib import Path
from metrics_tools.buckets.places import folder_place
from metrics_worker.errors import ObjectTaken
bucket = folder_place(Path(sys.argv[1])).bucket
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
done = 0
while done < 100:
    found = bucket.get("count")
    try:
        bucket.swap("count", str(int(bytes(found.body)) + 1).encode(), etag=found.etag)
    except ObjectTaken:
        continue
    done += 1
"""


def at_once(script: str, *words: object) -> list[str]:
    """Run a Python program in `PROCESSES` processes at the same time, and return the output of each process.

    The program prints `ready`, and then waits for a line on standard input. The lines are sent when every
    process is ready.

    Args:
        script: the source of the program.
        words: the arguments of the program.
    """
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, *map(str, words)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"src{os.pathsep}."},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    with ThreadPoolExecutor(PROCESSES) as threads:
        said = list(threads.map(lambda process: process.communicate(timeout=60)[0], running))
    assert [process.returncode for process in running] == [0] * PROCESSES
    return said


def test_processes_that_publish_concurrently_get_different_versions(folder, ask, metrics):
    said = at_once(PUBLISH, folder, ask())
    lines = [line.split() for text in said for line in text.splitlines()]
    assert len(lines) == 4 * PROCESSES
    assert {error for _, _, error in lines} == {"None"}
    assert len({version for version, _, _ in lines}) == 4 * PROCESSES
    doctor = metrics("doctor", "ratio.a_to_b", "--folder", folder, "--json")
    found = json.loads(doctor.stdout)
    assert (found["healthy"], found["committed"], found["findings"]) == (True, 4 * PROCESSES, [])


def test_no_swap_of_concurrent_processes_is_lost(folder):
    bucket = FolderBucket(folder, BUCKET)
    bucket.create("count", b"0")
    at_once(COUNT, folder)
    assert bytes(bucket.get("count").body) == str(100 * PROCESSES).encode()


def test_one_of_many_concurrent_creates_succeeds(folder):
    bucket = FolderBucket(folder, BUCKET)

    def create(n):
        try:
            return bucket.create("x", str(n).encode())
        except ObjectTaken:
            return None

    with ThreadPoolExecutor(8) as threads:
        etags = [etag for etag in threads.map(create, range(64)) if etag]
    assert etags == [bucket.get("x").etag]


def test_a_reader_never_sees_a_part_of_an_object_that_is_being_replaced(folder):
    bucket = FolderBucket(folder, BUCKET)
    etag = bucket.create("x", b"a" * 1_000_000)
    with ThreadPoolExecutor(1) as threads:

        def replace():
            found = etag
            for letter in (b"b", b"c", b"d") * 10:
                found = bucket.swap("x", letter * 1_000_000, etag=found)

        writing = threads.submit(replace)
        while not writing.done():
            body = bytes(bucket.get("x").body)
            assert len(body) == 1_000_000
            assert len(set(body)) == 1
        writing.result()


def test_a_replacement_of_the_same_size_has_another_etag(folder):
    bucket = FolderBucket(folder, BUCKET)
    etags = [bucket.create("x", b"1")]
    for _ in range(50):
        etags.append(bucket.swap("x", b"1", etag=etags[-1]))
    assert len(set(etags)) == len(etags)


def test_files_that_are_being_written_are_neither_listed_nor_left(folder):
    bucket = FolderBucket(folder, BUCKET)
    bucket.create("metrics/x", b"1")
    with pytest.raises(ObjectTaken):
        bucket.create("metrics/x", b"2")
    assert [found.key for found in bucket.list("") if found.key[:9] != "datasets/"] == ["metrics/x"]
    assert list((folder / PRIVATE / "partial").iterdir()) == []


@pytest.mark.parametrize(
    "key", ["../outside", "a/../../outside", "/etc/passwd", "", "a//b", f"{PRIVATE}lock"]
)
def test_no_key_addresses_a_file_outside_the_folder(folder, key):
    bucket = FolderBucket(folder, BUCKET)
    with pytest.raises(AccessDenied):
        bucket.get(key)
    with pytest.raises(AccessDenied):
        bucket.create(key, b"1")
    assert not (folder.parent / "outside").exists()


def test_a_subfolder_is_not_an_object(folder):
    bucket = FolderBucket(folder, BUCKET)
    assert bucket.find("datasets/fx") is None
    with pytest.raises(StoreUnavailable):
        bucket.create("datasets/fx/versions/v1/manifest.json/below", b"1")


def test_reading_does_not_write_into_the_folder(folder, metrics, ask):
    metrics("run", ask(), "--folder", folder)
    assert not (folder / PRIVATE).exists()

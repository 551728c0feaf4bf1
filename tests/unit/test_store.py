"""The bucket over a memory store: what it counts, and files that are read by ranges."""

import os

import obstore
import pytest
from obstore.store import MemoryStore, S3Store

from metrics_worker.lane import CONNECTIONS
from metrics_worker.range_file import RangeFile
from metrics_worker.store import WHOLE_BYTES, Bucket, StoredObject
from metrics_worker.traffic import Traffic
from tests.builders import BUCKET

KEY = "datasets/fx/large"


@pytest.fixture
def bucket():
    return Bucket(MemoryStore(), BUCKET)


@pytest.fixture
def content(bucket):
    body = os.urandom(WHOLE_BYTES + 1000)
    obstore.put(bucket.store, KEY, body, use_multipart=False)
    return body


def tail(bucket):
    found: list[StoredObject] = []
    bucket.get_many([KEY], found.append)
    return found[0]


def test_an_object_that_is_larger_than_one_request_brings_comes_with_its_end(bucket, content):
    found = tail(bucket)
    assert (found.size, len(found.body)) == (len(content), WHOLE_BYTES)
    assert found.body == content[-WHOLE_BYTES:]


def test_an_object_of_just_that_size_comes_whole(bucket):
    obstore.put(bucket.store, KEY, bytes(WHOLE_BYTES), use_multipart=False)
    found = tail(bucket)
    assert found.size == len(found.body) == WHOLE_BYTES


def test_requests_and_bytes_are_counted(bucket):
    etag = bucket.create("a/1", b"12345")
    bucket.swap("a/1", b"123", etag)
    found = bucket.get("a/1")
    bucket.find("a/2")
    bucket.get_range(found, 0, 2)
    bucket.get_many(["a/1", "a/1"], lambda _: None)
    bucket.list("a/")
    assert bucket.traffic == Traffic(gets=5, puts=2, lists=1, bytes_read=3 + 2 + 6, bytes_written=8)


def test_a_metered_bucket_counts_for_itself(bucket):
    mine = Traffic()
    bucket.metered(mine).create("a/1", b"1")
    assert (mine.puts, bucket.traffic.puts) == (1, 0)
    assert bucket.get("a/1").body == b"1"


def test_a_listing_of_more_than_a_thousand_keys_is_whole_and_counted_by_the_page(bucket):
    keys = [f"a/{n:05d}" for n in range(2500)]
    for key in keys:
        obstore.put(bucket.store, key, b"")
    assert bucket.list("a/") == keys
    assert bucket.traffic.lists == 3


def test_many_more_objects_than_connections_are_all_read(bucket):
    keys = [f"a/{n}" for n in range(3 * CONNECTIONS + 1)]
    for key in keys:
        obstore.put(bucket.store, key, key.encode())
    found: dict[str, bytes] = {}
    bucket.get_many(keys, lambda one: found.__setitem__(one.key, bytes(one.body)))
    assert found == {key: key.encode() for key in keys}


# A file over an object


def test_a_file_reads_as_the_object_does(bucket, content):
    with RangeFile(bucket, tail(bucket)) as file:
        assert file.readable()
        assert file.seekable()
        assert not file.writable()
        assert file.read() == content
        assert file.read(1) == b""


@pytest.mark.parametrize("start", [0, 1, 999, 1000, 1001, WHOLE_BYTES, WHOLE_BYTES + 999])
@pytest.mark.parametrize("length", [0, 1, 1000, 5000])
def test_every_range_of_it_is_right(bucket, content, start, length):
    file = RangeFile(bucket, tail(bucket))
    assert file.seek(start) == start
    assert file.read(length) == content[start : start + length]
    assert file.tell() == min(len(content), start + length)
    file.close()


def test_what_came_with_its_end_is_not_asked_for_again(bucket, content):
    file = RangeFile(bucket, tail(bucket))
    file.seek(-WHOLE_BYTES, os.SEEK_END)
    assert file.read() == content[-WHOLE_BYTES:]
    assert bucket.traffic.gets == 1
    file.seek(0)
    file.read(10)
    assert (bucket.traffic.gets, bucket.traffic.bytes_read) == (2, WHOLE_BYTES + 10)
    file.close()


def test_seeking_is_from_the_start_from_here_and_from_the_end(bucket):
    file = RangeFile(bucket, StoredObject(KEY, memoryview(b"0123456789"), 10, ""))
    assert (file.seek(4), file.seek(2, os.SEEK_CUR), file.seek(-1, os.SEEK_END)) == (4, 6, 9)
    assert file.read() == b"9"
    assert (file.seek(20), file.read()) == (20, b"")
    file.close()


# How it connects


@pytest.mark.parametrize(
    ("name", "endpoint", "hosted"),
    [
        ("data-bucket", None, True),
        ("data.bucket", None, None),
        ("data-bucket", "http://127.0.0.1:5000", None),
    ],
)
def test_a_bucket_is_addressed_by_host_where_its_certificate_covers_that(name, endpoint, hosted):
    bucket = Bucket.connect(name, region="sa-east-1", endpoint_url=endpoint)
    assert bucket.name == name
    assert isinstance(bucket.store, S3Store)
    assert bucket.store.config.get("virtual_hosted_style_request") in (
        {hosted, str(hosted).lower()} if hosted else {None}
    )
    assert bucket.store.config["region"] == "sa-east-1"
    assert bucket.store.config.get("endpoint") == endpoint

"""`S3Bucket` on a store in memory: counts of requests, reads of large objects, and the host name of S3."""

import os

import obstore
import pytest
from obstore.store import MemoryStore

from metrics_worker.observability.traffic import Traffic
from metrics_worker.s3.bucket import WHOLE_BYTES, StoredObject
from metrics_worker.s3.connection import connect
from metrics_worker.s3.event_loop import CONNECTIONS
from metrics_worker.s3.s3_bucket import S3Bucket
from tests.builders import BUCKET

KEY = "datasets/fx/large"


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def bucket(store):
    return S3Bucket(store, BUCKET)


@pytest.fixture
def content(store):
    body = os.urandom(WHOLE_BYTES + 1000)
    obstore.put(store, KEY, body, use_multipart=False)
    return body


def tail(bucket):
    found: list[StoredObject] = []
    bucket.get_many([KEY], found.append)
    return found[0]


def test_only_the_end_of_a_large_object_is_read(bucket, content):
    found = tail(bucket)
    assert (found.size, len(found.body)) == (len(content), WHOLE_BYTES)
    assert found.body == content[-WHOLE_BYTES:]


def test_an_object_of_exactly_that_size_is_read_whole(bucket, store):
    obstore.put(store, KEY, bytes(WHOLE_BYTES), use_multipart=False)
    found = tail(bucket)
    assert found.size == len(found.body) == WHOLE_BYTES


def test_requests_and_bytes_are_counted(bucket):
    etag = bucket.create("a/1", b"12345")
    bucket.swap("a/1", b"123", etag=etag)
    found = bucket.get("a/1")
    bucket.find("a/2")
    bucket.get_ranges(found, [(0, 2)])
    bucket.get_many(["a/1", "a/1"], lambda _: None)
    bucket.list("a/")
    assert bucket.traffic == Traffic(gets=5, puts=2, lists=1, bytes_read=3 + 2 + 6, bytes_written=8)


def test_a_metered_bucket_has_its_own_counts(bucket):
    mine = Traffic()
    bucket.metered(mine).create("a/1", b"1")
    assert (mine.puts, bucket.traffic.puts) == (1, 0)
    assert bucket.get("a/1").body == b"1"


def test_a_long_listing_is_complete_and_counts_each_page_of_a_thousand_keys(bucket, store):
    keys = [f"a/{n:05d}" for n in range(2500)]
    for key in keys:
        obstore.put(store, key, b"")
    assert [found.key for found in bucket.list("a/")] == keys
    assert bucket.traffic.lists == 3


def test_more_objects_than_connections_are_all_read(bucket, store):
    keys = [f"a/{n}" for n in range(3 * CONNECTIONS + 1)]
    for key in keys:
        obstore.put(store, key, key.encode())
    found: dict[str, bytes] = {}
    bucket.get_many(keys, lambda one: found.__setitem__(one.key, bytes(one.body)))
    assert found == {key: key.encode() for key in keys}


# The address of the bucket


@pytest.mark.parametrize(
    ("name", "endpoint", "hosted"),
    [
        ("data-bucket", None, True),
        ("data.bucket", None, None),
        ("data-bucket", "http://127.0.0.1:5000", None),
    ],
)
def test_the_bucket_is_in_the_host_name_if_the_certificate_covers_that(name, endpoint, hosted):
    assert S3Bucket.connect(name, region="sa-east-1", endpoint_url=endpoint).name == name
    store = connect(name, region="sa-east-1", endpoint_url=endpoint)
    assert store.config.get("virtual_hosted_style_request") in (
        {hosted, str(hosted).lower()} if hosted else {None}
    )
    assert store.config["region"] == "sa-east-1"
    assert store.config.get("endpoint") == endpoint

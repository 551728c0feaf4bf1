"""An `Overlay` keeps written objects in memory, and reads all others from another bucket, unchanged."""

import pytest
from obstore.store import MemoryStore

from metrics_tools.buckets.overlay import Overlay
from metrics_worker.errors import ObjectTaken
from metrics_worker.s3.s3_bucket import S3Bucket
from tests.builders import BUCKET


@pytest.fixture
def below():
    bucket = S3Bucket(MemoryStore(), BUCKET)
    bucket.create("a/1", b"below")
    return bucket


def test_objects_below_are_read_and_listed(below):
    over = Overlay(below)
    over.create("a/2", b"over")
    assert bytes(over.get("a/1").body) == b"below"
    assert [found.key for found in over.list("a/")] == ["a/1", "a/2"]
    read = []
    over.get_many(["a/1", "a/2"], lambda found: read.append(bytes(found.body)))
    assert sorted(read) == [b"below", b"over"]


def test_writes_do_not_change_the_bucket_below(below):
    over = Overlay(below)
    over.create("a/2", b"over")
    over.swap("a/1", b"over", etag=below.get("a/1").etag)
    assert bytes(over.get("a/1").body) == b"over"
    assert [found.key for found in below.list("")] == ["a/1"]
    assert bytes(below.get("a/1").body) == b"below"


def test_a_key_that_exists_below_cannot_be_created(below):
    over = Overlay(below)
    with pytest.raises(ObjectTaken):
        over.create("a/1", b"over")
    with pytest.raises(ObjectTaken):
        over.swap("a/1", b"over", etag="another etag")


def test_an_etag_below_is_outdated_after_a_swap(below):
    over, etag = Overlay(below), below.get("a/1").etag
    over.swap("a/1", b"over", etag=etag)
    with pytest.raises(ObjectTaken):
        over.swap("a/1", b"over again", etag=etag)

"""Writes to an overlay over a read-only bucket."""

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


def test_what_is_below_is_read_and_listed(below):
    over = Overlay(below)
    over.create("a/2", b"over")
    assert bytes(over.get("a/1").body) == b"below"
    assert [found.key for found in over.list("a/")] == ["a/1", "a/2"]
    read = []
    over.get_many(["a/1", "a/2"], lambda found: read.append(bytes(found.body)))
    assert sorted(read) == [b"below", b"over"]


def test_what_is_written_stays_above(below):
    over = Overlay(below)
    over.create("a/2", b"over")
    over.swap("a/1", b"over", below.get("a/1").etag)
    assert bytes(over.get("a/1").body) == b"over"
    assert [found.key for found in below.list("")] == ["a/1"]
    assert bytes(below.get("a/1").body) == b"below"


def test_what_is_taken_below_is_taken(below):
    over = Overlay(below)
    with pytest.raises(ObjectTaken):
        over.create("a/1", b"over")
    with pytest.raises(ObjectTaken):
        over.swap("a/1", b"over", "another etag")


def test_what_was_swapped_above_is_no_longer_what_is_below(below):
    over, etag = Overlay(below), below.get("a/1").etag
    over.swap("a/1", b"over", etag)
    with pytest.raises(ObjectTaken):
        over.swap("a/1", b"over again", etag)

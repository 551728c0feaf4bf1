"""All implementations of `Bucket` behave in the same way: S3, a store in memory, a folder, and an overlay.

The command line uses the folder and the overlay, which keeps writes in memory and reads the bucket below.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from metrics_tools.buckets.folder import FolderBucket
from metrics_tools.buckets.overlay import Overlay
from metrics_worker.errors import ObjectNotFound, ObjectTaken, OutOfTime, StoreUnavailable
from metrics_worker.observability.traffic import Traffic
from metrics_worker.s3.bucket import WHOLE_BYTES, Bucket, ListedObject, StoredObject
from metrics_worker.s3.event_loop import CONNECTIONS
from metrics_worker.s3.s3_bucket import S3Bucket
from tests.builders import BUCKET


def bucket_of(kind, request):
    match kind:
        case "memory":
            return S3Bucket(MemoryStore(), BUCKET)
        case "folder":
            return FolderBucket(request.getfixturevalue("tmp_path"), BUCKET)
    return request.getfixturevalue("on_s3")


BELOW = ["memory", "s3", "folder"]


@pytest.fixture(params=[*BELOW, *(f"overlay over {kind}" for kind in BELOW)])
def bucket(request) -> Bucket:
    kind = request.param.removeprefix("overlay over ")
    below = bucket_of(kind, request)
    return below if kind == request.param else Overlay(below)


@pytest.fixture(params=[*BELOW, "overlay with objects", "overlay over objects", "overlay with some objects"])
def written_and_read(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Sequence[Bucket], Bucket]:
    """Return (written, read): the buckets to which a test writes, and the bucket from which it reads.

    A test writes its objects to the buckets in `written` by turns. Except for overlays, `written` has only
    the bucket `read`. A test of an overlay reads the overlay, and writes to the overlay, to the bucket below
    it, or to both.
    """
    if request.param in BELOW:
        bucket = bucket_of(request.param, request)
        return [bucket], bucket
    below = FolderBucket(tmp_path, BUCKET)
    overlay = Overlay(below)
    written: dict[str, list[Bucket]] = {"overlay with objects": [overlay], "overlay over objects": [below]}
    return written.get(request.param, [overlay, below]), overlay


# Get and find


def test_a_created_object_can_be_read(bucket, place):
    etag = bucket.create(place + "x.json", b"body")
    found = bucket.get(place + "x.json")
    assert (found.key, bytes(found.body), found.size, found.etag) == (place + "x.json", b"body", 4, etag)
    assert etag


def test_an_object_can_be_empty(bucket, place):
    bucket.create(place + "x", b"")
    assert bytes(bucket.get(place + "x").body) == b""


def test_an_object_that_does_not_exist_is_not_found(bucket, place):
    with pytest.raises(ObjectNotFound, match=place + "x: GET: there is no such object") as raised:
        bucket.get(place + "x")
    assert raised.value.subject == place + "x"
    assert bucket.find(place + "x") is None


@pytest.mark.parametrize("name", ["a b", "é", "a%20b", "a+b", "a=b&c", "a#b", "a'b", "(a)", "a~b", "😀"])
def test_a_key_can_contain_special_characters(bucket, place, name):
    bucket.create(place + name, b"1")
    assert bucket.get(place + name).key == place + name
    assert [found.key for found in bucket.list(place)] == [place + name]


def test_a_range_is_read_by_its_start_and_end(bucket, place):
    bucket.create(place + "x", b"0123456789")
    found = bucket.get(place + "x")
    assert [bytes(part) for part in bucket.get_ranges(found, [(2, 5), (0, 1)])] == [b"234", b"0"]
    assert list(bucket.get_ranges(found, [])) == []
    with pytest.raises(ObjectNotFound):
        bucket.get_ranges(replace(found, key=place + "y"), [(0, 1)])


def test_a_range_of_an_object_that_was_replaced_meanwhile_is_an_error(bucket, place):
    bucket.create(place + "x", b"0123456789")
    found = bucket.get(place + "x")
    bucket.swap(place + "x", b"abcdefghij", etag=found.etag)
    with pytest.raises(StoreUnavailable):
        bucket.get_ranges(found, [(2, 5)])


# Get many


def test_many_objects_are_read_in_any_order(bucket, place):
    bodies = {f"{place}{n}": str(n).encode() * n for n in range(1, 100)}
    for key, body in bodies.items():
        bucket.create(key, body)
    found: dict[str, tuple[bytes, int]] = {}
    bucket.get_many(list(bodies), lambda one: found.__setitem__(one.key, (bytes(one.body), one.size)))
    assert found == {key: (body, len(body)) for key, body in bodies.items()}


def test_reading_no_keys_delivers_no_object(bucket):
    bucket.get_many([], lambda _: pytest.fail("no key was given"))


def test_reading_many_delivers_an_empty_object_as_empty(bucket, place):
    bucket.create(place + "empty", b"")
    found: list[StoredObject] = []
    bucket.get_many([place + "empty"], found.append)
    assert [(bytes(one.body), one.size) for one in found] == [(b"", 0)]


def test_reading_many_delivers_the_end_of_a_large_object(bucket, place):
    body = b"begin" + bytes(WHOLE_BYTES) + b"the end"
    bucket.create(place + "large", body)
    found: list[StoredObject] = []
    bucket.get_many([place + "large"], found.append)
    assert (found[0].size, bytes(found[0].body)) == (len(body), body[-WHOLE_BYTES:])
    assert bytes(bucket.get_ranges(found[0], [(0, 5)])[0]) == b"begin"


def test_reading_many_delivers_the_present_object_whatever_etag_is_expected(bucket, place):
    etags = {key: bucket.create(key, b"old").strip('"') for key in (place + "same", place + "replaced")}
    bucket.swap(place + "replaced", b"new and longer", etag=bucket.get(place + "replaced").etag)
    etags[place + "deleted and created"] = "0123456789abcdef"
    bucket.create(place + "deleted and created", b"new")
    found: dict[str, bytes] = {}
    bucket.get_many(list(etags), lambda one: found.__setitem__(one.key, bytes(one.body)), etags)
    assert [found[key] for key in etags] == [b"old", b"new and longer", b"new"]


def test_work_returned_by_the_callback_is_done_before_the_reading_ends(bucket, place):
    bucket.create(place + "a", b"1")
    bucket.create(place + "b", b"2")
    done = []

    def take(one):
        return (lambda: done.append(one.key)) if one.key == place + "b" else None

    bucket.get_many([place + "a", place + "b"], take)
    assert done == [place + "b"]


def test_reading_many_fails_with_the_key_of_a_missing_object(bucket, place):
    for n in range(20):
        bucket.create(f"{place}{n}", b"1")
    with pytest.raises(ObjectNotFound) as raised:
        bucket.get_many([f"{place}{n}" for n in range(21)], lambda _: None)
    assert raised.value.subject == f"{place}20"


def test_an_exception_of_the_callback_ends_the_reading(bucket, place):
    keys = [f"{place}{n}" for n in range(150)]
    for key in keys:
        bucket.create(key, b"1")
    taken = []

    def take(one):
        taken.append(one.key)
        if len(taken) >= 3:
            raise OutOfTime("invocation", "no time left")

    with pytest.raises(OutOfTime):
        bucket.get_many(keys, take)
    assert len(taken) < 3 + CONNECTIONS, "only objects that were already requested arrive"


# List


@pytest.fixture
def listed(written_and_read: tuple[Sequence[Bucket], Bucket], place: str) -> Bucket:
    """Return a bucket with seven objects below the prefix `place`.

    The body of each object is its key without the prefix.
    """
    written, bucket = written_and_read
    for n, name in enumerate(("A/2", "A/1", "A/x/y", "A_B/1", "AA/1", "A/x/z/1", "B")):
        written[n % len(written)].create(place + name, name.encode())
    return bucket


def keys(found):
    return [one.key for one in found]


def test_a_listing_is_sorted_and_matches_whole_segments(listed, place):
    assert keys(listed.list(place + "A/")) == [place + name for name in ("A/1", "A/2", "A/x/y", "A/x/z/1")]


def test_a_listing_without_objects_is_empty(bucket, place):
    assert bucket.list(place + "nothing/") == []


def test_a_listing_has_the_etag_and_the_size_of_each_object(listed, place):
    found = listed.list(place)
    assert [one.size for one in found] == [len(one.key.removeprefix(place)) for one in found]
    for one in found:
        stored = listed.get(one.key)
        assert one == ListedObject(stored.key, stored.etag, stored.size)
    assert len({one.etag for one in found}) == len(found) == 7


def test_a_listing_has_the_new_etag_of_an_object_that_was_swapped(bucket, place):
    etag = bucket.swap(place + "x", b"second", etag=bucket.create(place + "x", b"first"))
    assert bucket.list(place) == [ListedObject(place + "x", etag, 6)]


def test_many_listings_are_the_same_as_each_one_alone(listed, place):
    prefixes = [place + "AA/", place + "A/", place + "nothing/", place + "A/x/"]
    assert listed.list_many(prefixes) == {prefix: listed.list(prefix) for prefix in prefixes}
    assert list(listed.list_many(prefixes)) == prefixes


def test_many_listings_of_no_prefix_are_none(bucket):
    assert bucket.list_many([]) == {}


def test_folders_are_listed_one_level_deep(listed, place):
    assert listed.list_folders(place) == [place + "A/", place + "AA/", place + "A_B/"]
    assert listed.list_folders(place + "A/") == [place + "A/x/"]
    assert listed.list_folders(place + "A/x/z/") == []
    assert listed.list_folders(place + "nothing/") == []


def test_a_metered_bucket_counts_its_own_requests(bucket, place):
    mine, before = Traffic(), replace(bucket.traffic)
    metered = bucket.metered(mine)
    etag = metered.create(place + "x", b"12345")
    metered.swap(place + "x", b"123", etag=etag)
    metered.get_ranges(metered.get(place + "x"), [(0, 2)])
    metered.find_many([place + "x"])
    metered.get_many([place + "x"], lambda _: None)
    metered.list(place)
    metered.list_many([place, place + "A/"])
    metered.list_folders(place)
    assert mine == Traffic(gets=4, puts=2, lists=4, bytes_read=3 + 2 + 3 + 3, bytes_written=8)
    assert (bucket.traffic, metered.name) == (before, bucket.name)
    assert bytes(bucket.get(place + "x").body) == b"123"


# Create and swap


def test_an_object_can_be_created_only_once(bucket, place):
    bucket.create(place + "x", b"first")
    with pytest.raises(ObjectTaken, match=place + "x"):
        bucket.create(place + "x", b"second")
    assert bytes(bucket.get(place + "x").body) == b"first"


def test_creating_an_object_again_with_the_same_content_is_an_error(bucket, place):
    bucket.create(place + "x", b"same")
    with pytest.raises(ObjectTaken):
        bucket.create(place + "x", b"same")


def test_every_write_has_its_own_id(bucket, place):
    etag = bucket.create(place + "x", b"1")
    first = bucket.get(place + "x").write_id
    bucket.swap(place + "x", b"2", etag=etag)
    second = bucket.get(place + "x").write_id
    assert first
    assert second
    assert first != second


def test_a_swap_replaces_the_object_with_the_given_etag(bucket, place):
    etag = bucket.swap(place + "x", b"second", etag=bucket.create(place + "x", b"first"))
    found = bucket.get(place + "x")
    assert (bytes(found.body), found.etag) == (b"second", etag)


def test_a_swap_with_an_outdated_etag_is_an_error(bucket, place):
    old = bucket.create(place + "x", b"first")
    bucket.swap(place + "x", b"second", etag=old)
    with pytest.raises(ObjectTaken, match=place + "x"):
        bucket.swap(place + "x", b"third", etag=old)
    assert bytes(bucket.get(place + "x").body) == b"second"


def test_a_swap_of_an_object_that_does_not_exist_is_an_error(bucket, place):
    etag = bucket.create(place + "x", b"first")
    with pytest.raises(ObjectTaken, match=place + "y"):
        bucket.swap(place + "y", b"second", etag=etag)
    assert bucket.find(place + "y") is None

"""The interface `Bucket`, and the types of its arguments and results.

`Bucket` has three implementations: `S3Bucket`, and for the command line a plain folder and an overlay in
memory. One test suite tests all three (tests/contract/test_bucket_conformance.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from metrics_worker.observability.traffic import Traffic
from metrics_worker.s3.event_loop import EventLoop

WHOLE_BYTES = 4 * 1024 * 1024
"""The number of bytes that `get_many` reads from the end of an object. Most part files are smaller."""

type OnObject = Callable[["StoredObject"], Callable[[], None] | None]
"""A function that receives an object, and returns either None or a function to be called in a thread."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that was read from a bucket, whole or in part.

    Attributes:
        key: the object's key.
        body: the last bytes of the object; the whole object if `len(body) == size`.
        size: the size of the whole object in bytes.
        etag: the object's ETag.
        write_id: the id of the conditional write that wrote the object; None if another kind of write did.
    """

    key: str
    body: memoryview
    size: int
    etag: str
    write_id: str | None = None


class ListedObject(NamedTuple):
    """An object in a listing: its key, its ETag, and its size in bytes."""

    key: str
    etag: str
    size: int


class Bucket(Protocol):
    """A bucket: a store of objects, each with a unique key.

    A method that fails raises a `StoreRefusal` if the same request would fail again: `ObjectNotFound` if no
    object has the key, `AccessDenied` if the role lacks the permission, `ObjectArchived` if an object must be
    restored first, `UnusableKey` or `ObjectTaken` as the methods state. The method raises `StoreUnavailable`
    if a later attempt may succeed, and `OutOfTime` if the event loop's deadline passes.
    """

    @property
    def name(self) -> str:
        """The bucket's name."""

    @property
    def traffic(self) -> Traffic:
        """The counts of the requests that this object has made."""

    def metered(self, traffic: Traffic, event_loop: EventLoop | None = None) -> Self:
        """Return an object for the same bucket that counts its requests in `traffic`.

        Args:
            traffic: the object in which requests are counted.
            event_loop: the event loop that makes the requests; None for requests without a deadline.
        """

    def with_timeout(self, seconds: float) -> Self:
        """Return an object for the same bucket in which each call raises `StoreUnavailable` after `seconds`.

        This object does not change. A write that was cut off may have taken effect. A bucket on a local disk
        needs no limit and returns itself.
        """

    def get(self, key: str) -> StoredObject:
        """Return a whole object.

        Raises:
            ObjectNotFound, AccessDenied, StoreUnavailable.
        """

    def find(self, key: str) -> StoredObject | None:
        """Return a whole object; None if no object has the key.

        Raises:
            AccessDenied, StoreUnavailable.
        """

    def get_many(
        self, keys: Sequence[str], on_object: OnObject, etags: Mapping[str, str] | None = None
    ) -> None:
        """Read the last `WHOLE_BYTES` of each object with one request, and pass the objects to a function.

        Args:
            keys: the keys of the objects.
            on_object: a function that is called with each object, in any order and never by two threads at
                once. It must not block. For work that takes longer, it returns a function, which another
                thread calls before `get_many` returns. If either function raises an exception, `get_many`
                stops and raises the exception.
            etags: the ETags, without quotation marks, that objects are expected to have, by key. An object
                that has another ETag by now is requested again without the expectation.

        Raises:
            ObjectNotFound, AccessDenied, StoreUnavailable: the error of the first key that fails.
        """

    def find_many(self, keys: Sequence[str]) -> dict[str, StoredObject | None]:
        """Return the last `WHOLE_BYTES` of several objects by key; None for each key without an object.

        Raises:
            AccessDenied, StoreUnavailable: the error of the first key that fails.
        """

    def list(self, prefix: str) -> Sequence[ListedObject]:
        """Return the objects whose keys begin with a prefix, sorted by key.

        Args:
            prefix: a prefix that ends in a slash; "" for the whole bucket.

        Raises:
            UnusableKey: one of the keys has an empty segment, `.`, `..` or a control character.
            AccessDenied, StoreUnavailable.
        """

    def list_many(self, prefixes: Sequence[str]) -> dict[str, Sequence[ListedObject]]:
        """Return, for each of several prefixes, the listing that `list` returns.

        Raises:
            UnusableKey, AccessDenied, StoreUnavailable: the error of the first prefix that fails.
        """

    def list_folders(self, prefix: str) -> Sequence[str]:
        """Return the folders one level below a prefix, sorted, as whole key prefixes that end in a slash.

        Raises:
            UnusableKey, AccessDenied, StoreUnavailable.
        """

    def get_ranges(self, found: StoredObject, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        """Return parts of an object, in the order of the ranges.

        Args:
            found: the object, as an earlier call returned it.
            ranges: (start, end) for each part: the offset of its first byte, and of the byte after its last.

        Raises:
            ObjectNotFound, AccessDenied.
            StoreUnavailable: S3 failed, or the object was replaced after the earlier call.
        """

    def create(self, key: str, body: bytes) -> str:
        """Write an object that must not exist yet, and return its ETag.

        Raises:
            ObjectTaken: another writer has already written an object with this key.
            AccessDenied.
            StoreUnavailable: S3 failed, or it is unknown whether the write took effect.
        """

    def swap(self, key: str, body: bytes, *, etag: str) -> str:
        """Replace the object that has this ETag, and return the new ETag.

        Raises:
            ObjectTaken: the object has another ETag, or does not exist.
            AccessDenied.
            StoreUnavailable: S3 failed, or it is unknown whether the write took effect.
        """

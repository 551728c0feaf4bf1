"""The interface of a bucket, and the objects that it returns.

`Bucket` has three implementations: `S3Bucket`, and for the command line a plain folder and an overlay in
memory. One test suite runs over all of them (tests/contract/test_bucket_conformance.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from metrics_worker.observability.traffic import Traffic
from metrics_worker.s3.event_loop import EventLoop

WHOLE_BYTES = 4 * 1024 * 1024
"""The bytes that `get_many` reads from the end of an object in one request. Most part files are smaller."""

type OnObject = Callable[["StoredObject"], Callable[[], None] | None]
"""A function that takes an object that was read, and may return work to be done in a thread."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that was read.

    Attributes:
        key: the object's key.
        body: the object's last bytes; all of its bytes if `len(body) == size`.
        size: the size of the whole object in bytes.
        etag: the object's ETag.
        write_id: the id of the conditional write that created the object; None if something else did.
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
    """A bucket of objects, addressed by their keys.

    Failure is a `StoreRefusal`, which is final (not found, denied, taken), or a `StoreUnavailable`: a later
    attempt may succeed. Each method also raises `OutOfTime` if the event loop's deadline passes.
    """

    @property
    def name(self) -> str:
        """The bucket's name."""

    @property
    def traffic(self) -> Traffic:
        """The counts of the requests that were made through this object."""

    def metered(self, traffic: Traffic, event_loop: EventLoop | None = None) -> Self:
        """Return the same bucket with other counts of requests and, optionally, an event loop."""

    def with_timeout(self, seconds: float) -> Self:
        """Return the same bucket, whose calls raise `StoreUnavailable` after this time.

        A write that was cut off may have taken effect. A bucket on a local disk needs no such limit.
        """

    def get(self, key: str) -> StoredObject:
        """Read a whole object.

        Raises:
            ObjectNotFound, AccessDenied, StoreUnavailable.
        """

    def find(self, key: str) -> StoredObject | None:
        """Read a whole object; return None if it does not exist.

        Raises:
            AccessDenied, StoreUnavailable.
        """

    def get_many(self, keys: Sequence[str], on_object: OnObject) -> None:
        """Read objects in any order, each by one request for its last `WHOLE_BYTES`.

        Args:
            keys: the keys of the objects.
            on_object: called with each object as it arrives, never by two threads at once. It must not block;
                it may return work that takes longer, which is done before `get_many` returns. An exception
                of either ends the reading.

        Raises:
            ObjectNotFound, AccessDenied, StoreUnavailable: the error of the first key that fails.
        """

    def find_many(self, keys: Sequence[str]) -> dict[str, StoredObject | None]:
        """Read the last `WHOLE_BYTES` of a few objects; return None for each one that does not exist.

        Raises:
            AccessDenied, StoreUnavailable: the error of the first key that fails.
        """

    def list(self, prefix: str) -> Sequence[ListedObject]:
        """List the objects whose keys begin with a prefix, sorted by key.

        Args:
            prefix: a prefix that ends in a slash; "" lists the whole bucket.

        Raises:
            UnusableKey: the client cannot name one of the keys.
            AccessDenied, StoreUnavailable.
        """

    def list_many(self, prefixes: Sequence[str]) -> dict[str, Sequence[ListedObject]]:
        """List several prefixes as `list` does, and return the listings by prefix.

        Raises:
            UnusableKey, AccessDenied, StoreUnavailable: the error of the first prefix that fails.
        """

    def list_folders(self, prefix: str) -> Sequence[str]:
        """List the folders one level below a prefix, sorted: whole prefixes that end in a slash.

        Raises:
            UnusableKey, AccessDenied, StoreUnavailable.
        """

    def get_ranges(self, found: StoredObject, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        """Read parts of an object that was read before.

        Args:
            found: the object.
            ranges: the offsets of the first byte and of the byte after the last one, for each part.

        Raises:
            ObjectNotFound, AccessDenied.
            StoreUnavailable: S3 failed, or the object was replaced: old and new bytes must not be mixed.
        """

    def create(self, key: str, body: bytes) -> str:
        """Write an object that must not exist yet, and return its ETag.

        Raises:
            ObjectTaken: an object of another writer has the key.
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

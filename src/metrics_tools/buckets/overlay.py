"""An overlay: a bucket that keeps written objects in memory and reads all other objects from a second bucket.

The second bucket is called the bucket below, and is never written to. The worker's commit protocol runs on an
overlay without changes. Conditional writes take the objects of the bucket below into account: `create` fails
for a key that exists there, and `swap` compares the ETag of the object there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from uuid import uuid4

from metrics_worker.errors import ObjectTaken, StoreUnavailable
from metrics_worker.observability.traffic import Traffic
from metrics_worker.s3.bucket import WHOLE_BYTES, Bucket, ListedObject, OnObject, StoredObject
from metrics_worker.s3.event_loop import EventLoop


@dataclass(slots=True)
class _Memory:
    """The written objects by key, and the lock that a writer holds."""

    objects: dict[str, StoredObject] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)


@dataclass(frozen=True, slots=True)
class Overlay:
    """A `Bucket` that keeps written objects in memory, over a bucket below that is only read.

    Attributes:
        below: the bucket below. An object in memory hides the object with the same key in the bucket below.
        event_loop: the event loop that makes the requests to the bucket below; None for no deadline.
    """

    below: Bucket
    event_loop: EventLoop | None = None
    _memory: _Memory = field(default_factory=_Memory)

    @property
    def name(self) -> str:
        """The name of the bucket below."""
        return self.below.name

    @property
    def traffic(self) -> Traffic:
        """The counts of the requests to this object, including requests to the bucket below."""
        return self.below.traffic

    def metered(self, traffic: Traffic, event_loop: EventLoop | None = None) -> "Overlay":
        """Return an object for the same overlay that counts its requests in `traffic`.

        `event_loop` makes the requests to the bucket below; with None, requests have no deadline.
        """
        return Overlay(self.below.metered(traffic, event_loop), event_loop, self._memory)

    def with_timeout(self, seconds: float) -> "Overlay":
        """Return the same overlay, whose calls to the bucket below fail after this time."""
        return replace(self, below=self.below.with_timeout(seconds))

    def get(self, key: str) -> StoredObject:
        """Return a whole object, from memory or from the bucket below."""
        found = self._memory.objects.get(key)
        return self.below.get(key) if found is None else self._counted(found)

    def find(self, key: str) -> StoredObject | None:
        """Return a whole object, from memory or from the bucket below; None if neither has the key."""
        found = self._memory.objects.get(key)
        return self.below.find(key) if found is None else self._counted(found)

    def get_many(self, keys: Sequence[str], on_object: OnObject) -> None:
        """Read the last `WHOLE_BYTES` of each object, and pass each object to `on_object`.

        Objects in memory are passed first. Functions that `on_object` returns for these objects are called in
        the same thread.
        """
        objects = self._memory.objects
        for found in [objects[key] for key in keys if key in objects]:
            work = on_object(self._counted(replace(found, body=found.body[-WHOLE_BYTES:])))
            if work is not None:
                work()
        self.below.get_many([key for key in keys if key not in objects], on_object)

    def find_many(self, keys: Sequence[str]) -> dict[str, StoredObject | None]:
        """Return the last `WHOLE_BYTES` of several objects by key; None for each key without an object."""
        objects = self._memory.objects
        above = {
            key: self._counted(replace(objects[key], body=objects[key].body[-WHOLE_BYTES:]))
            for key in keys
            if key in objects
        }
        return self.below.find_many([key for key in keys if key not in above]) | above

    def list(self, prefix: str) -> Sequence[ListedObject]:
        """Return the objects whose keys begin with a prefix, in memory and below, sorted by key."""
        return self._merged(prefix, self.below.list(prefix))

    def list_many(self, prefixes: Sequence[str]) -> dict[str, Sequence[ListedObject]]:
        """Return, for each of several prefixes, the listing that `list` returns."""
        below = self.below.list_many(prefixes)
        return {prefix: self._merged(prefix, listed) for prefix, listed in below.items()}

    def list_folders(self, prefix: str) -> Sequence[str]:
        """Return the folders one level below a prefix, in memory and in the bucket below, sorted.

        Each folder is a whole key prefix that ends in a slash.
        """
        rests = [key.removeprefix(prefix) for key in self._memory.objects if key.startswith(prefix)]
        above = {f"{prefix}{rest.partition('/')[0]}/" for rest in rests if "/" in rest}
        return sorted(above.union(self.below.list_folders(prefix)))

    def get_ranges(self, found: StoredObject, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        """Return the parts of an object with these (start, end) offsets, from memory or from below.

        Raises:
            StoreUnavailable: the object was replaced since it was read.
        """
        above = self._memory.objects.get(found.key)
        if above is None:
            return self.below.get_ranges(found, ranges)
        if above.etag != found.etag:
            raise StoreUnavailable(found.key, "GET: the object was replaced while it was read")
        return [self._counted(replace(above, body=above.body[start:end])).body for start, end in ranges]

    def create(self, key: str, body: bytes) -> str:
        """Write an object to memory, and return its ETag.

        Raises:
            ObjectTaken: an object in memory or in the bucket below has the key.
        """
        with self._memory.lock:
            if self._uncounted(key) is not None:
                raise ObjectTaken(key, "the object of another writer has this key")
            return self._write(key, body)

    def swap(self, key: str, body: bytes, *, etag: str) -> str:
        """Replace the object that has this ETag by an object in memory, and return the new ETag.

        Raises:
            ObjectTaken: the object has another ETag, or does not exist.
        """
        with self._memory.lock:
            found = self._uncounted(key)
            if found is None or found.etag != etag:
                raise ObjectTaken(key, "the object was replaced by another writer, or does not exist")
            return self._write(key, body)

    def _write(self, key: str, body: bytes) -> str:
        etag = uuid4().hex
        self.traffic.puts += 1
        with self.traffic.timed("PUT", key=key) as request:
            if request is not None:
                request.size = len(body)
            self._memory.objects[key] = StoredObject(key, memoryview(body), len(body), etag, write_id=etag)
        self.traffic.bytes_written += len(body)
        return etag

    def _counted(self, found: StoredObject) -> StoredObject:
        """Return the object after counting its read from memory as a GET request."""
        self.traffic.gets += 1
        with self.traffic.timed("GET", key=found.key) as request:
            if request is not None:
                request.size = len(found.body)
        self.traffic.bytes_read += len(found.body)
        return found

    def _uncounted(self, key: str) -> StoredObject | None:
        """Return an object, or None if it does not exist, without counting the read as a request.

        The read is a part of a conditional write, and a conditional write to S3 is only one request.
        """
        found = self._memory.objects.get(key)
        return self.below.metered(Traffic(), self.event_loop).find(key) if found is None else found

    def _merged(self, prefix: str, below: Sequence[ListedObject]) -> Sequence[ListedObject]:
        found = {one.key: one for one in below}
        for key, stored in self._memory.objects.items():
            if key.startswith(prefix):
                found[key] = ListedObject(key, stored.etag, stored.size)
        return sorted(found.values())

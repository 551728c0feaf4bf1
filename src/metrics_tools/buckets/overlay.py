"""An overlay: a bucket whose writes stay in memory, in front of another bucket that is only read.

The worker's commit protocol runs on an overlay unchanged and meets the objects of the bucket below: a version
that exists there is taken, and `current` is replaced by the ETag that it has there.
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
    """The objects that were written, by key, and the lock for writing them."""

    objects: dict[str, StoredObject] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)


@dataclass(frozen=True, slots=True)
class Overlay:
    """A `Bucket` in memory over another one, which it never writes to.

    Attributes:
        below: the bucket whose objects are visible unless an object in memory has the same key.
        event_loop: the event loop that makes the requests to the bucket below.
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
        """The counts of the requests, those to the bucket below included."""
        return self.below.traffic

    def metered(self, traffic: Traffic, event_loop: EventLoop | None = None) -> "Overlay":
        """Return the same overlay with other counts, also for the bucket below."""
        return Overlay(self.below.metered(traffic, event_loop), event_loop, self._memory)

    def with_timeout(self, seconds: float) -> "Overlay":
        """Return the same overlay, whose calls to the bucket below fail after this time."""
        return replace(self, below=self.below.with_timeout(seconds))

    def get(self, key: str) -> StoredObject:
        """Read a whole object, from memory or from the bucket below."""
        found = self._memory.objects.get(key)
        return self.below.get(key) if found is None else self._counted(found)

    def find(self, key: str) -> StoredObject | None:
        """Read a whole object, from memory or from the bucket below; return None if it does not exist."""
        found = self._memory.objects.get(key)
        return self.below.find(key) if found is None else self._counted(found)

    def get_many(self, keys: Sequence[str], on_object: OnObject) -> None:
        """Read the last `WHOLE_BYTES` of objects, first of those in memory."""
        objects = self._memory.objects
        for found in [objects[key] for key in keys if key in objects]:
            work = on_object(self._counted(replace(found, body=found.body[-WHOLE_BYTES:])))
            if work is not None:
                work()
        self.below.get_many([key for key in keys if key not in objects], on_object)

    def find_many(self, keys: Sequence[str]) -> dict[str, StoredObject | None]:
        """Read the last `WHOLE_BYTES` of a few objects; return None for each one that does not exist."""
        objects = self._memory.objects
        above = {
            key: self._counted(replace(objects[key], body=objects[key].body[-WHOLE_BYTES:]))
            for key in keys
            if key in objects
        }
        return self.below.find_many([key for key in keys if key not in above]) | above

    def list(self, prefix: str) -> Sequence[ListedObject]:
        """List the objects in memory and in the bucket below, sorted by key."""
        return self._merged(prefix, self.below.list(prefix))

    def list_many(self, prefixes: Sequence[str]) -> dict[str, Sequence[ListedObject]]:
        """List several prefixes, and return the listings by prefix."""
        below = self.below.list_many(prefixes)
        return {prefix: self._merged(prefix, listed) for prefix, listed in below.items()}

    def list_folders(self, prefix: str) -> Sequence[str]:
        """List the folders one level below a prefix, in memory and in the bucket below, sorted."""
        rests = [key.removeprefix(prefix) for key in self._memory.objects if key.startswith(prefix)]
        above = {f"{prefix}{rest.partition('/')[0]}/" for rest in rests if "/" in rest}
        return sorted(above.union(self.below.list_folders(prefix)))

    def get_ranges(self, found: StoredObject, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        """Read parts of an object, from memory or from the bucket below."""
        above = self._memory.objects.get(found.key)
        if above is None:
            return self.below.get_ranges(found, ranges)
        if above.etag != found.etag:
            raise StoreUnavailable(found.key, "GET: the object was replaced while it was read")
        return [self._counted(replace(above, body=above.body[start:end])).body for start, end in ranges]

    def create(self, key: str, body: bytes) -> str:
        """Write an object that must exist neither in memory nor below, and return its ETag."""
        with self._memory.lock:
            if self._uncounted(key) is not None:
                raise ObjectTaken(key, "the object of another writer has this key")
            return self._write(key, body)

    def swap(self, key: str, body: bytes, *, etag: str) -> str:
        """Replace the object that has this ETag, in memory only, and return the new ETag."""
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
        """Count a read from memory as a request."""
        self.traffic.gets += 1
        with self.traffic.timed("GET", key=found.key) as request:
            if request is not None:
                request.size = len(found.body)
        self.traffic.bytes_read += len(found.body)
        return found

    def _uncounted(self, key: str) -> StoredObject | None:
        """Read an object without counting a request: a conditional PUT to S3 is one request, too."""
        found = self._memory.objects.get(key)
        return self.below.metered(Traffic(), self.event_loop).find(key) if found is None else found

    def _merged(self, prefix: str, below: Sequence[ListedObject]) -> Sequence[ListedObject]:
        found = {one.key: one for one in below}
        for key, stored in self._memory.objects.items():
            if key.startswith(prefix):
                found[key] = ListedObject(key, stored.etag, stored.size)
        return sorted(found.values())

"""An overlay: a bucket that keeps written objects in memory and reads all other objects from a second bucket.

The second bucket is called the bucket below, and is never written to. The worker's commit protocol runs on an
overlay without changes. Conditional writes take the objects of the bucket below into account: `create` fails
for a key that exists there, and `swap` compares the ETag of the object there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import override
from uuid import uuid4

from metrics_worker.errors import ObjectTaken, StoreUnavailable
from metrics_worker.observability.traffic import Traffic
from metrics_worker.s3.bucket import WHOLE_BYTES, Bucket, ListedObject, OnObject, StoredObject
from metrics_worker.s3.event_loop import EventLoop

_WHOLE, _TAIL = slice(None), slice(-WHOLE_BYTES, None)


@dataclass(frozen=True, slots=True)
class Overlay(Bucket):
    """A `Bucket` that writes to memory, and reads objects that are not in memory from another bucket.

    Attributes:
        below: the other bucket, which is never written to. An object in memory hides the object with the same
            key in this bucket.
        event_loop: the event loop that makes the requests to the bucket below, and ends them at the deadline
            of the invocation; None for requests without a deadline.
    """

    below: Bucket
    event_loop: EventLoop | None = None
    _objects: dict[str, StoredObject] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    @property
    @override
    def name(self) -> str:
        return self.below.name

    @property
    @override
    def traffic(self) -> Traffic:
        return self.below.traffic

    @override
    def metered(self, traffic: Traffic, event_loop: EventLoop | None = None) -> "Overlay":
        return replace(self, below=self.below.metered(traffic, event_loop), event_loop=event_loop)

    @override
    def with_timeout(self, seconds: float) -> "Overlay":
        return replace(self, below=self.below.with_timeout(seconds))

    @override
    def get(self, key: str) -> StoredObject:
        return self._read(key) if key in self._objects else self.below.get(key)

    @override
    def find(self, key: str) -> StoredObject | None:
        return self._read(key) if key in self._objects else self.below.find(key)

    @override
    def get_many(
        self, keys: Sequence[str], on_object: OnObject, etags: Mapping[str, str] | None = None
    ) -> None:
        for key in keys:
            if key in self._objects and (work := on_object(self._read(key, _TAIL))) is not None:
                work()
        self.below.get_many([key for key in keys if key not in self._objects], on_object, etags)

    @override
    def find_many(self, keys: Sequence[str]) -> dict[str, StoredObject | None]:
        above = {key: self._read(key, _TAIL) for key in keys if key in self._objects}
        return self.below.find_many([key for key in keys if key not in above]) | above

    @override
    def list(self, prefix: str) -> Sequence[ListedObject]:
        return self._merged(prefix, self.below.list(prefix))

    @override
    def list_many(self, prefixes: Sequence[str]) -> dict[str, Sequence[ListedObject]]:
        below = self.below.list_many(prefixes)
        return {prefix: self._merged(prefix, listed) for prefix, listed in below.items()}

    @override
    def list_folders(self, prefix: str) -> Sequence[str]:
        rests = [key.removeprefix(prefix) for key in self._objects if key.startswith(prefix)]
        above = {f"{prefix}{rest.partition('/')[0]}/" for rest in rests if "/" in rest}
        return sorted(above.union(self.below.list_folders(prefix)))

    @override
    def get_ranges(self, found: StoredObject, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        above = self._objects.get(found.key)
        if above is None:
            return self.below.get_ranges(found, ranges)
        if above.etag != found.etag:
            raise StoreUnavailable(found.key, "GET: the object was replaced while it was read")
        return [self._read(found.key, slice(start, end)).body for start, end in ranges]

    @override
    def create(self, key: str, body: bytes) -> str:
        with self._lock:
            if self._uncounted(key) is not None:
                raise ObjectTaken(key, "the object of another writer has this key")
            return self._write(key, body)

    @override
    def swap(self, key: str, body: bytes, *, etag: str) -> str:
        with self._lock:
            found = self._uncounted(key)
            if found is None or found.etag != etag:
                raise ObjectTaken(key, "the object was replaced by another writer, or does not exist")
            return self._write(key, body)

    def _write(self, key: str, body: bytes) -> str:
        etag = uuid4().hex
        self.traffic.puts += 1
        self.traffic.bytes_written += len(body)
        self._record("PUT", key=key, size=len(body))
        self._objects[key] = StoredObject(key, memoryview(body), len(body), etag, write_id=etag)
        return etag

    def _read(self, key: str, part: slice = _WHOLE) -> StoredObject:
        """Return an object that is in memory, with a part of its body, and count one GET request.

        Args:
            key: the key of the object.
            part: the slice of the body, in bytes, that the result contains; by default, the whole body.

        Raises:
            KeyError: the object is not in memory.
        """
        found = self._objects[key]
        body = found.body[part]
        self.traffic.gets += 1
        self.traffic.bytes_read += len(body)
        self._record("GET", key=key, size=len(body))
        return replace(found, body=body)

    def _record(self, operation: str, *, key: str, size: int) -> None:
        with self.traffic.timed(operation, key=key) as request:
            if request is not None:
                request.size = size

    def _uncounted(self, key: str) -> StoredObject | None:
        """Return an object from memory or else from the bucket below, or None if neither contains it.

        The read is not counted as a request: it is a part of a conditional write, and a conditional write to
        S3 is only one request.
        """
        return self._objects.get(key) or self.below.metered(Traffic(), self.event_loop).find(key)

    def _merged(self, prefix: str, below: Sequence[ListedObject]) -> Sequence[ListedObject]:
        found = {one.key: one for one in below}
        for key, stored in self._objects.items():
            if key.startswith(prefix):
                found[key] = ListedObject(key, stored.etag, stored.size)
        return sorted(found.values())

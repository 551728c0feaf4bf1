"""A place to try something out: what is written stays in memory, over a bucket that is only read.

The worker's own commit protocol runs on it unchanged and meets what is published: a version that is taken is
taken, `current` is moved by its ETag. Nothing that is written is seen by anyone else.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from obstore.store import MemoryStore

from metrics_worker.errors import ObjectNotFound, ObjectTaken
from metrics_worker.observability.traffic import Traffic
from metrics_worker.s3.bucket import Bucket, OnObject, StoredObject
from metrics_worker.s3.event_loop import EventLoop

_ABOVE = "above-"
"""Before the ETags of what is written here: a store in memory only counts, so one below may have the same."""


@dataclass(frozen=True, slots=True)
class Overlay(Bucket):
    """A bucket in memory (`store`) over another, which is never written to. Use `over`."""

    below: Bucket = field(kw_only=True)

    @classmethod
    def over(cls, below: Bucket) -> "Overlay":
        """An overlay on which nothing is written yet."""
        return cls(MemoryStore(), below.name, below=below)

    @property
    def written(self) -> Bucket:
        """What was written here, as a bucket. Its requests are counted as this one's."""
        return Bucket(self.store, self.name, self.traffic, self.pause, self.event_loop)

    def metered(self, traffic: Traffic, event_loop: EventLoop | None = None) -> "Overlay":
        """The same with another count, for what is read below as well."""
        below = self.below.metered(traffic, event_loop)
        return Overlay(self.store, self.name, traffic, self.pause, event_loop, below=below)

    def get(self, key: str) -> StoredObject:
        """The whole object, as it was written here or else below.

        Raises:
            ObjectNotFound, AccessDenied, StoreUnavailable.
        """
        return _above(self.written.get(key)) if self._has(key) else self.below.get(key)

    def get_many(self, keys: Sequence[str], on_object: OnObject) -> None:
        """Read objects, each from where it is.

        Raises:
            ObjectNotFound, AccessDenied, StoreUnavailable: of the first key that fails.
        """
        here = set(self._uncounted().list("")).intersection(keys)
        self.written.get_many([key for key in keys if key in here], lambda found: on_object(_above(found)))
        self.below.get_many([key for key in keys if key not in here], on_object)

    def find_many(self, keys: Sequence[str]) -> dict[str, StoredObject | None]:
        """A few small objects; None for each that is not there."""
        here = {key: found and _above(found) for key, found in self._uncounted().find_many(keys).items()}
        return here | self.below.find_many([key for key in keys if here[key] is None])

    def list(self, prefix: str) -> list[str]:
        """The keys under a prefix, from both.

        Raises:
            AccessDenied, StoreUnavailable.
        """
        return sorted({*self._uncounted().list(prefix), *self.below.list(prefix)})

    def get_ranges(self, found: StoredObject, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        """Read parts of an object that was found, each from its start to its end (exclusive).

        Raises:
            ObjectNotFound, AccessDenied, StoreUnavailable.
        """
        if found.etag.startswith(_ABOVE):
            return self.written.get_ranges(replace(found, etag=_own(found.etag)), ranges)
        return self.below.get_ranges(found, ranges)

    def create(self, key: str, body: bytes) -> str:
        """Write an object that must not exist yet, here or below; its ETag.

        Raises:
            ObjectTaken: there is one.
            AccessDenied, StoreUnavailable: of the look below.
        """
        if self._below_uncounted().find(key) is not None:
            raise ObjectTaken(key, "another writer's object stands there")
        return _ABOVE + self.written.create(key, body)

    def swap(self, key: str, body: bytes, etag: str) -> str:
        """Replace the object that has this ETag; the new ETag.

        Raises:
            ObjectTaken: it has another ETag by now, or is gone.
            AccessDenied, StoreUnavailable: of the look below.
        """
        if etag.startswith(_ABOVE):
            return _ABOVE + self.written.swap(key, body, _own(etag))
        found = self._below_uncounted().find(key)
        if self._has(key) or found is None or found.etag != etag:
            raise ObjectTaken(key, "another writer's object stands there, or none")
        return _ABOVE + self.written.create(key, body)

    def _has(self, key: str) -> bool:
        with suppress(ObjectNotFound):
            self._uncounted().get(key)
            return True
        return False

    def _uncounted(self) -> Bucket:
        """What was written, looked at without counting: on the bucket itself it would be no request."""
        return self.written.metered(Traffic(), self.event_loop)

    def _below_uncounted(self) -> Bucket:
        return self.below.metered(Traffic(), self.event_loop)


def _above(found: StoredObject) -> StoredObject:
    return replace(found, etag=_ABOVE + found.etag)


def _own(etag: str) -> str:
    return etag.removeprefix(_ABOVE)

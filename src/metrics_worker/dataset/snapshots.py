"""The snapshots that an invocation reads and writes.

Before the part files of a series are read, `load` reads its snapshot and lists its part files, at the same
time. The rows of a part file that has the same ETag and size as in the snapshot are taken from the snapshot.
After a run's outcome is published, `save` writes the snapshots of its series that are worth a write.

A snapshot is a cache. If a snapshot or the listing cannot be used, the part files are read instead.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import compress
from posixpath import commonpath
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from metrics_worker.dataset.snapshot import (
    EMPTY,
    Snapshot,
    Subject,
    UnusableSnapshot,
    decode,
    encode,
    plain_etag,
    unchanged,
)
from metrics_worker.errors import (
    InputReadError,
    MetricsWorkerError,
    ObjectTaken,
    OutOfMemory,
    OutputWriteError,
    StoreRefusal,
    StoreUnavailable,
)
from metrics_worker.publication import records

if TYPE_CHECKING:
    from metrics_worker.dataset.choice import Source
    from metrics_worker.limits import Claim, Memory
    from metrics_worker.s3.bucket import Bucket, ListedObject, StoredObject

MIN_PART_FILES = 32
"""A snapshot is used for series with this many part files for each page of the listing (decision 0011)."""
MIN_CHANGED = 2
"""A snapshot is written again only after this many new or changed part files.

A single one is usually the part file of the current month, which is replaced at every update anyway.
"""
KEYS_PER_PAGE = 1000  # the maximum number of keys in one response to a LIST request
MAX_BYTES = 64 * 1024 * 1024  # the largest snapshot that is read or written: about 4 million rows
READ_SECONDS = 3.0  # after this time, the part files are read without the snapshot
WRITE_SECONDS = 5.0  # after this time, a write fails
_WRITES = 8  # the maximum number of concurrent writes
_RANGE_BYTES = 8 * 1024 * 1024  # the maximum size of one range request for a large snapshot
_WRITTEN_ROW_BYTES = 3 * 16  # reserved for each row of a snapshot that is written: three copies
_CLAIMED_BYTES = 100  # reserved for each row that is read, as for a row of a part file

type Identities = Mapping[str, tuple[str, int]]
"""The ETags and sizes of part files by key."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The snapshot of a series in S3, and the part files whose rows are taken from it.

    Attributes:
        key: the key of the snapshot.
        subject: the identity of the series in the snapshot.
        etag: the ETag of the object at the key; None if there is no object.
        snapshot: the snapshot; empty if there is no snapshot, or it cannot be used.
        unchanged: the keys of the part files whose rows are taken from the snapshot.
        listed: the ETag and the size of each object in the series' folder, by key.
    """

    key: str
    subject: Subject
    etag: str | None
    snapshot: Snapshot = EMPTY
    unchanged: frozenset[str] = frozenset()
    listed: Identities = field(default_factory=dict)


class _Pending(NamedTuple):
    stored: Stored
    snapshot: Snapshot


@dataclass(slots=True)
class Saved:
    """The result of writing snapshots.

    Attributes:
        written: the number of snapshots that were written.
        failed: the number of snapshots that could not be written.
        problem: the text of the first error; "" without errors.
    """

    written: int = 0
    failed: int = 0
    problem: str = ""


@dataclass(slots=True)
class Snapshots:
    """The snapshots of one invocation. The snapshot of a series is written at most once.

    Attributes:
        metrics_prefix: the key prefix of all metrics and snapshots.
        memory: the memory of the invocation, in which bytes are reserved for the encoding of snapshots.
    """

    metrics_prefix: str
    memory: "Memory"
    _pending: dict[Subject, _Pending] = field(default_factory=dict)
    _written: set[Subject] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def load(
        self,
        choose: "Callable[[], list[Source]]",
        bucket: "Bucket",
        claim: "Claim",
        *,
        listed: Iterable[tuple[str, str]] = (),
    ) -> "tuple[list[Source], list[Stored | None]]":
        """Return the part files of several series, and for each its snapshot, or None if none was looked up.

        Args:
            choose: a function that returns the part files of the series.
            bucket: the bucket that contains the part files and the snapshots.
            claim: the claim in which the memory for the snapshots is reserved.
            listed: the series whose part files `choose` lists in S3, as (key prefix of the dataset's part
                files, series code). Their snapshots are read while `choose` runs.

        Raises:
            OutOfTime: the invocation's time is used up.
            Exception: an exception of `choose`.
        """
        quick = bucket.with_timeout(READ_SECONDS)
        keys = [self._key(projections, code) for projections, code in listed]
        sources = [] if keys else choose()
        keys = keys or [self._key(*_series(source)) for source in sources if is_worthwhile(source)]
        if not keys:
            return sources, [None] * len(sources)
        with ThreadPoolExecutor(1, "snapshots") as thread:
            finding = thread.submit(_find, keys, quick)
            sources = sources or choose()
            used = [is_worthwhile(source) for source in sources]
            listings = _list({folder_of(source) for source in compress(sources, used)} - {""}, quick)
            lookup = _Lookup(quick, claim, listings, finding.result())
        return sources, [
            lookup.stored(source, self._key(*_series(source))) if is_used else None
            for source, is_used in zip(sources, used, strict=True)
        ]

    def keep(self, stored: Stored, snapshot: Snapshot) -> None:
        """Keep a new snapshot for `save`, if at least `MIN_CHANGED` part files are new or have changed.

        Args:
            stored: the snapshot in S3.
            snapshot: the new snapshot, with the rows of all part files.
        """
        changed = sum(key not in stored.unchanged for key in snapshot.files.keys)
        if changed >= MIN_CHANGED:
            with self._lock:
                if stored.subject not in self._written:
                    self._pending[stored.subject] = _Pending(stored, snapshot)

    def save(self, subjects: Iterable[Subject], bucket: "Bucket") -> Saved:
        """Write the kept snapshots of these series, and return the numbers of written and failed snapshots.

        If another worker has replaced a snapshot since this worker read it, the replacement remains.
        """
        with self._lock:
            pending = [self._pending.pop(each) for each in subjects if each in self._pending]
            self._written |= {each.stored.subject for each in pending}
        saved = Saved()
        if pending:
            write = partial(_write, bucket=bucket.with_timeout(WRITE_SECONDS), memory=self.memory)
            with ThreadPoolExecutor(min(_WRITES, len(pending)), "snapshots") as threads:
                for error in threads.map(write, pending):
                    saved.written += error is None
                    saved.failed += error is not None and not isinstance(error, ObjectTaken)
                    saved.problem = saved.problem or (str(error) if saved.failed else "")
        return saved

    def _key(self, projections: str, code: str) -> str:
        return records.snapshot(self.metrics_prefix, projections=projections, code=code)


@dataclass(frozen=True, slots=True)
class _Lookup:
    """The responses of S3 to a lookup of snapshots: the snapshots, and the listings of the part files.

    Attributes:
        bucket: the bucket from which the rest of a large snapshot is read.
        claim: the claim in which the memory for the snapshots is reserved.
        listings: the ETags and sizes of part files, by folder.
        found: the objects of the snapshots by key; None for each key without an object.
    """

    bucket: "Bucket"
    claim: "Claim"
    listings: Mapping[str, Identities]
    found: "Mapping[str, StoredObject | None]"

    def stored(self, source: "Source", key: str) -> Stored | None:
        """Return a series' snapshot at the key; None if S3 failed to return it or to list the part files."""
        here = source.listed
        identities = self.listings.get(folder_of(source)) if here is None else _identities(here)
        if identities is None or key not in self.found:
            return None
        subject, found = Subject(*_series(source), by_path=source.by_path), self.found[key]
        stored = Stored(key, subject, found.etag if found else None, listed=identities)
        if found is None or found.size > MAX_BYTES:
            return stored
        claimed = self.claim.taken
        try:
            snapshot = decode(self._whole(found), subject)
            same = unchanged(snapshot, identities)
            useful = sum(compress(snapshot.files.rows, (each in same for each in snapshot.files.keys)))
            if 2 * useful >= len(snapshot.times):
                self.claim.take(useful * _CLAIMED_BYTES, key, InputReadError)
                return replace(stored, snapshot=snapshot, unchanged=same)
        except (StoreRefusal, StoreUnavailable, UnusableSnapshot, InputReadError, OutOfMemory):
            pass
        self.claim.release(self.claim.taken - claimed)
        return stored

    def _whole(self, found: "StoredObject") -> memoryview:
        """Return the whole body of a snapshot. If only its last bytes were read, read its other bytes now."""
        missing = found.size - len(found.body)
        if not missing:
            return found.body
        self.claim.take(2 * found.size, found.key, InputReadError)
        ranges = [(n, min(missing, n + _RANGE_BYTES)) for n in range(0, missing, _RANGE_BYTES)]
        return memoryview(b"".join([*self.bucket.get_ranges(found, ranges), found.body]))


def _series(source: "Source") -> tuple[str, str]:
    return source.manifest.dataset.projections_prefix, source.code


def is_worthwhile(source: "Source") -> bool:
    """Return whether a series has enough part files, without duplicate keys, for a snapshot to save time."""
    fewest = MIN_PART_FILES * max(pages_of(source), 1)
    return len(source.keys) >= fewest and len(set(source.keys)) == len(source.keys)


def pages_of(source: "Source") -> int:
    """Return the number of LIST requests that a snapshot needs; 0 if the part files are listed already."""
    if source.listed is not None or not source.keys:
        return 0
    has_others = folder_of(source) == source.manifest.dataset.projections_prefix
    return 1 + len(source.manifest.files if has_others else source.keys) // KEYS_PER_PAGE


def folder_of(source: "Source") -> str:
    """Return the lowest folder that contains all part files of a series; "" if they were listed already."""
    if source.listed is not None:
        return ""
    return commonpath(key.rpartition("/")[0] for key in (min(source.keys), max(source.keys))) + "/"


def _find(keys: Sequence[str], bucket: "Bucket") -> "Mapping[str, StoredObject | None]":
    """Return the objects of snapshots by key (None if there is no object); an empty mapping if S3 fails."""
    with suppress(StoreRefusal, StoreUnavailable):
        return bucket.find_many(keys) if keys else {}
    return {}


def _list(folders: Iterable[str], bucket: "Bucket") -> Mapping[str, Identities]:
    """Return, by folder, the ETags and sizes of its objects by key; no folders if any request to S3 fails."""
    with suppress(StoreRefusal, StoreUnavailable):
        listed = bucket.list_many(list(folders)) if folders else {}
        return {folder: _identities(found) for folder, found in listed.items()}
    return {}


def _identities(listed: "Iterable[ListedObject]") -> Identities:
    return {key: (plain_etag(etag), size) for key, etag, size in listed}


def _write(pending: _Pending, bucket: "Bucket", memory: "Memory") -> MetricsWorkerError | None:
    """Write a snapshot of at most `MAX_BYTES`; skip a larger one. Return the error if the write fails."""
    key, etag = pending.stored.key, pending.stored.etag
    try:
        with memory.claim() as claim:
            claim.take(_WRITTEN_ROW_BYTES * len(pending.snapshot.times), key, OutputWriteError)
            body = encode(pending.snapshot, pending.stored.subject)
            if len(body) <= MAX_BYTES:
                bucket.create(key, body) if etag is None else bucket.swap(key, body, etag=etag)
    except MetricsWorkerError as error:
        return error
    return None

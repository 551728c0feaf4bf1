"""A plain folder as a bucket: the key of an object is the path of a file relative to the folder.

obstore reads the files. This module writes the files, because obstore cannot replace a file on the condition
that its ETag is unchanged. Several threads and processes can publish into one folder at the same time. An
object is created by a hard link, which the operating system makes only if the name is free. An object is
replaced under a lock, which the operating system releases when the process ends. Readers see only whole
files, because a file gets its final name when it is complete. Changes by other programs are not under the
lock.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import obstore
from obstore.store import LocalStore

from metrics_worker.errors import AccessDenied, ObjectNotFound, ObjectTaken, StoreUnavailable
from metrics_worker.names import is_key
from metrics_worker.observability.traffic import Traffic
from metrics_worker.s3.bucket import ListedObject, OnObject, StoredObject
from metrics_worker.s3.event_loop import EventLoop
from metrics_worker.s3.s3_bucket import S3Bucket

PRIVATE = ".metrics/"
"""The key prefix of the lock and of incomplete files, which are not objects of the bucket."""
_POLL_SECONDS = 0.01
"""The seconds between two attempts of a process to take the lock."""


class FolderBucket:
    """A `Bucket` whose objects are the files in a folder. Only `create` and `swap` write into the folder.

    Args:
        root: the folder, which must exist.
        name: the bucket's name.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self._files = S3Bucket(LocalStore(root), name)

    @property
    def name(self) -> str:
        """The bucket's name."""
        return self._files.name

    @property
    def traffic(self) -> Traffic:
        """The counts of reads and writes, each counted like a request to S3."""
        return self._files.traffic

    def metered(self, traffic: Traffic, event_loop: EventLoop | None = None) -> "FolderBucket":
        """Return an object for the same folder that counts its reads and writes in `traffic`.

        `event_loop` makes the reads of the new object; with None, reads have no deadline.
        """
        bucket = FolderBucket(self.root, self.name)
        bucket._files = self._files.metered(traffic, event_loop)
        return bucket

    def with_timeout(self, seconds: float) -> "FolderBucket":  # noqa: ARG002 - the system answers at once
        """Return this bucket."""
        return self

    def get(self, key: str) -> StoredObject:
        """Return a whole object. Its write id is its ETag, because each write creates a new ETag."""
        with _file_errors():
            found = self._files.get(self._checked(key))
        return replace(found, write_id=found.etag)

    def find(self, key: str) -> StoredObject | None:
        """Return a whole object; None if no object has the key."""
        try:
            return self.get(key)
        except ObjectNotFound:
            return None

    def get_many(self, keys: Sequence[str], on_object: OnObject) -> None:
        """Read the last `WHOLE_BYTES` of each object concurrently, and pass each object to `on_object`."""
        with _file_errors():
            self._files.get_many([self._checked(key) for key in keys], on_object)

    def find_many(self, keys: Sequence[str]) -> dict[str, StoredObject | None]:
        """Return several whole objects by key; None for each key without an object."""
        return {key: self.find(key) for key in keys}

    def list(self, prefix: str) -> Sequence[ListedObject]:
        """Return the objects whose keys begin with a prefix, sorted by key."""
        with _file_errors():
            return [found for found in self._files.list(prefix) if not found.key.startswith(PRIVATE)]

    def list_many(self, prefixes: Sequence[str]) -> dict[str, Sequence[ListedObject]]:
        """Return, for each of several prefixes, the listing that `list` returns."""
        return {prefix: self.list(prefix) for prefix in prefixes}

    def list_folders(self, prefix: str) -> Sequence[str]:
        """Return the folders one level below a prefix, sorted, as whole key prefixes that end in a slash."""
        with _file_errors():
            return [folder for folder in self._files.list_folders(prefix) if folder != PRIVATE]

    def get_ranges(self, found: StoredObject, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        """Return the parts of an object with these (start, end) offsets, in the order of the ranges."""
        with _file_errors():
            return self._files.get_ranges(found, ranges)

    def create(self, key: str, body: bytes) -> str:
        """Write an object that must not exist yet, and return its ETag.

        Raises:
            ObjectTaken: an object with this key exists.
        """
        with self._written(key, body) as (partial, etag):
            try:
                os.link(partial, self._path(key))
            except FileExistsError:
                raise ObjectTaken(key, "the object of another writer has this key") from None
        return etag

    def swap(self, key: str, body: bytes, *, etag: str) -> str:
        """Replace the object that has this ETag, and return the new ETag.

        Raises:
            ObjectTaken: the object has another ETag, or does not exist.
        """
        with self._written(key, body) as (partial, new), self._locked():
            if not self._path(key).is_file() or self._etag(key) != etag:
                raise ObjectTaken(key, "the object was replaced by another writer, or does not exist")
            partial.replace(self._path(key))
        return new

    def _checked(self, key: str) -> str:
        if not is_key(key) or key.startswith(PRIVATE):
            raise AccessDenied(key, "not a key of a file in the folder")
        return key

    def _path(self, key: str) -> Path:
        return self.root / self._checked(key)

    def _etag(self, key: str) -> str:
        return obstore.head(self._files.store, key)["e_tag"] or ""

    @contextmanager
    def _written(self, key: str, body: bytes) -> Iterator[tuple[Path, str]]:
        """Write a temporary file, yield its path and ETag, and remove the file after the context."""
        path, name = self._path(key), f"{PRIVATE}partial/{uuid4().hex}"
        partial = self.root / name
        self.traffic.puts += 1
        with self.traffic.timed("PUT", key=key) as request, _write_errors(key):
            if request is not None:
                request.size = len(body)
            partial.parent.mkdir(parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("xb") as file:
                    file.write(body)
                    file.flush()
                    os.fsync(file.fileno())
                now = time.time_ns()  # the system's own times are coarse: two files could get the same ETag
                os.utime(partial, ns=(now, now))
                yield partial, self._etag(name)
            finally:
                partial.unlink(missing_ok=True)
        self.traffic.bytes_written += len(body)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock of the folder during the context, so that only one `swap` at a time replaces a file.

        The lock excludes other threads and other processes. The operating system releases the lock of a
        process that ends.
        """
        from filelock import FileLock  # noqa: PLC0415 - 55 ms, and only replacing a file needs it

        path = self.root / PRIVATE / "lock"
        # A lock by the existence of a file would remain after its process has ended.
        with FileLock(path, poll_interval=_POLL_SECONDS, fallback_to_soft=False, preserve_lock_file=True):
            yield


@contextmanager
def _file_errors() -> Iterator[None]:
    """Replace the text of each StoreUnavailable in the context ("S3 failed") by the file system's error."""
    try:
        yield
    except StoreUnavailable as error:
        reason = str(error.__cause__ or error.problem).partition("\n")[0]
        raise StoreUnavailable(error.subject, reason) from error


@contextmanager
def _write_errors(key: str) -> Iterator[None]:
    """Translate errors of the file system in the context to the bucket's errors about this key.

    Raises:
        AccessDenied: the user does not have the permission to write the file.
        StoreUnavailable: the file system failed in another way.
    """
    try:
        yield
    except PermissionError as error:
        raise AccessDenied(key, "PUT: access denied") from error
    except OSError as error:
        raise StoreUnavailable(key, f"PUT: {error.strerror or error}") from error

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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import override
from uuid import uuid4

import obstore
from obstore.store import LocalStore

from metrics_worker.errors import AccessDenied, ObjectTaken, StoreUnavailable
from metrics_worker.names import is_key
from metrics_worker.observability.traffic import Traffic
from metrics_worker.s3.bucket import ListedObject, OnObject, StoredObject
from metrics_worker.s3.event_loop import EventLoop
from metrics_worker.s3.s3_bucket import S3Bucket

PRIVATE = ".metrics/"
"""The key prefix of the lock and of incomplete files, which are not objects of the bucket."""
_POLL_SECONDS = 0.01
"""The seconds between two attempts of a process to take the lock."""


class FolderBucket(S3Bucket):
    """A `Bucket` whose objects are the files in a folder. Only `create` and `swap` write into the folder."""

    def __init__(
        self, root: Path, name: str, traffic: Traffic | None = None, event_loop: EventLoop | None = None
    ) -> None:
        super().__init__(LocalStore(root), name, traffic or Traffic(), event_loop=event_loop)

    @property
    def root(self) -> Path:
        """Return the folder, which must exist."""
        assert isinstance(self.store, LocalStore)
        return Path(self.store.prefix or "/")

    @override
    def metered(self, traffic: Traffic, event_loop: EventLoop | None = None) -> "FolderBucket":
        return FolderBucket(self.root, self.name, traffic, event_loop)

    @override
    def with_timeout(self, seconds: float) -> "FolderBucket":
        return self  # the operating system answers at once

    @override
    def get(self, key: str) -> StoredObject:
        with _file_errors():
            found = super().get(self._checked(key))
        return replace(found, write_id=found.etag)  # each write creates a new ETag

    @override
    def get_many(
        self, keys: Sequence[str], on_object: OnObject, etags: Mapping[str, str] | None = None
    ) -> None:
        with _file_errors():
            super().get_many([self._checked(key) for key in keys], on_object, etags)

    @override
    def find_many(self, keys: Sequence[str]) -> dict[str, StoredObject | None]:
        return {key: self.find(key) for key in keys}

    @override
    def list(self, prefix: str) -> Sequence[ListedObject]:
        with _file_errors():
            return [found for found in super().list(prefix) if not found.key.startswith(PRIVATE)]

    @override
    def list_many(self, prefixes: Sequence[str]) -> dict[str, Sequence[ListedObject]]:
        return {prefix: self.list(prefix) for prefix in prefixes}

    @override
    def list_folders(self, prefix: str) -> Sequence[str]:
        with _file_errors():
            return [folder for folder in super().list_folders(prefix) if folder != PRIVATE]

    @override
    def get_ranges(self, found: StoredObject, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        with _file_errors():
            return super().get_ranges(found, ranges)

    @override
    def create(self, key: str, body: bytes) -> str:
        with self._written(key, body) as (partial, etag):
            try:
                os.link(partial, self._path(key))
            except FileExistsError:
                raise ObjectTaken(key, "the object of another writer has this key") from None
        return etag

    @override
    def swap(self, key: str, body: bytes, *, etag: str) -> str:
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
        return obstore.head(self.store, key)["e_tag"] or ""

    @contextmanager
    def _written(self, key: str, body: bytes) -> Iterator[tuple[Path, str]]:
        """Write an object's body to a temporary file, and yield the path and the ETag of the temporary file.

        Within the `with` block, the caller links or moves the file to the path of the object, which keeps the
        ETag. After the block, the temporary file is removed.

        Raises:
            AccessDenied: a file operation of this function or of the block was not permitted.
            StoreUnavailable: another file operation failed.
        """
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
        """Hold the lock of the folder during the `with` block.

        Only one thread of all processes has the lock at a time, so that only one replaces a file.
        """
        from filelock import FileLock  # noqa: PLC0415 - 55 ms, and only replacing a file needs it

        path = self.root / PRIVATE / "lock"
        # A lock by the existence of a file would remain after its process has ended.
        with FileLock(path, poll_interval=_POLL_SECONDS, fallback_to_soft=False, preserve_lock_file=True):
            yield


@contextmanager
def _file_errors() -> Iterator[None]:
    """Replace a StoreUnavailable of the `with` block by one with the text of the file system's error.

    The original text, "S3 failed", would mislead.
    """
    try:
        yield
    except StoreUnavailable as error:
        reason = str(error.__cause__ or error.problem).partition("\n")[0]
        raise StoreUnavailable(error.subject, reason) from error


@contextmanager
def _write_errors(key: str) -> Iterator[None]:
    """Translate an OSError that the `with` block raises to an error of the bucket for this key.

    A PermissionError becomes AccessDenied, and any other OSError becomes StoreUnavailable.
    """
    try:
        yield
    except PermissionError as error:
        raise AccessDenied(key, "PUT: access denied") from error
    except OSError as error:
        raise StoreUnavailable(key, f"PUT: {error.strerror or error}") from error

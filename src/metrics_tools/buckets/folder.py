"""A plain folder as a bucket: files by their keys, and the worker's own commit protocol on them.

What holds between threads and processes that publish side by side: an object is created once (a hard link,
which the system makes or refuses at once), replaced only by who names its ETag (under a lock that ends with
its process), and never seen half written (whole files are linked or renamed into place). A written file is
a new one with a time of its own, so its ETag is no other's: it is its write id too. No answer is ever lost.
Failure is what `Bucket` raises. Whoever edits the files by hand is not asked for the lock.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from obstore.store import LocalStore

from metrics_worker.errors import AccessDenied, ObjectNotFound, ObjectTaken, StoreUnavailable
from metrics_worker.names import is_key
from metrics_worker.observability.traffic import Timed, Traffic
from metrics_worker.s3.bucket import WHOLE_BYTES, Bucket, OnObject, StoredObject
from metrics_worker.s3.event_loop import EventLoop

OWN = ".metrics"
"""The folder's own: the lock, and files that are being written. No key begins so."""
_POLL_SECONDS = 0.01
"""How often a waiting process tries to take the lock."""


@dataclass(frozen=True, slots=True)
class FolderBucket(Bucket):
    """The files under `root`. Use `of`."""

    root: Path = Path()

    @classmethod
    def of(cls, root: Path, name: str) -> "FolderBucket":
        """The bucket in a folder, which is there. Nothing is written before something is published."""
        return cls(LocalStore(root), name, root=root)

    def metered(self, traffic: Traffic, event_loop: EventLoop | None = None) -> "FolderBucket":
        """The same bucket with another count."""
        return FolderBucket(self.store, self.name, traffic, self.pause, event_loop, root=self.root)

    def get(self, key: str) -> StoredObject:
        """The whole object.

        Raises:
            ObjectNotFound, AccessDenied, StoreUnavailable.
        """
        return self._read(key)

    def get_many(self, keys: Sequence[str], on_object: OnObject) -> None:
        """Read objects one after the other, of each its last `WHOLE_BYTES`, and do the work that is returned.

        Raises:
            ObjectNotFound, AccessDenied, StoreUnavailable: of the first key that fails.
        """
        for key in keys:
            work = on_object(self._read(key, last=WHOLE_BYTES))
            if work is not None:
                work()

    def find_many(self, keys: Sequence[str]) -> dict[str, StoredObject | None]:
        """A few small objects; None for each that is not there."""
        return {key: self.find(key) for key in keys}

    def list(self, prefix: str) -> list[str]:
        """The keys under a prefix that ends in a slash, sorted.

        Raises:
            AccessDenied, StoreUnavailable.
        """
        self.traffic.lists += 1
        with self.traffic.timed("LIST", prefix), _refusals(prefix, "LIST"):
            found = [
                Path(folder, name).relative_to(self.root).as_posix()
                for folder, _, names in os.walk(self.root / prefix, onerror=_raise)
                for name in names
            ]
        return sorted(key for key in found if not key.startswith(f"{OWN}/"))

    def get_ranges(self, found: StoredObject, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        """Read parts of an object that was found, each from its start to its end (exclusive).

        Raises:
            ObjectNotFound, AccessDenied.
            StoreUnavailable: also where the object was replaced meanwhile.
        """
        return [self._range(found, start, end) for start, end in ranges]

    def _range(self, found: StoredObject, start: int, end: int) -> memoryview:
        with self._open(found.key) as (file, asked):
            if _etag(os.fstat(file.fileno())) != found.etag:
                raise StoreUnavailable(found.key, "GET: it was replaced meanwhile")
            file.seek(start)
            body = file.read(end - start)
            self._count(body, asked)
        return memoryview(body)

    def create(self, key: str, body: bytes) -> str:
        """Write an object that must not exist yet; its ETag.

        Raises:
            ObjectTaken: there is one.
            AccessDenied, StoreUnavailable.
        """
        with self._written(key, body) as (partial, etag):
            try:
                os.link(partial, self._path(key))
            except FileExistsError:
                raise ObjectTaken(key, "another writer's object stands there") from None
        return etag

    def swap(self, key: str, body: bytes, etag: str) -> str:
        """Replace the object that has this ETag; the new ETag.

        Raises:
            ObjectTaken: it has another ETag by now, or is gone.
            AccessDenied, StoreUnavailable.
        """
        with self._written(key, body) as (partial, new), self._locked():
            found = self.find(key)
            if found is None or found.etag != etag:
                raise ObjectTaken(key, "another writer's object stands there, or none")
            partial.replace(self._path(key))
        return new

    def _path(self, key: str) -> Path:
        if not is_key(key) or key.startswith(f"{OWN}/"):
            raise AccessDenied(key, "no key of a folder's file")
        return self.root / key

    @contextmanager
    def _open(self, key: str) -> Iterator[tuple[BinaryIO, Timed | None]]:
        self.traffic.gets += 1
        with (
            self.traffic.timed("GET", key) as asked,
            _refusals(key, "GET"),
            self._path(key).open("rb") as file,
        ):
            yield file, asked

    def _count(self, body: bytes, asked: Timed | None) -> None:
        self.traffic.bytes_read += len(body)
        if asked is not None:
            asked.size = len(body)

    def _read(self, key: str, last: int | None = None) -> StoredObject:
        with self._open(key) as (file, asked):
            status = os.fstat(file.fileno())
            size, etag = status.st_size, _etag(status)
            file.seek(max(0, size - last) if last is not None else 0)
            body = file.read()
            self._count(body, asked)
        return StoredObject(key, memoryview(body), size, etag, write_id=etag)

    @contextmanager
    def _written(self, key: str, body: bytes) -> Iterator[tuple[Path, str]]:
        """A whole file, not yet in its place, and its ETag; gone at the end, unless it was moved."""
        path, partial = self._path(key), self.root / OWN / "partial" / uuid4().hex
        self.traffic.puts += 1
        with self.traffic.timed("PUT", key) as asked, _refusals(key, "PUT"):
            if asked is not None:
                asked.size = len(body)
            partial.parent.mkdir(parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("xb") as file:
                    file.write(body)
                    file.flush()
                    os.fsync(file.fileno())
                now = time.time_ns()  # the system's own times are coarse: two files may share one
                os.utime(partial, ns=(now, now))
                yield partial, _etag(partial.stat())
            finally:
                partial.unlink(missing_ok=True)
        self.traffic.bytes_written += len(body)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Exclude all others that replace a file. The system ends the lock of a process that dies."""
        from filelock import FileLock  # noqa: PLC0415 - 55 ms, and for replacing alone

        path = self.root / OWN / "lock"
        # A marker file in place of the system's lock would outlive its process.
        with FileLock(path, poll_interval=_POLL_SECONDS, fallback_to_soft=False, preserve_lock_file=True):
            yield


def _etag(found: os.stat_result) -> str:
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


@contextmanager
def _refusals(key: str, operation: str) -> Iterator[None]:
    """Turn the system's errors into those of a bucket."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        if operation == "PUT":
            raise StoreUnavailable(key, f"{operation}: {error.strerror}") from error
        raise ObjectNotFound(key, f"{operation}: there is no such object") from error
    except PermissionError as error:
        raise AccessDenied(key, f"{operation}: access denied") from error
    except OSError as error:
        raise StoreUnavailable(key, f"{operation}: {error.strerror or error}") from error

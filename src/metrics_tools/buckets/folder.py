"""A plain folder as a bucket: each object is a file at the path that is its key.

Threads and processes can publish into one folder at the same time. An object is created by a hard link, which
the system makes only if the name is free. An object is replaced under a lock, by a writer that names its
ETag; the lock ends with its process. A reader sees whole files only, because files are linked or renamed when
they are complete. Each write makes a new file with its own modification time, so the ETag is unique and
serves as the write id. Programs that change files without this class do not take the lock.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from metrics_worker.errors import AccessDenied, ObjectNotFound, ObjectTaken, StoreUnavailable
from metrics_worker.names import is_key
from metrics_worker.observability.traffic import Timed, Traffic
from metrics_worker.s3.bucket import WHOLE_BYTES, ListedObject, OnObject, StoredObject
from metrics_worker.s3.event_loop import EventLoop

PRIVATE = ".metrics"
"""The subfolder with the lock and with the files that are being written. No key begins with this name."""
_POLL_SECONDS = 0.01
"""The time between two attempts of a process to take the lock."""


@dataclass(frozen=True, slots=True)
class FolderBucket:
    """A `Bucket` of the files in a folder that exists. Only `create` and `swap` write into the folder.

    Attributes:
        root: the folder.
        name: the bucket's name.
        traffic: the counts of the reads and writes.
    """

    root: Path
    name: str
    traffic: Traffic = field(default_factory=Traffic)

    def metered(self, traffic: Traffic, event_loop: EventLoop | None = None) -> "FolderBucket":  # noqa: ARG002 - files need no event loop
        """Return the same bucket with other counts."""
        return FolderBucket(self.root, self.name, traffic)

    def get(self, key: str) -> StoredObject:
        """Read a whole object."""
        return self._read(key)

    def find(self, key: str) -> StoredObject | None:
        """Read a whole object; return None if it does not exist."""
        try:
            return self._read(key)
        except ObjectNotFound:
            return None

    def get_many(self, keys: Sequence[str], on_object: OnObject) -> None:
        """Read the last `WHOLE_BYTES` of objects, one after the other, and do the returned work at once."""
        for key in keys:
            work = on_object(self._read(key, last=WHOLE_BYTES))
            if work is not None:
                work()

    def find_many(self, keys: Sequence[str]) -> dict[str, StoredObject | None]:
        """Read a few small objects; return None for each one that does not exist."""
        return {key: self.find(key) for key in keys}

    def list(self, prefix: str) -> Sequence[ListedObject]:
        """List the objects whose keys begin with a prefix, sorted by key."""
        self.traffic.lists += 1
        with self.traffic.timed("LIST", prefix), _refusals(prefix, "LIST"):
            paths = (
                Path(folder, name)
                for folder, _, names in os.walk(self.root / prefix, onerror=_raise)
                for name in names
            )
            found = [self._listed(path) for path in paths]
        return sorted(one for one in found if not one.key.startswith(f"{PRIVATE}/"))

    def list_many(self, prefixes: Sequence[str]) -> dict[str, Sequence[ListedObject]]:
        """List several prefixes one after the other, and return the listings by prefix."""
        return {prefix: self.list(prefix) for prefix in prefixes}

    def list_folders(self, prefix: str) -> Sequence[str]:
        """List the subfolders of a folder that hold any file, sorted."""
        self.traffic.lists += 1
        with self.traffic.timed("LIST", prefix), _refusals(prefix, "LIST"):
            _, folders, _ = next(os.walk(self.root / prefix, onerror=_raise), ("", [], []))
            held = [
                name for name in folders if any(names for _, _, names in os.walk(self.root / prefix / name))
            ]
        return sorted(f"{prefix}{name}/" for name in held if f"{prefix}{name}" != PRIVATE)

    def get_ranges(self, found: StoredObject, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        """Read parts of an object, one after the other."""
        return [self._range(found, part) for part in ranges]

    def create(self, key: str, body: bytes) -> str:
        """Write an object that must not exist yet, and return its ETag."""
        with self._written(key, body) as (partial, etag):
            try:
                os.link(partial, self._path(key))
            except FileExistsError:
                raise ObjectTaken(key, "the object of another writer has this key") from None
        return etag

    def swap(self, key: str, body: bytes, etag: str) -> str:
        """Replace the object that has this ETag, and return the new ETag."""
        with self._written(key, body) as (partial, new), self._locked():
            path = self._path(key)
            if not path.is_file() or _etag(path.stat()) != etag:
                raise ObjectTaken(key, "the object was replaced by another writer, or does not exist")
            partial.replace(path)
        return new

    def _path(self, key: str) -> Path:
        if not is_key(key) or key.startswith(f"{PRIVATE}/"):
            raise AccessDenied(key, "not a key of a file in the folder")
        return self.root / key

    def _listed(self, path: Path) -> ListedObject:
        status = path.stat()
        return ListedObject(path.relative_to(self.root).as_posix(), _etag(status), status.st_size)

    def _range(self, found: StoredObject, part: tuple[int, int]) -> memoryview:
        start, end = part
        with self._open(found.key) as (file, request):
            if _etag(os.fstat(file.fileno())) != found.etag:
                raise StoreUnavailable(found.key, "GET: the object was replaced while it was read")
            file.seek(start)
            return self._counted(file.read(end - start), request)

    def _read(self, key: str, last: int | None = None) -> StoredObject:
        with self._open(key) as (file, request):
            status = os.fstat(file.fileno())
            size, etag = status.st_size, _etag(status)
            file.seek(max(0, size - last) if last is not None else 0)
            body = self._counted(file.read(), request)
        return StoredObject(key, body, size, etag, write_id=etag)

    @contextmanager
    def _open(self, key: str) -> Iterator[tuple[BinaryIO, Timed | None]]:
        self.traffic.gets += 1
        with (
            self.traffic.timed("GET", key) as request,
            _refusals(key, "GET"),
            self._path(key).open("rb") as file,
        ):
            yield file, request

    def _counted(self, body: bytes, request: Timed | None) -> memoryview:
        self.traffic.bytes_read += len(body)
        if request is not None:
            request.size = len(body)
        return memoryview(body)

    @contextmanager
    def _written(self, key: str, body: bytes) -> Iterator[tuple[Path, str]]:
        """Write a temporary file, yield its path and ETag, and remove the file unless it was moved."""
        path, partial = self._path(key), self.root / PRIVATE / "partial" / uuid4().hex
        self.traffic.puts += 1
        with self.traffic.timed("PUT", key) as request, _refusals(key, "PUT"):
            if request is not None:
                request.size = len(body)
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
        from filelock import FileLock  # noqa: PLC0415 - 55 ms, and only replacing a file needs it

        path = self.root / PRIVATE / "lock"
        # A marker file instead of the system's lock would outlive its process.
        with FileLock(path, poll_interval=_POLL_SECONDS, fallback_to_soft=False, preserve_lock_file=True):
            yield


def _etag(found: os.stat_result) -> str:
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


@contextmanager
def _refusals(key: str, operation: str) -> Iterator[None]:
    """Turn errors of the file system into the errors of a bucket."""
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

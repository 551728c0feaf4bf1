"""A bucket on S3, or on any other store of obstore, such as one in memory.

The response to a conditional write can be lost after the write took effect. If the client sent such a write
again, S3 would refuse it, because the object of the first try exists. Therefore each conditional write stores
a random write id in the object's metadata; after a refusal, the write id of the stored object shows whether
the write took effect.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self
from uuid import uuid4

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from metrics_worker.errors import ObjectNotFound, ObjectTaken, StoreUnavailable, without_traceback
from metrics_worker.observability.traffic import Traffic
from metrics_worker.s3.bucket import WHOLE_BYTES, ListedObject, OnObject, StoredObject
from metrics_worker.s3.connection import connect
from metrics_worker.s3.credentials import Credentials
from metrics_worker.s3.errors import lacks_range, refusals
from metrics_worker.s3.event_loop import CONNECTIONS, EventLoop, Reader, in_thread, run_concurrently, wait_for
from metrics_worker.s3.listing import objects_below

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta, PutMode
    from obstore.store import ObjectStore

CONDITIONAL_TRIES = 3
"""The number of times that a conditional write is sent, if it stays unknown whether it took effect."""
_KEYS_PER_PAGE = 1000
"""The number of keys that S3 lists in one request."""
_WRITE_ID = "write-id"


@dataclass(frozen=True, slots=True)
class S3Bucket:
    """A `Bucket` on a store of obstore.

    Attributes:
        store: the obstore client.
        name: the bucket's name.
        traffic: the counts of the requests.
        pause: a function that waits for a number of seconds, between two tries of a conditional write.
        event_loop: the event loop that makes the requests; None for a new event loop in each call.
        timeout: the seconds after which a call fails; None for no limit but the deadline.
    """

    store: "ObjectStore"
    name: str
    traffic: Traffic = field(default_factory=Traffic)
    pause: Callable[[float], None] = time.sleep
    event_loop: EventLoop | None = None
    timeout: float | None = None

    @classmethod
    def connect(
        cls, name: str, *, region: str, endpoint_url: str | None, credentials: Credentials | None = None
    ) -> Self:
        """Return a bucket on S3; the arguments are those of `connection.connect`. No request is made yet."""
        return cls(connect(name, region=region, endpoint_url=endpoint_url, credentials=credentials), name)

    def metered(self, traffic: Traffic, event_loop: EventLoop | None = None) -> "S3Bucket":
        """Return an object for the same bucket that counts its requests in `traffic`.

        `event_loop` makes the requests of the new object; with None, requests have no deadline.
        """
        return S3Bucket(self.store, self.name, traffic, self.pause, event_loop)

    def with_timeout(self, seconds: float) -> "S3Bucket":
        """Return the same bucket with a time limit: calls raise StoreUnavailable after this many seconds."""
        return replace(self, timeout=seconds)

    def get(self, key: str) -> StoredObject:
        """Read a whole object."""
        return wait_for(self._fetch(key), self.event_loop, self.timeout)

    def find(self, key: str) -> StoredObject | None:
        """Read a whole object; return None if it does not exist."""
        try:
            return self.get(key)
        except ObjectNotFound:
            return None

    def get_many(
        self, keys: Sequence[str], on_object: OnObject, etags: Mapping[str, str] | None = None
    ) -> None:
        """Read the last `WHOLE_BYTES` of each object concurrently, and pass each object to `on_object`.

        The thread of the event loop calls `on_object`. If `on_object` returns a function, a thread of a pool
        calls that function. `get_many` returns when all these calls have ended.
        """
        waiting, expected = iter(keys), etags or {}

        async def read_on(limit: asyncio.Semaphore) -> None:
            for key in waiting:
                async with limit:
                    work = on_object(await self._tail(key, etag=expected.get(key, "")))
                if work is not None:
                    await in_thread(work)

        run_concurrently([read_on] * min(CONNECTIONS, len(keys)), self.event_loop, self.timeout)

    def find_many(self, keys: Sequence[str]) -> dict[str, StoredObject | None]:
        """Return the last `WHOLE_BYTES` of several objects by key; None for each key without an object."""
        found: dict[str, StoredObject | None] = dict.fromkeys(keys)
        waiting = iter(keys)

        async def read_on(_: asyncio.Semaphore) -> None:  # a few bytes do not wait for part files
            for key in waiting:
                with suppress(ObjectNotFound):
                    found[key] = await self._tail(key)

        run_concurrently([read_on] * min(CONNECTIONS, len(keys)), self.event_loop, self.timeout)
        return found

    def list(self, prefix: str) -> Sequence[ListedObject]:
        """List the objects whose keys begin with a prefix, sorted by key."""
        return objects_below(prefix, wait_for(self._list(prefix), self.event_loop, self.timeout))

    def list_many(self, prefixes: Sequence[str]) -> dict[str, Sequence[ListedObject]]:
        """List several prefixes concurrently, and return the listings by prefix."""
        found: dict[str, Sequence[ObjectMeta]] = dict.fromkeys(prefixes, ())

        def list_one(prefix: str) -> Reader:
            async def read(limit: asyncio.Semaphore) -> None:
                async with limit:
                    found[prefix] = await self._list(prefix)

            return read

        run_concurrently([list_one(prefix) for prefix in found], self.event_loop, self.timeout)
        return {prefix: objects_below(prefix, listed) for prefix, listed in found.items()}

    def list_folders(self, prefix: str) -> Sequence[str]:
        """List the folders one level below a prefix, sorted."""

        async def read() -> "Sequence[str]":
            with self.traffic.timed("LIST", key=prefix), refusals(prefix, operation="LIST"):
                found = await obstore.list_with_delimiter_async(self.store, prefix)
            folders = found["common_prefixes"]
            self.traffic.lists += 1 + (len(folders) + len(found["objects"])) // _KEYS_PER_PAGE
            return folders

        return sorted(
            f"{folder.removesuffix('/')}/" for folder in wait_for(read(), self.event_loop, self.timeout)
        )

    def get_ranges(self, found: StoredObject, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        """Read parts of an object concurrently, and return them in the order of the ranges."""
        parts = [memoryview(b"")] * len(ranges)

        def read(at: int, part: tuple[int, int]) -> Reader:
            async def fetch(limit: asyncio.Semaphore) -> None:
                async with limit:
                    options: GetOptions = {"range": part, "if_match": found.etag}
                    parts[at] = (await self._fetch(found.key, options)).body

            return fetch

        run_concurrently([read(at, part) for at, part in enumerate(ranges)], self.event_loop, self.timeout)
        return parts

    def create(self, key: str, body: bytes) -> str:
        """Write an object that must not exist yet (`If-None-Match: *`), and return its ETag."""
        return self._put(key, body, "create")

    def swap(self, key: str, body: bytes, *, etag: str) -> str:
        """Replace the object that has this ETag (`If-Match`), and return the new ETag."""
        return self._put(key, body, {"e_tag": etag})

    def _put(self, key: str, body: bytes, mode: "PutMode") -> str:
        """Send a conditional PUT until it is known whether it took effect, and return the object's ETag.

        The PUT is sent at most `CONDITIONAL_TRIES` times. All tries have one write id, so it takes effect at
        most once.
        """
        write_id = uuid4().hex
        problem, cause = "", None
        for attempt in range(CONDITIONAL_TRIES):
            if attempt:
                self.pause(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - jitter, not a secret
            try:
                return wait_for(
                    self._send(key, body, mode=mode, write_id=write_id), self.event_loop, self.timeout
                )
            except (AlreadyExistsError, PreconditionError) as refused:
                without_traceback(refused)  # the client keeps its errors until its next request
                found = self.find(key)
                if found is not None and found.write_id == write_id:
                    return found.etag
                if found is not None and (mode == "create" or mode != {"e_tag": found.etag}):
                    raise ObjectTaken(key, "the object of another writer has this key") from None
                if found is None and mode != "create":
                    raise ObjectTaken(key, "the object to be replaced does not exist") from None
                problem = "PUT: conflicting writes"  # 409: nothing was changed, so the next try may succeed
            except StoreUnavailable as error:  # it may have taken effect: the next try would then be refused
                problem, cause = error.problem, error.__cause__
        raise StoreUnavailable(key, f"{problem}, after {CONDITIONAL_TRIES} tries") from cause

    async def _send(self, key: str, body: bytes, *, mode: "PutMode", write_id: str) -> str:
        """Send one conditional PUT, and return the object's ETag."""
        self.traffic.puts += 1
        with self.traffic.timed("PUT", key=key) as request, refusals(key, operation="PUT"):
            written = await obstore.put_async(
                self.store, key, body, mode=mode, attributes={_WRITE_ID: write_id}, use_multipart=False
            )
            if request is not None:
                request.size = len(body)
        self.traffic.bytes_written += len(body)
        return written["e_tag"] or ""

    async def _fetch(self, key: str, options: "GetOptions | None" = None) -> StoredObject:
        """Return an object, or the part of it that the obstore options specify.

        If the connection ends within the body, make a second request, because the client retries only
        requests whose response has not begun.
        """
        for is_last in (False, True):
            self.traffic.gets += 1
            with self.traffic.timed("GET", key=key) as request, refusals(key, operation="GET"):
                result = await obstore.get_async(self.store, key, options=options)
                try:
                    body = memoryview(await result.bytes_async())
                except BaseError:
                    if is_last:
                        raise
                else:
                    if request is not None:
                        request.size = len(body)
                    break
        self.traffic.bytes_read += len(body)
        meta = result.meta
        return StoredObject(key, body, meta["size"], meta["e_tag"] or "", result.attributes.get(_WRITE_ID))

    async def _tail(self, key: str, *, etag: str = "") -> StoredObject:
        """Return the last `WHOLE_BYTES` of an object.

        S3 refuses such a request for an empty object. A HEAD request then confirms that the object is empty.
        S3 also refuses it if the object does not have the given ETag. Then the present object is read.
        """
        options: GetOptions = {"range": {"suffix": WHOLE_BYTES}}
        if etag:
            options["if_match"] = f'"{etag}"'
        try:
            return await self._fetch(key, options)
        except StoreUnavailable as error:
            if etag and isinstance(error.__cause__, PreconditionError):
                return await self._tail(key)
            if not lacks_range(error.__cause__):
                raise
            with self.traffic.timed("HEAD", key=key), refusals(key, operation="HEAD"):
                head = await obstore.head_async(self.store, key)
            if head["size"] > 0:
                raise
            return StoredObject(key, memoryview(b""), 0, "")

    async def _list(self, prefix: str) -> Sequence["ObjectMeta"]:
        """Return the metadata of the objects below a prefix, as obstore returns them."""
        with self.traffic.timed("LIST", key=prefix), refusals(prefix, operation="LIST"):
            found = await obstore.list(self.store, prefix).collect_async()
        self.traffic.lists += 1 + len(found) // _KEYS_PER_PAGE
        return found

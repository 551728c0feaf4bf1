"""The bucket: get, get many, list, create, swap. `Bucket` works on any obstore store, as of S3 or memory.

A conditional write whose answer was lost may have landed, and sent again it meets its own object; so each one
carries a write id in its user metadata, and a refusal is settled by looking. Failure is a `StoreRefusal`
(S3's last word: not found, denied, taken), or a `StoreUnavailable` after bounded retries.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Self
from uuid import uuid4

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from metrics_worker.errors import ObjectNotFound, ObjectTaken, StoreUnavailable, without_traceback
from metrics_worker.observability.traffic import Traffic
from metrics_worker.s3.credentials import Credentials, container_credentials
from metrics_worker.s3.errors import lacks_range, refusals
from metrics_worker.s3.event_loop import CONNECTIONS, EventLoop, Reader, in_thread, side_by_side, wait_for
from metrics_worker.s3.listing import keys_below

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta, PutMode
    from obstore.store import ObjectStore, S3Config

type OnObject = Callable[["StoredObject"], Callable[[], None] | None]
"""Takes an object that was read, and may return work to be done in a thread."""

WHOLE_BYTES = 4 * 1024 * 1024
"""What the one request of a part file asks for, from its end. A smaller file, as most are, comes whole."""
CONDITIONAL_TRIES = 3
WRITE_ID = "write-id"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as it was read: its last bytes (all of them where `len(body) == size`), and its ETag."""

    key: str
    body: memoryview
    size: int
    etag: str
    write_id: str | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket, by plain keys. It holds no state of its own but the count of its traffic."""

    store: "ObjectStore"
    name: str
    traffic: Traffic = field(default_factory=Traffic)
    pause: Callable[[float], None] = time.sleep
    event_loop: EventLoop | None = None

    @classmethod
    def connect(
        cls, name: str, *, region: str, endpoint_url: str | None, credentials: Credentials | None = None
    ) -> Self:
        """A bucket on S3, or at `endpoint_url`; with the environment's credentials where none are given."""
        where: S3Config = {"region": region}
        if endpoint_url is not None:
            where["endpoint"] = endpoint_url
        elif "." not in name:  # AWS prefers the bucket in the host's name, but its certificate covers no dots
            where["virtual_hosted_style_request"] = True
        store = S3Store(
            name,
            config=where,
            credential_provider=credentials or container_credentials(),
            client_options={
                "allow_http": endpoint_url is not None,
                "connect_timeout": timedelta(seconds=3),
                "timeout": timedelta(seconds=10),
            },
            retry_config={
                "max_retries": 4,
                "retry_timeout": timedelta(seconds=15),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=50),
                    "max_backoff": timedelta(seconds=2),
                    "base": 2,
                },
            },
        )
        return cls(store, name)

    def metered(self, traffic: Traffic, event_loop: EventLoop | None = None) -> "Bucket":
        """Return the same bucket with its own count of requests and, optionally, an event loop."""
        return Bucket(self.store, self.name, traffic, self.pause, event_loop)

    def get(self, key: str) -> StoredObject:
        """The whole object.

        Raises:
            ObjectNotFound, AccessDenied, StoreUnavailable.
        """
        return wait_for(self._fetch(key), self.event_loop)

    def find(self, key: str) -> StoredObject | None:
        """The whole object, or None where there is none."""
        try:
            return self.get(key)
        except ObjectNotFound:
            return None

    def get_many(self, keys: Sequence[str], on_object: OnObject) -> None:
        """Read objects concurrently, each by one request for its last `WHOLE_BYTES`.

        Args:
            keys: the objects' keys.
            on_object: called with each object as it arrives, one at a time by the thread of the event loop,
                which
                it must not block. It may return work that takes longer: that runs in a thread of its own.
                What either raises ends the read.

        Raises:
            ObjectNotFound, AccessDenied, StoreUnavailable: of the first key that fails.
        """
        waiting = iter(keys)

        async def read_on(limit: asyncio.Semaphore) -> None:
            for key in waiting:
                async with limit:
                    work = on_object(await self._tail(key))
                if work is not None:
                    await in_thread(work)

        side_by_side([read_on] * min(CONNECTIONS, len(keys)), self.event_loop)

    def find_many(self, keys: Sequence[str]) -> dict[str, StoredObject | None]:
        """A few small objects in the time of one request; None for each that is not there.

        Raises:
            AccessDenied, StoreUnavailable: of the first key that fails.
        """
        found: dict[str, StoredObject | None] = dict.fromkeys(keys)

        def find(key: str) -> Reader:
            async def read(_: asyncio.Semaphore) -> None:  # a few bytes wait for no part files
                with suppress(ObjectNotFound):
                    found[key] = await self._fetch(key)

            return read

        side_by_side([find(key) for key in keys], self.event_loop)
        return found

    def list(self, prefix: str) -> list[str]:
        """Return the sorted keys below a prefix that ends in a slash.

        Raises:
            UnusableKey, AccessDenied, StoreUnavailable.
        """

        async def collect() -> Sequence["ObjectMeta"]:
            with self.traffic.timed("LIST", prefix), refusals(prefix, "LIST"):
                return await obstore.list(self.store, prefix).collect_async()

        found = wait_for(collect(), self.event_loop)
        self.traffic.lists += 1 + len(found) // 1000
        return keys_below(prefix, found)

    def get_ranges(self, found: StoredObject, ranges: Sequence[tuple[int, int]]) -> Sequence[memoryview]:
        """Read parts of an object that was found, concurrently, each from its start to its end (exclusive).

        Raises:
            ObjectNotFound, AccessDenied.
            StoreUnavailable: S3 failed, or the object was replaced meanwhile: old and new bytes must not mix.
        """
        parts = [memoryview(b"")] * len(ranges)

        def read(at: int, part: tuple[int, int]) -> Reader:
            async def fetch(limit: asyncio.Semaphore) -> None:
                async with limit:
                    options: GetOptions = {"range": part, "if_match": found.etag}
                    parts[at] = (await self._fetch(found.key, options)).body

            return fetch

        side_by_side([read(at, part) for at, part in enumerate(ranges)], self.event_loop)
        return parts

    def create(self, key: str, body: bytes) -> str:
        """Write an object that must not exist yet (`If-None-Match: *`); its ETag.

        Raises:
            ObjectTaken: another writer's object stands there.
            AccessDenied, StoreUnavailable: the latter also where it can't be known whether it landed.
        """
        return self._put(key, body, "create")

    def swap(self, key: str, body: bytes, etag: str) -> str:
        """Replace the object that has this ETag (`If-Match`); the new ETag.

        Raises:
            ObjectTaken: it has another ETag by now, or is gone.
            AccessDenied, StoreUnavailable: as with `create`.
        """
        return self._put(key, body, {"e_tag": etag})

    def _put(self, key: str, body: bytes, mode: "PutMode") -> str:
        """A conditional PUT, sent again while its fate is unknown: one write id, so at most one landing."""
        write_id = uuid4().hex
        problem, cause = "", None
        for attempt in range(CONDITIONAL_TRIES):
            if attempt:
                self.pause(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - jitter, not a secret
            try:
                return wait_for(self._send(key, body, mode, write_id), self.event_loop)
            except (AlreadyExistsError, PreconditionError) as refused:
                without_traceback(refused)  # the client holds its errors until its next request
                found = self.find(key)
                if found is not None and found.write_id == write_id:
                    return found.etag
                if found is not None and (mode == "create" or mode != {"e_tag": found.etag}):
                    raise ObjectTaken(key, "another writer's object stands there") from None
                if found is None and mode != "create":
                    raise ObjectTaken(key, "the object to be replaced is gone") from None
                problem = "PUT: conflicting writes"  # 409: nothing has changed there, so it may pass
            except StoreUnavailable as error:  # perhaps it landed: sent again, it would meet its own object
                problem, cause = error.problem, error.__cause__
        raise StoreUnavailable(key, f"{problem}, after {CONDITIONAL_TRIES} tries") from cause

    async def _send(self, key: str, body: bytes, mode: "PutMode", write_id: str) -> str:
        """One conditional PUT; the object's ETag."""
        self.traffic.puts += 1
        with self.traffic.timed("PUT", key) as asked, refusals(key, "PUT"):
            written = await obstore.put_async(
                self.store, key, body, mode=mode, attributes={WRITE_ID: write_id}, use_multipart=False
            )
            if asked is not None:
                asked.size = len(body)
        self.traffic.bytes_written += len(body)
        return written["e_tag"] or ""

    async def _fetch(self, key: str, options: "GetOptions | None" = None) -> StoredObject:
        """An object, or the part that the options ask for: in one request, in two where it is cut short."""
        for is_last in (False, True):
            self.traffic.gets += 1
            with self.traffic.timed("GET", key) as asked, refusals(key, "GET"):
                result = await obstore.get_async(self.store, key, options=options)
                try:
                    body = memoryview(await result.bytes_async())
                except BaseError:  # the client sends requests again, but not for the rest of a body
                    if is_last:
                        raise
                else:
                    if asked is not None:
                        asked.size = len(body)
                    break
        self.traffic.bytes_read += len(body)
        meta = result.meta
        return StoredObject(key, body, meta["size"], meta["e_tag"] or "", result.attributes.get(WRITE_ID))

    async def _tail(self, key: str) -> StoredObject:
        """The last `WHOLE_BYTES` of an object."""
        try:
            return await self._fetch(key, {"range": {"suffix": WHOLE_BYTES}})
        except StoreUnavailable as error:
            if not lacks_range(error.__cause__):
                raise
            with self.traffic.timed("HEAD", key), refusals(key, "HEAD"):
                head = await obstore.head_async(self.store, key)
            if head["size"] > 0:
                raise
            return StoredObject(key, memoryview(b""), 0, "")

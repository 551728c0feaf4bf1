"""A fast in-memory server for S3 and SNS requests, for benchmarks; it counts requests and can delay them.

A request to moto takes 6-12 ms, which is longer than one to S3 itself. A request to this server takes about
0.1 ms, so the benchmarks measure the client. The server supports the requests of the worker: GET (whole
objects, ranges and suffixes), HEAD, PUT with If-None-Match, If-Match and user metadata, and ListObjectsV2. A
POST to "/" counts as an SNS Publish, and its content is ignored. For the other contestants the server also
supports multipart uploads. It has no authentication and no TLS, and listens only on the loopback interface.

`python -m benchmarks.s3 [--delay-ms 20]` prints the address of the server, which runs until its standard
input is closed. `GET /-/counts` returns and resets the counts; `PUT /-/delay/20` sets the delay of each
request in ms.
"""

import argparse
import asyncio
import hashlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from urllib.request import Request, urlopen
from xml.sax.saxutils import escape

type Headers = dict[str, str]
type Answer = tuple[int, Headers, bytes]

_REASONS = {200: "OK", 206: "Partial Content", 404: "Not Found", 412: "Precondition Failed", 416: "Range"}
_DATE = formatdate(0, usegmt=True)
_PUBLISHED = (
    b'<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
    b"<MessageId>0</MessageId></PublishResult></PublishResponse>"
)


@dataclass
class Bucket:
    """The state of the server.

    Attributes:
        objects: by path (bucket and key), the content and the headers of each object.
        uploads: by upload id, the parts of each multipart upload that is not completed.
        counts: by kind of request, the number of requests; also the received and sent bytes.
        delay: the delay of each response in seconds.
    """

    objects: dict[str, tuple[bytes, Headers]] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    delay: float = 0.0

    def answer(self, method: str, target: str, headers: Headers, body: bytes) -> Answer:  # noqa: PLR0911 - one for each kind of request
        """Return the response to an HTTP request as (status, headers, body), and count the request.

        Args:
            method: the HTTP method.
            target: the path and the query.
            headers: the headers, with lower-case names.
            body: the body.
        """
        url = urlsplit(target)
        path = unquote(url.path)
        if path.startswith("/-/"):
            return self._control(path)
        if "list-type" in url.query:
            return self._list(path, parse_qs(url.query))
        if method == "POST" and path == "/":
            self.counts["SNS"] += 1
            return 200, {"content-type": "text/xml"}, _PUBLISHED
        if "upload" in url.query:
            return self._multipart(method, path, parse_qs(url.query, keep_blank_values=True), body)
        kind = method if "range" not in headers else "GET range"
        self.counts[kind] += 1
        if method == "PUT":
            return self._put(path, headers, body)
        found = self.objects.get(path)
        if found is None:
            return 404, {}, b"<Error><Code>NoSuchKey</Code></Error>"
        return self._get(found, headers.get("range"))

    def _control(self, path: str) -> Answer:
        if path.startswith("/-/delay/"):
            self.delay = float(path.rpartition("/")[2]) / 1000
            return 200, {}, b""
        counts, self.counts = self.counts, Counter()
        return 200, {}, json.dumps(counts).encode()

    def _put(self, path: str, headers: Headers, body: bytes) -> Answer:
        old = self.objects.get(path)
        if headers.get("if-none-match") == "*" and old is not None:
            return 412, {}, b"<Error><Code>PreconditionFailed</Code></Error>"
        if (etag := headers.get("if-match")) and (old is None or old[1]["etag"] != etag):
            return 412, {}, b"<Error><Code>PreconditionFailed</Code></Error>"
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        kept = {name: value for name, value in headers.items() if name.startswith("x-amz-meta-")}
        self.objects[path] = (body, {**kept, "etag": etag, "last-modified": _DATE})
        self.counts["bytes in"] += len(body)
        return 200, {"etag": etag}, b""

    def _multipart(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> Answer:
        """Start a multipart upload, store one of its parts, or complete it, and return the response.

        Each request is counted.
        """
        self.counts[f"{method} multipart"] += 1
        if "uploads" in query:
            upload = str(len(self.uploads))
            self.uploads[upload] = {}
            return 200, {}, _element("InitiateMultipartUploadResult", "UploadId", upload)
        parts = self.uploads[query["uploadId"][0]]
        if method == "PUT":
            parts[int(query["partNumber"][0])] = body
            self.counts["bytes in"] += len(body)
            return 200, {"etag": f'"{len(parts)}"'}, b""
        self.objects[path] = (
            b"".join(parts[n] for n in sorted(parts)),
            {"etag": '"m"', "last-modified": _DATE},
        )
        return 200, {}, _element("CompleteMultipartUploadResult", "ETag", '"m"')

    def _get(self, found: tuple[bytes, Headers], byte_range: str | None) -> Answer:
        body, headers = found
        size, status = len(body), 200
        if byte_range is not None:
            first, _, last = byte_range.removeprefix("bytes=").partition("-")
            start = max(0, size - int(last)) if not first else int(first)
            end = size if not first or not last else min(size, int(last) + 1)
            if start >= end:
                return 416, {}, b"<Error><Code>InvalidRange</Code></Error>"
            headers = {**headers, "content-range": f"bytes {start}-{end - 1}/{size}"}
            body, status = body[start:end], 206
        self.counts["bytes out"] += len(body)
        return status, headers, body

    def _list(self, path: str, query: dict[str, list[str]]) -> Answer:
        self.counts["LIST"] += 1
        root = path.rstrip("/") + "/"
        prefix = root + query.get("prefix", [""])[0]
        after = query.get("continuation-token", [""])[0]
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        page, more = keys[:1000], len(keys) > 1000
        entries = "".join(
            f"<Contents><Key>{escape(key.removeprefix(root))}</Key><Size>{len(self.objects[key][0])}</Size>"
            f"<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>{self.objects[key][1]['etag']}</ETag></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        return (
            200,
            {"content-type": "application/xml"},
            f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{entries}</ListBucketResult>".encode(),
        )


def _element(name: str, child: str, text: str) -> bytes:
    return f"<{name}><{child}>{escape(text)}</{child}></{name}>".encode()


class _Connection(asyncio.Protocol):
    """A connection from an HTTP/1.1 client. It is kept alive, and the client sends one request at a time."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._received = bytearray()
        self._wanted = 0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n", 0, 65536) + 4 if len(self._received) >= self._wanted else 3
        if end < 4:
            return
        lines = self._received[:end].decode("latin-1").strip().split("\r\n")
        pairs = (line.partition(":") for line in lines[1:])
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        wanted = end + int(headers.get("content-length", 0))
        if len(self._received) < wanted:
            if not self._wanted and "expect" in headers:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._wanted = wanted
            return
        sent_body = bytes(self._received[end:wanted])
        del self._received[:wanted]
        self._wanted = 0
        method, target, _ = lines[0].split(" ", 2)
        status, sent, body = self._bucket.answer(method, target, headers, sent_body)
        names = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        top = f"HTTP/1.1 {status} {_REASONS[status]}\r\n{names}content-length: {len(body)}\r\n\r\n"
        message = top.encode("latin-1") + (b"" if method == "HEAD" else body)
        delay = 0.0 if target.startswith("/-/") else self._bucket.delay
        if delay:
            asyncio.get_running_loop().call_later(delay, self._transport.write, message)
        else:
            self._transport.write(message)


async def _serve(delay_ms: float) -> None:
    loop = asyncio.get_running_loop()
    bucket = Bucket(delay=delay_ms / 1000)
    server = await loop.create_server(lambda: _Connection(bucket), "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


@dataclass(frozen=True)
class FakeS3:
    """A client for control requests to the benchmark's S3 server, which runs in another process.

    Attributes:
        url: the address of the server.
    """

    url: str

    def counts(self) -> dict[str, int]:
        """Return the server's counts since the last call: requests by kind, and bytes received and sent."""
        with urlopen(f"{self.url}/-/counts") as answer:  # noqa: S310 - loopback
            counts: dict[str, int] = json.load(answer)
        return counts

    def delay(self, milliseconds: float) -> None:
        """Set the delay of every response."""
        urlopen(Request(f"{self.url}/-/delay/{milliseconds}", method="PUT")).close()  # noqa: S310 - loopback


@contextmanager
def running(delay_ms: float = 0.0) -> Iterator[FakeS3]:
    """Run the server until the end of the `with` block, and yield its client.

    The server runs in another process, so that it can use another CPU core than the benchmark.
    """
    command = [sys.executable, "-m", "benchmarks.s3", "--delay-ms", str(delay_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield FakeS3(process.stdout.readline().strip())
        finally:
            process.stdin.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    asyncio.run(_serve(parser.parse_args().delay_ms))

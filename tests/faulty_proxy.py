"""An HTTP proxy on loopback that stands between a client and a local cloud, and does harm as it is told.

It records every call, and asks `decide` before each what is to happen: it passes, it is refused before its
effect, its answer is lost after its effect, or it is answered with a status and never had an effect. What
a test sees of it is what a client sees of a failing network; nothing of ours is replaced.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_SECONDS = 30
_NOT_FORWARDED = {"connection", "content-length", "expect", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as it reached the proxy. Header names are in small letters."""

    number: int
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of a call: whether it has its effect, and what the client hears.

    Attributes:
        forwarded: the call reaches the cloud.
        answer: None passes on the cloud's own answer, a number is sent in its place, "lost" closes the
            connection without one, "cut" in the midst of the cloud's own body, "slow" sends the cloud's
            own answer a byte at a time.
    """

    forwarded: bool
    answer: int | str | None = None


PASS = Fault(forwarded=True)
REFUSED = Fault(forwarded=False, answer="lost")
"""The connection closes before the call has its effect."""
LOST = Fault(forwarded=True, answer="lost")
"""The connection closes after the call had its effect."""

SLOW = Fault(forwarded=True, answer="slow")
"""The cloud's own answer comes a byte at a time, so that no single read takes long."""
SLOW_BYTE_SECONDS = 0.1

CUT = Fault(forwarded=True, answer="cut")
"""The connection closes when half of the answer's body is through."""


def status(code: int) -> Fault:
    """An error answer in place of the effect."""
    return Fault(forwarded=False, answer=code)


def status_after(code: int) -> Fault:
    """An error answer although the call had its effect."""
    return Fault(forwarded=True, answer=code)


def in_turn(*faults: Fault) -> Callable[[Call], Fault]:
    """One fault a call, in this order; calls after the last pass."""
    waiting = list(faults)
    lock = Lock()

    def decide(_: Call) -> Fault:
        with lock:
            return waiting.pop(0) if waiting else PASS

    return decide


class FaultyProxy:
    """A proxy on a free port, as a context manager.

    Args:
        upstream: address of the local cloud, such as `http://127.0.0.1:5000`.

    Attributes:
        calls: what reached the proxy, in order.
        decide: what becomes of a call; asked in the threads of the calls. A test may replace it at any time.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream).netloc
        self._lock = Lock()
        self.ending = Event()
        self.calls: list[Call] = []
        self.decide: Callable[[Call], Fault] = lambda _: PASS
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), name="faulty-proxy")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def forget(self) -> None:
        """Forget the calls so far, and let the next ones pass."""
        self.calls = []
        self.decide = lambda _: PASS

    def record(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Call:
        """Keep a call; called by the handler of a connection."""
        with self._lock:
            call = Call(len(self.calls) + 1, method, target, headers, body)
            self.calls.append(call)
        return call

    def forward(self, call: Call) -> tuple[HTTPResponse, bytes]:
        """Let a call have its effect; the cloud's answer, and its body."""
        connection = HTTPConnection(self._upstream, timeout=_SECONDS)
        try:
            connection.request(
                call.method,
                call.target,
                call.body if call.body or call.method in {"PUT", "POST"} else None,
                {name: value for name, value in call.headers.items() if name not in _NOT_FORWARDED},
            )
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()


def _handler_of(proxy: FaultyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        faulty = proxy

    return Handler


class _Handler(BaseHTTPRequestHandler):
    """One connection, and so one call."""

    protocol_version = "HTTP/1.1"
    faulty: FaultyProxy

    def handle_call(self) -> None:
        self.close_connection = True  # a connection a call: no client mends a fault by another one
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        call = self.faulty.record(self.command, self.path, headers, body)
        fault = self.faulty.decide(call)
        answer = None
        if fault.forwarded:
            try:
                answer = self.faulty.forward(call)
            except (OSError, HTTPException):
                return  # the cloud is gone: so is the answer
        if fault.answer == "lost":
            return
        if answer is not None and fault.answer == "slow":
            self._pass_on_slowly(*answer)
        elif answer is not None and fault.answer in {None, "cut"}:
            self._pass_on(*answer, cut=fault.answer == "cut")
        else:
            self._answer_with_error(int(fault.answer or 502))

    def _answer_with_error(self, code: int) -> None:
        body = b"" if self.command == "HEAD" else f"<Error><Code>Fault{code}</Code></Error>".encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _pass_on_slowly(self, answer: HTTPResponse, body: bytes) -> None:
        """Send the answer until it is through, the client has gone, or the proxy ends."""
        connection, self.wfile = self.wfile, BytesIO()
        self._pass_on(answer, body, cut=False)
        whole, self.wfile = self.wfile.getvalue(), connection
        with suppress(OSError):
            for at in range(len(whole)):
                self.wfile.write(whole[at : at + 1])
                if self.faulty.ending.wait(SLOW_BYTE_SECONDS):
                    return

    def _pass_on(self, answer: HTTPResponse, body: bytes, *, cut: bool) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _NOT_FORWARDED:
                self.send_header(name, value)
        length = answer.getheader("Content-Length", "0") if self.command == "HEAD" else len(body)
        self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_call  # noqa: N815 - the base's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's own name
        """The calls are recorded; nothing is printed."""

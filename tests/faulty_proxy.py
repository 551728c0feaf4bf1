"""An HTTP proxy on the loopback interface that injects faults between a client and a local cloud.

The proxy records every call and asks the function `decide` for the fault of the call: the proxy forwards the
call, closes the connection before the call has an effect, loses the response after the effect, or sends an
error status instead. The client experiences a failing network; no code of the client is replaced.
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
    """An HTTP request that the proxy received.

    Attributes:
        number: the position of the request among all requests, from 0 on.
        method: the HTTP method.
        target: the path with the query, such as `/bucket/key?list-type=2`.
        headers: the headers; their names are in lower case.
        body: the body.
    """

    number: int
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """The treatment of a call by the proxy: whether it is forwarded, and which response the client gets.

    Attributes:
        forwarded: whether the call reaches the cloud.
        answer: the response. With None, the proxy passes on the response of the local cloud; a number is sent
            as an error status instead; with "lost", the proxy closes the connection without a response; with
            "cut", it closes the connection after half of the body; with "slow", it sends the response of the
            local cloud one byte at a time.
    """

    forwarded: bool
    answer: int | str | None = None


PASS = Fault(forwarded=True)
REFUSED = Fault(forwarded=False, answer="lost")
"""The connection closes before the call has its effect."""
LOST = Fault(forwarded=True, answer="lost")
"""The connection closes after the call had its effect."""

SLOW = Fault(forwarded=True, answer="slow")
"""The cloud's response arrives one byte at a time, so that no single read takes long."""
SLOW_BYTE_SECONDS = 0.1

CUT = Fault(forwarded=True, answer="cut")
"""The connection closes after half of the response body."""


def status(code: int) -> Fault:
    """Return a fault: the proxy responds with an HTTP error status, and does not forward the call."""
    return Fault(forwarded=False, answer=code)


def status_after(code: int) -> Fault:
    """Return a fault: the proxy forwards the call, but then responds with an HTTP error status."""
    return Fault(forwarded=True, answer=code)


def in_turn(*faults: Fault) -> Callable[[Call], Fault]:
    """Return a function for `FaultyProxy.decide` that applies one fault to each of the next calls, in order.

    Later calls are forwarded without a fault.
    """
    waiting = list(faults)
    lock = Lock()

    def decide(_: Call) -> Fault:
        with lock:
            return waiting.pop(0) if waiting else PASS

    return decide


class FaultyProxy:
    """A proxy on a free port, as a context manager.

    Args:
        upstream: the address of the local cloud, such as `http://127.0.0.1:5000`.

    Attributes:
        calls: the calls that reached the proxy, in order.
        decide: a function that returns the fault of a call; it is called in the thread of the connection. A
            test may replace the function at any time.
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
        """Return the address of the proxy, such as `http://127.0.0.1:5001`."""
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
        """Clear the recorded calls, and forward all later calls without a fault."""
        self.calls = []
        self.decide = lambda _: PASS

    def record(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Call:
        """Add a request to `calls`, and return it as a `Call`; the handler of a connection calls this."""
        with self._lock:
            call = Call(len(self.calls) + 1, method, target, headers, body)
            self.calls.append(call)
        return call

    def forward(self, call: Call) -> tuple[HTTPResponse, bytes]:
        """Forward a call to the cloud, and return the response and its body."""
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
    """The handler of a connection from the client to the proxy; each connection transmits a single call."""

    protocol_version = "HTTP/1.1"
    faulty: FaultyProxy

    def handle_call(self) -> None:
        self.close_connection = True  # one call for each connection, so that every retry is a new call
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        call = self.faulty.record(self.command, self.path, headers, body)
        fault = self.faulty.decide(call)
        answer = None
        if fault.forwarded:
            try:
                answer = self.faulty.forward(call)
            except (OSError, HTTPException):
                return  # The local cloud has ended, so no response exists.
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
        """Send a response of the cloud to the client byte by byte.

        Stop at the end of the response, or earlier if the client disconnects or the proxy is closed.
        """
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
        """Print nothing: the calls are recorded instead."""

"""botocore's HTTP session with connections that keep to the time limit of the call (see `call_limit`).

The limit applies to every step that waits: the DNS query, each attempt to connect, the TLS handshake, the
request, and each read of the response. All steps but the DNS query run in the calling thread, so no data is
sent after a call was cut off. This module imports botocore, so it is imported with the first client.
"""

import io
import os
import socket
from concurrent.futures import Future
from contextlib import suppress
from http.client import HTTPResponse
from threading import Thread
from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from urllib3 import PoolManager
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from metrics_worker.messaging.call_limit import RETRY_SECONDS, CutOffError, at_most, current_limit


def limit_calls(client: Any, *, connect: float, read: float) -> None:
    """Make a boto3 client keep each call within the time limit that `call_limit.limited()` sets.

    Args:
        client: Any boto3 client.
        connect: The maximum time for making one connection, in seconds.
        read: The maximum time for one read, in seconds.
    """
    session = _Session(client.meta.endpoint_url, (connect, read))

    def send(request: Any, **_: Any) -> Any:
        """Send a request in place of botocore's own HTTP client, and return the response to botocore."""
        limit = current_limit()
        if limit.left() <= 0:
            raise CutOffError
        limit.sent = False
        try:
            answer = session.send(request)
        except Exception as error:
            limit.unanswered += limit.sent
            if limit.left() < RETRY_SECONDS:
                raise CutOffError from error
            raise
        return answer

    client.meta.events.register("before-send", send)


class _LimitedReader(io.RawIOBase):
    """A stream of the bytes of an HTTP response. No read waits beyond the time limit of the call."""

    def __init__(self, raw: Any, sock: socket.socket) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        """Return True, because the stream can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        """Wait for bytes, read them into the buffer and return their number; 0 at the end of the response."""
        usual = self._sock.gettimeout()
        self._sock.settimeout(at_most(usual))
        try:
            read: int | None = self._raw.readinto(buffer)
            return read
        finally:
            with suppress(OSError):
                self._sock.settimeout(usual)

    def close(self) -> None:
        """Close the stream and the response, which releases the socket."""
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    """An HTTP response. Each read, including the read of the status line, keeps to the call's time limit."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_LimitedReader(self.fp.detach(), sock))


class _Limited:
    """A mixin for botocore's connection classes: connecting, sending and reading keep to the time limit."""

    response_class = _Response
    host: str
    port: int
    sock: Any
    timeout: float | None

    def connect(self) -> None:
        self.timeout = at_most(self.timeout)
        super().connect()  # type: ignore[misc]

    def _new_conn(self) -> socket.socket:
        """Return a socket, for urllib3, that is connected to the first address of the host that answers."""
        try:
            *others, last = _look_up(self.host, self.port, at_most(self.timeout))
            for address in others:
                with suppress(OSError):
                    return _connected(address, at_most(self.timeout))
            return _connected(last, at_most(self.timeout))
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"{self.host} did not answer in time") from error
        except OSError as error:
            connection: Any = self
            raise NewConnectionError(connection, f"{self.host}: {error}") from error

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self.sock.settimeout(at_most(self.timeout))
        current_limit().sent = True
        super().send(data)  # type: ignore[misc]


type Address = tuple[int, int, int, Any]
"""The arguments of a socket and of its connection: family, type, protocol, address."""


def _connected(to: Address, seconds: float) -> socket.socket:
    """Return a socket that is connected to the address; raise OSError if this takes longer than `seconds`."""
    *kind, address = to
    connecting = socket.socket(*kind)
    try:
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connecting.settimeout(seconds)
        connecting.connect(address)
    except BaseException:
        connecting.close()
        raise
    return connecting


def _look_up(host: str, port: int, seconds: float) -> list[Address]:
    """Return the addresses that DNS returns for a host and port.

    The resolver of the C library cannot be interrupted, so it runs in another thread. If the resolver takes
    too long, this function raises an error and the thread continues without effect on the call.

    Raises:
        TimeoutError: The resolver did not answer within `seconds`.
        OSError: The name cannot be resolved.
    """
    found: Future[list[Address]] = Future()

    def resolve() -> None:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.set_result(
                [(family, kind, protocol, address) for family, kind, protocol, _, address in answers]
            )
        except OSError as error:
            found.set_exception(error)

    Thread(target=resolve, name="look-up", daemon=True).start()
    return found.result(seconds)


class _Connection(_Limited, AWSHTTPConnection):  # type: ignore[misc]
    pass


class _SecureConnection(_Limited, AWSHTTPSConnection):  # type: ignore[misc]
    pass


class _Pool(AWSHTTPConnectionPool):  # type: ignore[misc]
    ConnectionCls = _Connection


class _SecurePool(AWSHTTPSConnectionPool):  # type: ignore[misc]
    ConnectionCls = _SecureConnection


class _Session(URLLib3Session):  # type: ignore[misc]
    """An HTTP session whose connections keep to the call's time limit.

    It uses the certificates and proxies that botocore uses.
    """

    def __init__(self, endpoint_url: str, timeout: tuple[float, float]) -> None:
        super().__init__(
            verify=os.environ.get("AWS_CA_BUNDLE") or True,
            proxies=get_environ_proxies(endpoint_url),
            timeout=timeout,
        )
        pools: dict[str, type] = {"http": _Pool, "https": _SecurePool}
        self._pool_classes_by_scheme = pools  # for the managers of proxies, which are created later
        for manager in vars(self).values():
            if isinstance(manager, PoolManager):
                manager.pool_classes_by_scheme = pools

"""HTTPS connections with a time limit for each call: certificates, reuse of connections, slow responses."""

import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from metrics_worker.errors import OutOfTime, StatusUnavailable
from metrics_worker.messaging.clients import client, service_call
from metrics_worker.settings import Settings

ANSWER = b"<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a PEM file with a private key and a self-signed certificate for `localhost`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    form = serialization.Encoding.PEM
    private = key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(form))
    return path


class Answering(BaseHTTPRequestHandler):
    """The request handler of `Server`: it sends the response of SNS to a successful `Publish`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server = self.server
        self.rfile.read(int(self.headers["Content-Length"]))
        server.ports.append(self.client_address[1])  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        pieces = [ANSWER[at : at + 1] for at in range(len(ANSWER))] if server.slow else [ANSWER]  # type: ignore[attr-defined]
        try:
            for piece in pieces:
                self.wfile.write(piece)
                if server.slow and server.ending.wait(0.1):  # type: ignore[attr-defined]
                    return
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's own name
        """Suppress the log of requests."""


class Server(ThreadingHTTPServer):
    """An HTTP server that responds like SNS.

    Attributes:
        slow: whether the response is sent one byte at a time, every 0.1 seconds.
        ending: an event that a test sets in order to end slow responses.
        ports: the TCP port of the client of each request; equal ports mean that a connection was reused.
    """

    slow = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.ending = Event()
        self.ports: list[int] = []


@pytest.fixture
def server(certificate):
    server = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.ending.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def publish(server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return `publish(within)`, which publishes a message to the server over TLS and returns the message id.

    The call may take at most `within` seconds.
    """
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    sns = client("sns", Settings(AWS_ENDPOINT_URL=f"https://localhost:{server.server_port}"))

    def run(within=5.0):
        with service_call(StatusUnavailable, "topic", within):
            return sns.publish(TopicArn="arn", Message="m")["MessageId"]

    return run


def test_a_connection_is_reused_by_the_next_call(publish, server):
    assert [publish(), publish()] == ["1", "1"]
    assert len(set(server.ports)) == 1


def test_a_slow_response_over_tls_is_cut_off_and_the_next_call_uses_another_connection(publish, server):
    publish()
    server.slow = True
    began = time.monotonic()

    with pytest.raises(OutOfTime, match="had not answered yet") as raised:
        publish(0.7)

    assert time.monotonic() - began < 0.7 + 1
    assert raised.value.may_arrive
    server.slow = False
    assert publish() == "1"


def test_a_certificate_without_a_known_issuer_is_refused(server):
    sns = client("sns", Settings(AWS_ENDPOINT_URL=f"https://localhost:{server.server_port}"))

    with pytest.raises(StatusUnavailable) as raised, service_call(StatusUnavailable, "topic", 5.0):
        sns.publish(TopicArn="arn", Message="m")

    assert "SSL" in str(raised.value)
    assert not raised.value.may_arrive
    assert server.ports == []

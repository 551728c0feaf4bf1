"""The worker's AWS credentials from the container endpoint that Lambda provides with SnapStart."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from metrics_worker.errors import StoreUnavailable
from metrics_worker.s3.credentials import container_credentials
from metrics_worker.s3.s3_bucket import S3Bucket

TOKEN = "the-endpoint's-token"


class Endpoint(ThreadingHTTPServer):
    """An HTTP server with two roles: the container endpoint that provides credentials, and S3.

    A request for credentials succeeds if its token is correct. Every request to S3 gets the status 404.

    Attributes:
        seen: (path, header `Authorization`, session token or None) of each request, in order.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.seen: list[tuple[str, str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: Endpoint

    def do_GET(self) -> None:
        authorization = self.headers.get("Authorization", "")
        self.server.seen.append((self.path, authorization, self.headers.get("x-amz-security-token")))
        allowed = self.path == "/credentials" and authorization == TOKEN
        given = {
            "AccessKeyId": "AKIACONTAINER",
            "SecretAccessKey": "secret",
            "Token": "session",
            "Expiration": "2099-01-01T00:00:00Z",
        }
        body = json.dumps(given).encode() if allowed else b""
        self.send_response(200 if allowed else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Suppress the log of requests."""


@pytest.fixture
def endpoint(monkeypatch) -> Iterator[Endpoint]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with Endpoint() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/credentials")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN)
        yield server
        server.shutdown()


def test_credentials_come_from_the_endpoint_and_sign_the_requests_to_s3(endpoint):
    bucket = S3Bucket.connect("data", region="us-east-1", endpoint_url=endpoint.url)

    assert bucket.find("a") is None
    assert bucket.find("b") is None

    asked, *signed = endpoint.seen
    assert asked[:2] == ("/credentials", TOKEN)
    assert [path for path, *_ in signed] == ["/data/a", "/data/b"]  # credentials requested once
    assert all("Credential=AKIACONTAINER/" in authorization for _, authorization, _ in signed)
    assert {session for *_, session in signed} == {"session"}


@pytest.mark.usefixtures("endpoint")
def test_credentials_have_an_expiry_time():
    ask = container_credentials()
    assert ask is not None
    assert ask()["expires_at"] == datetime(2099, 1, 1, tzinfo=UTC)


def test_a_rejection_by_the_endpoint_is_a_transient_error(endpoint, monkeypatch):
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "another")
    with pytest.raises(StoreUnavailable):
        S3Bucket.connect("data", region="us-east-1", endpoint_url=endpoint.url).find("a")


@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize("name", ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"])
def test_without_an_endpoint_the_s3_client_finds_the_credentials(monkeypatch, name):
    monkeypatch.delenv(name)
    assert container_credentials() is None


@pytest.mark.usefixtures("endpoint")
def test_credentials_in_the_environment_take_precedence_over_the_endpoint(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
    assert container_credentials() is None

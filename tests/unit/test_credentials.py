"""Credentials under SnapStart, from an endpoint as Lambda has it."""

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
    """Gives credentials to who has the token, and is an S3 without objects besides."""

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
        """Say nothing."""


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


def test_they_come_from_the_endpoint_and_sign_the_requests_to_s3(endpoint):
    bucket = S3Bucket.connect("data", region="us-east-1", endpoint_url=endpoint.url)

    assert bucket.find("a") is None
    assert bucket.find("b") is None

    asked, *signed = endpoint.seen
    assert asked[:2] == ("/credentials", TOKEN)
    assert [path for path, *_ in signed] == ["/data/a", "/data/b"]  # asked for once
    assert all("Credential=AKIACONTAINER/" in authorization for _, authorization, _ in signed)
    assert {session for *_, session in signed} == {"session"}


@pytest.mark.usefixtures("endpoint")
def test_they_say_when_they_expire():
    ask = container_credentials()
    assert ask is not None
    assert ask()["expires_at"] == datetime(2099, 1, 1, tzinfo=UTC)


def test_an_endpoint_that_refuses_is_a_store_that_is_unavailable(endpoint, monkeypatch):
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "another")
    with pytest.raises(StoreUnavailable):
        S3Bucket.connect("data", region="us-east-1", endpoint_url=endpoint.url).find("a")


@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize("name", ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"])
def test_without_an_endpoint_the_client_looks_for_itself(monkeypatch, name):
    monkeypatch.delenv(name)
    assert container_credentials() is None


@pytest.mark.usefixtures("endpoint")
def test_the_environments_own_go_before_the_endpoint(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
    assert container_credentials() is None

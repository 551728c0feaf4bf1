"""Fixtures: a local S3 server, a proxy that injects faults into calls to it, and a reader of series."""

import logging
from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from metrics_worker.s3.connection import connect
from metrics_worker.s3.s3_bucket import S3Bucket
from tests.builders import BUCKET, Cloud
from tests.contract.reading import Reader
from tests.faulty_proxy import FaultyProxy


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Yield the address of a local S3 server that has an empty bucket named `BUCKET`."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    client.close()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def s3_store(s3: str) -> S3Store:
    """Return an obstore client of the bucket on the local S3 server."""
    return connect(BUCKET, region="us-east-1", endpoint_url=s3)


@pytest.fixture(scope="session")
def on_s3(s3_store: S3Store) -> S3Bucket:
    """Return a bucket on the local S3 server; all tests share the bucket and its connections."""
    return S3Bucket(s3_store, BUCKET)


@pytest.fixture(scope="session")
def proxied(s3: str) -> Iterator[tuple[FaultyProxy, S3Bucket]]:
    """Yield the proxy of the S3 server, and a bucket that uses the proxy and retries without waiting."""
    with FaultyProxy(s3) as proxy:
        store = connect(BUCKET, region="us-east-1", endpoint_url=proxy.url)
        yield proxy, S3Bucket(store, BUCKET, pause=lambda _: None)


@pytest.fixture
def proxy(proxied: tuple[FaultyProxy, S3Bucket]) -> FaultyProxy:
    """Return the proxy of the S3 server, after removing the faults and recorded calls of earlier tests."""
    proxied[0].forget()
    return proxied[0]


@pytest.fixture
def faulty(proxied: tuple[FaultyProxy, S3Bucket]) -> S3Bucket:
    """Return the bucket on the S3 server whose calls go through the proxy, which can inject faults."""
    return proxied[1]


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    """Return a key prefix that no other test uses."""
    return f"metrics/{request.node.name.replace('[', '/').replace(']', '')}/"


@pytest.fixture
def read(cloud: Cloud) -> Reader:
    """Return a `Reader`, which reads the series of a request from the fake cloud.

    `read(event, files=…)` returns a dict from each series code to the values of the series in the order of
    time. The argument `files` says how the part files are found: "manifest" (the default) or "listing".
    """
    return Reader(cloud.bucket)

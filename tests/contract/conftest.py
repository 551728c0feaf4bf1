"""Fixtures: a local S3 server, a proxy that injects faults into calls to it, and a reader of series."""

import logging

import boto3
import pytest
from moto.server import ThreadedMotoServer

from metrics_worker.s3.connection import connect
from metrics_worker.s3.s3_bucket import S3Bucket
from tests.builders import BUCKET
from tests.contract.reading import Reader
from tests.faulty_proxy import FaultyProxy


@pytest.fixture(scope="session")
def s3():
    """Yield the address of a local S3 server that has an empty bucket `BUCKET`."""
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
def s3_store(s3):
    """Return an obstore client of the bucket on the local S3 server."""
    return connect(BUCKET, region="us-east-1", endpoint_url=s3)


@pytest.fixture(scope="session")
def on_s3(s3_store):
    """Return a bucket on the local S3 server; all tests share the bucket and its connections."""
    return S3Bucket(s3_store, BUCKET)


@pytest.fixture(scope="session")
def proxied(s3):
    """Yield the proxy of the S3 server, and a bucket that uses the proxy and retries without waiting."""
    with FaultyProxy(s3) as proxy:
        store = connect(BUCKET, region="us-east-1", endpoint_url=proxy.url)
        yield proxy, S3Bucket(store, BUCKET, pause=lambda _: None)


@pytest.fixture
def proxy(proxied):
    """Return the proxy of the S3 server, after removing the faults and recorded calls of earlier tests."""
    proxied[0].forget()
    return proxied[0]


@pytest.fixture
def faulty(proxied):
    """Return the bucket on the S3 server that makes its calls through the proxy."""
    return proxied[1]


@pytest.fixture
def place(request):
    """Return a key prefix that no other test uses."""
    return f"metrics/{request.node.name.replace('[', '/').replace(']', '')}/"


@pytest.fixture
def read(cloud):
    """Return `read(event, files=…)`, which reads the series of a request from the fake cloud.

    The result is a dict from series code to values.
    """
    return Reader(cloud.bucket)

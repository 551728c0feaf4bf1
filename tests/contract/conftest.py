"""An S3 on loopback, a proxy before it that does harm, and series read from the fake cloud."""

import logging

import boto3
import pytest
from moto.server import ThreadedMotoServer

from metrics_worker.store import Bucket
from tests.builders import BUCKET
from tests.contract.reading import Reader
from tests.faulty_proxy import FaultyProxy


@pytest.fixture(scope="session")
def s3():
    """The address of an S3 that has the bucket."""
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
def on_s3(s3):
    """A bucket on it; one for all tests, since each store keeps its own connections."""
    return Bucket.connect(BUCKET, region="us-east-1", endpoint_url=s3)


@pytest.fixture(scope="session")
def proxied(s3):
    """The proxy before that S3, and a bucket behind it that waits for nothing between its tries."""
    with FaultyProxy(s3) as proxy:
        connected = Bucket.connect(BUCKET, region="us-east-1", endpoint_url=proxy.url)
        yield proxy, Bucket(connected.store, BUCKET, pause=lambda _: None)


@pytest.fixture
def proxy(proxied):
    """The proxy, which has forgotten what it was told."""
    proxied[0].forget()
    return proxied[0]


@pytest.fixture
def faulty(proxied):
    """The bucket behind the proxy."""
    return proxied[1]


@pytest.fixture
def place(request):
    """A prefix that no other test writes to."""
    return f"metrics/{request.node.name.replace('[', '/').replace(']', '')}/"


@pytest.fixture
def read(cloud):
    """`read(event, files="manifest")`: the values of each series of the fake cloud, by code."""
    return Reader(cloud.bucket)

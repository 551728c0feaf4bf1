"""The command in this process, a folder with a dataset, and requests of it."""

import json
import logging

import boto3
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import LocalStore
from typer.testing import CliRunner

from metrics_tools.command_line.app import app
from tests.builders import BUCKET, put_a_and_b, request


@pytest.fixture
def metrics():
    """`metrics(*words)`: how the command ended, and what it printed. What it raises is the test's."""

    def run(*words):
        done = CliRunner().invoke(app, [str(word) for word in words])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return run


@pytest.fixture
def folder(tmp_path):
    """A folder with the dataset fx: A is 1 to 10, B is 2, in the first ten days of January 2026."""
    path = tmp_path / "data"
    put_a_and_b(LocalStore(path, mkdir=True))
    return path


@pytest.fixture
def ask(tmp_path):
    """`ask(expression, name=…, …)`: a file with a request of A and B."""

    def write(expression=None, *, name="request.json", **more):
        path = tmp_path / name
        path.write_text(json.dumps(request(expression, **more)))
        return path

    return write


@pytest.fixture(scope="package")
def aws():
    """The address of an AWS on loopback."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def client(aws, monkeypatch):
    """`client(service)`: a boto3 client of that AWS, which the command talks to as well."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws)
    made = []

    def make(service):
        made.append(boto3.client(service, endpoint_url=aws, region_name="us-east-1"))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def bucket(client, folder, request):
    """The name of a bucket that has the folder's dataset."""
    name = f"{BUCKET}-{abs(hash(request.node.nodeid))}"
    s3 = client("s3")
    s3.create_bucket(Bucket=name)
    for path in folder.rglob("*"):
        if path.is_file():
            s3.put_object(Bucket=name, Key=path.relative_to(folder).as_posix(), Body=path.read_bytes())
    return name


def files(folder):
    """What is in a folder: bytes by key."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }

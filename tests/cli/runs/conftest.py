"""Fixtures that run the command line in this process, and fixtures of folders, buckets and request files."""

import json
import logging
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import LocalStore
from typer.testing import CliRunner

from metrics_tools.command_line.app import app
from tests.builders import BUCKET, put_a_and_b, request


@pytest.fixture
def metrics():
    """Return `metrics(*words)`, which runs `metrics` with these arguments in this process.

    It returns typer's result, which has the exit code and the output. If the command raises an exception that
    is not a SystemExit, the function raises the exception, too.
    """

    def run(*words):
        done = CliRunner().invoke(app, [str(word) for word in words])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return run


@pytest.fixture
def folder(tmp_path):
    """Return a folder with the dataset fx, which has the series A and B.

    Both series have an observation on each of the first ten days of January 2026. The values of A are 1 to
    10, and all values of B are 2.
    """
    path = tmp_path / "data"
    put_a_and_b(LocalStore(path, mkdir=True))
    return path


@pytest.fixture
def ask(tmp_path):
    """Return `ask(expression, name=…, …)`, which writes a request to a file and returns the path of the file.

    `name` is the name of the file, by default `request.json`. The expression, by default A / B, and further
    arguments are passed to `request` (tests/builders.py).
    """

    def write(expression=None, *, name="request.json", **more):
        path = tmp_path / name
        path.write_text(json.dumps(request(expression, **more)))
        return path

    return write


@pytest.fixture(scope="package")
def aws():
    """Yield the URL of a moto server on the loopback interface, which tests use instead of AWS."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def client(aws, monkeypatch):
    """Yield `client(service)`, which returns a boto3 client of the moto server that the commands use."""
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
    """Return the name of a bucket on the moto server that has the same objects as `folder`."""
    name = f"{BUCKET}-{abs(hash(request.node.nodeid))}"
    s3 = client("s3")
    s3.create_bucket(Bucket=name)
    for path in folder.rglob("*"):
        if path.is_file():
            s3.put_object(Bucket=name, Key=path.relative_to(folder).as_posix(), Body=path.read_bytes())
    return name


def files(folder: Path) -> dict[str, bytes]:
    """Return a dict from the path of each file, relative to the folder, to the content of the file."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }

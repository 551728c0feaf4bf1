"""Fixtures with the objects of two runs of a metric: in memory, in a folder, and on a local S3 server."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import obstore
import pyarrow as pa
import pytest
from moto.server import ThreadedMotoServer

from tests.builders import BUCKET, Cloud
from tests.contract.documents import EXAMPLES
from tests.contract.examples import REQUEST, Stage
from tests.docs.reading import BASE, FIRST, NEWEST


@pytest.fixture(scope="module")
def left() -> Cloud:
    """Return a fake cloud with the objects that two runs of one metric have left, and of a third version.

    The second run has the newer request, and its values are 100 times those of the first run. The third
    version has the highest name, but was never committed.
    """
    with Stage.opened() as stage:
        stage.run(EXAMPLES[REQUEST])
        other = EXAMPLES[REQUEST]["expressionJson"] | {"scale": 100}
        stage.run(EXAMPLES[REQUEST] | {"runId": "run-2", "expressionJson": other})
    # Add a version that was never committed and has the highest name: readers must not use it.
    data = stage.cloud.read(f"{BASE}{FIRST}/data/metrics.parquet")
    obstore.put(stage.cloud.store, f"{BASE}2026-10-30T12-00-09/data/metrics.parquet", data)
    return stage.cloud


@pytest.fixture(scope="module")
def folder(left, tmp_path_factory) -> Path:
    root: Path = tmp_path_factory.mktemp("bucket")
    for key in left.keys():  # noqa: SIM118 - `left` is a Cloud, not a dict
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(left.read(key))
    return root


@pytest.fixture(scope="module")
def aws(left: Cloud) -> Iterator[None]:
    """Run a local AWS server whose bucket has the objects of `left`.

    Within the fixture, the environment variables of the AWS clients select this server.
    """
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ALLOW_HTTP", "true")  # polars needs this variable
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        for key in left.keys():  # noqa: SIM118
            s3.put_object(Bucket=BUCKET, Key=key, Body=left.read(key))
        s3.close()
        yield
    server.stop()


@pytest.fixture
def newest(left) -> pa.Table:
    assert left.read_json(f"{BASE}current/manifest.json")["version_ts"] == NEWEST
    return left.read_table(f"{BASE}{NEWEST}/data/metrics.parquet").replace_schema_metadata(None)

"""Fixtures of tests that call the handlers: faults of S3, expected FAILUREs, log lines and metrics."""

import io
import json
import threading
import time
from typing import Any

import obstore
import pyarrow as pa
import pytest

from metrics_worker import dead_letter_handler as dead_letters
from metrics_worker.observability.telemetry import logger
from tests.builders import FakeContext, put_dataset, record
from tests.faulty_store import Faults
from tests.ten_series import CODES, MONTHS, month


@pytest.fixture
def faults(monkeypatch):
    return Faults.install(monkeypatch)


@pytest.fixture
def lines(monkeypatch):
    """Return `lines()`, which returns all log lines of the test so far, each as parsed JSON.

    A log line that is not JSON is an error.
    """
    stream = io.StringIO()
    (handler,) = logger.handlers
    monkeypatch.setattr(handler, "stream", stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def blobs(capsys, lines):  # noqa: ARG001 - the fixture redirects the log lines, so that capsys reads only metrics
    """Return `blobs()`, which returns the EMF documents that were written since its last call.

    The documents are parsed, and those of cold starts are left out.
    """

    def written():
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert all(blob["_aws"]["Timestamp"] <= time.time() * 1000 for blob in found), "a time in the future"
        return [blob for blob in found if "ColdStart" not in blob]

    return written


@pytest.fixture
def bury(cloud, monkeypatch):
    """Return `bury(*records, **settings)`, which passes records to the dead-letter handler in the fake cloud.

    It returns the response of the handler. `settings` are settings of the worker.
    """

    context: Any = FakeContext(function_name="buried")

    def run(*records: dict[str, Any], **settings: Any) -> dict[str, Any]:
        monkeypatch.setattr(dead_letters, "worker", cloud.worker(**settings))
        return dead_letters.lambda_handler({"Records": list(records)}, context)

    return run


@pytest.fixture
def fails(cloud, invoke):
    """Return `fails(body)`, which runs a request in both wire forms: plain, and v1 with a field `schema`.

    `body` is the JSON object of the plain request. The function asserts that both runs end with the same
    FAILURE, and returns (error code, error message).
    """

    def run(body):
        for form in (body, {**body, "schema": "metrics.run.v1"}):
            assert invoke(record(form)) == {"batchItemFailures": []}
            left = cloud.keys("metrics/")
            assert not [key for key in left if "/runs/" in key or "/current/" in key]
            obstore.delete(cloud.store, left)
        plain, v1 = cloud.sns.completed
        assert plain.keys() == {"type", "runId", "metricCode", "status", "error"}
        assert v1.keys() == {"schema", *plain}
        assert plain["status"] == v1["status"] == "FAILURE"
        assert plain["error"] == f"{v1['error']['code']}: {v1['error']['message']}"
        assert v1["error"].keys() == {"code", "message"}
        assert "Traceback" not in plain["error"]
        assert 'File "' not in plain["error"]
        assert "\n" not in plain["error"]
        return v1["error"]["code"], v1["error"]["message"]

    return run


@pytest.fixture
def file_a_series(cloud):
    """Write a dataset of ten series, each with six part files."""
    names = {(code, n): f"{code}/month={n + 1:02d}/data.parquet" for code in CODES for n in range(MONTHS)}
    put_dataset(cloud.store, {name: month(code, n) for (code, n), name in names.items()})


@pytest.fixture
def file_a_month(cloud):
    """Write a dataset of six part files, each with all ten series."""
    files = {
        f"month={n + 1:02d}/data.parquet": pa.concat_tables([month(code, n) for code in CODES])
        for n in range(MONTHS)
    }
    put_dataset(cloud.store, files, series_codes=list(CODES))


@pytest.fixture(params=["file_a_series", "file_a_month"])
def layout(request):
    """Write a dataset of ten series in one layout, and return the layout: `file_a_series` or `file_a_month`.

    Each test runs twice, once with each layout.
    """
    request.getfixturevalue(request.param)
    return request.param


@pytest.fixture
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before

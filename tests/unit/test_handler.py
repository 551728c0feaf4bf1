import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from metrics_worker import handler
from tests.builders import ENVIRONMENT, record, request
from tests.faulty_store import MARKER, Faults, throttled


def import_handler(environment, folder):
    code = "import metrics_worker.handler"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, **environment, "PYTHONPATH": str(Path("src").absolute())},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "culprit"),
    [
        ({**ENVIRONMENT, "AWS_S3_BUCKET": ""}, "AWS_S3_BUCKET"),
        ({**ENVIRONMENT, "OUTPUT_COMPRESSION": "zip"}, "OUTPUT_COMPRESSION"),
    ],
)
def test_a_function_with_an_invalid_setting_does_not_start_and_names_the_setting(
    environment, culprit, tmp_path
):
    started = import_handler(environment, tmp_path)

    assert started.returncode != 0
    last = started.stderr.strip().splitlines()[-1]
    assert f"CONFIG_ERROR: {culprit}: " in last


def test_the_handler_has_fewer_than_a_hundred_lines():
    assert len(inspect.getsource(handler).splitlines()) < 100


@pytest.mark.parametrize("attributes", [{}, {"ApproximateReceiveCount": ""}, {"MessageGroupId": "m"}])
def test_a_record_without_a_receive_count_counts_as_a_first_attempt(cloud, invoke, monkeypatch, attributes):
    Faults.install(monkeypatch).before("GET", MARKER, throttled)
    sent = record(request()) | {"attributes": attributes}

    assert invoke(sent) == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}

    assert cloud.sqs.calls[0]["VisibilityTimeout"] <= 10

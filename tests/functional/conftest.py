"""Fixtures of the tests through the handler: an S3 that fails, and a run that must."""

import obstore
import pytest

from tests.builders import record
from tests.faulty_store import Faults


@pytest.fixture
def faults(monkeypatch):
    return Faults.install(monkeypatch)


@pytest.fixture
def fails(cloud, invoke):
    """`fails(request)`: runs it in both forms; the code and message that both announce."""

    def run(asked):
        for form in (asked, {**asked, "schema": "metrics.run.v1"}):
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

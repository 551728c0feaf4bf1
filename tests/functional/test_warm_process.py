"""A warm process keeps no objects of earlier invocations in memory.

The garbage collector is off in these tests, because a process with few and large objects, such as numpy
arrays, may run for a long time without a collection. With the collector off, the tests also find objects that
are kept only by a reference cycle.
"""

import gc
import json
import logging
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Never

import pyarrow as pa
import pytest
from obstore.exceptions import GenericError, PermissionDeniedError

from metrics_worker.dataset.datasets import Datasets, InputSeries
from metrics_worker.invocation import Attempt, Invocation
from metrics_worker.observability.report import GroupReport, RunReport
from metrics_worker.s3.bucket import StoredObject
from metrics_worker.s3.event_loop import EventLoop
from metrics_worker.series import Cleaned, Series
from tests.builders import FakeContext, put_a_and_b, ratio, record, request, series
from tests.faulty_store import DATA, MARKER
from tests.functional.runs import given_back, outcomes, run_of

KEPT = (
    Attempt,
    Cleaned,
    Datasets,
    GroupReport,
    InputSeries,
    Invocation,
    EventLoop,
    RunReport,
    Series,
    StoredObject,
    pa.Array,
    pa.ChunkedArray,
    pa.Table,
)


@pytest.fixture(autouse=True)
def dataset(cloud):
    put_a_and_b(cloud.store)


def denied() -> Never:
    """Raise the error for a denied S3 request: each time a new object, to which nothing else refers."""
    raise PermissionDeniedError("403 AccessDenied")


def throttled() -> Never:
    """Raise the error for a throttled S3 request: each time a new object, to which nothing else refers."""
    raise GenericError("503 SlowDown, after the client's own retries")


def living() -> Counter[str]:
    """Return how many objects of each class in `KEPT` are in memory, by the name of the class.

    `KEPT` has the classes of which only a running invocation may have objects.
    """
    return Counter(type(found).__name__ for found in gc.get_objects() if isinstance(found, KEPT))


@pytest.fixture
def kept(invoke, cloud, monkeypatch):
    """Yield `kept(*records, context=…, **settings)`, which calls `invoke` (tests/conftest.py).

    It passes its arguments on, and returns the response of the handler, and a counter from the name of a
    class to the number of its objects that this invocation has left in memory.
    """
    invoke(run_of("warm"))  # so that imports and caches of libraries do not count
    cloud.sns.messages.clear()
    gc.collect()
    gc.disable()

    def run(*records, context=None, **settings):
        # pytest would keep log records with tracebacks, which refer to objects of the invocation.
        monkeypatch.setattr(logging.getLogger(), "handlers", [])
        before = living()
        response = invoke(*records, context=context, **settings)
        return response, living() - before

    yield run
    gc.enable()


def test_nothing_stays_in_memory_after_runs_that_succeed(cloud, kept):
    assert kept(run_of("m", 1), run_of("m", 2), run_of("n")) == ({"batchItemFailures": []}, Counter())
    assert set(outcomes(cloud).values()) == {"SUCCESS"}


@pytest.mark.parametrize("fault", [("GET", "*/A/*"), ("GET", "datasets/*/manifest.json"), ("PUT", DATA)])
def test_nothing_stays_in_memory_after_a_permanent_failure(cloud, kept, faults, fault):
    faults.before(*fault, denied)
    assert kept(run_of("m")) == ({"batchItemFailures": []}, Counter())
    assert outcomes(cloud) == {"m-1": "FAILURE"}


def test_nothing_stays_in_memory_after_an_invalid_expression(cloud, kept):
    unknown = record(request(ratio(series("A"), series("NONE")), metric="m"), message_id="m-1")
    assert kept(unknown) == ({"batchItemFailures": []}, Counter())
    assert [event["status"] for event in cloud.sns.completed] == ["FAILURE"]


def test_nothing_stays_in_memory_after_a_defect(cloud, kept, monkeypatch):
    def broken(*_):
        raise RuntimeError("a defect")

    monkeypatch.setattr("metrics_worker.expression.evaluate.common", broken)
    assert kept(run_of("m")) == ({"batchItemFailures": []}, Counter())
    assert outcomes(cloud) == {"m-1": "FAILURE"}


@pytest.mark.parametrize("fault", [("GET", "*/A/*"), ("PUT", DATA), ("PUT", MARKER)])
def test_nothing_stays_in_memory_after_runs_that_return(kept, faults, fault):
    faults.before(*fault, throttled, times=99)
    response, left = kept(run_of("m", 1), run_of("m", 2))
    assert (given_back(response), left) == (["m-1", "m-2"], Counter())


def test_nothing_stays_in_memory_after_an_unanswerable_message(kept):
    response, left = kept(record("?", message_id="x", group="g"), record("{", message_id="y", group="g"))
    assert (given_back(response), left) == (["x", "y"], Counter())


def test_nothing_stays_in_memory_after_runs_that_run_out_of_time(kept, faults):
    faults.hold("datasets/*/data.parquet")
    context = FakeContext(remaining_ms=lambda: 20_200)
    response, left = kept(run_of("m"), run_of("n"), context=context)
    assert (sorted(given_back(response)), left) == (["m-1", "n-1"], Counter())


def test_nothing_stays_in_memory_after_a_run_whose_events_are_refused(cloud, kept):
    def refuse(_):
        raise OSError("no network")

    cloud.sns.before = refuse
    response, left = kept(run_of("m"))
    assert (given_back(response), left) == (["m-1"], Counter())


INVOCATIONS = 16
LARGE = """
import gc, io, json, sys
from contextlib import redirect_stdout
import numpy as np
import pyarrow as pa
from metrics_worker import handler
from tests.builders import Cloud, FakeContext, put_dataset, record, request, series

gc.disable()
rows = 1_000_000
times = pa.array(np.arange(rows) * 60_000_000_000, pa.timestamp("ns"))
cloud = Cloud()
table = pa.table({"obs_time": times, "value": np.random.default_rng(1).random(rows)})
files = {f"A/{part}.parquet": table.slice(part * rows // 16, rows // 16) for part in range(16)}
put_dataset(cloud.store, files)
del files, table, times
handler.worker = cloud.worker()
few = {"op": "lag", "series": series("A"), "window": rows - 10}
resident = []
for number in range(int(sys.argv[1])):
    body = request(few, kind="window_op", inputs={"A": "fx"}, run_id=f"run-{number}")
    with redirect_stdout(io.StringIO()):
        answer = handler.lambda_handler({"Records": [record(body)]}, FakeContext())
    assert answer == {"batchItemFailures": []}
    with open("/proc/self/statm") as statm:
        resident.append(int(statm.read().split()[1]) * 4096 // 1_000_000)
print(json.dumps([resident, cloud.sns.completed[-1]["status"]]))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux says how much memory is resident")
def test_resident_memory_does_not_grow_with_the_number_of_large_runs():
    root = Path(__file__).parents[2]
    deployed = {"MALLOC_ARENA_MAX": "2"}  # the template's value
    done = subprocess.run(
        [sys.executable, "-c", LARGE, str(INVOCATIONS)],
        env={**os.environ, **deployed, "PYTHONPATH": f"{root / 'src'}:{root}"},
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    resident, status = json.loads(done.stdout.splitlines()[-1])
    assert status == "SUCCESS"
    # Each series that stays in memory would add 16 MB.
    assert max(resident[10:]) <= max(resident[:10]) + 32, resident

"""Runs whose part files are decoded in the child process succeed, even after a read that ended early.

A damaged file, a deadline or the death of the child process ends a read early.
"""

from functools import cache

import numpy as np
import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from metrics_worker.dataset import decoder
from metrics_worker.deadline import RESERVED_SECONDS
from tests.builders import FakeContext, day, parquet, put_dataset, record, request, rows, series
from tests.decoding import child
from tests.functional.runs import given_back, outcomes

GROUPS, ROWS = 40, 150
KEY = "datasets/fx/projections/A/data.parquet"


@cache
def large() -> bytes:
    """Return a valid part file of about 6 MiB with many row groups and a large column that no run reads."""
    rng = np.random.default_rng(7)
    count = GROUPS * ROWS
    table = rows("A", pa.array(np.arange(count) * 86_400, pa.timestamp("s")), np.arange(count) + 0.5)
    notes = pa.array([rng.bytes(1_000) for _ in range(count)], pa.binary())
    return parquet(table.add_column(1, "note", notes), row_group_size=ROWS)


def damaged(body: bytes) -> bytes:
    """Return a part file with zeros in place of one page header, as after an incomplete upload.

    Args:
        body: the part file that `large` returns.
    """
    chunk = pq.ParquetFile(pa.BufferReader(body)).metadata.row_group(GROUPS // 2).column(3)
    at = chunk.dictionary_page_offset or chunk.data_page_offset
    return body[:at] + bytes(16) + body[at + 16 :]


@pytest.fixture(autouse=True)
def dataset(cloud):
    put_dataset(cloud.store, {"A/data.parquet": large(), "B/data.parquet": rows("B", [day(1)], [1.0])})


def request_record(run_id, code="A"):
    one = request(series(code), kind="series", inputs={code: "fx"}, metric=f"m.{run_id}", run_id=run_id)
    return record(one, message_id=run_id)


ABORTS = child("os.abort()")
SLEEPS = child("time.sleep(60)")


@pytest.fixture
def with_command(monkeypatch):
    """Return `with_command(command)`, which replaces the command that starts the decoder's child process.

    `command` is a tuple of the program and its arguments. The replacement ends with the test.
    """

    def use(command):
        monkeypatch.setattr(decoder.Decoder.__init__, "__defaults__", (None, command))

    return use


def test_a_large_file_is_read(cloud, invoke):
    invoke(request_record("r"))
    assert outcomes(cloud) == {"r": "SUCCESS"}
    (event,) = cloud.sns.completed
    assert event["rowCount"] == GROUPS * ROWS


def test_after_a_damaged_file_the_next_invocation_succeeds(cloud, invoke):
    for _ in range(3):
        obstore.put(cloud.store, KEY, damaged(large()), use_multipart=False)
        assert invoke(request_record("damaged")) == {"batchItemFailures": []}
        assert cloud.sns.completed[-1]["status"] == "FAILURE"
        assert KEY in cloud.sns.completed[-1]["error"]
        obstore.put(cloud.store, KEY, large(), use_multipart=False)
    invoke(request_record("healthy"))
    assert outcomes(cloud)["healthy"] == "SUCCESS"


def test_a_file_that_ends_the_process_does_not_take_the_batch_with_it(cloud, invoke, with_command):
    with_command(ABORTS)
    assert invoke(request_record("ends"), request_record("other", "B")) == {"batchItemFailures": []}
    assert outcomes(cloud) == {"ends": "FAILURE", "other": "SUCCESS"}
    (failure,) = [event for event in cloud.sns.completed if event["status"] == "FAILURE"]
    assert "INPUT_READ_ERROR: Failed to read input series: A: " in failure["error"]
    assert "SIGABRT" in failure["error"]


def test_after_a_deadline_the_next_invocation_succeeds(cloud, invoke, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(decoder.Decoder.__init__, "__defaults__", (None, SLEEPS))
        remaining = FakeContext(remaining_ms=lambda: round(1000 * RESERVED_SECONDS + 1_500))
        assert given_back(invoke(request_record("late"), context=remaining)) == ["late"]
    invoke(request_record("late"))
    assert outcomes(cloud) == {"late": "SUCCESS"}


def test_after_a_refusal_the_next_invocation_succeeds(cloud, invoke):
    invoke(request_record("refused"), WORKER_MAX_ROWS=100)
    invoke(request_record("healthy"))
    assert outcomes(cloud) == {"refused": "FAILURE", "healthy": "SUCCESS"}


def test_after_failed_requests_the_next_invocation_succeeds(cloud, invoke, monkeypatch):
    real = obstore.get_async

    async def failing(store, key, *, options=None):
        if key == KEY and options and isinstance(options.get("range"), tuple):
            raise obstore.exceptions.GenericError("503 Service Unavailable")
        return await real(store, key, options=options)

    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr("metrics_worker.s3.s3_bucket.obstore.get_async", failing)
            assert given_back(invoke(request_record("r"))) == ["r"]
    invoke(request_record("r"))
    assert outcomes(cloud) == {"r": "SUCCESS"}


def test_files_of_several_kinds_make_one_series(cloud, invoke):
    empty = pa.table({name: pa.nulls(0) for name in ("obs_time", "value", "internal_series_code")})
    zstd = parquet(rows("A", [day(3)], [3.0]), compression="zstd")
    files = {"A/1.parquet": rows("A", [day(1)], [1.0]), "A/2.parquet": empty, "A/3.parquet": zstd}
    put_dataset(cloud.store, files | {"A/4.parquet": large()})
    invoke(request_record("r"))
    (event,) = cloud.sns.completed
    assert event["status"] == "SUCCESS"
    assert event["rowCount"] == GROUPS * ROWS + 2


def test_each_run_gets_its_own_series_of_a_file_with_several(cloud, invoke):
    parts = [
        rows(code, pa.array(np.arange(90_000), pa.timestamp("s")), np.full(90_000, n))
        for n, code in enumerate("AB")
    ]
    put_dataset(cloud.store, {"all.parquet": parquet(pa.concat_tables(parts))})
    invoke(request_record("a"), request_record("b", "B"))
    assert outcomes(cloud) == {"a": "SUCCESS", "b": "SUCCESS"}
    assert {event["rowCount"] for event in cloud.sns.completed} == {90_000}

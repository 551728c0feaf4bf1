"""A part file that is none: what is said of it, with its key."""

import pyarrow as pa
import pytest
from obstore.store import MemoryStore

from metrics_worker.errors import InputReadError
from metrics_worker.part_file import read_part_file, to_series
from metrics_worker.store import Bucket, StoredObject
from tests.builders import BUCKET, day, parquet, rows

KEY = "datasets/fx/projections/A/data.parquet"
NOWHERE = Bucket(MemoryStore(), BUCKET)


def say(body, codes=None):
    with pytest.raises(InputReadError) as raised:
        read_part_file(StoredObject(KEY, memoryview(body), len(body), "etag"), NOWHERE, codes)
    assert raised.value.subject == KEY
    assert "\n" not in raised.value.problem
    return raised.value.problem


GOOD = parquet(rows("A", [day(1)], [1.0]))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"P",
        b"PAR1",
        b"PAR1PAR1",
        GOOD[:-1],
        GOOD[4:-8],
        GOOD[: len(GOOD) // 2],
        b"obs_time,value\n1,2\n",
    ],
)
def test_what_is_not_parquet_is_said_to_be_unreadable(body):
    assert say(body).startswith("not readable as Parquet: ")


def test_a_page_that_is_damaged_is_said_to_be_unreadable():
    body = bytearray(GOOD)
    body[4:60] = b"\xff" * 56
    assert say(bytes(body)).startswith("not readable as Parquet: ")


@pytest.mark.parametrize("missing", ["obs_time", "value"])
def test_a_missing_column_is_named_with_those_that_are_there(missing):
    problem = say(parquet(rows("A", [day(1)], [1.0]).drop_columns([missing])))
    assert problem.startswith(f"no column '{missing}'; the file has ")
    assert "internal_series_code" in problem


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("obs_time", pa.array(["2026-01-01"])),
        ("obs_time", pa.array([1], pa.int64())),
        ("obs_time", pa.array([1], pa.time64("us"))),
        ("value", pa.array(["1.0"])),
        ("value", pa.array([True])),
        ("value", pa.array([[1.0]])),
        ("value", pa.array([day(1)])),
        ("internal_series_code", pa.array([1])),
        ("internal_series_code", pa.array([b"A"])),
    ],
)
def test_a_column_of_the_wrong_type_is_named_with_its_type(column, values):
    table = rows("A", [day(1)], [1.0])
    table = table.set_column(table.column_names.index(column), column, values)
    kind = str(values.type).partition("<")[0]
    assert say(parquet(table)).startswith(f"column '{column}' is of type {kind}")


def test_a_time_beyond_the_range_of_microseconds_is_an_error():
    body = parquet(rows("A", pa.array([2**62], pa.timestamp("ms")), [1.0]))
    table = read_part_file(StoredObject(KEY, memoryview(body), len(body), "etag"), NOWHERE, None)
    with pytest.raises(InputReadError, match=f"{KEY}: .*out of the range of microseconds"):
        to_series([(KEY, table)], "A")

"""The error for a part file that cannot be read names the file and the defect."""

import pyarrow as pa
import pytest

from metrics_worker.dataset.rows import to_series
from metrics_worker.errors import InputReadError
from tests.builders import day, parquet, rows
from tests.decoding import BOTH_WAYS, KEY

pytestmark = BOTH_WAYS


def problem_of(read, body, codes=None):
    with pytest.raises(InputReadError) as raised:
        read(body, codes)
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
def test_a_file_that_is_not_parquet_is_an_error(read, body):
    assert problem_of(read, body).startswith("not readable as Parquet: ")


def test_a_damaged_page_is_reported_as_such(read):
    body = bytearray(GOOD)
    body[4:60] = b"\xff" * 56
    assert problem_of(read, bytes(body)).startswith("not readable as Parquet: a page is damaged: ")


def test_a_damaged_footer_is_reported_as_such(read):
    body = bytearray(GOOD)
    body[-40:-8] = b"\xff" * 32
    assert problem_of(read, bytes(body)).startswith(
        "not readable as Parquet: its footer is missing or damaged: "
    )


def test_a_series_code_that_is_not_text_is_an_error(read):
    table = rows("A", [day(1)], [1.0])
    table = table.set_column(1, "internal_series_code", pa.array([b"\xff\xfe"]))
    with pytest.raises(InputReadError, match=r"UTF-?8"):
        to_series([(KEY, read(parquet(table), ["A"]))], "A")


@pytest.mark.parametrize("missing", ["obs_time", "value"])
def test_a_missing_column_is_named_together_with_the_columns_of_the_file(read, missing):
    problem = problem_of(read, parquet(rows("A", [day(1)], [1.0]).drop_columns([missing])))
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
        ("internal_series_code", pa.array([b"A"], pa.binary(1))),
    ],
)
def test_a_column_of_the_wrong_type_is_named_with_its_type(read, column, values):
    table = rows("A", [day(1)], [1.0])
    table = table.set_column(table.column_names.index(column), column, values)
    kind = str(values.type).partition("<")[0]
    assert problem_of(read, parquet(table)).startswith(f"column '{column}' is of type {kind}")


def test_a_type_that_only_arrow_metadata_states_is_checked_in_each_file(read):
    # Parquet stores durations and integers alike, so the footers of both files have the same Parquet schema.
    integers, durations = (
        rows("A", [day(1)], pa.array([1], kind)) for kind in (pa.int64(), pa.duration("us"))
    )
    read(parquet(integers))
    assert problem_of(read, parquet(durations)) == "column 'value' is of type duration[us]"
    assert read(parquet(integers))["value"].to_pylist() == [1]


def test_a_time_beyond_the_range_of_microseconds_is_an_error(read):
    body = parquet(rows("A", pa.array([2**62], pa.timestamp("ms")), [1.0]))
    with pytest.raises(InputReadError, match=f"{KEY}: .*out of the range of microseconds"):
        to_series([(KEY, read(body))], "A")

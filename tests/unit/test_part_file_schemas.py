"""The columns of a usual part file do not depend on the part file that was read before it.

The columns of the previous file are remembered, because most files have the same schema.
"""

from itertools import permutations
from typing import Any

import pyarrow as pa
import pytest

from metrics_worker.dataset import part_file
from metrics_worker.dataset.part_file import read_usual
from metrics_worker.errors import InputReadError
from tests.builders import day, parquet, rows
from tests.decoding import admit, stored

DAYS, VALUES = [day(1), day(2)], [1.5, 2.5]
WITH_CODE = parquet(rows("A", DAYS, VALUES))
WITHOUT_CODE = parquet(rows(None, DAYS, VALUES))
FILES = {
    "with a code": WITH_CODE,
    "without a code": WITHOUT_CODE,
    "other order": parquet(rows("A", DAYS, VALUES).select(["value", "internal_series_code", "obs_time"])),
    "one more column": parquet(rows("A", DAYS, VALUES).append_column("unit", pa.array(["USD", "USD"]))),
    "integers": parquet(rows("A", DAYS, pa.array([1, 2]))),
    "durations, stored as integers": parquet(rows("A", DAYS, pa.array([1, 2], pa.duration("us")))),
    "no value": parquet(rows("A", DAYS, VALUES).drop_columns("value")),
    "column twice": parquet(rows("A", DAYS, VALUES).append_column("value", pa.array(VALUES))),
}


@pytest.fixture(autouse=True)
def no_previous_file(monkeypatch):
    monkeypatch.setattr(part_file, "_previous", [])


def read(body: bytes) -> Any:
    """Decode the rows of the series A in a part file, in this process.

    Args:
        body: the content of the part file.

    Returns:
        (schema, dict from the name of each column to its values); None if the file is unusual; or, if it
        cannot be read, the text of the problem.
    """
    try:
        table = read_usual(stored(body), ["A"], admit)
    except InputReadError as error:
        return error.problem
    return None if table is None else (table.schema, table.to_pydict())


def test_any_file_is_read_after_any_other_as_if_it_were_the_first():
    alone = {}
    for name, body in FILES.items():
        part_file._previous.clear()
        alone[name] = read(body)
    for before, name in permutations(FILES, 2):
        part_file._previous.clear()
        read(FILES[before])
        assert read(FILES[name]) == alone[name], f"{name} after {before}"


class Slow:
    """A replacement for the remembered schema that simulates a second thread.

    During each comparison of schemas, another file is read, as the second thread may do.
    """

    def __init__(self, schema):
        self.schema = schema

    def equals(self, other):
        is_same = self.schema.equals(other)
        part_file._previous.clear()
        read_usual(stored(WITHOUT_CODE), None, admit)
        return is_same


def test_a_file_that_another_thread_reads_at_the_same_time_does_not_change_the_columns():
    body = parquet(pa.concat_tables([rows("A", DAYS[:1], VALUES[:1]), rows("B", DAYS[1:], VALUES[1:])]))
    alone = read(body)
    (previous,) = part_file._previous
    part_file._previous[:] = [previous._replace(stored=Slow(previous.stored))]
    assert read(body) == alone
    assert alone[1]["value"] == VALUES[:1]

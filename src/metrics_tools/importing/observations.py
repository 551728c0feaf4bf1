"""The observations in a CSV or Parquet file that a user wants to import."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metrics_tools.formatting import count
from metrics_tools.importing.cells import MISSING, parse_time, parse_value
from metrics_tools.importing.columns import time_column, value_column
from metrics_tools.importing.table import FileRefusedError, read_table
from metrics_tools.published.versions import series_of
from metrics_worker.errors import InputReadError
from metrics_worker.series import Cleaned, clean


@dataclass(frozen=True, slots=True)
class Observations:
    """The observations in a file.

    Attributes:
        cleaned: the observations, and the counts of the rows that contain no observation.
        time_column: the name of the column with the times.
        value_column: the name of the column with the values.
        header_line: the number of the line with the header of a CSV file, from 1; the lines above the header
            are a title. 1 for a Parquet file.
    """

    cleaned: Cleaned
    time_column: str
    value_column: str
    header_line: int = 1


def read_observations(path: Path, *, time: str | None, value: str | None) -> Observations:
    """Return the observations in a CSV file, or in a Parquet file with the columns `obs_time` and `value`.

    Args:
        path: the file; it is Parquet if its name ends in `.parquet`, and otherwise CSV.
        time: the name of the column with the times in a CSV file; None for the only column with times.
        value: the name of the column with the values in a CSV file; None for the only other column with
            numbers.

    Raises:
        FileRefusedError: the file cannot be read, several columns can have the times or the values, a cell
            cannot be converted, or there is no observation.
    """
    try:
        body = path.read_bytes()
    except OSError as error:
        raise FileRefusedError(f"{path}: {error.strerror}.") from error
    if path.suffix == ".parquet":
        found = _of_parquet(path, body, named=bool(time or value))
    else:
        found = _of_csv(path, body, time=time, value=value)
    if not len(found.cleaned.series):
        rows = count(found.cleaned.rows, "row")
        raise FileRefusedError(f"{path}: no observation in {rows}; column {found.value_column!r} is empty.")
    return found


def _of_parquet(path: Path, body: bytes, *, named: bool) -> Observations:
    if named:
        raise FileRefusedError(
            f"{path}: --time and --value are for CSV; a Parquet file needs the columns obs_time and value."
        )
    try:
        series = series_of(str(path), body)
    except InputReadError as error:
        raise FileRefusedError(f"{error.message}.") from error
    return Observations(clean(series.times, series.values, null=0), "obs_time", "value")


def _of_csv(path: Path, body: bytes, *, time: str | None, value: str | None) -> Observations:
    table = read_table(path, body)
    times = time_column(table, time)
    values = value_column(table, value, times=times)
    found_times, found_values, null = [], [], 0
    for line, row in table.rows:
        if row[times].strip().lower() in MISSING or row[values].strip().lower() in MISSING:
            null += 1
            continue
        found_times.append(_converted(path, line, table.header[times], row[times], parse_time))
        found_values.append(_converted(path, line, table.header[values], row[values], parse_value))
    cleaned = clean(np.array(found_times, np.int64), np.array(found_values, np.float64), null=null)
    return Observations(cleaned, table.header[times], table.header[values], table.header_line)


def _converted[Value](path: Path, line: int, column: str, cell: str, parse: Callable[[str], Value]) -> Value:
    try:
        return parse(cell.strip())
    except ValueError as error:
        raise FileRefusedError(f"{path}, line {line}, column {column}: {error}.") from error

"""The observations in a CSV or Parquet file that a user wants to import.

CSV is read with the module `csv` and not with pyarrow.csv, because an error message must name the line of a
faulty cell. pyarrow.csv never reports the line of a cell that it cannot convert: it reports the number of the
row, for which it does not count empty lines, or no number if it reads in parallel.
"""

import csv
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from metrics_tools.formatting import count
from metrics_tools.published.versions import series_of
from metrics_worker.errors import InputReadError
from metrics_worker.series import Cleaned, clean

MISSING = ("", ".", "-", "na", "n/a", "nan", "null", "none")
"""The cells, in lower case, that mean that there is no observation. FRED writes a dot, the ECB N/A."""
_DELIMITERS = ",;\t|"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = range(1678, 2262)
"""The years whose times can be stored in nanoseconds."""
_SHOWN = 100


class FileRefusedError(Exception):
    """The error if a file cannot be imported. The text names the file, the line, the fault and what to do."""


@dataclass(frozen=True, slots=True)
class Observations:
    """The observations in a file.

    Attributes:
        cleaned: the observations, and the counts of the rows that contain no observation.
        time_column: the name of the column with the times.
        value_column: the name of the column with the values.
    """

    cleaned: Cleaned
    time_column: str
    value_column: str


def read_observations(path: Path, *, time: str | None, value: str | None) -> Observations:
    """Return the observations in a CSV file, or in a Parquet file with the columns `obs_time` and `value`.

    Args:
        path: the file; it is Parquet if its name ends in `.parquet`, and otherwise CSV.
        time: the name of the column with the times in a CSV file; None for the first column with times.
        value: the name of the column with the values in a CSV file; None for the first column with numbers.

    Raises:
        FileRefusedError: the file cannot be read, a cell cannot be converted, or there is no observation.
    """
    try:
        body = path.read_bytes()
    except OSError as error:
        raise FileRefusedError(f"{path}: {error.strerror}.") from error
    if path.suffix == ".parquet":
        found = _of_parquet(path, body, named=time or value)
    else:
        found = _of_csv(path, body, time=time, value=value)
    if not len(found.cleaned.series):
        rows = count(found.cleaned.rows, "row")
        raise FileRefusedError(f"{path}: no observation in {rows}; column {found.value_column!r} is empty.")
    return found


def _of_parquet(path: Path, body: bytes, named: str | None) -> Observations:
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
    header, rows = _table(path, body)
    times = _column(path, header, time) if time else _guess(path, header, rows, _looks_like_time, "time")
    if value:
        values = _column(path, header, value)
    else:
        others = [[*row[:times], "", *row[times + 1 :]] for _, row in rows[:_SHOWN]]
        values = _guess(path, header, list(enumerate(others)), _is_number, "value")
    found_times, found_values, null = [], [], 0
    for line, row in rows:
        if row[times].strip().lower() in MISSING or row[values].strip().lower() in MISSING:
            null += 1
            continue
        found_times.append(_converted(path, line, header[times], row[times], parse_time))
        found_values.append(_converted(path, line, header[values], row[values], parse_value))
    cleaned = clean(np.array(found_times, np.int64), np.array(found_values, np.float64), null=null)
    return Observations(cleaned, header[times], header[values])


def _table(path: Path, body: bytes) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header of a CSV file, and its other rows as (line number, cells). Empty lines are skipped.

    Raises:
        FileRefusedError: the file is not CSV, has no header, or a row has more or fewer cells than the
            header.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise FileRefusedError(
            f"{path}, line {line}: not UTF-8 text. Save the file as CSV in UTF-8."
        ) from error
    delimiter = max(_DELIMITERS, key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise FileRefusedError(f"{path}, line {reader.line_num}: not CSV: {error}.") from error
    if not rows:
        raise FileRefusedError(f"{path}: the file is empty.")
    header = [name.strip() for name in rows.pop(0)[1]]
    if any(_looks_like_time(name) or _is_number(name) for name in header):
        raise FileRefusedError(f"{path}, line 1: expected the names of the columns, found {_shown(header)}.")
    for line, row in rows:
        if len(row) != len(header):
            problem = f"{count(len(row), 'cell')}, but the header has {len(header)}: {_shown(row)}"
            raise FileRefusedError(f"{path}, line {line}: {problem}.")
    return header, rows


def _column(path: Path, header: Sequence[str], name: str) -> int:
    """Return the position of the column with a name, from 0.

    Args:
        path: the file, for the error.
        header: the names of the columns.
        name: the name to find.

    Raises:
        FileRefusedError: no column of the header has the name.
    """
    if header.count(name) == 1:
        return header.index(name)
    alike = get_close_matches(name, header, 1)
    hint = f" Did you mean {alike[0]}?" if alike else f" The columns are {_shown(header)}."
    many = f"{header.count(name)} columns have the name" if name in header else "there is no column"
    raise FileRefusedError(f"{path}, line 1: {many} {name!r}.{hint}")


def _guess(
    path: Path,
    header: Sequence[str],
    rows: Sequence[tuple[int, list[str]]],
    fits: Callable[[str], bool],
    kind: str,
) -> int:
    """Return the position (from 0) of the first column that probably contains times or numbers.

    The first cell of a column that is not empty decides whether the column fits.

    Args:
        path: the file, for the error.
        header: the names of the columns.
        rows: the rows, each with the number of its line.
        fits: returns whether a cell is a time or a number.
        kind: `time` or `value`, as in the option that selects this column.

    Raises:
        FileRefusedError: no column fits.
    """
    for place in range(len(header)):
        if any(map(fits, _first_cell(rows, place))):
            return place
    expected = "dates or times such as 2025-01-31" if kind == "time" else "numbers such as 1.5"
    hint = f" Line {rows[0][0]} is {_shown(rows[0][1])}." if rows and kind == "time" else ""
    if kind == "value" and any("," in cell for _, row in rows[:1] for cell in row):
        hint = " A number needs a decimal point: 1.5, not 1,5."
    raise FileRefusedError(f"{path}: no column has {expected}; name one with --{kind} NAME.{hint}")


def _first_cell(rows: Sequence[tuple[int, list[str]]], place: int) -> Iterator[str]:
    cells = (row[place].strip() for _, row in rows)
    yield from [cell for cell in cells if cell.lower() not in MISSING][:1]


def _converted[Value](path: Path, line: int, column: str, cell: str, parse: Callable[[str], Value]) -> Value:
    try:
        return parse(cell.strip())
    except ValueError as error:
        raise FileRefusedError(f"{path}, line {line}, column {column}: {error}.") from error


def parse_time(cell: str) -> int:
    """Return the time in a cell in microseconds since 1970; a time without a zone is UTC.

    Raises:
        ValueError: the cell is not a date or time in ISO 8601, or the year is out of range.
    """
    try:
        time = datetime.fromisoformat(cell)
    except ValueError:
        raise ValueError(f"expected a date or time such as 2025-01-31, found {cell[:_SHOWN]!r}") from None
    if time.year not in _YEARS:
        raise ValueError(f"expected a year from {_YEARS[0]} to {_YEARS[-1]}, found {cell[:_SHOWN]!r}")
    return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)


def parse_value(cell: str) -> float:
    """Return the number in a cell.

    Raises:
        ValueError: the cell is not a finite number.
    """
    try:
        value = float("" if "_" in cell else cell)
    except ValueError:
        hint = " (with a point, and without thousands separators)" if "," in cell else ""
        raise ValueError(f"expected a number{hint}, found {cell[:_SHOWN]!r}") from None
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, found {cell[:_SHOWN]!r}")
    return value


def _looks_like_time(cell: str) -> bool:
    """Return whether a cell is a date or time with hyphens. A cell such as 20250131 is taken for a number."""
    return "-" in cell and _fits(cell, parse_time)


def _is_number(cell: str) -> bool:
    return _fits(cell, parse_value)


def _fits(cell: str, parse: Callable[[str], object]) -> bool:
    try:
        parse(cell)
    except ValueError:
        return False
    return True


def _shown(cells: Sequence[str]) -> str:
    return ", ".join(cells)[:_SHOWN]

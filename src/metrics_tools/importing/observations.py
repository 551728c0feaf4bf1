"""The observations in a CSV or Parquet file that a user wants to import.

CSV is read with the module `csv` and not with pyarrow.csv, because an error message must name the line of a
faulty cell. pyarrow.csv never reports the line of a cell that it cannot convert: it reports the number of the
row, for which it does not count empty lines, or no number if it reads in parallel.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from metrics_tools.formatting import count
from metrics_tools.importing.cells import (
    MISSING,
    SHOWN,
    TIMES,
    is_number,
    looks_like_time,
    parse_time,
    parse_value,
    rewritten,
)
from metrics_tools.published.versions import series_of
from metrics_worker.errors import InputReadError
from metrics_worker.series import Cleaned, clean

_DELIMITERS = ",;\t|"


class FileRefusedError(Exception):
    """The error if a file cannot be imported. The text names the file, the line, the fault and what to do."""


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


@dataclass(frozen=True, slots=True)
class _Table:
    """The cells of a CSV file.

    Attributes:
        path: the file, for errors.
        header_line: the number of the line with the header, from 1.
        header: the names of the columns.
        rows: the other rows, as (number of the line, cells), without the empty ones.
    """

    path: Path
    header_line: int
    header: list[str]
    rows: list[tuple[int, list[str]]]


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
    table = _table(path, body)
    times = _column(table, time) if time else _time_column(table)
    values = _column(table, value) if value else _value_column(table, times)
    found_times, found_values, null = [], [], 0
    for line, row in table.rows:
        if row[times].strip().lower() in MISSING or row[values].strip().lower() in MISSING:
            null += 1
            continue
        found_times.append(_converted(path, line, table.header[times], row[times], parse_time))
        found_values.append(_converted(path, line, table.header[values], row[values], parse_value))
    cleaned = clean(np.array(found_times, np.int64), np.array(found_values, np.float64), null=null)
    return Observations(cleaned, table.header[times], table.header[values], table.header_line)


def _table(path: Path, body: bytes) -> _Table:
    """Return the cells of a CSV file. Empty lines, and lines with a title above the header, are skipped.

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
    delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise FileRefusedError(f"{path}, line {reader.line_num}: not CSV: {error}.") from error
    if not rows:
        raise FileRefusedError(f"{path}: the file is empty.")
    while len(rows) > 1 and _is_title(rows[0][1]) and not _has_observation(rows[1][1]):
        rows.pop(0)
    header_line, first = rows.pop(0)
    header = [name.strip() for name in first]
    if _has_observation(header):
        problem = f"expected the names of the columns, found {_shown(header)}"
        raise FileRefusedError(f"{path}, line {header_line}: {problem}.")
    table = _Table(path, header_line, header, rows)
    _check_numbers_of_cells(table, delimiter)
    return table


def _delimiter(text: str) -> str:
    """Return the delimiter that is most frequent in the first line that contains one; by default a comma."""
    lines = (line for line in text.splitlines() if any(one in line for one in _DELIMITERS))
    return max(_DELIMITERS, key=next(lines, "").count)


def _is_title(row: Sequence[str]) -> bool:
    """Return whether only the first cell of a row has text."""
    return not any(cell.strip() for cell in row[1:])


def _has_observation(row: Sequence[str]) -> bool:
    return any(looks_like_time(cell.strip()) or is_number(cell.strip()) for cell in row)


def _check_numbers_of_cells(table: _Table, delimiter: str) -> None:
    """Raise a FileRefusedError if a row has more or fewer cells than the header."""
    expected = len(table.header)
    for line, row in table.rows:
        if len(row) == expected:
            continue
        problem = f"{count(len(row), 'cell')}, but the header has {expected}: {_shown(row)}"
        hint = _title_hint(table) if line == table.rows[0][0] else ""
        if not hint and delimiter == "," and len(row) > expected:
            hint = " Write numbers as 1.5 or 1234.5, not 1,5 or 1,234.5. A text with a comma needs quotes."
        raise FileRefusedError(f"{table.path}, line {line}: {problem}.{hint}")


def _title_hint(table: _Table) -> str:
    """Return a hint for the case that the supposed header is a title; empty if observations follow it."""
    if not table.rows or _has_observation(table.rows[0][1]):
        return ""
    return f" If line {table.header_line} is a title above the header, delete it."


def _column(table: _Table, name: str) -> int:
    """Return the position of the column with a name, from 0.

    Args:
        table: the cells of the file.
        name: the name to find.

    Raises:
        FileRefusedError: no column of the header has the name, or several columns have it.
    """
    header = table.header
    if header.count(name) == 1:
        return header.index(name)
    alike = get_close_matches(name, header, 1)
    hint = f" Did you mean {alike[0]}?" if alike else f" The columns are {_shown(header)}."
    many = f"{header.count(name)} columns have the name" if name in header else "there is no column"
    raise FileRefusedError(f"{table.path}, line {table.header_line}: {many} {name!r}.{hint}")


def _time_column(table: _Table) -> int:
    """Return the position (from 0) of the first column that probably contains times.

    The first cell of a column that is not empty decides.

    Raises:
        FileRefusedError: no column contains times.
    """
    for place in range(len(table.header)):
        if any(map(looks_like_time, _first_cell(table, place))):
            return place
    shown = f" Line {table.rows[0][0]} is {_shown(table.rows[0][1])}." if table.rows else ""
    named = " Write the year first. For years such as 2025, or dates such as 20250131, add --time NAME."
    raise FileRefusedError(f"{table.path}: no column has {TIMES}.{shown}{_title_hint(table)}{named}")


def _value_column(table: _Table, times: int) -> int:
    """Return the position (from 0) of the first column with numbers, apart from that with the times.

    The first cell of a column that is not empty decides.

    Args:
        table: the cells of the file.
        times: the position of the column with the times, from 0.

    Raises:
        FileRefusedError: no other column contains numbers.
    """
    others = [place for place in range(len(table.header)) if place != times]
    for place in others:
        if any(map(is_number, _first_cell(table, place))):
            return place
    hint = "name one with --value NAME."
    for place in others:
        for cell in _first_cell(table, place):
            if better := " or ".join(rewritten(cell)):
                hint = f"column {table.header[place]} has {cell[:SHOWN]!r}: write {better}."
    raise FileRefusedError(f"{table.path}: no column has numbers such as 1.5; {hint}")


def _first_cell(table: _Table, place: int) -> Iterator[str]:
    """Yield the first cell of a column that is not empty; nothing if all cells are empty."""
    cells = (row[place].strip() for _, row in table.rows)
    yield from [cell for cell in cells if cell.lower() not in MISSING][:1]


def _converted[Value](path: Path, line: int, column: str, cell: str, parse: Callable[[str], Value]) -> Value:
    try:
        return parse(cell.strip())
    except ValueError as error:
        raise FileRefusedError(f"{path}, line {line}, column {column}: {error}.") from error


def _shown(cells: Sequence[str]) -> str:
    return ", ".join(cells)[:SHOWN]

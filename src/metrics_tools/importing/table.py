"""The cells of a CSV file: its delimiter, the line of its header, and its rows.

CSV is read with the module `csv` and not with pyarrow.csv, because an error message must name the line of a
faulty cell. pyarrow.csv never reports the line of a cell that it cannot convert: it reports the number of the
row, for which it does not count empty lines, or no number if it reads in parallel.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from metrics_tools.formatting import count
from metrics_tools.importing.cells import SHOWN, is_number, looks_like_time

_DELIMITERS = ",;\t|"


class FileRefusedError(Exception):
    """The error if a file cannot be imported. The text names the file, the line, the fault and what to do."""


@dataclass(frozen=True, slots=True)
class Table:
    """The cells of a CSV file.

    Attributes:
        path: the file, for errors.
        header_line: the number of the line with the header, from 1.
        header: the names of the columns.
        rows: the rows below the header, as (number of the line, cells), without the empty ones. There is at
            least one row, and each row has as many cells as the header.
    """

    path: Path
    header_line: int
    header: list[str]
    rows: list[tuple[int, list[str]]]

    def title_hint(self) -> str:
        """Return a hint for the case that the supposed header is a title; empty if observations follow it."""
        if has_observation(self.rows[0][1]):
            return ""
        return f" If line {self.header_line} is a title above the header, delete it."


class _Header(NamedTuple):
    """A possible header of a CSV file. The header of two that compares as greater is the better one.

    Attributes:
        above_time: whether the first row of observations below the header contains a time.
        width: the number of cells.
        line: the number of the line, from 1.
        delimiter: the delimiter of the cells.
    """

    above_time: bool
    width: int
    line: int
    delimiter: str


def read_table(path: Path, body: bytes) -> Table:
    """Return the cells of a CSV file. Empty lines, and lines with a title above the header, are skipped.

    Args:
        path: the path of the file, for errors.
        body: the content of the file.

    Raises:
        FileRefusedError: the file is not CSV, has no header, has no row below the header, or a row has more
            or fewer cells than the header.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise FileRefusedError(
            f"{path}, line {line}: not UTF-8 text. Save the file as CSV in UTF-8."
        ) from error
    headers = (_find_header(text, delimiter) for delimiter in _DELIMITERS if delimiter in text)
    found = max(filter(None, headers), default=None)
    delimiter = found.delimiter if found else _most_frequent_delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise FileRefusedError(f"{path}, line {reader.line_num}: not CSV: {error}.") from error
    if not rows:
        raise FileRefusedError(f"{path}: the file is empty.")
    while len(rows) > 1 and (rows[0][0] < found.line if found else _is_above_header(rows[0][1], rows[1][1])):
        rows.pop(0)
    table = Table(path, rows[0][0], [name.strip() for name in rows[0][1]], rows[1:])
    _check_header(table)
    _check_numbers_of_cells(table, delimiter)
    return table


def _find_header(text: str, delimiter: str) -> _Header | None:
    """Return the header that a CSV file has if its cells are separated by a delimiter; None if it has none.

    Below the header are only rows with as many cells, such as a row of units, up to the first row with a time
    or a number. A row with text in its first cell only, such as a title, is the header only if it is directly
    above that row. Two times or numbers in one row are observations, which cannot be above the header.
    """
    header_line = header_width = 0
    above_is_title = False
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            observed, width = sum(map(_is_time_or_number, row)), len(row)
            if observed and width == header_width > 1:
                above_time = any(looks_like_time(cell.strip()) for cell in row)
                return _Header(above_time, width, header_line, delimiter)
            if observed > 1:
                return None
            if any(cell.strip() for cell in row) and (width != header_width or above_is_title):
                header_line, header_width, above_is_title = reader.line_num, width, _is_title(row)
    except csv.Error:
        return None
    return None


def _most_frequent_delimiter(text: str) -> str:
    """Return the delimiter that is most frequent in the first line that contains one; by default a comma."""
    lines = (line for line in text.splitlines() if any(one in line for one in _DELIMITERS))
    return max(_DELIMITERS, key=next(lines, "").count)


def _is_above_header(row: Sequence[str], following: Sequence[str]) -> bool:
    return _is_title(row) and not has_observation(following)


def _is_title(row: Sequence[str]) -> bool:
    """Return whether only the first cell of a row has text."""
    return not any(cell.strip() for cell in row[1:])


def has_observation(row: Sequence[str]) -> bool:
    """Return whether a cell of a row is a time or a number."""
    return any(map(_is_time_or_number, row))


def _is_time_or_number(cell: str) -> bool:
    return looks_like_time(cell.strip()) or is_number(cell.strip())


def _check_header(table: Table) -> None:
    """Raise a FileRefusedError if the header contains a time or a number, or if no row is below it."""
    where = f"{table.path}, line {table.header_line}"
    if has_observation(table.header):
        hint = ""
        if not _is_time_or_number(table.header[0]) and any(map(looks_like_time, table.header)):
            hint = " The file needs one row for each time, not one column: exchange rows and columns."
        raise FileRefusedError(
            f"{where}: expected the names of the columns, found {shown(table.header)}.{hint}"
        )
    if not table.rows:
        raise FileRefusedError(f"{where}: no row is below the header {shown(table.header)}.")


def _check_numbers_of_cells(table: Table, delimiter: str) -> None:
    """Raise a FileRefusedError if a row has more or fewer cells than the header."""
    expected = len(table.header)
    for line, row in table.rows:
        if len(row) == expected:
            continue
        problem = f"{count(len(row), 'cell')}, but the header has {expected}: {shown(row)}"
        hint = table.title_hint() if line == table.rows[0][0] else ""
        if not hint and len(row) < expected and not has_observation(row):
            hint = " If the line is a note below the observations, delete it."
        if not hint and delimiter == "," and len(row) > expected:
            hint = " Write numbers as 1.5 or 1234.5, not 1,5 or 1,234.5. A text with a comma needs quotes."
        raise FileRefusedError(f"{table.path}, line {line}: {problem}.{hint}")


def shown(cells: Sequence[str]) -> str:
    """Return the cells of a row for an error, with at most 100 characters."""
    return ", ".join(cells)[:SHOWN]

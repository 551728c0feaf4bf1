"""The choice of the columns of a CSV file that contain the times and the values of a series.

Without the name of a column, the choice must be clear from the cells: if several columns are possible, the
file is refused with a list of these columns.
"""

from calendar import month_abbr
from collections.abc import Sequence
from difflib import get_close_matches

from metrics_tools.importing.cells import (
    DAY_FIRST,
    MISSING,
    SHOWN,
    SPREADSHEET_DAY,
    TIMES,
    looks_like_time,
    may_be_value,
)
from metrics_tools.importing.table import FileRefusedError, Table, shown


def time_column(table: Table, name: str | None) -> int:
    """Return the position (from 0) of the column with the times.

    Args:
        table: the cells of the file.
        name: the name of the column; None for the only column whose first non-empty cell is a time.

    Raises:
        FileRefusedError: no column, or more than one column, qualifies.
    """
    if name is not None:
        return _named(table, name)
    places = range(len(table.header))
    found = [place for place in places if any(map(looks_like_time, _cells(table, place)[:1]))]
    if len(found) > 1:
        raise _ambiguous(table, found, "times", "--time")
    if found:
        return found[0]
    line, row = table.rows[0]
    hint = f"{_line_hint(table)}{_time_hint(table)}"
    raise FileRefusedError(f"{table.path}: no column has {TIMES}. Line {line} is {shown(row)}.{hint}")


def _time_hint(table: Table) -> str:
    """Return how to write the times of a file in which no column has times, as sentences after a blank."""
    cells = [cell.strip() for cell in table.rows[0][1]]
    if SPREADSHEET_DAY.fullmatch(cells[0]):
        problem = f"If {cells[0]} is a spreadsheet's number of a day"
        return f" {problem}, format the column as dates such as 2025-01-31."
    names = {name.lower(): name for name in table.header}
    if "year" in names and (parts := [names[part] for part in ("month", "quarter") if part in names]):
        joined = "months such as 2025-01" if "month" in names else "quarters such as 2025-Q1"
        return f" Join the columns {names['year']} and {parts[0]} into one column with {joined}."
    first = " Write the year first." if any(map(DAY_FIRST.match, cells)) else ""
    return f"{first} For years such as 2025, or dates such as 20250131 or 202501, add --time NAME."


def value_column(table: Table, name: str | None, *, times: int) -> int:
    """Return the position (from 0) of the column with the values.

    Args:
        table: the cells of the file.
        name: the name of the column; None for the only column, apart from that with the times, that has a
            cell that is a number or almost a number. A first column without a name does not count: pandas
            and R write the numbers of the rows into it.
        times: the position of the column with the times, from 0.

    Raises:
        FileRefusedError: no column, or more than one column, qualifies.
    """
    if name is not None:
        return _named(table, name)
    places = [i for i, header in enumerate(table.header) if i != times and (i or header)]
    found = [place for place in places if any(map(may_be_value, _cells(table, place)))]
    if len(found) > 1:
        raise _ambiguous(table, found, "values", "--value")
    if found:
        return found[0]
    line, row = table.rows[0]
    hint = _line_hint(table)
    if times and not table.header[0]:
        hint = f"{hint} The first column has no name and counts as row numbers: name it if it has the values."
    raise FileRefusedError(
        f"{table.path}: no column has numbers such as 1.5. Line {line} is {shown(row)}.{hint}"
    )


def _line_hint(table: Table) -> str:
    """Return which of the first two lines may have to be deleted; empty if the second has an observation."""
    hint = table.title_hint()
    return f"{hint} If line {table.rows[0][0]} has units, delete that line." if hint else ""


def _ambiguous(table: Table, places: Sequence[int], content: str, option: str) -> FileRefusedError:
    """Return the error for a file in which several columns can have the times or the values.

    Args:
        table: the cells of the file.
        places: the positions of the columns, from 0.
        content: `times` or `values`.
        option: the option that names the column.
    """
    listed = ", ".join(f"{table.header[place] or repr('')} ({_cells(table, place)[0]})" for place in places)
    months = {name.lower() for name in month_abbr[1:]}
    hint = f"Choose one with {option} NAME."
    if sum(table.header[place][:3].lower() in months for place in places) > 1:
        hint = "The file needs one row for each month, not one column."
    return FileRefusedError(
        f"{table.path}: {len(places)} columns can have the {content}: {listed[:SHOWN]}. {hint}"
    )


def _named(table: Table, name: str) -> int:
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
    hint = f" Did you mean {alike[0]}?" if alike else f" The columns are {shown(header)}."
    many = f"{header.count(name)} columns have the name" if name in header else "there is no column"
    raise FileRefusedError(f"{table.path}, line {table.header_line}: {many} {name!r}.{hint}")


def _cells(table: Table, place: int) -> list[str]:
    """Return the different cells of a column in the order of the rows, without those that count as empty."""
    cells = dict.fromkeys(row[place].strip() for _, row in table.rows)
    return [cell for cell in cells if cell.lower() not in MISSING]

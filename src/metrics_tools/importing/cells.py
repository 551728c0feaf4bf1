"""The times and numbers in the cells of a CSV file.

The text of each error completes a sentence that begins with the file, the line and the column of the cell.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

MISSING = ("", ".", "-", "na", "n/a", "nan", "null", "none")
"""The cells, in lower case, that mean that there is no observation. FRED writes a dot, the ECB N/A."""
NOT_AVAILABLE = (
    *(":", "..", "...", "--", "n.a.", "n.a", "n.d.", "#n/a"),
    *("\N{HORIZONTAL ELLIPSIS}", "\N{EN DASH}", "\N{EM DASH}"),
)
"""The cells, in lower case, that statistical offices write for a missing value, and that are refused."""
TIMES = "dates such as 2025-01-31, months such as 2025-01 or quarters such as 2025-Q1"
"""A description of the cells that are probably times, for errors."""
SHOWN = 100
"""The maximum number of characters of a cell or line in an error."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = range(1678, 2262)
"""The years whose times can be stored in nanoseconds."""
_PERIOD = re.compile(r"(\d{4})(?:-?(\d\d)|[- ]?([MQSH])(\d\d?))?", re.ASCII | re.IGNORECASE)
"""A year; or a month (2025-01, 202501, 2025M01), a quarter (2025-Q1), or a half of a year (2025-S1)."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ].*)?", re.ASCII)
DAY_FIRST = re.compile(r"\d\d?([./-])\d\d?\1\d{2,4}\b", re.ASCII)
"""A date that does not begin with the year, such as 31/01/2025 or 1.2.25, which is refused as a time."""
SPREADSHEET_DAY = re.compile(r"[2-6]\d{4}", re.ASCII)
"""The number that a spreadsheet stores for a day from 1954 to 2091."""
_MONTHS = {"M": 1, "Q": 3, "S": 6, "H": 6}
_FLAG = re.compile(r"(?<=\d)\s*(\([a-z]{1,3}\)|[cdefinprsuz]|\*)", re.ASCII)
"""A sign after a number that says how reliable it is, such as p for provisional. k, m and b mean factors."""
_NUMBER_AT_START = re.compile(r"[\s'$€£<>~(+\N{MINUS SIGN}-]*[.,]?\d")
_OTHER_SIGNS = re.compile(r"[\s'%$€£]")
_COMMAS_IN_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+", re.ASCII)


def parse_time(cell: str) -> int:
    """Return the time in a cell in microseconds since 1970; a time without a zone is UTC.

    A month, quarter, half or year is the midnight at which its first day begins.

    Raises:
        ValueError: the cell is not a period or a date or time in ISO 8601, or the year is out of range.
    """
    try:
        time = _start_of_period(cell) or datetime.fromisoformat(cell)
    except ValueError:
        problem = (
            f"expected a date or time such as 2025-01-31 or a month such as 2025-01, found {cell[:SHOWN]!r}"
        )
        raise ValueError(f"{problem}{_time_hint(cell)}") from None
    if time.year not in _YEARS:
        raise ValueError(f"expected a year from {_YEARS[0]} to {_YEARS[-1]}, found {cell[:SHOWN]!r}")
    return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)


def _time_hint(cell: str) -> str:
    if _DATE.fullmatch(cell):
        return ": there is no such day or time"
    is_day = SPREADSHEET_DAY.fullmatch(cell)
    return ": if it is a spreadsheet's number of a day, format the column as dates" if is_day else ""


def _start_of_period(cell: str) -> datetime | None:
    """Return the first day of the period in a cell; None if the cell does not have the form of a period.

    Raises:
        ValueError: the year has no such period, as in 2025-13 or 2025-Q5.
    """
    found = _PERIOD.fullmatch(cell)
    if not found:
        return None
    year, month, unit, number = found.groups()
    first_month = (int(month or number or 1) - 1) * _MONTHS[(unit or "M").upper()] + 1
    return datetime(int(year), first_month, 1, tzinfo=UTC)


def parse_value(cell: str) -> float:
    """Return the number in a cell.

    Raises:
        ValueError: the cell is not a finite number.
    """
    try:
        value = float("" if "_" in cell else cell)
    except ValueError:
        better = " or ".join(rewritten(cell))
        hint = f": write {better}" if better else ""
        if not any(map(str.isdigit, cell)):
            hint = ": if there is no value, empty the cell"
        raise ValueError(f"expected a number, found {cell[:SHOWN]!r}{hint}") from None
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, found {cell[:SHOWN]!r}")
    return value


def rewritten(cell: str) -> list[str]:
    """Return the numbers that a refused cell can mean, as they must be written in the file.

    `1,234.5` means 1234.5, `6,0` means 6.0, and `2.5 (p)` means 2.5. `1,234` can mean 1234 or 1.234, and `x`
    no number.
    """
    flag = _FLAG.search(cell)
    unflagged = cell[: flag.start()] if flag and flag.end() == len(cell) else cell
    text = _OTHER_SIGNS.sub("", unflagged).replace("\N{MINUS SIGN}", "-")
    found = []
    if _COMMAS_IN_THOUSANDS.fullmatch(text):
        found.append(text.replace(",", ""))
    if _DECIMAL_COMMA.fullmatch(text):
        found.append(text.replace(".", "").replace(",", "."))
    return found or ([text] if text != cell and is_number(text) else [])


def looks_like_time(cell: str) -> bool:
    """Return whether a cell is probably a time, which may be a day that does not exist, such as 2025-02-30.

    Digits such as 20250131 or 2025 are taken for a number.
    """
    return not cell.isdigit() and (bool(_DATE.fullmatch(cell)) or _fits(cell, parse_time))


def may_be_value(cell: str) -> bool:
    """Return whether a cell is a number, almost a number such as `100,1` or `2.5 (p)`, or a sign for none."""
    is_date = bool(DAY_FIRST.match(cell)) or looks_like_time(cell)
    return (bool(_NUMBER_AT_START.match(cell)) and not is_date) or cell.lower() in NOT_AVAILABLE


def is_number(cell: str) -> bool:
    """Return whether a cell is a finite number."""
    return _fits(cell, parse_value)


def _fits(cell: str, parse: Callable[[str], object]) -> bool:
    try:
        parse(cell)
    except ValueError:
        return False
    return True

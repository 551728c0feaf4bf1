"""Formatting of numbers, times, durations and sizes as text for the page."""

import re
from datetime import datetime
from html import escape

_KILO = 1000
_LONG_SECONDS, _SHORT_MS = 10, 10


def count(number: int, one: str, many: str = "") -> str:
    """Return a number with a noun in singular or plural: "1 row", "4,822 rows"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def number(value: float) -> str:
    """Return a value with six significant digits and a typographic minus sign."""
    return f"{value:,.6g}".replace("-", "\N{MINUS SIGN}")


def day(time: datetime) -> str:
    """Return the date, followed by the time of day unless it is midnight."""
    return f"{time:%Y-%m-%d}" if time.time() == time.min.time() else f"{time:%Y-%m-%d %H:%M}"


def clock(time: datetime) -> str:
    """Return the time of day with milliseconds, such as "09:30:01.500"."""
    return f"{time:%H:%M:%S}.{time.microsecond // 1000:03d}"


def took(seconds: float) -> str:
    """Return a duration in seconds or milliseconds with two or three significant digits."""
    if seconds == 0:
        return "0 s"
    if seconds >= 1:
        return f"{seconds:.1f} s" if seconds >= _LONG_SECONDS else f"{seconds:.2f} s"
    ms = seconds * 1000
    return f"{ms:.0f} ms" if ms >= _SHORT_MS else f"{ms:.1f} ms"


def size(octets: int) -> str:
    """Return a number of bytes in B, kB or MB (powers of 1,000)."""
    if octets < _KILO:
        return f"{octets} B"
    if octets < _KILO**2:
        return f"{octets / _KILO:.1f} kB"
    return f"{octets / _KILO**2:.1f} MB"


def breakable(name: str) -> str:
    """Return a key or a code as HTML in which a line may break after each slash, underscore and dot."""
    return re.sub(r"[/_.]", r"\g<0><wbr>", escape(name))

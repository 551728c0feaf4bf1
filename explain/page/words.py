"""Numbers, dates and sizes as the page writes them."""

import re
from datetime import datetime
from html import escape

_KILO = 1000
_LONG_SECONDS, _SHORT_MS = 10, 10


def count(number: int, one: str, many: str = "") -> str:
    """A number and what is counted: "1 row", "4,822 rows"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def number(value: float) -> str:
    """A value to be read: six significant digits, a real minus."""
    return f"{value:,.6g}".replace("-", "\N{MINUS SIGN}")


def day(time: datetime) -> str:
    """The day, and the time of day where it is not midnight, UTC."""
    return f"{time:%Y-%m-%d}" if time.time() == time.min.time() else f"{time:%Y-%m-%d %H:%M}"


def clock(time: datetime) -> str:
    """The time of day, to the millisecond."""
    return f"{time:%H:%M:%S}.{time.microsecond // 1000:03d}"


def took(seconds: float) -> str:
    """A length of time."""
    if seconds == 0:
        return "0 s"
    if seconds >= 1:
        return f"{seconds:.1f} s" if seconds >= _LONG_SECONDS else f"{seconds:.2f} s"
    ms = seconds * 1000
    return f"{ms:.0f} ms" if ms >= _SHORT_MS else f"{ms:.1f} ms"


def size(octets: int) -> str:
    """Bytes, in thousands and millions of them."""
    if octets < _KILO:
        return f"{octets} B"
    if octets < _KILO**2:
        return f"{octets / _KILO:.1f} kB"
    return f"{octets / _KILO**2:.1f} MB"


def breakable(name: str) -> str:
    """A key or a code as HTML that may be broken after its slashes, lines and points."""
    return re.sub(r"[/_.]", r"\g<0><wbr>", escape(name))

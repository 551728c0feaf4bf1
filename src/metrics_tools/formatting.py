"""Formatting of numbers, times, durations and sizes as text."""

from datetime import datetime

_KILO = 1000
_LONG_SECONDS, _SHORT_MS = 10, 10
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def count(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun in the singular or plural, such as "1 row" or "4,822 rows".

    Args:
        number: the number.
        one: the noun in the singular.
        many: the noun in the plural; empty if the plural only adds an s.
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def rounded(value: float) -> str:
    """Return a value as text with six significant digits, grouped thousands and a typographic minus."""
    return f"{value:,.6g}".replace("-", "\N{MINUS SIGN}")


def size(octets: int) -> str:
    """Return a number of bytes as text in B, kB or MB (powers of 1,000), such as "12.3 kB"."""
    if octets < _KILO:
        return f"{octets} B"
    if octets < _KILO**2:
        return f"{octets / _KILO:.1f} kB"
    return f"{octets / _KILO**2:.1f} MB"


def duration(seconds: float) -> str:
    """Return a duration as text, such as "2.50 s" or, if it is shorter than a second, "12 ms"."""
    if seconds == 0:
        return "0 s"
    if seconds >= 1:
        return f"{seconds:.1f} s" if seconds >= _LONG_SECONDS else f"{seconds:.2f} s"
    ms = seconds * 1000
    return f"{ms:.0f} ms" if ms >= _SHORT_MS else f"{ms:.1f} ms"


def clock(time: datetime) -> str:
    """Return the time of day with milliseconds, such as "09:30:01.500"."""
    return f"{time:%H:%M:%S}.{time.microsecond // 1000:03d}"


def iso_time(time: datetime | int) -> str:
    """Return a UTC time in ISO 8601 with `Z`, exact to the microsecond.

    Args:
        time: a datetime in UTC, or microseconds since 1970, of any year.
    """
    import numpy as np  # noqa: PLC0415 - takes 0.1 s, and a problem in a file is reported without it

    stamp = time.replace(tzinfo=None) if isinstance(time, datetime) else int(time)
    return f"{np.datetime64(stamp, 'us')}".removesuffix(".000000") + "Z"


def shown_time(time: datetime | int) -> str:
    """Return a UTC time for people: the date, followed by the time of day unless it is midnight.

    Args:
        time: a datetime in UTC, or microseconds since 1970, of any year.
    """
    date, _, clock = iso_time(time).removesuffix("Z").partition("T")
    return date if clock == "00:00:00" else f"{date} {clock.removesuffix(':00')}"


def age(seconds: float) -> str:
    """Return an age as text, such as "90 s" or "3 days".

    The unit is the largest one (days, h, min or s) of which the age has at least two; it is s below two
    minutes.
    """
    for size, unit in ((_DAY, " days"), (_HOUR, " h"), (_MINUTE, " min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f}{unit}"
    return f"{max(seconds, 0):.0f} s"

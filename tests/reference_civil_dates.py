"""Slow reference implementations of civil dates in plain Python: one time or date after another.

They share no code with `metrics_worker.civil_dates`: they use `datetime` and `zoneinfo`, and no numpy. Like
`datetime`, they cover the years 1 to 9999.
"""

from calendar import monthrange
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from io import BytesIO
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def file(name: str) -> bytes:
    """Return the content of the file of a time zone, such as Europe/Berlin, in the time zone database."""
    return resources.files("tzdata").joinpath("zoneinfo", name).read_bytes()


def zone(name: str) -> ZoneInfo:
    """Return a time zone, such as Europe/Berlin, from its file in the time zone database."""
    return ZoneInfo.from_file(BytesIO(file(name)), name)


def moment(microseconds: int) -> datetime:
    """Return the UTC datetime that is `microseconds` after 1970-01-01 UTC."""
    return EPOCH + timedelta(microseconds=microseconds)


def microseconds(at: datetime) -> int:
    """Return the microseconds from 1970-01-01 UTC to a datetime with a time zone."""
    return (at - EPOCH) // timedelta(microseconds=1)


def civil_dates(times: Sequence[int], zone: ZoneInfo) -> list[date]:
    """Return the civil date of each time in a time zone; times are in microseconds since 1970-01-01 UTC.

    The dates never decrease: if the clock goes back over midnight, the later date remains.
    """
    dates: list[date] = []
    for each in times:
        own = moment(each).astimezone(zone).date()
        dates.append(max(own, dates[-1]) if dates else own)
    return dates


def midnight(day: date, zone: ZoneInfo) -> int:
    """Return the first second whose date in a zone is `day` or later, as microseconds since 1970-01-01 UTC.

    The function tries every hour around the day, and then every second of the hour. No zone has an offset of
    more than a day.
    """
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=50)
    hours = (start + timedelta(hours=n) for n in range(100))
    hour = next(each for each in hours if each.astimezone(zone).date() >= day) - timedelta(hours=1)
    seconds = (hour + timedelta(seconds=n) for n in range(3601))
    return microseconds(next(each for each in seconds if each.astimezone(zone).date() >= day))


def minus(day: date, count: int, unit: str) -> date:
    """Return the date that is `count` units before a day.

    If the resulting month has no such day, the result is the last day of the month.

    Args:
        day: the day.
        count: the number of units.
        unit: "days", "weeks", "months", "quarters" or "years".
    """
    if unit in {"days", "weeks"}:
        return day - timedelta(days=count * (7 if unit == "weeks" else 1))
    months = count * {"months": 1, "quarters": 3, "years": 12}[unit]
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def period_start(day: date, period: str) -> date:
    """Return the first day of the period that contains a day: its ISO week, month, quarter or year."""
    while not _is_first(day, period):
        day -= timedelta(days=1)
    return day


def period_end(day: date, period: str) -> date:
    """Return the last day of the period that contains a day: its ISO week, month, quarter or year."""
    while not _is_first(day + timedelta(days=1), period):
        day += timedelta(days=1)
    return day


def _is_first(day: date, period: str) -> bool:
    if period == "week":
        return day.isoweekday() == 1
    months = {"month": range(1, 13), "quarter": (1, 4, 7, 10), "year": (1,)}[period]
    return day.day == 1 and day.month in months

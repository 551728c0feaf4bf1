"""Observations in a file with tests: the three forms in which they are written, and their conversion."""

import sys
from collections.abc import Iterator
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta, tzinfo
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from metrics_worker import civil_dates

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ABSENT = "_"
"""The text that means "no observation" in place of a value, as null does."""

type Points = dict[int, float | None]
"""By time, in microseconds since 1970-01-01 UTC: a value, or None for a time without an observation."""


def _time(value: Any) -> datetime:
    """Return the time in an ISO 8601 text. The time has no zone if the text has none.

    Raises:
        ValueError: the value is not a time.
    """
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("a time is written 2026-01-31, 2026-01-31T09:30 or 2026-01-31T09:30:00Z") from None


def _value(value: Any) -> float | None:
    """Return the value of an observation as it is written in a file; None for null and "_".

    Raises:
        ValueError: the value is not a finite number.
    """
    if value is None or value == _ABSENT:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not abs(value) <= sys.float_info.max:
        raise ValueError('a value is a finite number; null or "_" means that there is no observation')
    return float(value)


def _form(value: Any) -> str | None:
    """Return the tag by which pydantic selects the model for observations in a file.

    The tag is `<regular>` for regular dates with values, `<mapping>` for an object of times and values, and
    `<pairs>` for a list of pairs. It is None if the value is neither an object nor a list.

    Args:
        value: the observations as JSON values.
    """
    match value:
        case {"values": _} | {"start": _} | {"every": _}:
            return "<regular>"
        case dict():
            return "<mapping>"
        case list():
            return "<pairs>"
    return None


class Part(BaseModel):
    """The base class of the pydantic models of test files and of `checks.yaml`. It rejects unknown fields."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


type Time = Annotated[datetime, BeforeValidator(_time)]
type Value = Annotated[float | None, BeforeValidator(_value)]


class Regular(Part):
    """Observations at regular dates: the first date, the step, and the values in order."""

    start: Time
    every: Literal["day", "business day", "week", "month", "quarter", "year"]
    values: list[Value]

    def items(self) -> Iterator[tuple[datetime, float | None]]:
        """Yield the time and the value of each observation. The local time of day is the same on all dates.

        If a month has no such day as that of `start`, the date is the last day of the month.

        Raises:
            ValueError: the step is a business day, and the first date is a Saturday or Sunday.
        """
        first = np.array([self.start.date()], "datetime64[D]")
        if self.every == "business day" and not np.is_busday(first).all():
            raise ValueError("`start` is on a weekend: begin with a business day")
        for number, value in enumerate(self.values):
            if self.every == "business day":
                dates = np.busday_offset(first, number)
            else:
                dates = civil_dates.minus(first, -number, _UNITS[self.every])
            yield datetime.combine(dates.item(), self.start.timetz()), value


_UNITS: dict[str, civil_dates.Unit] = {
    "day": "days",
    "week": "weeks",
    "month": "months",
    "quarter": "quarters",
    "year": "years",
}

type Pair = Annotated[tuple[Time, Value], Field(strict=False)]
type Observations = Annotated[
    Annotated[dict[Time, Value], Tag("<mapping>")]
    | Annotated[list[Pair], Tag("<pairs>")]
    | Annotated[Regular, Tag("<regular>")],
    Discriminator(
        _form,
        custom_error_type="observations",
        custom_error_message=(
            "observations are {time: value, …}, or [[time, value], …], or {start, every, values}"
        ),
    ),
]


def microseconds(time: datetime, zone: tzinfo) -> int:
    """Return a time in microseconds since 1970-01-01 UTC.

    Args:
        time: the time, with or without an offset from UTC.
        zone: the zone of a time without an offset.

    Raises:
        ValueError: the time is in the year 1 or 9999. In UTC it could be outside the years that Python
            supports.
    """
    if not MINYEAR < time.year < MAXYEAR:
        raise ValueError(f"{time} is not in the years {MINYEAR + 1} to {MAXYEAR - 1}")
    return ((time if time.tzinfo else time.replace(tzinfo=zone)) - _EPOCH) // _MICROSECOND


def time_text(at: int, zone: tzinfo) -> str:
    """Return a time as text, as a clock in the zone shows it; midnight is written as the date alone.

    Args:
        at: the time in microseconds since 1970-01-01 UTC.
        zone: the zone.
    """
    local = (_EPOCH + at * _MICROSECOND).astimezone(zone)
    return local.replace(tzinfo=None).isoformat(" ").removesuffix(" 00:00:00")


def points(given: Observations, zone: tzinfo) -> Points:
    """Return the values of observations by time (microseconds since 1970-01-01 UTC), in the written order.

    Args:
        given: the observations, in any of the three forms.
        zone: the zone of times without an offset.

    Raises:
        ValueError: a time occurs twice, or a date is outside the years that are allowed.
    """
    found: Points = {}
    for time, value in given if isinstance(given, list) else given.items():
        at = microseconds(time, zone)
        if at in found:
            raise ValueError(f"the time {time} occurs twice")
        found[at] = value
    return found

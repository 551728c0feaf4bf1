"""Civil dates: the calendar dates of times in a time zone, date arithmetic, and periods of the calendar.

All functions work on whole arrays, whose elements must not decrease. The offset of a zone from UTC changes a
few times a year at most, so the functions need only the *changes* of the offset:

- Past and announced changes are listed in the zone's file in the IANA time zone database. They are exact.
- A zone with daylight saving time has a rule for all later changes, which `zoneinfo` applies. The module
  reads the offset at intervals of four weeks. If two successive offsets differ, it finds the time of the
  change by bisection. Only two changes within four weeks could be missed; a test shows that no rule has such
  changes. The intervals begin at fixed times, so a result does not depend on the other times in the array.

Before the first listed change, which is in 1844 or later, a zone has its local mean time. `zoneinfo` supports
no year after 9999, but times in int64 microseconds reach much further. Therefore a time from the year 2600 on
has the offset of a time that is 400 years, or a multiple of 400 years, earlier. The Gregorian calendar, and
with it every rule, repeats itself after 146,097 days, which are 400 years.
"""

from bisect import bisect_left
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from itertools import pairwise
from struct import calcsize, unpack_from
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from metrics_worker.time_zones import zone_file

type Times = NDArray[np.int64]
"""Times in microseconds since 1970-01-01 UTC, shape (n,), which never decrease."""
type Dates = NDArray[np.datetime64]
"""Civil dates as datetime64[D], shape (n,), which never decrease."""
type Unit = Literal["days", "weeks", "months", "quarters", "years"]
type Period = Literal["week", "month", "quarter", "year"]

type _Integers = NDArray[np.int64]

_MICROSECONDS = 1_000_000
_DAY = 86_400
_STEP = 28 * _DAY
_BLOCK = 128 * _STEP  # about ten years
_CYCLE = 146_097 * _DAY  # 400 years
_LAST = 19_880_899_200  # 2600-01-01 00:00 UTC in seconds
_COUNTS = ">20x6l"  # the header of a part of a zone's file
_TYPE = np.dtype([("offset", ">i4"), ("is_dst", "u1"), ("name", "u1")])
_BEFORE_ALL = -(2**62)
_LARGEST_SECONDS = np.iinfo(np.int64).max // _MICROSECONDS
MONTHS = {"months": 1, "quarters": 3, "years": 12, "month": 1, "quarter": 3, "year": 12}
"""The number of months in each unit and period that consists of whole months."""
_THURSDAY = 3  # the weekday of 1970-01-01, counted from Monday = 0


class _Offsets(NamedTuple):
    """The offsets of a zone from UTC, and the times at which they begin.

    Attributes:
        starts: the time at which each offset begins, in seconds since 1970-01-01 UTC, ascending.
        offsets: the offsets in seconds: local time minus UTC.
    """

    starts: _Integers
    offsets: _Integers


class _Zone(NamedTuple):
    """A time zone.

    Attributes:
        listed: the offsets that the zone's file lists. The first one begins before all times.
        rule: the zone as a ZoneInfo, if a rule determines the offsets after the listed ones, as for zones
            with daylight saving time; None if the last listed offset applies without end.
    """

    listed: _Offsets
    rule: ZoneInfo | None


def civil_dates(times: Times, tz: str) -> Dates:
    """Return the civil date of each time in a zone: the date that a local calendar shows.

    The dates never decrease. If the clocks are set back past midnight, the calendar shows the earlier date
    again; for these times, the result is the later date. Without this rule, a window or period could end
    before an earlier one.

    Args:
        times: the times; every int64 is allowed.
        tz: a name for which `time_zones.is_zone` is true.
    """
    if times.size == 0:
        return np.empty(0, "datetime64[D]")
    days = dates_between_midnights(times, tz)
    if days is None:
        return np.maximum.accumulate(_own_dates(times, tz))
    bounds = np.searchsorted(times, midnights(days[1:], tz))
    return np.repeat(days, np.diff(np.concatenate(([0], bounds, [times.size]))))


def dates_between_midnights(times: Times, tz: str) -> Dates | None:
    """Return all civil dates in a zone from that of the first time to that of the last, without gaps.

    The result is None if the times are fewer than four a day on average, or if `_repeats_a_date` is true.
    """
    first, last = _own_dates(times[[0, -1]], tz)
    if (last - first) // np.timedelta64(1, "D") * 4 > times.size or _repeats_a_date(tz, times):
        return None
    return np.arange(first, last + np.timedelta64(1, "D"))


def _own_dates(times: Times, tz: str) -> Dates:
    """Return the local date of each time. The dates decrease where clocks are set back past midnight."""
    seconds = times // _MICROSECONDS
    known = _known(seconds)
    starts, offsets = _offsets(tz, known)
    local = seconds + _of_spans(offsets, starts[1:], known)
    days: Dates = (local // _DAY).view("datetime64[D]")
    return days


def _repeats_a_date(tz: str, times: Times) -> bool:
    """Return whether any change in `_offsets(tz, times)` sets the zone's clocks back past midnight."""
    starts, offsets = _offsets(tz, _known(times[[0, -1]] // _MICROSECONDS))
    before, after = starts[1:] + offsets[:-1] - 1, starts[1:] + offsets[1:]
    return bool((before // _DAY > after // _DAY).any())


def midnights(dates: Dates, tz: str) -> Times:
    """Return the first instant of each civil date in a zone, in microseconds since 1970-01-01 UTC.

    If the clocks are set forward over midnight, the result is the instant of the change. If midnight occurs
    twice, the result is the first midnight. If the zone skips a whole date, the result is the first instant
    of the next date. An instant outside the int64 range becomes the nearest whole second in it.

    Args:
        dates: the dates.
        tz: a name for which `time_zones.is_zone` is true.
    """
    if dates.size == 0:
        return np.empty(0, np.int64)
    local = dates.astype(np.int64) * _DAY
    known = _known(local)
    starts, offsets = _offsets(tz, known)
    # The latest local time that the clocks have shown before each change. The first span that exceeds a
    # midnight contains the midnight, or begins after a gap that contains it.
    shown = np.maximum.accumulate(starts[1:] + offsets[:-1])
    begins, ahead = (_of_spans(each, shown, known) for each in (starts, offsets))
    seconds = np.maximum(begins, known - ahead) + (local - known)
    instants: Times = np.clip(seconds, -_LARGEST_SECONDS, _LARGEST_SECONDS) * _MICROSECONDS
    return instants


def minus(dates: Dates, count: int, unit: Unit) -> Dates:
    """Return each date minus `count` units.

    If the resulting month has no such day, the result is the last day of the month: 31 March minus 1 month is
    28 or 29 February.
    """
    if unit == "days":
        return dates - np.timedelta64(count, "D")
    if unit == "weeks":
        return dates - np.timedelta64(7 * count, "D")
    months, lengths = _months(dates)
    target = months - np.timedelta64(MONTHS[unit] * count, "M")
    moves = target.astype("datetime64[D]") - months.astype("datetime64[D]")
    moved: Dates = np.minimum(dates + np.repeat(moves, lengths), np.repeat(_last_days(target), lengths))
    return moved


def period_starts(dates: Dates, period: Period) -> Dates:
    """Return the first date of each date's period. A week is an ISO week, which begins on a Monday."""
    if period == "week":
        return dates - _weekdays(dates)
    months, lengths = _months(dates)
    return np.repeat(_first_months(months, period).astype("datetime64[D]"), lengths)


def period_ends(dates: Dates, period: Period) -> Dates:
    """Return the last date of each date's period. A week is an ISO week, which ends on a Sunday."""
    if period == "week":
        return dates - _weekdays(dates) + np.timedelta64(6, "D")
    months, lengths = _months(dates)
    last_months = _first_months(months, period) + np.timedelta64(MONTHS[period] - 1, "M")
    return np.repeat(_last_days(last_months), lengths)


def _weekdays(dates: Dates) -> NDArray[np.timedelta64]:
    """Return the number of days from the Monday of each date's week to the date."""
    return ((dates.astype(np.int64) + _THURSDAY) % 7).astype("timedelta64[D]")


def _months(dates: Dates) -> tuple[Dates, _Integers]:
    """Return (months, lengths) of dates: `np.repeat(months, lengths)` is the month of each date.

    The months are datetime64[M] in ascending order; a month can occur more than once, or apply to no date.
    This form is used for speed: converting every date to its month would take ten times as long as finding
    the dates of a month by bisection.
    """
    if dates.size == 0:
        return dates.astype("datetime64[M]"), np.empty(0, np.int64)
    first, last = dates[[0, -1]].astype("datetime64[M]").astype(np.int64).tolist()
    if last - first >= dates.size:
        return dates.astype("datetime64[M]"), np.ones(dates.size, np.int64)
    months = np.arange(first, last + 1).astype("datetime64[M]")
    return months, np.diff(np.append(0, np.searchsorted(dates, _last_days(months), side="right")))


def _first_months(months: Dates, period: Period) -> Dates:
    """Return, for each month, the first month of the month, quarter or year (`period`) that contains it."""
    numbers = months.astype(np.int64)  # 0 is January 1970
    firsts: Dates = (numbers - numbers % MONTHS[period]).astype("datetime64[M]")
    return firsts


def _last_days(months: Dates) -> Dates:
    """Return the last date of each month."""
    days: Dates = (months + np.timedelta64(1, "M")).astype("datetime64[D]")
    return days + np.timedelta64(-1, "D")


def _known(seconds: _Integers) -> _Integers:
    """Return the times, with those from the year 2600 on replaced by earlier ones of the same zone offset."""
    if seconds[-1] < _LAST:
        return seconds
    cycles: _Integers = np.maximum((seconds - _LAST) // _CYCLE + 1, 0)
    return seconds - cycles * _CYCLE


def _of_spans(values: _Integers, ends: _Integers, times: _Integers) -> _Integers:
    """Return, for each time, the element of `values` that belongs to the time span that contains the time.

    Args:
        values: the value of each span.
        ends: the end of each span except the last, ascending. A span does not include its end.
        times: the times, as `_known` returns them. They can decrease, because `_known` replaces times from
            the year 2600 on by earlier ones.
    """
    if (times[1:] < times[:-1]).any():
        return values[np.searchsorted(ends, times, side="right")]
    return np.repeat(values, np.diff(np.concatenate(([0], np.searchsorted(times, ends), [times.size]))))


def _offsets(tz: str, times: _Integers) -> _Offsets:
    """Return all listed offsets of a zone, then those that its rule determines in the blocks of the times."""
    zone = _zone(tz)
    if zone.rule is None:
        return zone.listed
    first = max(int(times.min()) - 2 * _DAY, int(zone.listed.starts[-1]))
    last = int(times.max()) + 2 * _DAY  # local times, which `midnights` passes, differ by about a day
    blocks = [_block(tz, index) for index in range(first // _BLOCK, last // _BLOCK + 1)]
    return _Offsets(*(np.concatenate(parts) for parts in zip(zone.listed, *blocks, strict=True)))


@lru_cache(maxsize=512)
def _block(tz: str, index: int) -> _Offsets:
    """Return the offsets that a zone's rule states for one block of `_BLOCK` seconds (a unit of caching).

    Args:
        tz: the name of a zone with a rule.
        index: the number of the block. The block begins `index * _BLOCK` seconds after 1970-01-01 UTC.
    """
    zone = _zone(tz)

    def offset(second: int) -> int:
        delta = datetime.fromtimestamp(second, zone.rule).utcoffset()
        assert delta is not None
        return delta.days * _DAY + delta.seconds

    grid = range(index * _BLOCK, (index + 1) * _BLOCK + 1, _STEP)
    last_listed = int(zone.listed.starts[-1])
    seconds = [max(second, last_listed) for second in grid]
    offsets = [offset(second) for second in seconds]
    starts, begun = [seconds[0]], [offsets[0]]
    for (first, before), (last, after) in pairwise(zip(seconds, offsets, strict=True)):
        if before != after:
            between = range(first, last)
            starts.append(first + bisect_left(between, 1, key=lambda second: offset(second) != before))
            begun.append(after)
    return _Offsets(np.array(starts, np.int64), np.array(begun, np.int64))


@lru_cache(maxsize=64)
def _zone(tz: str) -> _Zone:
    """Return a time zone that exists, read from its file in the format TZif (RFC 8536)."""
    file = zone_file(tz)
    # The first part of the file, with times of 32 bits, is skipped. Its header also begins with these counts.
    in_utc, standard, leaps, changes, types, names = unpack_from(_COUNTS, file)
    second = calcsize(_COUNTS) + changes * 5 + types * 6 + names + leaps * 8 + standard + in_utc
    in_utc, standard, leaps, changes, types, names = unpack_from(_COUNTS, file, second)
    at = second + calcsize(_COUNTS)
    starts = np.frombuffer(file, ">i8", changes, at)
    kinds = np.frombuffer(file, "u1", changes, at + 8 * changes)
    each = np.frombuffer(file, _TYPE, types, at + 9 * changes)["offset"].astype(np.int64)
    footer = file[at + 9 * changes + 6 * types + names + 12 * leaps + standard + in_utc :]
    return _Zone(
        _Offsets(np.append(_BEFORE_ALL, starts.astype(np.int64)), each[np.append(0, kinds)]),
        ZoneInfo.from_file(BytesIO(file), tz) if b"," in footer else None,
    )

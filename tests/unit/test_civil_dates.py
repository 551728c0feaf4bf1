"""Civil dates in zones with unusual histories, date arithmetic, and bounds of calls and cache sizes."""

import sys
from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from metrics_worker import civil_dates
from metrics_worker.civil_dates import midnights, minus, period_ends, period_starts

BUENOS_AIRES = "America/Argentina/Buenos_Aires"
DAY = 86_400_000_000
INT64 = np.iinfo(np.int64)


def times(*moments: str) -> NDArray[np.int64]:
    """Return times in UTC, given in ISO 8601, as int64 microseconds since 1970-01-01 UTC."""
    return np.array(list(moments), "datetime64[us]").astype(np.int64)


def dates(*days):
    return np.array(list(days), "datetime64[D]")


def iso(found):
    return np.datetime_as_string(found).tolist()


def instants(found):
    return [str(each) for each in found.astype("datetime64[us]").astype("datetime64[s]")]


def test_local_midnights_of_buenos_aires_have_their_own_date_in_winter_and_in_summer():
    given = times(
        "2007-12-30T02:59:59", "2007-12-30T03:00", "2007-12-31T02:00", "2008-03-17T03:00", "2026-01-05T03:00"
    )
    found = civil_dates.civil_dates(given, BUENOS_AIRES)
    assert iso(found) == ["2007-12-29", "2007-12-30", "2007-12-31", "2008-03-17", "2026-01-05"]
    assert instants(midnights(found[1:], BUENOS_AIRES)) == [
        "2007-12-30T03:00:00",
        "2007-12-31T02:00:00",
        "2008-03-17T03:00:00",
        "2026-01-05T03:00:00",
    ]


def test_dates_do_not_decrease_where_the_clocks_go_back_past_midnight():
    # On 2018-02-18 at 00:00, the clocks of São Paulo went back to 23:00 of the 17th.
    given = times("2018-02-18T01:59:59", "2018-02-18T02:00", "2018-02-18T02:59:59", "2018-02-18T03:00")
    assert iso(civil_dates.civil_dates(given, "America/Sao_Paulo")) == [*["2018-02-17"] * 3, "2018-02-18"]
    # On 2006-10-29 at 00:01, those of St. John's went back to 23:01 of the 28th.
    given = times("2006-10-29T02:30", "2006-10-29T02:30:59", "2006-10-29T02:31", "2006-10-29T03:29")
    found = civil_dates.civil_dates(given, "America/St_Johns")
    assert iso(found) == ["2006-10-29"] * 4
    assert instants(midnights(found[:1], "America/St_Johns")) == ["2006-10-29T02:30:00"]


def test_a_date_without_midnight_begins_after_the_gap():
    # On 2018-11-04, the clocks of São Paulo went from 00:00 to 01:00.
    assert instants(midnights(dates("2018-11-04"), "America/Sao_Paulo")) == ["2018-11-04T03:00:00"]
    assert iso(
        civil_dates.civil_dates(times("2018-11-04T02:59:59", "2018-11-04T03:00"), "America/Sao_Paulo")
    ) == [
        "2018-11-03",
        "2018-11-04",
    ]


def test_a_skipped_date_begins_together_with_the_next_one():
    found = midnights(dates("2011-12-29", "2011-12-30", "2011-12-31"), "Pacific/Apia")
    assert instants(found) == ["2011-12-29T10:00:00", "2011-12-30T10:00:00", "2011-12-30T10:00:00"]


def test_times_before_the_first_change_have_local_mean_time_to_the_second():
    # Local mean time of Amsterdam's zone file, Brussels, is 17 minutes and 30 seconds ahead of UTC.
    given = times("1500-06-01T23:42:29", "1500-06-01T23:42:30")
    assert iso(civil_dates.civil_dates(given, "Europe/Brussels")) == ["1500-06-01", "1500-06-02"]
    assert instants(midnights(dates("1500-06-02"), "Europe/Brussels")) == ["1500-06-01T23:42:30"]


@pytest.mark.parametrize("year", [2038, 2500, 2600, 3000, 9999, 10_000, 123_456, 290_000])
def test_the_rules_for_daylight_saving_time_apply_to_every_later_year(year):
    cycles = max(0, (year - 2400) // 400) * 400
    winter, summer = (
        np.array(datetime(year - cycles, month, 1, tzinfo=UTC).timestamp() * 1e6).astype(np.int64)
        + cycles // 400 * 146_097 * DAY
        for month in (1, 7)
    )
    given = np.array([winter + 5 * DAY - 1, winter + 5 * DAY, summer + 4 * DAY, summer + 5 * DAY])
    local = [-5, -5, -4, -4]
    expected = [(time + hours * DAY // 24) // DAY for time, hours in zip(given.tolist(), local, strict=True)]
    assert civil_dates.civil_dates(given, "America/New_York").astype(np.int64).tolist() == expected
    days = np.array([winter // DAY, summer // DAY])
    first = midnights(days.view("datetime64[D]"), "America/New_York")
    assert (first - days * DAY).tolist() == [5 * DAY // 24, 4 * DAY // 24]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "Pacific/Kiritimati", BUENOS_AIRES])
def test_every_int64_has_a_date_and_every_date_an_instant_within_int64(zone):
    given = np.array([INT64.min, INT64.min + 1, -1, 0, INT64.max - 1, INT64.max])
    found = civil_dates.civil_dates(given, zone)
    assert (np.diff(found) >= np.timedelta64(0, "D")).all()
    for days in (found, period_starts(found, "year"), period_ends(found, "year")):
        first = midnights(days, zone)
        assert first.tolist() == sorted(first.tolist())
        assert (np.abs(first) <= INT64.max).all()
        inner = np.abs(first) < INT64.max - 10 * DAY
        assert (civil_dates.civil_dates(first, zone)[inner] == days[inner]).all()


def test_month_ends_are_clamped():
    assert iso(minus(dates("2023-03-31", "2024-03-31", "2024-05-31"), 1, "months")) == [
        "2023-02-28",
        "2024-02-29",
        "2024-04-30",
    ]
    assert iso(minus(dates("2024-02-29"), 1, "years")) == ["2023-02-28"]
    assert iso(minus(dates("2024-05-31"), 1, "quarters")) == ["2024-02-29"]
    assert iso(minus(dates("2024-03-01"), 1, "weeks")) == ["2024-02-23"]
    assert iso(minus(dates("2024-03-01"), 1, "days")) == ["2024-02-29"]


def test_periods_have_a_first_and_a_last_date():
    days = dates("2020-12-31", "2021-01-03", "2021-01-04")
    assert iso(period_starts(days, "week")) == ["2020-12-28", "2020-12-28", "2021-01-04"]
    assert iso(period_ends(days, "week")) == ["2021-01-03", "2021-01-03", "2021-01-10"]
    assert iso(period_starts(days, "quarter")) == ["2020-10-01", "2021-01-01", "2021-01-01"]
    assert iso(period_ends(days, "year")) == ["2020-12-31", "2021-12-31", "2021-12-31"]
    assert iso(period_ends(dates("1900-02-03", "2000-02-03"), "month")) == ["1900-02-28", "2000-02-29"]


def test_empty_arrays_give_empty_arrays():
    none = np.empty(0, np.int64)
    found = civil_dates.civil_dates(none, "Europe/Paris")
    assert found.dtype == np.dtype("datetime64[D]")
    assert midnights(found, "Europe/Paris").dtype == np.int64
    for unit in ("days", "weeks", "months", "quarters", "years"):
        assert minus(found, 1, unit).dtype == found.dtype
    for period in ("week", "month", "quarter", "year"):
        assert period_starts(found, period).dtype == period_ends(found, period).dtype == found.dtype


@pytest.mark.parametrize("zone", [BUENOS_AIRES, "America/New_York", "Africa/Casablanca"])
def test_7000_times_over_27_years_take_few_calls(zone):
    given = times("1999-01-04T03:00") + np.arange(7000) * (27 * 365 * DAY // 7000)
    counts: Counter[str] = Counter()

    def count(_frame, event, function):
        if event in {"call", "c_call"}:
            counts["all"] += 1
            counts["utcoffset"] += getattr(function, "__name__", "") == "utcoffset"

    def calls():
        counts.clear()
        sys.setprofile(count)
        try:
            civil_dates.civil_dates(given, zone)
        finally:
            sys.setprofile(None)
        return dict(counts)

    civil_dates._zone.cache_clear()
    civil_dates._block.cache_clear()
    assert calls()["utcoffset"] < 1_500
    warm = calls()
    assert warm["utcoffset"] == 0
    assert warm["all"] < 150


def test_the_caches_are_bounded_for_times_over_all_of_int64():
    given = np.arange(INT64.min, INT64.max - 2**52, 2**52)
    civil_dates.civil_dates(given, "Europe/Paris")
    assert civil_dates._block.cache_info().currsize < 100

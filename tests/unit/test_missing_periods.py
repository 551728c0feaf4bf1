"""A series is regular if it has one observation in each month, quarter or year. Some may be missing."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from metrics_tools.describe.missing_periods import MissingPeriods, missing_periods, regular_periods
from metrics_worker.expression.grammar import parse
from metrics_worker.series import Series
from tests.builders import series, window

MONTHS = [(2020 + n // 12, n % 12 + 1) for n in range(72)]
ZONES = ["UTC", "Europe/London", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Pacific/Auckland"]
WITHOUT_MARCH = [month for month in MONTHS if month != (2023, 3)]


def at(year, month, day):
    return datetime(year, month, day, tzinfo=UTC)


def last_day(year, month):
    return at(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


def last_workday(year, month):
    day = last_day(year, month)
    return day - timedelta(days=max(0, day.weekday() - 4))


RULES = {
    "first day": lambda year, month: at(year, month, 1),
    "middle": lambda year, month: at(year, month, 15),
    "last day": last_day,
    "last workday": last_workday,
    "end of the last day": lambda year, month: last_day(year, month) + timedelta(hours=23, minutes=59),
}


def times_of(dates, zone="UTC"):
    """Return local times as microseconds since 1970."""
    aware = [date.replace(tzinfo=ZoneInfo(zone)) for date in dates]
    return np.array([round(time.timestamp() * 1e6) for time in aware], np.int64)


def daily(count, step=1):
    return times_of([at(2020, 1, 1) + timedelta(days=step * n) for n in range(count)])


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("rule", RULES)
def test_a_missing_month_is_found_at_all_usual_dates_of_a_month(rule, zone):
    whole = regular_periods(times_of([RULES[rule](*month) for month in MONTHS], zone))
    assert whole is not None
    assert (whole[0], whole[1].tolist()) == ("month", list(range(72)))
    gap = regular_periods(times_of([RULES[rule](*month) for month in WITHOUT_MARCH], zone))
    assert gap is not None
    assert (gap[0], gap[1].tolist()) == ("month", [n for n in range(72) if n != 38])


@pytest.mark.parametrize(("months", "period"), [(3, "quarter"), (12, "year")])
def test_quarters_and_years_can_be_missing_too(months, period):
    dates = [at(year, month, 28) for year, month in MONTHS[::months]]
    del dates[2]
    dates += [at(2026 + n, 1, 28) for n in range(9)] if period == "year" else []
    found = regular_periods(times_of(dates))
    assert found is not None
    assert (found[0], found[1][:3].tolist()) == (period, [0, 1, 3])


@pytest.mark.parametrize(
    "times",
    [
        daily(1000),
        times_of([day for n in range(1000) if (day := at(2020, 1, 1) + timedelta(days=n)).weekday() < 5]),
        daily(150, step=7),
        daily(60, step=45),
        daily(2),
        daily(1),
        times_of([at(*month, 1) for month in MONTHS[::2]]),
        times_of([at(*month, 1) for n, month in enumerate(MONTHS) if n % 3]),
        times_of([at(2020, 1, 1), *(at(*month, 31) for month in MONTHS if month[1] in {1, 3})]),
    ],
    ids=[
        "daily",
        "workdays",
        "weekly",
        "45 days",
        "two",
        "one",
        "every second month",
        "two of three",
        "twice",
    ],
)
def test_other_series_are_not_regular_months(times):
    found = regular_periods(times)
    assert found is None or not np.any(np.diff(found[1]) > 1)


def numbered(times):
    return Series(times, np.arange(1.0, len(times) + 1))


@pytest.mark.parametrize(
    ("node", "affected", "results"),
    [
        (window("pct_change", series("A"), 12), 12, 59),
        (window("lag", series("A"), 1), 1, 70),
        (window("sma", series("A"), 12), 11, 60),
        (window("zscore", series("A"), 2), 1, 70),
        ({"op": "quantile", "series": series("A"), "window": 3, "q": 0.5}, 2, 69),
        ({"op": "corr", "left": series("A"), "right": series("B"), "window": 3}, 2, 69),
        (window("sma", series("A"), 1), None, None),
        (window("sma", series("A"), 71), 1, 1),
        (window("lag", series("A"), 71), None, None),
        (window("ema", series("A"), 3), None, None),
        (window("sma", series("A"), 12) | {"unit": "months"}, None, None),
        (window("lag", series("A"), 12) | {"unit": "months"}, None, None),
    ],
)
def test_the_affected_results_are_counted(node, affected, results):
    times = times_of([at(*month, 1) for month in WITHOUT_MARCH])
    operands = [numbered(times)] * (2 if "left" in node else 1)
    found = missing_periods(parse(node), operands)
    after = int(times_of([at(2023, 2, 1)])[0])
    assert found == (None if affected is None else MissingPeriods("month", 1, after, affected, results))


def test_a_gap_that_no_result_reaches_is_not_reported():
    times = times_of([at(*month, 1) for month in MONTHS])
    assert missing_periods(parse(window("lag", series("A"), 12)), [numbered(times)]) is None
    assert missing_periods(parse(window("lag", series("A"), 12)), [numbered(times[:0])]) is None

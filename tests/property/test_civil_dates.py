"""Civil dates agree with a slow reference, at random times and at every clock change of every time zone."""

from datetime import UTC, date, datetime, timedelta
from importlib import resources
from io import BytesIO
from typing import Any
from zoneinfo._common import load_data

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from metrics_worker import civil_dates
from tests import reference_civil_dates as reference

SECOND = 1_000_000
HOUR = 3600 * SECOND
UNITS = ("days", "weeks", "months", "quarters", "years")
PERIODS = ("week", "month", "quarter", "year")

NAMES = resources.files("tzdata").joinpath("zones").read_text().split()
SECONDS_1840, SECONDS_2060, SECONDS_2100 = -4_102_444_800, 2_840_140_800, 4_102_444_800

zones = st.sampled_from(
    [
        "UTC",
        "America/Argentina/Buenos_Aires",
        "America/Sao_Paulo",
        "Pacific/Apia",
        "Europe/Dublin",
        "Africa/Casablanca",
        "Asia/Gaza",
        "Australia/Lord_Howe",
        "America/Nuuk",
        "Antarctica/Troll",
    ]
) | st.sampled_from(NAMES)


@st.composite
def moments(draw: st.DrawFn) -> list[int]:
    """Generate increasing times in microseconds since 1970-01-01 UTC, from the start of any year on.

    The distances between the times are seconds to months. All years are between 2 and 9999.
    """
    year = draw(st.integers(1850, 2100) | st.integers(2, 9998))
    start = reference.microseconds(datetime(year, 1, 1, tzinfo=UTC))
    step = draw(st.sampled_from([SECOND, HOUR, 24 * HOUR, 24 * 31 * HOUR]))
    gaps = draw(st.lists(st.integers(1, 40), min_size=1, max_size=60))
    times = [start + int(each) * step + draw(st.integers(0, SECOND - 1)) for each in np.cumsum(gaps)]
    return [time for time in times if time < reference.microseconds(datetime(9999, 12, 1, tzinfo=UTC))]


days = st.lists(st.dates(date(1, 3, 1), date(9999, 11, 30)), max_size=30).map(sorted) | st.lists(
    st.dates(date(1999, 1, 1), date(2001, 12, 31)), max_size=60
).map(sorted)


def as_dates(found):
    return [date.fromisoformat(each) for each in np.datetime_as_string(found).tolist()]


@settings(deadline=None)
@given(moments(), zones)
def test_civil_dates_and_their_midnights_agree_with_the_reference(times, name):
    zone = reference.zone(name)
    found = civil_dates.civil_dates(np.array(times, np.int64), name)
    expected = reference.civil_dates(times, zone)
    assert as_dates(found) == expected
    some = sorted({*expected[:3], *expected[-2:]})
    first = civil_dates.midnights(np.array(some, "datetime64[D]"), name)
    assert first.tolist() == [reference.midnight(day, zone) for day in some]


@pytest.mark.parametrize("name", ["America/New_York", "America/Sao_Paulo", "Pacific/Apia", "Europe/Paris"])
@pytest.mark.parametrize("year", [1890, 2010, 2601, 9000])
def test_dates_of_many_times_a_day_agree_with_the_reference(name, year):
    start = reference.microseconds(datetime(year, 1, 1, tzinfo=UTC))
    times = np.arange(start, start + 730 * 24 * HOUR, HOUR - 1)
    expected = reference.civil_dates(times.tolist(), reference.zone(name))
    assert as_dates(civil_dates.civil_dates(times, name)) == expected


@settings(deadline=None)
@given(moments(), zones, st.data())
def test_more_times_at_the_end_change_no_earlier_date(times, name, data):
    array = np.array(times, np.int64)
    some = data.draw(st.integers(0, len(times)))
    assert (
        civil_dates.civil_dates(array[:some], name).tolist()
        == civil_dates.civil_dates(array, name)[:some].tolist()
    )


@settings(deadline=None)
@given(days, st.integers(0, 500), st.sampled_from(UNITS))
def test_subtraction_agrees_with_the_reference_and_keeps_the_order(given_days, count, unit):
    wanted = [day for day in given_days if day.year > 510 or unit in {"days", "weeks"}]
    wanted = [day for day in wanted if day.toordinal() > 3600]
    found = civil_dates.minus(np.array(wanted, "datetime64[D]"), count, unit)
    assert as_dates(found) == [reference.minus(day, count, unit) for day in wanted]
    assert as_dates(found) == sorted(as_dates(found))


@settings(deadline=None)
@given(days, st.sampled_from(PERIODS))
def test_periods_agree_with_the_reference(given_days, period):
    array = np.array(given_days, "datetime64[D]")
    assert as_dates(civil_dates.period_starts(array, period)) == [
        reference.period_start(day, period) for day in given_days
    ]
    assert as_dates(civil_dates.period_ends(array, period)) == [
        reference.period_end(day, period) for day in given_days
    ]


def distinct() -> dict[bytes, str]:
    """Return the name of one time zone for each file content in the time zone database, by the content.

    Many names are aliases with equal files, which need only one test.
    """
    return {reference.file(name): name for name in NAMES}


def offsets(name: str, seconds: NDArray[np.int64]) -> Any:
    """Return the offsets of a time zone from UTC, as `metrics_worker.civil_dates` computes them.

    Args:
        name: the name of the time zone.
        seconds: the times as int64, in seconds since 1970-01-01 UTC.

    Returns:
        A list with the offset at each time, in seconds.
    """
    starts, found = civil_dates._offsets(name, seconds)
    return found[np.searchsorted(starts, seconds, side="right") - 1].tolist()


def expected_offsets(name, seconds):
    zone = reference.zone(name)
    deltas = (datetime.fromtimestamp(second, zone).utcoffset() or timedelta(0) for second in seconds.tolist())
    return [delta.days * 86_400 + delta.seconds for delta in deltas]


def test_no_listed_change_of_any_zone_is_missed():
    changes = 0
    for file, name in distinct().items():
        _, listed, *_ = load_data(BytesIO(file))
        changes += len(listed)
        around = np.sort(np.array([[change - 1, change, change + 1] for change in listed], np.int64).ravel())
        if around.size:
            assert offsets(name, around) == expected_offsets(name, around), name
    assert changes > 10_000


def test_no_change_by_rule_is_missed():
    """Check one time zone for each yearly rule of clock changes, at every sixth hour of 29 years.

    These years start on each weekday, with and without a leap day.
    """
    seconds = np.arange(SECONDS_2100, SECONDS_2100 + 29 * 366 * 86_400, 21_600)
    rules = {file.rpartition(b"\n")[0].rpartition(b"\n")[2]: name for file, name in distinct().items()}
    with_changes = [name for rule, name in rules.items() if b"," in rule]
    assert len(with_changes) > 20
    for name in with_changes:
        assert offsets(name, seconds) == expected_offsets(name, seconds), name


def test_every_zone_has_the_offsets_of_zoneinfo_at_random_times():
    random = np.random.default_rng(12)
    for name in distinct().values():
        seconds = np.sort(random.integers(SECONDS_1840, SECONDS_2060, 200))
        assert offsets(name, seconds) == expected_offsets(name, seconds), name

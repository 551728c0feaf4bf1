"""The recipes in docs/grammar.md have the same values as computations with Python's standard library.

The ECB's rates have one observation a day, at midnight UTC, so the computations use dates as times.
"""

import json
import math
import re
import statistics
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate, groupby, pairwise

import pytest

from docs.panel_parts import value
from metrics_tools.ecb import read_rates
from tests.docs.pages import section

RATES = read_rates()
RECIPES = {
    heading: json.loads(body)
    for heading, body in re.findall(
        r"^### (.*)\n(?:[^#]*?)```json\n([^`]*)```",
        section("docs/grammar.md", "Recipes"),
        re.MULTILINE,
    )
}


def variance(values: Sequence[float]) -> float:
    """Return the sample variance, with n - 1 as denominator.

    It is computed in float64, which is faster than `statistics.variance`.
    """
    mean = statistics.fmean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def a_year_before(day):
    return day.replace(year=day.year - 1, day=28 if (day.month, day.day) == (2, 29) else day.day)


def change_over_a_year(series):
    found, days = {}, list(series)
    for day in days[bisect_right(days, date(1999, 12, 31)) :]:
        earlier = days[bisect_right(days, a_year_before(day)) - 1 :][0]
        if a_year_before(day) - timedelta(days=7) <= earlier <= a_year_before(day):
            found[day] = (series[day] / series[earlier] - 1) * 100
    return found


def zscores_of_a_year(series):
    found, days = {}, list(series)
    for stop, day in enumerate(days, start=1):
        window = [series[each] for each in days[bisect_right(days, a_year_before(day)) : stop]]
        if len(window) >= 200:
            found[day] = (window[-1] - statistics.fmean(window)) / math.sqrt(variance(window))
    return found


def index_since_2020(series):
    recent = {day: rate for day, rate in series.items() if day >= date(2020, 1, 1)}
    return {day: rate / recent[min(recent)] * 100 for day, rate in recent.items()}


def means_of_complete_months(series):
    months = [list(days) for _, days in groupby(series, lambda day: (day.year, day.month))]
    return {days[-1]: statistics.fmean(series[day] for day in days) for days in months[:-1]}


def mean_of_the_month_before(series):
    """Return for each day the mean of the last month that is followed by a complete month before the day.

    The mean of a month has the date of the first day of the next complete month.
    """
    firsts = [day.replace(day=1) for day in means_of_complete_months(series)]
    means = list(means_of_complete_months(series).values())
    return {day: means[bisect_right(firsts, day) - 2] for day in series if day >= firsts[1]}


def ratio_to_the_last_monthly_mean(series):
    means = means_of_complete_months(series)
    known = {day: max((month for month in means if month <= day), default=None) for day in series}
    return {
        day: series[day] / means[month]
        for day, month in known.items()
        if month is not None and day - month <= timedelta(days=40)
    }


def gap_to_the_mean_of_200(series):
    days, rates = list(series), list(series.values())
    return {
        days[last]: rates[last] / statistics.fmean(rates[last - 199 : last + 1]) - 1
        for last in range(199, len(days))
    }


def volatility(series):
    days, rates = list(series), list(series.values())
    changes = [math.log(after / before) for before, after in pairwise(rates)]
    return {
        days[last + 1]: 16 * math.sqrt(variance(changes[last - 59 : last + 1]))
        for last in range(59, len(changes))
    }


EXPECTED = {
    "A change over a year, in percent": lambda: change_over_a_year(RATES["USD"]),
    "A z-score over 12 months": lambda: zscores_of_a_year(RATES["GBP"]),
    "An index that is 100 at a date": lambda: index_since_2020(RATES["JPY"]),
    "The mean of each month": lambda: means_of_complete_months(RATES["USD"]),
    "The ratio of a daily to a monthly series": lambda: ratio_to_the_last_monthly_mean(RATES["USD"]),
    "One minus a share": lambda: {
        day: 1 - RATES["GBP"][day] / rate for day, rate in RATES["USD"].items() if day in RATES["GBP"]
    },
    "The gap to the mean of 200 days": lambda: gap_to_the_mean_of_200(RATES["USD"]),
    "The annualised volatility": lambda: volatility(RATES["USD"]),
    "A value only after its publication": lambda: mean_of_the_month_before(RATES["USD"]),
    "A flag for a threshold": lambda: {day: float(rate > 1.2) for day, rate in RATES["USD"].items()},
    "The drawdown from the highest value": lambda: {
        day: (rate / highest - 1) * 100
        for (day, rate), highest in zip(
            RATES["USD"].items(), accumulate(RATES["USD"].values(), max), strict=True
        )
    },
    # The cumulated growth is the quotient with the first rate.
    "An index from growth rates": lambda: {
        day: rate / next(iter(RATES["USD"].values())) * 100 for day, rate in list(RATES["USD"].items())[1:]
    },
    "The share of a sum": lambda: {
        day: rate / (rate + RATES["GBP"][day]) * 100
        for day, rate in RATES["USD"].items()
        if day in RATES["GBP"]
    },
}


def test_every_recipe_has_a_computation():
    assert list(RECIPES) == list(EXPECTED)


@pytest.mark.parametrize("heading", RECIPES)
def test_a_recipe_has_the_values_of_a_plain_computation(heading):
    result, expected = value(RECIPES[heading]), EXPECTED[heading]()
    days = [datetime.fromtimestamp(time / 1e6, UTC).date() for time in result.times.tolist()]
    assert days == list(expected)
    assert result.values.tolist() == pytest.approx(list(expected.values()), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("heading", ["The gap to the mean of 200 days", "The annualised volatility"])
def test_a_recipe_with_windows_of_observations_has_the_values_of_polars(heading):
    polars = pytest.importorskip("polars")
    rates = polars.Series(list(RATES["USD"].values()))
    columns = {
        "The gap to the mean of 200 days": rates / rates.rolling_mean(200) - 1,
        "The annualised volatility": rates.log().diff().rolling_std(60) * 16,
    }
    expected = columns[heading].drop_nulls().to_list()
    assert value(RECIPES[heading]).values.tolist() == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_about_256_observations_a_year_justify_the_factor_of_the_volatility():
    days = list(RATES["USD"])
    years = (days[-1] - days[0]).days / 365.25
    assert round(len(days) / years) == 256
    assert RECIPES["The annualised volatility"]["right"] == {"const": math.isqrt(256)}

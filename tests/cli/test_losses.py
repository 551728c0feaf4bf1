"""`metrics validate` and `metrics explain` warn if an operation loses most observations of an operand."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.builders import put_dataset, ratio, request, rows, series, window
from tests.cli.given import document, file_of, folder_of, metrics, problems_of

BEGIN = datetime(2000, 1, 1, tzinfo=UTC)
DAYS = [BEGIN + timedelta(days=n) for n in range(4018)]  # the days of eleven years
WORKDAYS = [day for day in DAYS if day.weekday() < 5]
MONTHS = [day for day in DAYS if day.day == 1]
MINUS, TIMES = "\u2212", "\u00d7"
SAME_TIMES = "an operation needs both sides at the same time, and a window or a lag keeps"


@pytest.fixture
def data(cloud, tmp_path) -> Path:
    """Return a folder that is used as a bucket, with the dataset fx.

    Its series have observations at different times. All values are 2, except in the series ZERO, in which two
    of three values are 0, and in the series LARGE, in which all values are 1e300.
    """
    times = {
        "DAILY": WORKDAYS,
        "MONTHLY": MONTHS,
        "MISSING": [day for day in MONTHS if (day.year, day.month) != (2005, 3)],
        "WEEKDAY_MONTHLY": [day for day in MONTHS if day.weekday() < 5],
        "MONTH_ENDS": [day for day in DAYS if (day + timedelta(days=1)).day == 1],
        "LOCAL": [day + timedelta(hours=3) for day in WORKDAYS],
        "LATE": WORKDAYS[-100:],
        "EARLY": WORKDAYS[:100],
        "GAP": [day for day in WORKDAYS if day.year not in {2003, 2004, 2005, 2006}],
        "ZERO": WORKDAYS,
        "LARGE": WORKDAYS,
    }
    values = {"ZERO": [0.0 if n % 3 else 2.0 for n in range(len(WORKDAYS))], "LARGE": [1e300] * len(WORKDAYS)}
    files = {
        f"{code}/all.parquet": rows(code, found, values.get(code, [2.0] * len(found)))
        for code, found in times.items()
    }
    put_dataset(cloud.store, files)
    return folder_of(cloud, tmp_path / "data")


def warnings(tmp_path, data, expression, *codes, kind="series_math"):
    asked = request(expression, kind=kind, inputs=dict.fromkeys(codes, "fx"))
    found = problems_of(tmp_path, asked, "--folder", data)
    assert {problem["severity"] for problem in found} <= {"warning"}
    return [(problem["path"], problem["text"], problem["suggestion"]) for problem in found]


def test_a_ratio_of_a_daily_to_a_monthly_series_says_what_it_loses_why_and_what_to_do(tmp_path, data):
    both = sum(day.weekday() < 5 for day in MONTHS)
    ((path, text, hint),) = warnings(
        tmp_path, data, ratio(series("DAILY"), series("MONTHLY")), "DAILY", "MONTHLY"
    )
    assert path == "expressionJson"
    assert text.startswith(f"both sides have an observation at {both} times only: it loses ")
    inside = len(MONTHS) - 1  # The first month begins on a Saturday, before the first working day.
    assert text.endswith(f" and {inside - both} of {inside} on the right in the time that both cover")
    assert hint.startswith(SAME_TIMES)
    assert "use fill to bring one side onto the times of the other" in hint


def test_a_monthly_series_whose_times_are_all_daily_times_is_a_warning_too(tmp_path, data):
    expression = ratio(series("DAILY"), series("WEEKDAY_MONTHLY"))
    ((_, text, _),) = warnings(tmp_path, data, expression, "DAILY", "WEEKDAY_MONTHLY")
    assert " and 0 of " in text


def test_the_warning_names_the_node_that_loses_observations(tmp_path, data):
    inner = ratio(window("sma", series("DAILY"), 21), series("MONTHLY"))
    found = warnings(tmp_path, data, window("lag", inner, 1), "DAILY", "MONTHLY", kind="window_op")
    assert [path for path, _, _ in found] == ["expressionJson.series"]
    assert "a window or a lag keeps the times of its series" in found[0][2]


def test_the_same_days_at_other_times_of_day_are_reported_as_such(tmp_path, data):
    ((_, text, hint),) = warnings(tmp_path, data, ratio(series("DAILY"), series("LOCAL")), "DAILY", "LOCAL")
    assert "no observation" in text
    assert f"they have {len(WORKDAYS) - 2:,} days (UTC) in common, but at other times of day" in hint


def test_series_without_a_common_period_are_reported_as_such(tmp_path, data):
    ((_, text, hint),) = warnings(tmp_path, data, ratio(series("EARLY"), series("LATE")), "EARLY", "LATE")
    assert "no observation" in text
    assert hint == "the two cover no time together: one ends before the other begins"


@pytest.mark.parametrize("other", ["LATE", "EARLY", "GAP", "DAILY"])
def test_a_side_that_is_longer_or_has_a_gap_is_no_reason_to_warn(tmp_path, data, other):
    for sides in (("DAILY", other), (other, "DAILY")):
        assert warnings(tmp_path, data, ratio(*map(series, sides)), *sides) == []


def test_a_window_that_is_longer_than_half_of_the_series_is_a_warning(tmp_path, data):
    half, more = (window("sma", series("LATE"), size) for size in (51, 52))
    assert warnings(tmp_path, data, half, "LATE", kind="window_op") == []
    ((_, text, hint),) = warnings(tmp_path, data, more, "LATE", kind="window_op")
    assert text == "it loses 51 of 100 to warm up: windows and lags count observations"
    assert hint == "a window of 52 may be too long"


def test_a_divisor_that_is_mostly_zero_and_values_that_are_too_large_are_reported(tmp_path, data):
    ((_, text, _),) = warnings(tmp_path, data, ratio(series("DAILY"), series("ZERO")), "DAILY", "ZERO")
    assert "since the divisor is 0 there" in text
    square = {"op": "multiply", "left": series("LARGE"), "right": series("LARGE")}
    ((_, text, _),) = warnings(tmp_path, data, square, "LARGE")
    assert "too large" in text


def test_explain_reports_the_warning_too_and_its_json_contains_the_counts(tmp_path, data):
    asked = request(ratio(series("DAILY"), series("MONTHLY")), inputs={"DAILY": "fx", "MONTHLY": "fx"})
    file = file_of(tmp_path, asked)
    assert SAME_TIMES in metrics("explain", file, "--folder", data).stdout.replace("\n", " ")
    (found,) = document("explain", file, "--folder", data)["requests"]
    both = sum(day.weekday() < 5 for day in MONTHS)
    assert found["expression"]["counts"]["overlap"]["both"] == both
    assert metrics("validate", file, "--folder", data).exit_code == 0
    assert metrics("validate", file, "--folder", data, "--strict").exit_code == 1


FROM_MARCH = [day for day in WORKDAYS if day >= datetime(2000, 3, 31, tzinfo=UTC)]
MONTHLY_AS_DAILY = "DAILY - fill(MONTHLY, DAILY, previous)"
BY_MONTH = "resample({}, month, last, stamp=start) - resample(MONTHLY, month, last, stamp=start)"
QUARTERS = "resample(MONTH_ENDS, quarter, mean{})"
MONTHS_AT_END = "resample(MONTHLY, month, mean, stamp=end)"
SMA = "corr(sma(resample(DAILY, month, mean{}), 3), {}, 12)"


@pytest.mark.parametrize(
    ("formula", "suggested"),
    [
        ("DAILY - MONTHLY", {MONTHLY_AS_DAILY: len(WORKDAYS), BY_MONTH.format("DAILY"): 131}),
        ("MONTH_ENDS - MONTHLY", {BY_MONTH.format("MONTH_ENDS"): 131}),
        (
            f"DAILY - {QUARTERS.format('')}",
            {
                f"DAILY - fill({QUARTERS.format('')}, DAILY, previous)": len(FROM_MARCH),
                f"resample(DAILY, quarter, last, stamp=start) - {QUARTERS.format(', stamp=start')}": 43,
            },
        ),
        (
            f"resample(DAILY, quarter, last) * 100 - {MONTHS_AT_END}",
            {
                "resample(DAILY, quarter, last, stamp=end) * 100 "
                f"- resample({MONTHS_AT_END}, quarter, last, stamp=end)": 43
            },
        ),
        # All values are equal, so there is no correlation.
        (
            SMA.format("", "MONTHLY"),
            {SMA.format(", stamp=start", "resample(MONTHLY, month, last, stamp=start)"): 0},
        ),
    ],
)
def test_sides_without_common_times_get_formulas_that_have_results(data, formula, suggested):
    (found,) = document("validate", formula, "--folder", data)["requests"]
    hint = next(one["suggestion"] for one in found["problems"] if one["path"] == "expressionJson")
    written = re.findall(r"`([^`]*)`", hint)
    assert [text.replace(MINUS, "-").replace(TIMES, "*") for text in written] == list(suggested)
    for text, observations in zip(written, suggested.values(), strict=True):
        (explained,) = document("explain", text, "--folder", data)["requests"]
        counts = explained["expression"]["counts"]
        assert counts["observations"] == observations
        assert not counts["overlap"] or counts["overlap"]["both"] == counts["overlap"]["left"]


def test_without_a_location_there_are_no_warnings_about_losses(tmp_path):
    asked = request(ratio(series("DAILY"), series("MONTHLY")), inputs={"DAILY": "fx", "MONTHLY": "fx"})
    assert problems_of(tmp_path, asked) == []


def node(op, code, **options):
    return {"op": op, "series": series(code), **options}


def test_dates_in_utc_of_a_series_with_local_times_are_a_warning(tmp_path, data):
    monthly = node("sma", "LOCAL", window=1, unit="months")
    ((path, text, hint),) = warnings(tmp_path, data, monthly, "LOCAL", kind="window_op")
    assert path == "expressionJson"
    assert text == "its dates are those of UTC, but most times of `LOCAL` are not midnight (03:00)"
    assert "give `tz`" in hint
    zoned = monthly | {"tz": "America/Argentina/Buenos_Aires"}
    assert warnings(tmp_path, data, zoned, "LOCAL", kind="window_op") == []
    for op in (node("sma", "DAILY", window=1, unit="months"), node("sma", "LOCAL", window=20)):
        assert warnings(tmp_path, data, op, op["series"]["series_code"], kind="window_op") == []


def test_a_fill_that_makes_a_series_less_frequent_is_a_warning(tmp_path, data):
    monthly = node("fill", "DAILY", like=series("MONTHLY"), method="previous")
    ((_, text, hint),) = warnings(tmp_path, data, monthly, "DAILY", "MONTHLY", kind="window_op")
    assert f"only the {len(MONTHS)} times of `like`" in text
    assert "resample" in hint
    daily = node("fill", "MONTHLY", like=series("DAILY"), method="previous")
    assert warnings(tmp_path, data, daily, "DAILY", "MONTHLY", kind="window_op") == []


@pytest.mark.parametrize(
    ("formula", "path", "number"),
    [
        ("DAILY * 252 ^ 0.5", ".right.right", "15.874507866387544"),
        ("sqrt(252) * DAILY", ".left.series", "15.874507866387544"),
        ("DAILY * (1 + 2/100)", ".right.right.right", "1.02"),
        ("DAILY - log(exp(-2))", ".right.series.series", "-2"),
    ],
)
def test_a_part_of_constants_is_computed_for_the_author(formula, path, number):
    (found,) = document("validate", formula)["requests"]
    (problem,) = found["problems"]
    assert problem["path"] == f"expressionJson{path}"
    assert (problem["suggestion"], problem["found"]) == (f"compute it: write {number}", None)


@pytest.mark.parametrize("formula", ["DAILY - 1 / 0", "DAILY - log(-1)", "sma(2, 3) + DAILY"])
def test_constants_without_a_value_have_no_suggestion(formula):
    (found,) = document("validate", formula)["requests"]
    assert [problem["suggestion"] for problem in found["problems"]] == [None]


def test_a_year_in_place_of_a_date_is_answered_with_its_first_day():
    (found,) = document("validate", "rebase(DAILY, at=2015)")["requests"]
    (problem,) = found["problems"]
    assert (problem["text"], problem["suggestion"]) == (
        "a date is a text such as 2015-01-01",
        "write 2015-01-01",
    )


def test_a_sum_without_some_of_its_operands_is_a_warning_with_a_strict_sum(tmp_path, data):
    operands = [series(code) for code in ("MISSING", "MONTHLY", "LATE")]
    two = {"op": "sum", "operands": operands[:2]}
    ((path, text, hint),) = warnings(tmp_path, data, two, "MISSING", "MONTHLY", kind="composite")
    assert path == "expressionJson"
    assert text == (
        "at 1 of 132 times in the period that all operands cover, it is the sum of only some of them; the "
        "first is 2005-03-01"
    )
    assert hint.endswith(" have a value, write MISSING + MONTHLY")
    # A series that begins later is no gap, and an average of the existing values is intended.
    later = {"op": "sum", "operands": [series("DAILY"), series("LATE")]}
    assert warnings(tmp_path, data, later, "DAILY", "LATE", kind="composite") == []
    average = two | {"op": "avg"}
    assert warnings(tmp_path, data, average, "MISSING", "MONTHLY", kind="composite") == []


def test_an_index_that_begins_after_the_last_observation_is_a_warning(tmp_path, data):
    index = node("rebase", "EARLY", at="2015-01-01")
    ((_, text, hint),) = warnings(tmp_path, data, index, "EARLY", kind="window_op")
    assert "no observation" in text
    assert hint.startswith("the last observation is at 2000-05-")


@pytest.mark.parametrize(
    ("code", "at", "base"),
    [
        ("MONTHLY", "1999-05-01", "2000-01-01"),
        ("MISSING", "2005-03-01", "2005-04-01"),
        ("MONTH_ENDS", "1999-12-01", "2000-01-31"),
        ("GAP", "2003-01-01", "2007-01-01"),
    ],
)
def test_an_index_whose_base_is_of_a_later_period_than_its_date_is_a_warning(tmp_path, data, code, at, base):
    found = warnings(tmp_path, data, node("rebase", code, at=at), code, kind="window_op")
    path, text, hint = next(one for one in found if one[0].endswith(".at"))
    assert path == "expressionJson.at"
    assert text == f"there is no observation on {at} or soon after it, so the base is the value of {base}"
    begins = base.startswith("2000")
    assert hint == (
        f"the series begins on {base}: give `at` this date"
        if begins
        else f"give `at` a date with an observation, such as {base}"
    )


@pytest.mark.parametrize(
    ("code", "at"),
    [("MONTHLY", "2005-03-01"), ("MONTH_ENDS", "2005-03-01"), ("DAILY", "2005-01-01"), ("GAP", "2006-12-31")],
)
def test_an_index_whose_base_is_in_the_period_of_its_date_has_no_warning(tmp_path, data, code, at):
    found = warnings(tmp_path, data, node("rebase", code, at=at), code, kind="window_op")
    assert not [one for one in found if one[0].endswith(".at")]


def test_a_lag_whose_earlier_values_are_too_old_is_a_warning(tmp_path, data):
    lag = node("lag", "MONTHLY", window=25, unit="days", max_age_days=5)
    ((_, text, hint),) = warnings(tmp_path, data, lag, "MONTHLY", kind="window_op")
    assert "the earlier value is too old there" in text
    assert hint == "max_age_days may be too small"


def test_results_over_a_missing_month_are_counted_in_a_warning(tmp_path, data):
    node = window("lag", series("MISSING"), 12)
    ((path, text, hint),) = warnings(tmp_path, data, node, "MISSING", kind="window_op")
    assert path == "expressionJson.window"
    assert text == (
        "in 12 of 119 results, the earlier value is more than 12 months old: the series lacks 1 month, the "
        "first after 2005-02-01"
    )
    dated = "resample(MISSING, month, last, stamp=start, partial=true)"
    by_calendar = f"lag({dated}, 12 months, max_age_days=0)"
    assert hint == f"to leave them out, write {by_calendar}"
    (explained,) = document("explain", by_calendar, "--folder", data)["requests"]
    # 132 months, less March 2005 and March 2006, less the 12 months of 2000.
    assert explained["expression"]["counts"]["observations"] == 118
    (_, text, hint), _ = warnings(tmp_path, data, window("sma", node, 6), "MISSING", kind="window_op")
    assert text.startswith("in 5 of 114 results, the window covers more than 6 months: ")
    dated = "resample(lag(MISSING, 12), month, last, stamp=start, partial=true)"
    assert hint == f"to leave them out, write sma({dated}, 6 months, min_periods=6)"
    explained = metrics("explain", "lag(MISSING, 12)", "--folder", data).stdout
    assert "in 12 of 119 results, the earlier value is more than 12 months old" in explained


@pytest.mark.parametrize("code", ["DAILY", "GAP", "LOCAL", "MONTHLY", "WEEKDAY_MONTHLY"])
def test_no_month_is_missing_in_a_daily_series_with_holidays(tmp_path, data, code):
    found = warnings(tmp_path, data, window("lag", series(code), 12), code, kind="window_op")
    assert not any("lacks" in text for _, text, _ in found)

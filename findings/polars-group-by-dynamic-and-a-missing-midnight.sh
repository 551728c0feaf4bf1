#!/usr/bin/env bash
# polars 2.1.0: group_by_dynamic(every="1d") puts two days into one group, or dates a group a day early, and which of
# the two happens depends on the day on which the data begins.
#
# Input: one observation a day at local midnight in America/Santiago, up to 11 September 2024. On Sunday 8 September
# 2024 the clocks went from 00:00 to 01:00, so that day begins at 01:00, and its observation has that time. Only the
# first day of the data varies.
#
# Behaviour: the windows follow one another from the first one and do not return to the beginning of the day after the
# change. If the data begins 200 days before it (in summer time), the window of 8 September reaches to 01:00 on the 9th
# and holds both days. If it begins 30 days before it (in winter time), the window of the 8th is labelled 2024-09-07
# 23:00, so the date of its label is the 7th, for the second time. If it begins on the day itself, every later window
# begins at 01:00 and holds the observation of the next day. `dt.truncate("1d")` is right in all three cases.
#
# Output seen (labels of the groups, and the dates in them):
#
#     first day 200 days earlier: 2024-09-08 01:00 holds 09-08 and 09-09
#     first day  30 days earlier: 2024-09-07 23:00 holds 09-08
#     first day on the day:       2024-09-08 01:00 holds 09-08 and 09-09, 2024-09-09 01:00 holds 09-10,
#                                 2024-09-10 01:00 holds 09-11
#
# Why it matters: daily sums and counts are wrong, or get the wrong date and collide with the day before when they are
# joined on the date. A backfill over more history changes the results of days that it did not touch. Chile and Egypt
# still change their clocks at midnight; the history of Argentina, Brazil and Paraguay has such days too. Group by
# `dt.truncate` or by `dt.date()` instead.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 tzdata==2026.6
PYTHONTZPATH="" "$folder/venv/bin/python" -W error - <<'PYTHON'
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl

ZONE = "America/Santiago"
CHANGE = date(2024, 9, 8)


def daily(first):
    """Return a frame with the first instant of each local day from `first` to three days after the change."""
    days = [first + timedelta(n) for n in range((CHANGE - first).days + 4)]
    midnights = [datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(ZONE)).astimezone(UTC) for day in days]
    times = pl.Series("t", midnights, dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone(ZONE)
    assert times.dt.date().to_list() == days
    return times.to_frame()


def wrong(groups):
    """Return the groups that hold more than one date, or a date that is not the one of their label."""
    found = {}
    for label, times in groups.select(pl.col("t").dt.to_string("%m-%d %H:%M"), "times").iter_rows():
        dates = [f"{time:%m-%d}" for time in times]
        if dates != [label[:5]]:
            found[label] = dates
    return found


expected = {
    200: {"09-08 01:00": ["09-08", "09-09"]},
    30: {"09-07 23:00": ["09-08"]},
    0: {"09-08 01:00": ["09-08", "09-09"], "09-09 01:00": ["09-10"], "09-10 01:00": ["09-11"]},
}
for back, groups in expected.items():
    frame = daily(CHANGE - timedelta(back))
    seen = wrong(frame.group_by_dynamic("t", every="1d").agg(pl.col("t").alias("times")))
    print(f"first day {back} days before the change: {seen}")
    assert seen == groups, "polars groups these days differently now"
    truncated = frame.with_columns(times=pl.col("t")).group_by(pl.col("t").dt.truncate("1d")).agg("times")
    assert wrong(truncated) == {}, "dt.truncate is no longer right"
PYTHON
echo "As described."

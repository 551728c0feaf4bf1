#!/usr/bin/env bash
# pandas 3.1.1: resample("W") puts a Monday into the week before it if the Sunday between them has no midnight.
#
# Input: one observation a day at local midnight in America/Argentina/Buenos_Aires, from Monday 6 October to Sunday 2
# November 2008, each with the value 1. On Sunday 19 October 2008 the clocks went from 00:00 to 01:00, so that day
# begins at 01:00, and its observation has that time.
#
# Behaviour: resample("W") closes a week on Sunday. pandas places the edge of the bin one day after the label, less one
# unit, and the label of this week is 01:00. The edge is therefore 01:00 on Monday 20 October, and the observation of
# Monday 00:00 falls into the week that ended the day before. The sums are 8 and 6 instead of 7 and 7, and "last" of the
# earlier week is Monday's value. No warning is given. resample("W-SAT") over the same series is right, and so are
# resample("D"), resample("MS") and a groupby on the naive local dates.
#
# Output seen:
#
#     week ending   pandas "W"   by naive local date
#      2008-10-12            7                     7
#      2008-10-19            8                     7
#      2008-10-26            6                     7
#      2008-11-02            7                     7
#
# Why it matters: Argentina, Brazil, Chile and Paraguay moved their clocks forward at midnight, usually on a Sunday, the
# day with which "W" ends. A weekly sum, mean or last of a daily series with local midnights is wrong for two weeks of
# each such year. Resample the naive local dates, and attach the time zone after that.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.5.5 pandas==3.1.1 tzdata==2026.6
PYTHONTZPATH="" "$folder/venv/bin/python" -W error - <<'PYTHON'
import pandas as pd

naive = pd.date_range("2008-10-06", "2008-11-02", freq="D")
local = naive.tz_localize("America/Argentina/Buenos_Aires", nonexistent="shift_forward")
assert str(local[13]) == "2008-10-19 01:00:00-02:00"
seen = pd.Series(1, index=local).resample("W").sum()
right = pd.Series(1, index=naive).resample("W").sum()
print("week ending   pandas \"W\"   by naive local date")
for label, week, expected in zip(right.index, seen, right, strict=True):
    print(f"{label:%Y-%m-%d}  {week:>12}  {expected:>20}")
assert right.to_list() == [7, 7, 7, 7]
assert seen.to_list() == [7, 8, 6, 7], "pandas now counts seven days in each week"
last = pd.Series(naive, index=local).resample("W").last()
assert last.iloc[1] == pd.Timestamp("2008-10-20"), "the week that ends on the 19th no longer ends with the 20th"
saturdays = pd.Series(1, index=local).resample("W-SAT").sum()
assert saturdays.to_list() == [6, 7, 7, 7, 1], saturdays
PYTHON
echo "As described."

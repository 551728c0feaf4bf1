#!/usr/bin/env bash
# pandas 3.1.1: `rolling("7D")` counts 168 hours, although a `Day` is a calendar day since pandas 3, so a week with a
# change to summer time has eight days.
#
# Input: one observation for each local midnight in New York, from 5 to 14 March 2025. The clocks go forward on 9 March.
#
# Behaviour: since pandas 3, `offsets.Day` keeps the time of day: midnight of 12 March minus `Day(7)` is midnight of 5 March.
# `rolling` accepts the same "7D" and also `Day(7)` itself, but converts both to 168 hours. From 12 to 14 March
# the window begins at 23:00 of the day before, and so contains eight midnights.
#
# Output seen:
#
#     12 March - Day(7): 2025-03-05 00:00:00-05:00
#     rolling(Day(7)).count(): [1, 2, 3, 4, 5, 6, 7, 8, 8, 8]
#
# Why it matters: a seven-day sum of daily flows is too high by one day for a week each year, and the same code is
# right in UTC. Convert to civil dates (`tz_localize(None)`) before a rolling window that counts days.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pandas==3.1.1
"$folder/venv/bin/python" - <<'PYTHON'
import pandas as pd

days = pd.date_range("2025-03-05", "2025-03-14", freq="D", tz="America/New_York")
week_before = days[7] - pd.offsets.Day(7)
counts = pd.Series(1.0, days).rolling(pd.offsets.Day(7)).count().astype(int).tolist()
civil = pd.Series(1.0, days.tz_localize(None)).rolling(pd.offsets.Day(7)).count().astype(int).tolist()
print("12 March - Day(7):", week_before)
print("rolling(Day(7)).count():", counts)
assert week_before == days[0]
assert counts == pd.Series(1.0, days).rolling("7D").count().astype(int).tolist()
assert counts == [1, 2, 3, 4, 5, 6, 7, 8, 8, 8]
assert civil == [1, 2, 3, 4, 5, 6, 7, 7, 7, 7]
PYTHON
echo "As described."

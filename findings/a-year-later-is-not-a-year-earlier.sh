#!/usr/bin/env bash
# pandas 3.1.1, polars 2.1.0, DuckDB 2.0.1: a change over one month or year that is computed by moving the earlier date
# forward has no value for five of twelve month ends, and 28 February has two values.
#
# Input: the month ends from December 2022 to December 2023, and each day from 27 February 2024 to 2 March 2025.
#
# Behaviour: all three libraries clamp month ends, so 28 February plus a month is 28 March. Moving forward and moving back
# are therefore different operations. `pct_change(freq=DateOffset(months=1))` of pandas moves the dates forward and
# looks for an equal one: a month end after a shorter month finds none. Over a year, both 28 and 29 February 2024 become
# 28 February 2025. A join on the moved date then has two rows for this day, both in DuckDB and in polars.
# Moving the later date back gives one row.
#
# Output seen:
#
#     pandas, months without a change: [3, 5, 7, 10, 12]
#     DuckDB, a.d = b.d + INTERVAL 1 YEAR: 2025-02-28 joins ['2024-02-28', '2024-02-29']
#     DuckDB, b.d = a.d - INTERVAL 1 YEAR: 2025-02-28 joins ['2024-02-28']
#     polars, offset_by("1y") of the earlier date: 2025-02-28 joins ['2024-02-28', '2024-02-29']
#     polars, offset_by("-1y") of the later date: 2025-02-28 joins ['2024-02-28']
#
# Why it matters: a monthly rate of inflation lacks five months of each year, without a warning, and sums over a
# year-over-year table count one day twice after each leap year. Subtract from the later date, and take the last
# observation on or before the result.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pandas==3.1.1 polars==2.1.0 duckdb==2.0.1
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import date

import duckdb
import pandas as pd
import polars as pl

ends = pd.date_range("2022-12-31", "2023-12-31", freq="ME")
changes = pd.Series([1.01**month for month in range(13)], ends).pct_change(freq=pd.DateOffset(months=1))
holes = changes["2023":].index[changes["2023":].isna()].month.tolist()
print("pandas, months without a change:", holes)
assert holes == [3, 5, 7, 10, 12]

LATER = "2025-02-28"
database = duckdb.connect()
database.execute(
    "CREATE TABLE days AS SELECT d::DATE AS d FROM range(DATE '2024-02-27', DATE '2025-03-03', INTERVAL 1 DAY) _(d)"
)


def in_duckdb(condition):
    query = f"SELECT b.d FROM days a JOIN days b ON {condition} WHERE a.d = DATE '{LATER}' ORDER BY b.d"
    found = [str(earlier) for (earlier,) in database.execute(query).fetchall()]
    print(f"DuckDB, {condition}: {LATER} joins {found}")
    return found


both, one = ["2024-02-28", "2024-02-29"], ["2024-02-28"]
assert in_duckdb("a.d = b.d + INTERVAL 1 YEAR") == both
assert in_duckdb("b.d = a.d - INTERVAL 1 YEAR") == one

days = pl.DataFrame({"d": pl.date_range(date(2024, 2, 27), date(2025, 3, 2), eager=True)})
earlier = days.select(d=pl.col("d").dt.offset_by("1y"), earlier="d")
forward = days.join(earlier, on="d").filter(pl.col("d") == date(2025, 2, 28))["earlier"].sort()
back = days.with_columns(earlier=pl.col("d").dt.offset_by("-1y"))
back = back.join(days.select(earlier="d"), on="earlier").filter(pl.col("d") == date(2025, 2, 28))["earlier"]
for words, found, expected in (
    ('offset_by("1y") of the earlier date', forward, both),
    ('offset_by("-1y") of the later date', back, one),
):
    texts = [str(each) for each in found]
    print(f"polars, {words}: {LATER} joins {texts}")
    assert texts == expected
PYTHON
echo "As described."

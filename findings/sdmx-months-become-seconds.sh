#!/usr/bin/env bash
# pandas 3.1.1 and sdmx1 2.28.0: the month 2024-M05 of SDMX is read as five seconds after midnight on 1 January 2024.
#
# Input: twelve monthly values with the periods 2024-M01 to 2024-M12. "YYYY-Mmm" is the form of a reporting month in the
# SDMX standard (Section 6 of SDMX 3.1, section 4), and "YYYY-Tt" that of a trimester, a third of a year.
#
# Behaviour: pandas and dateutil take M05 for a time of 00:00:05, so the months become the first twelve seconds of the
# year. The trimester T2, which begins on 1 May, becomes 1 February. PeriodIndex with
# freq="M" has twelve times January. Quarters (2024-Q2) are right, half-years (2024-S1) and weeks (2024-W05) raise an
# error. sdmx1 passes the periods of a data set to pandas, and so has the same dates. polars, DuckDB and pyarrow refuse
# the string; dateutil 4.0.0 by itself takes month and day from the current date.
#
# Output seen:
#
#     read_csv:  2024-01-01 00:00:01 to 2024-01-01 00:00:12, mean of January 6.5
#     sdmx1:     2024-01-01 00:00:01 to 2024-01-01 00:00:12
#     Period:    twelve months are ['2024-01']
#     trimester: 2024-T2 begins on 2024-02-01
#
# Why it matters: the result is a valid, sorted index with the right year. A monthly aggregation gives one value for
# January, the mean of the year, and a join with another monthly source finds at most one row. Parse with
# format="%Y-M%m", which gives the right dates.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    numpy==2.5.5 pandas==3.1.1 python-dateutil==4.0.0 sdmx1==2.28.0
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import io
from datetime import datetime

import pandas as pd
import sdmx
from sdmx.model import v21

months = [f"2024-M{month:02d}" for month in range(1, 13)]
csv = "TIME_PERIOD,OBS_VALUE\n" + "".join(f"{month},{value}\n" for value, month in enumerate(months, 1))
read = pd.read_csv(io.StringIO(csv), parse_dates=["TIME_PERIOD"], index_col="TIME_PERIOD")["OBS_VALUE"]
by_month = read.resample("ME").mean()
print(f"read_csv:  {read.index[0]} to {read.index[-1]}, mean of January {by_month.iloc[0]}")
assert list(read.index) == [datetime(2024, 1, 1, 0, 0, second) for second in range(1, 13)]
assert len(by_month) == 1 and by_month.iloc[0] == 6.5

structure = v21.DataStructureDefinition(id="CPI")
structure.dimensions.append(v21.TimeDimension(id="TIME_PERIOD"))
data = v21.DataSet(structured_by=structure)
data.obs.extend(v21.Observation(dimension=v21.Key(TIME_PERIOD=month), value=1.0) for month in months)
dates = sdmx.to_pandas(data, datetime=True).index.get_level_values("TIME_PERIOD")
print(f"sdmx1:     {dates[0]} to {dates[-1]}")
assert list(dates) == list(read.index), "sdmx1 no longer agrees with pandas"

periods = sorted({str(period) for period in pd.PeriodIndex(months, freq="M")})
print(f"Period:    twelve months are {periods}")
assert periods == ["2024-01"]
print(f"trimester: 2024-T2 begins on {pd.Timestamp('2024-T2').date()}")
assert pd.Timestamp("2024-T2") == datetime(2024, 2, 1)
assert list(pd.to_datetime(months, format="%Y-M%m")) == [datetime(2024, month, 1) for month in range(1, 13)]
PYTHON
echo "As described."

#!/usr/bin/env bash
# pyarrow 26.0.1 and polars 2.1.0: the clocks of New York stay on winter time after 2037 and after 2099. zoneinfo, pandas and
# DuckDB apply the current rule to every later year.
#
# Input: noon UTC on 1 July of some years, as local time in New York, which has summer time (UTC-4) by the current rule.
#
# Behaviour: a file of the IANA time zone database lists changes of the clocks up to 2007 or 2037, and ends with a rule for
# all later ones. pyarrow reads the list of the operating system's files and ignores the rule. polars contains a list
# up to 2099. Neither gives a warning.
#
# Output seen (Debian 12, whose files list the changes up to 2037):
#
#     year zoneinfo   pandas   DuckDB   polars  pyarrow
#     2037    08:00    08:00    08:00    08:00    08:00
#     2038    08:00    08:00    08:00    08:00    07:00
#     2099    08:00    08:00    08:00    08:00    07:00
#     2100    08:00    08:00    08:00    07:00    07:00
#
# Why it matters: the payment dates of a 15-year loan or of a long forecast depend on the library. For pyarrow, midnight of
# 1 July 2038 in New York is at 23:00 of the day before, so a daily or monthly total moves to another day or month.
# Convert times with one library, and test it with a year after 2037.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  pyarrow==26.0.1 pandas==3.1.1 polars==2.1.0 duckdb==2.0.1 tzdata==2026.6
"$folder/venv/bin/python" - <<'PYTHON'
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

ZONE = "America/New_York"
database = duckdb.connect()
database.execute(f"SET TimeZone = '{ZONE}'")


def in_duckdb(noon):
    query = f"SELECT TIMESTAMPTZ '{noon.isoformat()}'::TIMESTAMP"
    return database.execute(query).fetchone()[0]


LIBRARIES = {
    "zoneinfo": lambda noon: noon.astimezone(ZoneInfo(ZONE)),
    "pandas": lambda noon: pd.Timestamp(noon).tz_convert(ZONE),
    "DuckDB": in_duckdb,
    "polars": lambda noon: pl.Series([noon]).dt.convert_time_zone(ZONE).dt.replace_time_zone(None)[0],
    "pyarrow": lambda noon: pc.local_timestamp(pa.array([noon], pa.timestamp("us", ZONE)))[0].as_py(),
}
WINTER_TIME_FROM = {"polars": 2100, "pyarrow": 2038}

print("year", *(f"{name:>8}" for name in LIBRARIES))
for year in (2037, 2038, 2099, 2100):
    noon = datetime(year, 7, 1, 12, tzinfo=timezone.utc)
    hours = {name: convert(noon).strftime("%H:%M") for name, convert in LIBRARIES.items()}
    print(year, *(f"{hour:>8}" for hour in hours.values()))
    for name, hour in hours.items():
        assert hour == ("07:00" if year >= WINTER_TIME_FROM.get(name, 9999) else "08:00"), (name, year)
PYTHON
echo "As described."

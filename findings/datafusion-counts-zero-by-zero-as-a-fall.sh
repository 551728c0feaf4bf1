#!/usr/bin/env bash
# datafusion 55.0.0: the growth rate of a series that stays at zero is less than 0, so it counts as a fall.
#
# Input: the index 100, 0, 0, 5, 4, 3, whose growth rates polars and DuckDB compute and write to Parquet. The second
# rate is 0/0, a NaN.
#
# Behaviour: on x86-64 processors 0/0 is a NaN whose sign bit is set; the NaN of a parser or of `numpy.nan` has none.
# DataFusion compares in the total order of IEEE 754, where the first is less than every number, and the second greater.
# Its functions `isnan` and `iszero` were added because of the signs (apache/datafusion issue 7273). `min` finds a NaN,
# `max` does not, and GROUP BY has two groups that both print as NaN. DuckDB and polars have one NaN, greater than every
# number, whatever its sign. Arm processors set no sign bit, so the same pipeline counts a rise there.
#
# Output seen:
#
#     rates of polars: -1.0 nan inf -0.2 -0.25
#     falls, rises: DataFusion 4 1, DuckDB and polars 3 2
#     NaN without a sign: DataFusion falls 3, rises 2
#     groups of two NaN: DataFusion 2, DuckDB 1
#
# Why it matters: "months with a fall", "the largest fall" and the ranks of a growth rate are wrong, and they depend on
# the processor and on whether a NaN was computed or read. Replace NaN by null before the file is written.
set -euo pipefail
[ "$(uname -m)" = x86_64 ] || { echo "This script needs an x86-64 processor." >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    datafusion==55.0.0 duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys

import duckdb
import polars as pl
from datafusion import SessionContext

INDEX = pl.DataFrame({"month": range(6), "x": [100.0, 0.0, 0.0, 5.0, 4.0, 3.0]})
COUNTS = "SELECT count(*) FILTER (WHERE rate < 0), count(*) FILTER (WHERE rate > 0) FROM "


def of_datafusion(sql: str, path: str) -> list:
    context = SessionContext()
    context.register_parquet("t", path)
    return [tuple(row.values()) for row in context.sql(sql + "t").to_pylist()]


def of_duckdb(sql: str, path: str) -> list:
    return duckdb.sql(f"{sql}'{path}'").fetchall()


rates = INDEX.select(rate=pl.col("x").pct_change()).drop_nulls()
print("rates of polars:", *rates["rate"].to_list())
path, of_db = sys.argv[1] + "/polars.parquet", sys.argv[1] + "/duckdb.parquet"
rates.write_parquet(path)
polars = (rates.filter(pl.col("rate") < 0).height, rates.filter(pl.col("rate") > 0).height)
((falls, rises),) = of_datafusion(COUNTS, path)
print(f"falls, rises: DataFusion {falls} {rises}, DuckDB and polars", *polars)
assert (falls, rises) == (4, 1), "DataFusion now compares this NaN differently"
assert [polars] == of_duckdb(COUNTS, path) == [(3, 2)]
duckdb.sql(f"COPY (SELECT x / lag(x) OVER (ORDER BY month) - 1 AS rate FROM INDEX) TO '{of_db}' (FORMAT parquet)")
assert of_datafusion(COUNTS, of_db) == [(4, 1)] and of_duckdb(COUNTS, of_db) == [(3, 2)]
rates.with_columns(rate=pl.when(pl.col("rate").is_nan()).then(float("nan")).otherwise("rate")).write_parquet(path)
((falls, rises),) = of_datafusion(COUNTS, path)
print(f"NaN without a sign: DataFusion falls {falls}, rises {rises}")
assert (falls, rises) == (3, 2)
pl.DataFrame({"rate": [float("nan"), -float("nan")]}).write_parquet(path)
((groups,),), ((one,),) = (of("SELECT count(DISTINCT rate) FROM ", path) for of in (of_datafusion, of_duckdb))
print(f"groups of two NaN: DataFusion {groups}, DuckDB {one}")
assert (groups, one) == (2, 1)
PYTHON
echo "As described."

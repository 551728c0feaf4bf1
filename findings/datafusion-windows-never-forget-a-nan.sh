#!/usr/bin/env bash
# datafusion 55.0.0: after one NaN, each later rolling SUM, AVG and STDDEV is NaN, and MIN, MAX and MEDIAN are not.
#
# Input: ten observations, the third of them NaN, and window functions over ROWS 1 PRECEDING.
#
# Behaviour: the sum of a sliding window is kept up to date by subtracting the value that leaves it. NaN − NaN is NaN,
# so the accumulator of SUM, AVG, STDDEV and VAR cannot recover, and the rest of the partition is NaN. An infinite value
# does the same. MIN, MAX and MEDIAN forget the NaN as soon as it has left the window. DuckDB and polars answer NaN for
# the two windows that hold the NaN, and for no others.
#
# Output seen (the last of the ten windows holds 9 and 10):
#
#                 SUM    AVG   STDDEV   MEDIAN   MAX
#     datafusion  nan    nan   nan      9.5      10.0
#     DuckDB      19.0   9.5   0.7071   9.5      10.0
#
# Why it matters: an Arrow table or a Parquet file that was made from a numpy array keeps NaN as a value, and a single
# one at the beginning of a long series removes every later point of a moving average. Since the median of the same
# query looks healthy, it does not look like a fault of the data. Turn NaN and infinite values into NULL before the
# window function, for NaN with `CASE WHEN isnan(x) THEN NULL ELSE x END`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    datafusion==55.0.0 duckdb==2.0.1 numpy==2.5.5 pyarrow==26.0.1
"$folder/venv/bin/python" -W error - <<'PYTHON'
import math

import duckdb
import pyarrow as pa
from datafusion import SessionContext

values = [1.0, 2.0, math.nan, *(float(n) for n in range(4, 11))]
table = pa.table({"t": list(range(len(values))), "x": values})
context = SessionContext()
context.from_arrow(table, name="observations")
connection = duckdb.connect()
connection.register("observations", table)
FUNCTIONS = ("sum", "avg", "stddev", "median", "max")


def query(function, argument="x"):
    return (
        f"SELECT t, {function}({argument}) OVER (ORDER BY t ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS y"
        " FROM observations ORDER BY t"
    )


def in_datafusion(function, argument="x"):
    return context.sql(query(function, argument)).to_pydict()["y"]


def in_duckdb(function):
    return [row[1] for row in connection.execute(query(function)).fetchall()]


def nans(windows):
    return [n for n, y in enumerate(windows) if y is not None and math.isnan(y)]


for function in FUNCTIONS:
    ours, theirs = in_datafusion(function), in_duckdb(function)
    print(f"{function:>6}  last window: datafusion {ours[-1]:.4f}, DuckDB {theirs[-1]:.4f}")
    assert nans(theirs) == [2, 3], "DuckDB no longer answers NaN for two windows only"
    if function in ("sum", "avg", "stddev"):
        assert nans(ours) == list(range(2, 10)), f"{function} of datafusion now forgets the NaN"
    else:
        assert nans(ours) == [2, 3], f"{function} of datafusion no longer forgets the NaN"
infinite = "CASE WHEN isnan(x) THEN CAST('inf' AS DOUBLE) ELSE x END"
assert nans(in_datafusion("sum", infinite)) == list(range(4, 10)), "datafusion now forgets an infinite value"
assert in_datafusion("sum", "CASE WHEN isnan(x) THEN NULL ELSE x END")[-1] == 19.0
PYTHON
echo "As described."

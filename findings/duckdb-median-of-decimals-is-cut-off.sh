#!/usr/bin/env bash
# DuckDB 2.0.1: the median of the decimals 0.1 and 0.2 is 0.1.
#
# Input: a column of type DECIMAL(4,1), as prices and index values have in many Parquet files.
#
# Behaviour: `median` and `quantile_cont` are continuous, so they interpolate between the two middle values. For a DECIMAL
# the result has the type of the column, and the digits that do not fit are cut off, not rounded. The same
# numbers as DOUBLE or INTEGER give the exact mean, and `avg` of the same decimals gives 0.15.
#
# Output seen:
#
#     DECIMAL(4,1): median 0.1, avg 0.15
#     DOUBLE:       median 0.15, avg 0.15
#
# Why it matters: a rolling median over a column of decimals with few digits is too low by up to one unit of the last
# digit, always in the same direction for positive values. Cast to DOUBLE before the aggregate.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1
"$folder/venv/bin/python" - <<'PYTHON'
import duckdb

db = duckdb.connect()
found = {}
for kind in ("DECIMAL(4,1)", "DOUBLE"):
    sql = f"select typeof(median(x)), median(x)::double, avg(x) from (values (0.1::{kind}), (0.2::{kind})) as v(x)"
    found[kind] = db.execute(sql).fetchone()
    print(f"{kind + ':':13} median {found[kind][1]:g}, avg {found[kind][2]:g}")
assert found["DECIMAL(4,1)"][:2] == ("DECIMAL(4,1)", 0.1)
assert abs(found["DECIMAL(4,1)"][2] - 0.15) < 1e-12
assert abs(found["DOUBLE"][1] - 0.15) < 1e-12
PYTHON
echo "As described."

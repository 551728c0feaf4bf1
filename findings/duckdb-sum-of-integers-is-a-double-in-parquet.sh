#!/usr/bin/env bash
# DuckDB 2.0.1: the sum of a BIGINT column is exact in SQL, a rounded double in Parquet, and an exact decimal in Arrow.
#
# Input: a BIGINT column of amounts in cents with two rows, 2**53 and 1. A float64 can represent both, but not their sum.
#
# Behaviour: `sum` of integers has the type HUGEINT (128 bits). Parquet has no such type, and COPY writes a
# double without a warning, so sums above 2**53 are rounded. The type depends on the way out of DuckDB: the same query as
# an Arrow table has decimal128(38, 0). `sum` of a column of ones is written as a double too, but `count(*)` as an int64.
#
# Output seen, with pyarrow 26.0.1:
#
#     SQL      HUGEINT             9007199254740993
#     Arrow    decimal128(38, 0)   9007199254740993
#     Parquet  double              9007199254740992, sum(cents)
#     Parquet  decimal128(38, 0)   9007199254740993, sum(cents)::decimal(38, 0)
#
# Why it matters: a job that aggregates into Parquet changes the schema of a column of integers and rounds its large
# values, while the same query in a notebook is exact. Cast a sum to BIGINT or DECIMAL(38, 0) before COPY.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

duckdb.execute("create table t as select unnest([9007199254740992, 1]::bigint[]) as cents").fetchall()
exact = 2**53 + 1

[[value, kind]] = duckdb.sql("select sum(cents), typeof(sum(cents)) from t").fetchall()
print(f"SQL      {kind:18}  {value}")
assert (kind, value) == ("HUGEINT", exact)

found = pa.table(duckdb.sql("select sum(cents) as s from t"))
print(f"Arrow    {found.schema.field('s').type!s:18}  {found['s'][0].as_py()}")
assert found.schema.field("s").type == pa.decimal128(38, 0)
assert found["s"][0].as_py() == exact

for column, kind, expected in (("sum(cents)", pa.float64(), 2**53), ("sum(cents)::decimal(38, 0)", pa.decimal128(38, 0), exact)):
    duckdb.execute(f"copy (select {column} as s, sum(1) as ones, count(*) as n from t) to 'sums.parquet'").fetchall()
    table = pq.read_table("sums.parquet")
    print(f"Parquet  {table.schema.field('s').type!s:18}  {int(table['s'][0].as_py())}, {column}")
    assert table.schema.field("s").type == kind
    assert table["s"][0].as_py() == expected
    assert (table.schema.field("ones").type, table.schema.field("n").type) == (pa.float64(), pa.int64())
PYTHON
echo "As described."

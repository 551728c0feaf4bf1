#!/usr/bin/env bash
# duckdb 2.0.1: over a Parquet file of pyarrow, `WHERE NOT isnan(x)` keeps the NaN and `WHERE isnan(x)` does not find it.
#
# Input: a Parquet file with the values 1, 2 and NaN that pyarrow wrote, and the same three values in a DuckDB table.
#
# Behaviour: the Parquet format keeps NaN out of the minimum and maximum of a column chunk, so the statistics say 1 to
# 2. DuckDB sorts NaN above all numbers and takes the statistics for the range of all values. `x < 100` and `NOT
# isnan(x)` are then always true and are removed from the query, and the NaN goes into the average. `isnan(x)` and `x >
# 100` are taken for always false, and the NaN row is not found by either. On a table, and on a file that DuckDB wrote
# itself, the same queries are right: DuckDB writes no minimum and maximum if a chunk has a NaN. Files of polars and of
# arro3 behave like those of pyarrow. The fault is reported upstream (duckdb issue 25521) and had been fixed once (pull
# request 16962).
#
# Output seen:
#
#                                     Parquet file   table
#     avg(x) WHERE NOT isnan(x)       nan            1.5
#     avg(x) WHERE x < 100            nan            1.5
#     count(*) WHERE x < 100          3              2
#     count(*) WHERE x > 100          0              1
#     count(*) WHERE isnan(x)         0              1
#     avg(x) WHERE isfinite(x)        1.5            1.5
#
# Why it matters: the check reports that the data is clean, the guard lets the NaN through, and the average is NaN all
# the same. Filter with `isfinite(x)`, which is not optimised away, or write NaN as null or without statistics.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 numpy==2.5.5 pyarrow==26.0.1
"$folder/venv/bin/python" -W error - "$folder" <<'PYTHON'
import math
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

folder = sys.argv[1]
pq.write_table(pa.table({"x": [1.0, 2.0, math.nan]}), f"{folder}/pyarrow.parquet")
statistics = pq.read_metadata(f"{folder}/pyarrow.parquet").row_group(0).column(0).statistics
assert (statistics.min, statistics.max) == (1.0, 2.0)
connection = duckdb.connect()
connection.execute("CREATE TABLE t AS SELECT unnest([1, 2, 'NaN'::DOUBLE]) AS x")
connection.execute(f"COPY t TO '{folder}/duckdb.parquet'")


def ask(source):
    """Return the answers to the questions above, with None for NaN."""
    questions = (
        f"SELECT avg(x) FROM {source} WHERE NOT isnan(x)",
        f"SELECT avg(x) FROM {source} WHERE x < 100",
        f"SELECT count(*) FROM {source} WHERE x < 100",
        f"SELECT count(*) FROM {source} WHERE x > 100",
        f"SELECT count(*) FROM {source} WHERE isnan(x)",
        f"SELECT avg(x) FROM {source} WHERE isfinite(x)",
    )
    answers = [connection.execute(question).fetchall()[0][0] for question in questions]
    return [None if math.isnan(answer) else answer for answer in answers]


seen = ask(f"'{folder}/pyarrow.parquet'")
print(f"file of pyarrow {seen}, table {ask('t')}")
assert ask("t") == [1.5, 1.5, 2, 1, 1, 1.5]
assert ask(f"'{folder}/duckdb.parquet'") == [1.5, 1.5, 2, 1, 1, 1.5]
assert seen == [None, None, 3, 0, 0, 1.5], "DuckDB now finds the NaN in a file of pyarrow"
PYTHON
echo "As described."

#!/usr/bin/env bash
# pyarrow 26.0.1, datafusion 55.0.0: `change = 0` finds no row in a Parquet file with a Bloom filter, and two without.
#
# Input: changes of a rate, rounded to one digit, written by pyarrow with and without `bloom_filter_options`. Rounding
# -0.04 gives -0.0.
#
# Behaviour: a Bloom filter holds hashes of the bytes of the values, and the bytes of -0.0 and 0.0 differ. Parquet has a
# rule for a minimum or maximum of zero (write -0.0 and 0.0), but none for Bloom filters (apache/parquet-format issue
# 407, open). DataFusion does not find the hash of 0.0 and skips the row group, although -0.0 = 0.0 is true for it
# (apache/datafusion pull request 22835). polars, pyarrow and DuckDB find the rows in both files. `change >= 0` does
# not use the Bloom filter.
#
# Output seen (rows with change = 0 and with change >= 0):
#
#     without Bloom filter: DataFusion 2 and 3, DuckDB 2 and 3, polars 2 and 3
#     with Bloom filter:    DataFusion 0 and 3, DuckDB 2 and 3, polars 2 and 3
#
# Why it matters: "how often did the rate not change" is 0, and an index, which should change only the speed, changes
# the answer. Only row groups in which all zeros are negative are skipped, so a sample with one 0.0 has all of them.
# Add 0.0 before the values are written: -0.0 + 0.0 is 0.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    datafusion==55.0.0 duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1
"$folder/venv/bin/python" -W error - "$folder" <<'PYTHON'
import sys

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from datafusion import SessionContext

changes = pc.round(pa.array([-0.04, 0.25, -0.02, -0.31]), 1)


def counts(path: str) -> dict[str, tuple[int, ...]]:
    context = SessionContext()
    context.register_parquet("t", path)
    wheres = ("change = 0.0", "change >= 0.0")
    return {
        "DataFusion": tuple(context.sql(f"SELECT change FROM t WHERE {where}").count() for where in wheres),
        "DuckDB": tuple(len(duckdb.sql(f"SELECT change FROM '{path}' WHERE {where}").fetchall()) for where in wheres),
        "polars": tuple(pl.scan_parquet(path).sql(f"SELECT * FROM self WHERE {w}").collect().height for w in wheres),
    }


for name, options, column, hidden in (
    ("without Bloom filter:", None, changes, False),
    ("with Bloom filter:", {"change": True}, changes, True),
    ("with 0.0 added:", {"change": True}, pc.add(changes, 0.0), False),
):
    path = f"{sys.argv[1]}/changes.parquet"
    pq.write_table(pa.table({"change": column}), path, bloom_filter_options=options)
    seen = counts(path)
    print(f"{name:21}", ", ".join(f"{library} {equal} and {least}" for library, (equal, least) in seen.items()))
    assert seen == {"DataFusion": (0 if hidden else 2, 3), "DuckDB": (2, 3), "polars": (2, 3)}, "a library differs now"
    assert ds.dataset(path).count_rows(filter=ds.field("change") == 0.0) == 2
PYTHON
echo "As described."

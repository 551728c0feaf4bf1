#!/usr/bin/env bash
# duckdb 2.0.1: reading several Parquet files rounds 1.25 to 1 if the first file has whole numbers only.
#
# Input: two part files, as pandas writes them from two days of a CSV. On the first day all values are whole, so its
# column is int64; the second file has float64 values.
#
# Behaviour: read_parquet over a list or a glob takes the column types from the first file, which the documentation
# says, and casts the other files to them. The cast from DOUBLE to BIGINT rounds instead of failing, with no warning. A
# first file with DECIMAL(10, 1) rounds the others to one digit in the same way. If the files are named in the other
# order, or read with `union_by_name = true`, the values are right. pyarrow.dataset and polars refuse the same two
# files.
#
# Output seen:
#
#     first file whole:       [3, 5, 1, 2]
#     first file fractional:  [1.25, 2.5, 3.0, 5.0]
#     union_by_name:          [3.0, 5.0, 1.25, 2.5]
#     sum over the two files: 11 or 11.75
#
# Why it matters: a glob sorts by name, so the oldest day decides for all later ones. One day of whole numbers at the
# beginning of a dataset rounds every rate and ratio after it, and the result depends on how far back a query reads. Use
# `union_by_name = true` whenever the files were not written with one fixed schema.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    duckdb==2.0.1 numpy==2.5.5 pandas==3.1.1 polars==2.1.0 pyarrow==26.0.1
"$folder/venv/bin/python" -W error - "$folder" <<'PYTHON'
import io
import sys

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds

folder = sys.argv[1]
whole, fractional = f"{folder}/day-1.parquet", f"{folder}/day-2.parquet"
pd.read_csv(io.StringIO("value\n3\n5\n")).to_parquet(whole)
pd.read_csv(io.StringIO("value\n1.25\n2.5\n")).to_parquet(fractional)


def values(files, options=""):
    return [row[0] for row in duckdb.execute(f"SELECT value FROM read_parquet({files}{options})").fetchall()]


by_glob = values(f"'{folder}/*.parquet'")
reverse = values([fractional, whole])
unified = values(f"'{folder}/*.parquet'", ", union_by_name = true")
print(f"first file whole: {by_glob}, fractional: {reverse}, union_by_name: {unified}")
print(f"sum: {sum(by_glob)} or {sum(unified)}")
assert reverse == [1.25, 2.5, 3, 5]
assert unified == [3, 5, 1.25, 2.5]
assert by_glob == [3, 5, 1, 2], "DuckDB no longer rounds the second file to the type of the first"

for refuse, error in (
    (lambda: ds.dataset([whole, fractional]).to_table(), pa.ArrowInvalid),
    (lambda: pl.scan_parquet([whole, fractional]).collect(), pl.exceptions.SchemaError),
):
    try:
        refuse()
    except error:
        continue
    raise SystemExit("pyarrow or polars now accepts the two files")
PYTHON
echo "As described."

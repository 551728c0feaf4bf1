#!/usr/bin/env bash
# pyarrow 26.0.1, polars 2.1.0, DuckDB 2.0.1: 90 seconds in two Parquet files are equal durations for pyarrow and polars, and the
# integers 90 and 90000 for DuckDB.
#
# Input: two files with one column of Arrow durations, in seconds and in milliseconds. pyarrow writes both without a warning.
#
# Behaviour: Parquet has types for times, dates and intervals, but none for durations. pyarrow writes the bare integers as
# INT64 without a logical type, and the unit is only in the Arrow schema, in the metadata of the footer under the key
# ARROW:schema. pyarrow and polars read that schema and convert the units; DuckDB ignores it. The Parquet schemas of the two
# files are equal, so a comparison of schemas finds no difference, and DuckDB reads both files as one column.
#
# Output seen:
#
#     Parquet schemas equal: True
#     pyarrow  [90.0, 90.0] seconds
#     polars   [90.0, 90.0] seconds
#     duckdb   BIGINT [90, 90000], average 45045
#
# Why it matters: a mean time to recovery, or a delay between two payments, is wrong by a factor of 1,000 as soon as one writer uses
# another unit, and no reader that knows Parquet alone can notice. Write seconds as a DOUBLE whose name has the unit.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1 polars==2.1.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

files = ["seconds.parquet", "milliseconds.parquet"]
for file, ticks, unit in zip(files, (90, 90_000), ("s", "ms"), strict=True):
    pq.write_table(pa.table({"d": pa.array([ticks], pa.duration(unit))}), file)
schemas = [pq.ParquetFile(file).schema for file in files]
print("Parquet schemas equal:", schemas[0].equals(schemas[1]))
assert schemas[0].equals(schemas[1])
assert schemas[0].column(0).logical_type.type == "NONE"

arrow = [d.total_seconds() for file in files for d in pq.read_table(file)["d"].to_pylist()]
polars = [d.total_seconds() for d in pl.scan_parquet(files).collect()["d"].to_list()]
print("pyarrow ", arrow, "seconds")
print("polars  ", polars, "seconds")
assert arrow == polars == [90.0, 90.0]
assert [d.total_seconds() for d in ds.dataset(files).to_table()["d"].to_pylist()] == [90.0, 90.0]

rows = duckdb.sql(f"select d, typeof(d) from read_parquet({files!r}) order by d").fetchall()
[[mean]] = duckdb.sql(f"select avg(d) from read_parquet({files!r})").fetchall()
print("duckdb  ", rows[0][1], [row[0] for row in rows], f"average {mean:g}")
assert rows == [(90, "BIGINT"), (90_000, "BIGINT")]
PYTHON
echo "As described."

#!/usr/bin/env bash
# pyarrow 26.0.1: the filter `value <= 0.3` drops a decimal 0.3, because decimals become floats one place off.
#
# Input: a column decimal128(18, 1) with the values 0.1 to 99.9, in a Parquet file, and comparisons with Python floats.
#
# Behaviour: Arrow casts a decimal to float64 by multiplying the unscaled integer by 10 ** -scale. That power has no
# exact float64, so the product is often not the nearest float: 3 × 0.1 is 0.30000000000000004. Of the 999 values 352
# come out one unit in the last place too high or too low. A comparison with a float casts the column in the same way
# and without a warning, so `<= 0.3` is false for 0.3. Arrow accepts an error of one unit in the cast (apache/arrow pull
# request 36667). A division by 10 ** scale would give the nearest float. polars and DuckDB are right for all 999
# values.
#
# Output seen:
#
#     decimal 0.3 as float64: 0.30000000000000004
#     wrong of 999: {'pyarrow': 352, 'polars': 0, 'DuckDB': 0}
#     rows with value <= 0.3: pyarrow ['0.1', '0.2'], DuckDB 3
#
# Why it matters: a threshold excludes the value that it names, and the same file gives metrics that differ in the last
# place, and therefore in rank and equality, between pyarrow and the other readers. Compare with a decimal scalar, and
# cast a decimal to a string first if its nearest float64 is needed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    duckdb==2.0.1 numpy==2.5.5 polars==2.1.0 pyarrow==26.0.1
"$folder/venv/bin/python" -W error - "$folder/decimals.parquet" <<'PYTHON'
import sys
from decimal import Decimal

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

path = sys.argv[1]
decimals = [Decimal(n).scaleb(-1) for n in range(1, 1000)]
nearest = [float(value) for value in decimals]
pq.write_table(pa.table({"value": pa.array(decimals, pa.decimal128(18, 1))}), path)

column = pq.read_table(path)["value"]
floats = {
    "pyarrow": column.cast(pa.float64()).to_pylist(),
    "polars": pl.read_parquet(path)["value"].cast(pl.Float64).to_list(),
    "DuckDB": [row[0] for row in duckdb.sql(f"SELECT value::DOUBLE FROM '{path}'").fetchall()],
}
wrong = {name: sum(a != b for a, b in zip(values, nearest, strict=True)) for name, values in floats.items()}
print(f"decimal 0.3 as float64: {floats['pyarrow'][2]!r}")
print(f"wrong of 999: {wrong}")
assert wrong["polars"] == wrong["DuckDB"] == 0, "polars or DuckDB is no longer exact"
assert wrong["pyarrow"] == 352, "pyarrow casts decimals differently now"

kept = ds.dataset(path).to_table(filter=ds.field("value") <= 0.3)["value"].to_pylist()
others = duckdb.sql(f"SELECT count(*) FROM '{path}' WHERE value <= 0.3::DOUBLE").fetchall()[0][0]
print(f"rows with value <= 0.3: pyarrow {[str(value) for value in kept]}, DuckDB {others}")
assert kept == [Decimal("0.1"), Decimal("0.2")], "pyarrow's filter now keeps the value that it names"
assert others == 3
exact = ds.dataset(path).to_table(filter=ds.field("value") <= pa.scalar(Decimal("0.3"))).num_rows
assert exact == 3, "the comparison with a decimal scalar no longer helps"
assert column.cast(pa.string()).cast(pa.float64()).to_pylist() == nearest
PYTHON
echo "As described."

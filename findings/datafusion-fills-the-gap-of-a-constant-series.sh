#!/usr/bin/env bash
# datafusion 55.0.0: a NaN in a Parquet file is read as 4.5 if all other values of the column are 4.5.
#
# Input: a policy rate that is 4.5 on three days and NaN on one day, written by pyarrow and by polars.
#
# Behaviour: `SELECT rate FROM file` returns 4.5 four times. Statistics in Parquet leave NaN out, so the minimum and
# maximum of the column are both 4.5, and its count of nulls is 0. DataFusion concludes that the column is constant and
# returns a literal instead of reading it (apache/datafusion pull request 19136). The conclusion is per file: in a
# folder, only the files with one distinct number are affected. pyarrow, polars and DuckDB read the NaN. If the
# collection of statistics is switched off, or if DuckDB writes the file, DataFusion reads the NaN, too. An open pull
# request (apache/datafusion 24804) reports wrong pruning from the same statistics; it does not mention changed values.
#
# Output seen:
#
#     written by pyarrow: DataFusion 4.5 4.5 4.5 4.5, pyarrow, polars and DuckDB 4.5 4.5 nan 4.5
#     rows that are NaN, average: DataFusion 0, 4.5
#
# Why it matters: series that do not change for months, such as policy rates, pegs and tax rates, get an invented value
# at each gap, and the query that searches for gaps finds none. The same series in one file per year has the gap in the
# years with a change of the rate, and not in the others. Set `datafusion.execution.collect_statistics` to false, or
# write nulls instead of NaN.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    datafusion==55.0.0 duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from datafusion import SessionConfig, SessionContext

path = sys.argv[1] + "/rate.parquet"
rates = pa.table({"day": [1, 2, 3, 4], "rate": [4.5, 4.5, float("nan"), 4.5]})
TRUE, INVENTED = "4.5 4.5 nan 4.5", "4.5 4.5 4.5 4.5"


def query(sql: str, **settings: str) -> list:
    context = SessionContext(SessionConfig({f"datafusion.execution.{name}": value for name, value in settings.items()}))
    context.register_parquet("rates", path)
    return [tuple(row.values()) for row in context.sql(sql).to_pylist()]


def text(values: list) -> str:
    return " ".join(map(str, values))


for writer in ("pyarrow", "polars"):
    pq.write_table(rates, path) if writer == "pyarrow" else pl.from_arrow(rates).write_parquet(path)
    seen = text([rate for _, rate in query("SELECT day, rate FROM rates ORDER BY day")])
    assert text(pq.read_table(path)["rate"].to_pylist()) == text(pl.read_parquet(path)["rate"].to_list()) == TRUE
    assert text([rate for (rate,) in duckdb.sql(f"SELECT rate FROM '{path}'").fetchall()]) == TRUE
    print(f"written by {writer}: DataFusion {seen}, pyarrow, polars and DuckDB {TRUE}")
    assert seen == INVENTED, "DataFusion now reads the NaN"
    ((gaps, average),) = query("SELECT count(*) FILTER (WHERE isnan(rate)), avg(rate) FROM rates")
    print(f"rows that are NaN, average: DataFusion {gaps}, {average}")
    assert (gaps, average) == (0, 4.5)
    assert text([rate for (rate,) in query("SELECT rate FROM rates", collect_statistics="false")]) == TRUE
PYTHON
echo "As described."

#!/usr/bin/env bash
# polars 2.1.0: a trade in milliseconds and a quote 500 µs after it are at the same time, and a cutoff loses its µs.
#
# Input: trades with times in milliseconds, as the interfaces of many exchanges and pyarrow's timestamp("ms") have them,
# and quotes with times in microseconds, the unit of Python and of most Parquet files.
#
# Behaviour: polars converts both operands to the coarser unit and cuts the rest off (polars issue 22435, open). The
# difference is 0, `<` is false and `==` is true; `concat(how="vertical_relaxed")` stores the cut-off times. A datetime
# literal is cut off in the same way (issue 27726, open), in scans of Parquet, too. DuckDB and pyarrow take the finer
# unit. DataFusion 55.0.0 does so for two columns, but cuts a literal off as polars does.
#
# Output seen:
#
#     quote − trade:           polars 0:00:00, DuckDB 0:00:00.000500
#     trades before 5.5 ms:    polars 1, DataFusion 1, DuckDB 2, pyarrow 2
#     trades at 5.5 ms:        polars 1, DataFusion 1, DuckDB 0, pyarrow 0
#     concat of both:          polars 5 and 5 ms, DuckDB 5 and 5.5 ms
#
# Why it matters: "the last trade before each quote" loses trades, latencies become 0 or 1 ms, and times that were in
# order become ties, whose order is not defined. `join_asof` raises an error for two units, and the obvious cast to
# make it work is to the unit of either side. Cast to the finer unit first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    datafusion==55.0.0 duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1
"$folder/venv/bin/python" -W error - "$folder/trades.parquet" <<'PYTHON'
import sys
from datetime import datetime, timedelta

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from datafusion import SessionContext

path, start = sys.argv[1], datetime(2025, 1, 1)
quote = start + timedelta(milliseconds=5.5)
times = [start + timedelta(milliseconds=5 * n) for n in range(4)]
pq.write_table(pa.table({"t": pa.array(times, pa.timestamp("ms"))}), path)
trade, quotes = pl.read_parquet(path).slice(1, 1), pl.DataFrame({"t": [quote]})

(gap,) = pl.concat([trade, quotes.rename({"t": "q"})], how="horizontal").select(pl.col("q") - pl.col("t")).to_series()
((of_duckdb,),) = duckdb.sql("SELECT quotes.t - trade.t FROM trade, quotes").fetchall()
print(f"quote − trade:           polars {gap}, DuckDB {of_duckdb}")
assert (gap, of_duckdb) == (timedelta(0), timedelta(microseconds=500)), "polars subtracts two units differently now"

context = SessionContext()
context.register_parquet("trades", path)
for name, operator, cut, right in (("before", "<", 1, 2), ("at", "=", 1, 0)):
    where = f"WHERE t {operator} TIMESTAMP '{quote}'"
    column, field = pl.col("t"), ds.field("t")
    of_polars = pl.scan_parquet(path).filter(column < quote if operator == "<" else column == quote).collect().height
    of_arrow = ds.dataset(path).count_rows(filter=field < quote if operator == "<" else field == quote)
    of_datafusion = context.sql(f"SELECT t FROM trades {where}").count()
    ((of_duckdb,),) = duckdb.sql(f"SELECT count(*) FROM '{path}' {where}").fetchall()
    counts = f"polars {of_polars}, DataFusion {of_datafusion}, DuckDB {of_duckdb}, pyarrow {of_arrow}"
    print(f"{f'trades {name} 5.5 ms:':24} {counts}")
    assert of_polars == of_datafusion == cut and of_duckdb == of_arrow == right, "a literal is not cut off now"

both = pl.concat([trade, quotes], how="vertical_relaxed")["t"].to_list()
of_duckdb = [t for (t,) in duckdb.sql("SELECT t FROM trade UNION ALL SELECT t FROM quotes ORDER BY t").fetchall()]
ms = [" and ".join(f"{(t - start) / timedelta(milliseconds=1):g}" for t in each) for each in (both, of_duckdb)]
print(f"concat of both:          polars {ms[0]} ms, DuckDB {ms[1]} ms")
assert both == [times[1]] * 2 and of_duckdb == [times[1], quote]
PYTHON
echo "As described."

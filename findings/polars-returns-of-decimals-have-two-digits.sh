#!/usr/bin/env bash
# polars 2.1.0: the return from 100.00 to 101.50 is 0.02 as `x / x.shift(1) - 1`, and 0.015 as `x.pct_change()`.
#
# Input: prices as decimals with two digits, and interest rates as decimals with four, as a database or DuckDB writes
# them to Parquet.
#
# Behaviour: the product and the quotient of two decimals are rounded to as many digits as the longer operand has
# (polars issue 19784 has the reasons). DuckDB and pyarrow keep the digits of both factors, which is exact, and more
# digits for a quotient (DuckDB makes it a double). In polars a division by an integer rounds, too, and one by a float
# has a float as its result. `pct_change` converts to floats.
#
# Output seen:
#
#     returns x / x.shift(1) - 1: 0.02 -0.01      pct_change: 0.0150 -0.0149
#     0.0325 / 12 × 1,000,000:    polars 2700.0000, DuckDB 2708.3333
#     0.0005 × 0.0005:            polars 0.0000, DuckDB 2.5E-7, pyarrow 2.5E-7
#
# Why it matters: a return of 1.5 % becomes 2 %, a month of interest on a million is 8.33 too low, and ratios of rates
# have two or three digits. The type suggests exactness, and no warning is given. Cast to Float64 before a division or
# a product, or to a decimal with enough digits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1
"$folder/venv/bin/python" -W error - <<'PYTHON'
from decimal import Decimal

import duckdb
import polars as pl
import pyarrow.compute as pc

prices = pl.Series([Decimal("100.00"), Decimal("101.50"), Decimal("99.99")])
returns, change = (prices / prices.shift(1) - 1).drop_nulls(), prices.pct_change().drop_nulls()
print("returns x / x.shift(1) - 1:", *returns, "     pct_change:", *(f"{each:.4f}" for each in change))
assert returns.to_list() == [Decimal("0.02"), Decimal("-0.01")], "polars divides decimals differently now"
assert abs(change[0] - 0.015) < 1e-12

rate = pl.DataFrame({"rate": pl.Series([Decimal("0.0325"), Decimal("0.0005")], dtype=pl.Decimal(9, 4))})
interest = rate.select(pl.col("rate") / 12 * 1_000_000)["rate"][0]
((of_duckdb,),) = duckdb.sql("SELECT rate / 12 * 1000000 FROM rate LIMIT 1").fetchall()
print(f"0.0325 / 12 × 1,000,000:    polars {interest}, DuckDB {of_duckdb:.4f}")
assert interest == 2700 and abs(of_duckdb - 32500 / 12) < 1e-6

square = rate.select(pl.col("rate") * pl.col("rate"))["rate"][1]
arrow = rate.to_arrow()["rate"]
of_pyarrow = pc.multiply(arrow, arrow)[1].as_py()
((of_duckdb,),) = duckdb.sql("SELECT rate * rate FROM rate OFFSET 1").fetchall()
print(f"0.0005 × 0.0005:            polars {square}, DuckDB {of_duckdb}, pyarrow {of_pyarrow}")
assert square == 0 and of_pyarrow == of_duckdb == Decimal("0.00000025")
exact = rate.select(pl.col("rate").cast(pl.Float64) / 12 * 1_000_000)["rate"][0]
assert abs(exact - 32500 / 12) < 1e-6
PYTHON
echo "As described."

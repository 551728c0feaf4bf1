#!/usr/bin/env bash
# DuckDB 2.0.1: which of two equal times an ASOF JOIN takes depends on whether the left table has 64 rows or 63.
#
# Input: quotes with two prices at the same time, as a series has after a revision was appended, and trades a day later.
# Each trade is joined to the last quote at or before its time (`trades.t >= quotes.t`).
#
# Behaviour: with up to 63 trades, every trade gets the first of the two prices. With 64 trades or more, every trade gets
# the second one. The number of threads makes no difference. Nothing in the answer or the plan's rows says that there was
# a tie.
#
# Output seen:
#
#     63 trades: [1.0]
#     64 trades: [2.0]
#
# Why it matters: a query that is tested on a small sample gives the first publication of a revised value, and the same
# query over the full table gives the revision. Remove ties before the join, for example with
# `QUALIFY row_number() OVER (PARTITION BY t ORDER BY revised_at DESC) = 1`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1
"$folder/venv/bin/python" - <<'PYTHON'
import duckdb


def prices(trades: int) -> list[float]:
    db = duckdb.connect()
    db.execute("create table quotes (t timestamp, price double)")
    db.execute("insert into quotes values ('2025-01-01', 1.0), ('2025-01-01', 2.0)")
    db.execute(f"create table trades as select timestamp '2025-01-02' + to_seconds(range) as t from range({trades})")
    joined = "select distinct price from trades asof join quotes on trades.t >= quotes.t"
    return [price for (price,) in db.execute(joined).fetchall()]


for trades in (63, 64):
    print(f"{trades} trades: {prices(trades)}")
assert prices(63) == [1.0]
assert prices(64) == [2.0]
PYTHON
echo "As described."

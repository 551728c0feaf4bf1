#!/usr/bin/env bash
# pyiceberg 0.12.0 and deltalake 1.6.6: delete("rate < 5") also deletes the NaN, which the same filter does not select.
#
# Input: a table with one file of four rates, in which one is NaN, and a filter that is true for the three others.
#
# Behaviour: pyiceberg deletes a file without reading it if the file's bounds say that all rows match. Bounds leave NaN
# out, so a count of NaN is needed, which pyiceberg does not write, because pyarrow's statistics have none (apache/arrow
# issue 36068), and takes for 0. The Java library has the same assumption (apache/iceberg pull request 17648, open).
# `scan` with the same filter reads the file and returns three rows. deltalake deletes the NaN if the other rates are
# equal: its `SELECT` with the filter returns 4.5 four times. Both keep the NaN if a rate does not match.
#
# Output seen (rows that are selected and rows that are left):
#
#     4.5 4.5 nan 4.5  pyiceberg selects 3, leaves []  deltalake selects 4, leaves []
#     4.5 4.75 nan 4.5  pyiceberg selects 3, leaves []  deltalake selects 3, leaves [nan]
#     4.5 6.0 nan 4.5   pyiceberg selects 2, leaves [6.0, nan]  deltalake selects 2, leaves [6.0, nan]
#
# Why it matters: a correction that deletes and appends loses rows that were never part of it. Whether it does depends
# on the other rows of the file. Write nulls instead of NaN, or add "and rate is not nan" to the filter of pyiceberg.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    deltalake==1.6.6 pyarrow==26.0.1 pyiceberg==0.12.0 sqlalchemy==2.1.9
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import sys

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder, write_deltalake
from pyiceberg.catalog.memory import InMemoryCatalog

catalog = InMemoryCatalog("tables", warehouse="file://" + sys.argv[1])
catalog.create_namespace("rates")


def iceberg(name: str, rates: pa.Table, row_filter: str) -> tuple[int, str]:
    table = catalog.create_table(f"rates.{name}", schema=rates.schema)
    table.append(rates)
    selected = table.scan(row_filter=row_filter).to_arrow().num_rows
    table.delete(row_filter)
    return selected, str(table.scan().to_arrow()["rate"].to_pylist())


def delta(name: str, rates: pa.Table) -> tuple[int, str]:
    path = f"{sys.argv[1]}/delta_{name}"
    write_deltalake(path, rates)
    query = QueryBuilder().register("t", DeltaTable(path)).execute("SELECT rate FROM t WHERE rate < 5")
    selected = pa.table(query.read_all()).num_rows
    DeltaTable(path).delete("rate < 5")
    return selected, str(DeltaTable(path).to_pyarrow_table()["rate"].to_pylist())


for second, of_iceberg, of_delta in (
    (4.5, (3, "[]"), (4, "[]")),
    (4.75, (3, "[]"), (3, "[nan]")),
    (6.0, (2, "[6.0, nan]"), (2, "[6.0, nan]")),
):
    name, rates = f"r{second * 100:.0f}", pa.table({"rate": [4.5, second, float("nan"), 4.5]})
    seen = iceberg(name, rates, "rate < 5"), delta(name, rates)
    (ice, left), (lake, rest) = seen
    print(f"4.5 {second} nan 4.5  pyiceberg selects {ice}, leaves {left}  deltalake selects {lake}, leaves {rest}")
    assert seen == (of_iceberg, of_delta), "a library deletes differently now"
    assert iceberg(name + "_not_nan", rates, "rate < 5 and rate is not nan")[1].endswith("nan]")
PYTHON
echo "As described."

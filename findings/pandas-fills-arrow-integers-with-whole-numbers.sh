#!/usr/bin/env bash
# pandas 3.1.1: fillna(2.5), clip(2.4, 26.8) and other methods cut the number off if the column is int64[pyarrow].
#
# Input: integers, as numpy's int64, pandas' Int64, int64[pyarrow] and double[pyarrow]. `read_parquet` with
# dtype_backend="pyarrow" gives int64[pyarrow] to each integer column, also to one with nulls.
#
# Behaviour: pandas converts the new value to the type of the column with `pyarrow.scalar(value, type)`, which cuts off
# the fraction. numpy's int64 becomes a float64 with the exact value, and Int64 raises a TypeError; only int64[pyarrow]
# has a wrong number without a warning. The methods `fillna`, `clip`, `mask` and `replace` do so, and assignments. An
# open pull request (pandas-dev/pandas 68638) would raise an error in `replace` and `fillna`.
#
# Output seen:
#
#     mean of 2, 5, 8, 40: 13.75; after fillna(mean): int64[pyarrow] 13.6, double[pyarrow] 13.75
#     clip at the 10 % and 90 % quantiles 2.4 and 26.8: int64[pyarrow] 2 to 26, int64 2.4 to 26.8
#
# Why it matters: filling by the mean must not move the mean, and winsorizing gives values outside the limits. Amounts,
# counts and basis points are integers in files, and the result depends on the backend. Cast to double[pyarrow] first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.5.5 pandas==3.1.1 pyarrow==26.0.1
"$folder/venv/bin/python" -W error - "$folder/amounts.parquet" <<'PYTHON'
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

pq.write_table(pa.table({"gap": [2, None, 5, 8, 40], "full": [2, 3, 5, 7, 40]}), sys.argv[1])
read = pd.read_parquet(sys.argv[1], dtype_backend="pyarrow")
gap, full = read["gap"], read["full"]
assert gap.dtype == full.dtype == "int64[pyarrow]"

exact = gap.astype("double[pyarrow]")
filled, right = gap.fillna(gap.mean()).mean(), exact.fillna(exact.mean()).mean()
print(f"mean of 2, 5, 8, 40: {gap.mean()}; after fillna(mean): {gap.dtype} {filled}, {exact.dtype} {right}")
assert gap.mean() == right == 13.75 and filled == 13.6, "fillna no longer cuts off"

low, high = full.quantile(0.1), full.quantile(0.9)
clipped, upcast = full.clip(low, high), full.astype("int64").clip(low, high)
print(
    f"clip at the 10 % and 90 % quantiles {low:.1f} and {high:.1f}: {full.dtype} {clipped.min()} to {clipped.max()},"
    f" int64 {upcast.min():.1f} to {upcast.max():.1f}"
)
assert (clipped.min(), clipped.max()) == (2, 26), "clip no longer cuts off"
assert (upcast.min(), upcast.max()) == (low, high)

assert full.mask(full > 30, 7.9).to_list() == full.replace(40, 7.9).to_list() == [2, 3, 5, 7, 7]
full.iloc[0] = 2.9
assert full.iloc[0] == 2, "an assignment no longer cuts off"
try:
    gap.astype("Int64").fillna(2.5)
except TypeError:
    pass
else:
    raise AssertionError("Int64 no longer raises an error")
PYTHON
echo "As described."

#!/usr/bin/env bash
# polars 2.1.0: the rolling correlation with a series that is constant within the window is minus infinity.
#
# Input: a rate that is fixed at 0.1 (a peg, or a policy rate) after three other values, and a growing series.
#
# Behaviour: the correlation is undefined where one side does not vary. pandas gives NaN. polars computes the variances
# from running moments; the rest of their rounding is divided by zero, and the result is infinite instead of NaN. A
# filter for missing values (`is_not_nan`) keeps it, and any mean over the column becomes infinite.
#
# Output seen (windows of 3):
#
#     polars: [None, None, 1.0, -0.6458, -0.866, -inf, -inf]
#     pandas: [nan, nan, 1.0, -0.6458, -0.866, nan, nan]
#
# Why it matters: a dashboard that ranks pairs by correlation puts the pegged currency first. Filter with `is_finite`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 pandas==3.1.1 pyarrow==26.0.1
"$folder/venv/bin/python" - <<'PYTHON'
import math

import pandas as pd
import polars as pl

rate = [1.1, 2.2, 3.3, 0.1, 0.1, 0.1, 0.1]
index = [1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 9.0]
frame = pl.DataFrame({"rate": rate, "index": index})
by_polars = frame.select(pl.rolling_corr("rate", "index", window_size=3)).to_series().to_list()
by_pandas = pd.Series(rate).rolling(3).corr(pd.Series(index)).tolist()
print("polars:", [value if value is None else round(value, 4) for value in by_polars])
print("pandas:", [round(value, 4) for value in by_pandas])
assert all(math.isinf(value) for value in by_polars[5:])
assert all(math.isnan(value) for value in by_pandas[5:])
assert all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(by_polars[2:5], by_pandas[2:5], strict=True))
PYTHON
echo "As described."

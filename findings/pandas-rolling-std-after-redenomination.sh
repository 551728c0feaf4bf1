#!/usr/bin/env bash
# pandas 3.1.1: rolling(20).std() is wrong after a redenomination of 1:100,000, and exact after one of 1:200,000.
#
# Input: 60 observations around a level with 1 % noise, then 2,000 observations around 1 with 1 % noise, as an exchange
# rate looks when a currency loses five zeros. The windows that are compared hold observations of the new currency only.
#
# Behaviour: `rolling().std()` updates its sums as observations enter and leave the window, so the rounding errors
# of the old level stay in the new one. pandas recomputes a window when it notices the loss, but notices it only beyond
# a factor of between 100,000 and 200,000. So the error first grows with the factor and then vanishes, and it
# does not fade: the last 500 windows, 1,500 observations after the change, are hardly better.
#
# Output seen (largest relative error of the last 500 windows over 20 seeds, against numpy's std of each window):
#
#     factor    pandas 3.1.1   polars 2.1.0
#        100          2e-07          2e-14
#      1,000          2e-05          2e-14
#     10,000          3e-03          2e-14
#    100,000          2e-01          2e-14
#    200,000          7e-13          2e-14
#
# Why it matters: currencies do lose four or five zeros (Argentina in 1983 and 1992: 10,000; Venezuela in 2018:
# 100,000). A volatility or a z-score over such data is off by up to a fifth with no warning, and a test with a more
# extreme jump, such as 1e16, passes. A kernel for rolling variance has to be tested over a range of factors.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.5.5 pandas==3.1.1 polars==2.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import pandas as pd
import polars as pl

WINDOW = 20


def largest_errors(factor):
    """Return the largest relative errors of pandas and polars in the last 500 windows."""
    errors = {"pandas": 0.0, "polars": 0.0}
    for seed in range(20):
        noise = np.random.default_rng(seed)
        old = factor * (1 + noise.normal(0, 0.01, 60))
        new = 1 + noise.normal(0, 0.01, 2000)
        x = np.concatenate([old, new])
        exact = np.lib.stride_tricks.sliding_window_view(x, WINDOW).std(axis=1, ddof=1)[-500:]
        found = {
            "pandas": pd.Series(x).rolling(WINDOW).std().to_numpy()[-500:],
            "polars": pl.Series(x).rolling_std(WINDOW).to_numpy()[-500:],
        }
        for name, values in found.items():
            errors[name] = max(errors[name], float(np.abs(values / exact - 1).max()))
    return errors


seen = {factor: largest_errors(factor) for factor in (100, 1_000, 10_000, 100_000, 200_000)}
for factor, errors in seen.items():
    print(f"{factor:>9,}  pandas {errors['pandas']:.0e}  polars {errors['polars']:.0e}")
assert seen[10_000]["pandas"] > 1e-3, "pandas no longer loses the third digit after a factor of 10,000"
assert seen[100_000]["pandas"] > 0.1, "pandas is no longer off by a tenth after a factor of 100,000"
assert seen[200_000]["pandas"] < 1e-9, "pandas is no longer exact after a factor of 200,000"
assert max(errors["polars"] for errors in seen.values()) < 1e-9, "polars is no longer exact"
PYTHON
echo "As described."

#!/usr/bin/env bash
# xarray 2026.9.0: with `use_bottleneck=True`, rolling(t=3).std(ddof=1) divides by n; with numbagg, it has NaN for 0.
#
# Input: the levels of the ECB's main refinancing rate from 2023 to early 2025, and a constant rate of 3.65.
#
# Behaviour: xarray computes rolling statistics with numpy, or faster with bottleneck 1.6.0 (an option) or numbagg 0.9.6
# (if it is installed, and for `std` only with ddof=1). It calls bottleneck's `move_std` and `move_var` without `ddof`,
# because `_bottleneck_reduce` drops the argument, and so with ddof=0. `std(ddof=1)` without `rolling` is right in all
# three cases. numbagg subtracts sums of squares, so the variance of a constant can be a negative rounding error, whose
# root is NaN: for 3.65 in all windows of 20.
#
# Output seen (the levels with windows of 3, and the constant rate with windows of 20, both with ddof=1):
#
#     numpy      0.4368 0.4368 0.2500 0.2500, constant rate below 1e-14
#     bottleneck 0.3567 0.3567 0.2041 0.2041, constant rate 0
#     numbagg    0.4368 0.4368 0.2500 0.2500, constant rate NaN
#
# Why it matters: a switch for speed lowers each volatility, by 18 % for windows of 3 and 2.5 % for windows of 20, and a
# package that no program imports removes the days without volatility from the result. Nothing warns. Switch both off
# with `xr.set_options(use_bottleneck=False, use_numbagg=False)`, or multiply `std()` by the root of n / (n − 1).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    bottleneck==1.6.0 numbagg==0.9.6 numpy==2.5.5 pandas==3.1.1 xarray==2026.9.0
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import pandas as pd
import xarray as xr

levels = xr.DataArray([4.5, 4.25, 3.65, 3.4, 3.15, 2.9], dims="t")
constant = xr.DataArray([3.65] * 300, dims="t")
right = pd.Series(levels.values).rolling(3).std(ddof=1).to_numpy()[2:]


def deviations(rates: xr.DataArray, window: int) -> np.ndarray:
    return rates.rolling(t=window).std(ddof=1).values[window - 1 :]


for name, options, factor, kind in (
    ("numpy", {"use_numbagg": False}, 1.0, "below 1e-14"),
    ("bottleneck", {"use_numbagg": False, "use_bottleneck": True}, np.sqrt(2 / 3), "0"),
    ("numbagg", {}, 1.0, "NaN"),
):
    with xr.set_options(**options):
        seen, flat, whole = deviations(levels, 3), deviations(constant, 20), float(levels.std(ddof=1))
    kinds = {"NaN": np.isnan(flat).all(), "0": (flat == 0).all(), "below 1e-14": (flat < 1e-14).all()}
    found = next((each for each, fits in kinds.items() if fits), "differs")
    print(f"{name:10} {' '.join(f'{each:.4f}' for each in seen)}, constant rate {found}")
    np.testing.assert_allclose(seen, right * factor, rtol=1e-9)
    np.testing.assert_allclose(whole, np.std(levels.values, ddof=1), rtol=1e-9)
    assert found == kind, "a library computes the deviation of a constant differently now"
PYTHON
echo "As described."

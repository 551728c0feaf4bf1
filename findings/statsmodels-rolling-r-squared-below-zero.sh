#!/usr/bin/env bash
# statsmodels 0.15.0: RollingOLS reports an R² of about -660,000 for a fit whose R² is above 0.9999.
#
# Input: y = 2x + 5 with a little noise, where x is a random walk around one million (an index, or an amount in pesos);
# windows of 20 with a constant.
#
# Behaviour: the slopes of RollingOLS are right to two digits or better. Its `rsquared` subtracts large sums of squares of the levels from each
# other, and after that the result is rounding error. OLS on each window separately, and on the same numbers, gives an R²
# of at least 0.9999.
#
# Output seen:
#
#     OLS window by window: R² from 0.9999
#     RollingOLS:           R² from -660634, largest error of a slope 0.0037
#
# Why it matters: R² is the usual filter for a rolling beta ("only where the fit is good"), and here it removes the good
# fits. Subtract a reference level from x and y first: it changes neither slope nor R², and `rsquared` becomes right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check statsmodels==0.15.0 numpy==2.5.5 scipy==1.18.1 pandas==3.1.1
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import statsmodels.api as sm
from statsmodels.regression.rolling import RollingOLS

random = np.random.default_rng(1)
x = 1e6 + np.cumsum(random.normal(size=300))
y = 2 * x + 5 + random.normal(size=300) * 0.01
WINDOW = 20
rolled = RollingOLS(y, sm.add_constant(x), window=WINDOW).fit()
ends = range(WINDOW - 1, len(x))
alone = [sm.OLS(y[end - WINDOW + 1 : end + 1], sm.add_constant(x[end - WINDOW + 1 : end + 1])).fit() for end in ends]
lowest = min(fit.rsquared for fit in alone)
slope_error = max(abs(rolled.params[end, 1] - fit.params[1]) for end, fit in zip(ends, alone, strict=True))
print(f"OLS window by window: R² from {lowest:.4f}")
print(f"RollingOLS:           R² from {np.nanmin(rolled.rsquared):.0f}, largest error of a slope {slope_error:.4f}")
assert lowest > 0.9999
assert np.nanmin(rolled.rsquared) < -1000
assert slope_error < 0.01
near_zero = RollingOLS(y - y[0], sm.add_constant(x - x[0]), window=WINDOW).fit()
assert np.nanmin(near_zero.rsquared) > 0.9999
PYTHON
echo "As described."

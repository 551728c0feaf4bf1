#!/usr/bin/env bash
# pandas 3.1.1: ewm(span=3, adjust=False).mean() weighs a value after a gap differently from any span next to 3.
#
# Input: the series 1, NaN, 5, and exponential means with `adjust=False` and spans just below, at and just above 3.
#
# Behaviour: for each span except exactly 3 the value after the gap is (w·1 + α·5) / (w + α) with w = (1 − α)², as the
# documentation of `ignore_na` says. At span 3 (the same as com=1, alpha=0.5 or halflife=1) the new value gets the
# weight 1 − w instead of α. A branch that is meant for `times=` recognises its case by com == 1, and a span of 3 has
# that com. pandas 2.3.3 has no such jump. The behaviour is reported upstream (pandas issue 66523, pull requests 66521
# and 66754), and 3.1.1 still has it. `ewm().std()` does not have it, so at span 3 the mean and the deviation of one
# object use different weights.
#
# Output seen:
#
#     span       pandas 3.1.1   polars 2.1.0
#     2.999999         3.6667         3.6667
#     3.000000         4.0000         3.6667
#     3.000001         3.6667         3.6667
#
# Why it matters: 3 is a common span, `adjust=False` is the usual definition of an EMA, and series have gaps. The result
# is off by 9 % here, nothing warns, and a test of the kernel with another span passes. The later values inherit the
# error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.5.5 pandas==3.1.1 polars==2.1.0
"$folder/venv/bin/python" -W error - <<'PYTHON'
import pandas as pd
import polars as pl

x = [1.0, None, 5.0]
seen = {}
for span in (3 - 1e-6, 3.0, 3 + 1e-6):
    alpha = 2 / (span + 1)
    weight = (1 - alpha) ** 2
    documented = (weight * 1 + alpha * 5) / (weight + alpha)
    seen[span] = float(pd.Series(x).ewm(span=span, adjust=False).mean().iloc[-1])
    other = pl.Series(x).ewm_mean(span=span, adjust=False)[-1]
    print(f"{span:.6f}  pandas {seen[span]:.4f}  polars {other:.4f}")
    assert abs(other - documented) < 1e-9, "polars no longer follows the documented weights"
    if span != 3:
        assert abs(seen[span] - documented) < 1e-9, "pandas no longer follows its documentation next to span 3"
assert seen[3.0] == 4.0, "pandas now treats span 3 like its neighbours"
PYTHON
echo "As described."

#!/usr/bin/env bash
# pandas 3.1.1: resample("CBME") and resample("HYE") date the values of a period at the end of the period before it.
#
# Input: one value for each business day of 2024, which is its own date, so that a value later than its label is seen.
#
# Behaviour: an alias that ends in E is a period's end, and resample("ME"), ("BME"), ("QE"), ("BQE"), ("YE"), ("BYE")
# and ("W") have periods that include their last day and are dated by it. The code has a list of exactly these names.
# Any other alias, also CBME (month ends with one's own holidays), SME (half months), HYE and BHYE (half years), has
# periods that begin with the last day of the period before, and are dated by that day. The documentation of `closed`
# and `label` names the list, but not that other ends of periods are missing in it.
#
# Output seen (the last value of the period dated by each of the days):
#
#     BME  2024-01-31 → 2024-01-31   2024-02-29 → 2024-02-29
#     CBME 2024-01-31 → 2024-02-28   2024-02-29 → 2024-03-28
#     HYE  2023-12-31 → 2024-06-28   2024-06-30 → 2024-12-30
#
# Why it matters: whoever replaces BME by CBME, to account for the holidays of an exchange, gets next month's value with
# this month's date, so a backtest sees a month ahead, and the last day of each month belongs to the month after it.
# Sums of half years have the date of the half-year before. Pass closed="right" and label="right"; then only an empty
# period at the end remains, and `dropna()` removes it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.5.5 pandas==3.1.1
"$folder/venv/bin/python" -W error - <<'PYTHON'
import pandas as pd

days = pd.bdate_range("2024-01-01", "2024-12-31")
values = pd.Series(days, index=days)
last = {alias: values.resample(alias).last() for alias in ("BME", "CBME", "SME", "HYE", "BHYE", "QE")}
seen = {alias: {str(k.date()): str(v.date()) for k, v in each.items()} for alias, each in last.items()}
for alias, labels in (
    ("BME", ["2024-01-31", "2024-02-29"]),
    ("CBME", ["2024-01-31", "2024-02-29"]),
    ("HYE", ["2023-12-31", "2024-06-30"]),
):
    print(f"{alias:4}", "   ".join(f"{label} → {seen[alias][label]}" for label in labels))
assert seen["BME"]["2024-01-31"] == "2024-01-31" and seen["BME"]["2024-02-29"] == "2024-02-29"
assert seen["CBME"]["2024-01-31"] == "2024-02-28" and seen["CBME"]["2024-02-29"] == "2024-03-28"
assert seen["HYE"]["2023-12-31"] == "2024-06-28" and seen["HYE"]["2024-06-30"] == "2024-12-30"
ahead = {alias: int((each > each.index).sum()) for alias, each in last.items()}
assert ahead["BME"] == ahead["QE"] == 0
assert ahead["CBME"] == 12 and ahead["SME"] == 24 and ahead["HYE"] == ahead["BHYE"] == 2, ahead
pd.testing.assert_series_equal(
    values.resample("CBME", closed="right", label="right").last().dropna(), last["BME"], check_freq=False
)
PYTHON
echo "As described."

"""The times at which a node lacks an observation, counted by the reason for the loss."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metrics_worker.civil_dates import civil_dates, minus, period_starts
from metrics_worker.expression import nodes
from metrics_worker.expression.windows import lagged, windowed
from metrics_worker.kernels.rolling import rolling_max, rolling_min
from metrics_worker.series import Series, Times, Values, common, union

type _Mask = NDArray[np.bool_]
type _Reasons = Mapping[str, _Mask]
"""By the attribute of `Lost`: whether the reason explains that a time has no observation."""

REASONS = {
    "warm_up": "to warm up",
    "left_only": "on the left only",
    "right_only": "on the right only",
    "zero_divisor": "divided by zero",
    "not_finite": "too large",
    "undefined": "not defined",
    "too_few": "with too few observations in the window",
    "no_spread": "without variation in the window",
    "no_earlier": "without an earlier value",
    "too_old": "with an earlier value that is too old",
    "before": "before the beginning",
    "after": "after the last observation",
    "merged": "merged into one for each period",
    "incomplete": "in an incomplete period",
}
"""The text of each reason for which a node lacks an observation, by the attribute of `Lost`."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The numbers of times at which a node has no observation, by the reason for the loss.

    Attributes:
        warm_up: the window or lag reaches back beyond the first observation.
        left_only: series_math, pair: only the left side has an observation.
        right_only: series_math, pair: only the right side has an observation.
        zero_divisor: ratio: the right side is zero; pct_change, rebase: the earlier value is zero.
        not_finite: the value is beyond the range of float64.
        undefined: the operation has no real result, such as the logarithm of a negative value.
        too_few: the window has fewer observations than the operation needs.
        no_spread: zscore, corr, beta: all values of the window are equal.
        no_earlier: a lag by calendar reaches back beyond the first observation.
        too_old: a lag by calendar, fill: the earlier value is older than `max_age_days` permits.
        before: fill: the time is before the first observation; rebase: the date is before `at`.
        after: fill by interpolation: the time is after the last observation.
        merged: resample: all observations of a period except one, because a period has one result.
        incomplete: resample: the observations of the last period, which may be incomplete.
    """

    warm_up: int = 0
    left_only: int = 0
    right_only: int = 0
    zero_divisor: int = 0
    not_finite: int = 0
    undefined: int = 0
    too_few: int = 0
    no_spread: int = 0
    no_earlier: int = 0
    too_old: int = 0
    before: int = 0
    after: int = 0
    merged: int = 0
    incomplete: int = 0

    @property
    def total(self) -> int:
        """Return the number of times without an observation, for all reasons together."""
        return sum(asdict(self).values())


def losses_of(node: nodes.Node, operands: list[Series], result: Series) -> Lost:  # noqa: PLR0911 - one case for each kind
    """Return the losses of a node: one for each time of its operands at which the node has no observation.

    Args:
        node: the node.
        operands: the series to which its operands evaluate, without constants.
        result: the series to which the node evaluates.
    """
    match node:
        case nodes.SeriesMath() if len(operands) == 1:
            return _of_math(node, *_with_constant(node, operands[0]), result)
        case nodes.SeriesMath():
            times, left, right = common(*operands)
            return replace(_of_math(node, times, left, right, result), **_one_sided(operands, times))
        case nodes.Pair():
            times, left, right = common(*operands)
            found = _classified(result, times, _reasons_of_pair(node, left, right))
            return replace(found, **_one_sided(operands, times))
        case nodes.Resample():
            return _of_resample(node, operands[0], result)
        case nodes.Fill():
            times = operands[1].times
            return _classified(result, times, _reasons_of_fill(node, operands[0], times))
        case nodes.SeriesRef():
            return Lost()
        case nodes.Composite():
            return _classified(result, union(operands)[0], {})
        case _:
            return _classified(result, operands[0].times, _reasons_of_one(node, operands[0]))


def _classified(result: Series, times: Times, reasons: _Reasons) -> Lost:
    """Return the losses of a node at some times, counted by reason.

    If several reasons explain a loss, it is counted under the first of them. If none explains it, the value
    must have been beyond the range of float64, and the loss is counted as `not_finite`.

    Args:
        result: the series to which the node evaluates.
        times: the times at which the node can have an observation.
        reasons: by name of an attribute of `Lost`, a Boolean mask of the length of `times`, which is true at
            each time at which this reason can explain a loss.
    """
    missing = ~np.isin(times, result.times)
    counts = dict[str, int]()
    for name, explains in reasons.items():
        counts[name] = int((missing & explains).sum())
        missing &= ~explains
    return Lost(**counts, not_finite=int(missing.sum()))


def _one_sided(operands: list[Series], both: Times) -> dict[str, int]:
    left, right = operands
    return {"left_only": len(left) - both.size, "right_only": len(right) - both.size}


def _with_constant(node: nodes.SeriesMath, series: Series) -> tuple[Times, Values, Values]:
    """Return (times, left values, right values) of an operation on a series and a constant.

    The three arrays have the length of the series; the constant's side contains the constant at each time.

    Args:
        node: the operation, of which one side is a constant.
        series: the series of the other side.
    """
    left, right = (
        np.full(len(series), side.const) if isinstance(side, nodes.Constant) else series.values
        for side in (node.left, node.right)
    )
    return series.times, left, right


def _of_math(node: nodes.SeriesMath, times: Times, left: Values, right: Values, result: Series) -> Lost:
    reasons = dict[str, _Mask]()
    with np.errstate(all="ignore"):
        if node.op == "ratio":
            reasons["zero_divisor"] = right == 0
        if node.op == "power":
            reasons["undefined"] = np.isnan(np.power(left, right)) | ((left == 0) & (right < 0))
    return _classified(result, times, reasons)


def _reasons_of_one(node: nodes.Node, series: Series) -> _Reasons:
    """Return the reasons that can explain a loss of a node with one operand: a dict from reason to mask.

    A reason is the name of an attribute of `Lost`. Its Boolean mask has one value for each time of the
    operand: whether the reason can explain a loss at this time. The node must not be a resample, whose
    results have other times (see `_of_resample`).
    """
    values = series.values
    match node:
        case nodes.WindowOp() | nodes.Quantile():
            return _reasons_of_window(node, series)
        case nodes.Lag():
            return _reasons_of_lag(node, series)
        case nodes.Transform(op="log"):
            return {"undefined": values <= 0}
        case nodes.Transform(op="sqrt"):
            return {"undefined": values < 0}
        case nodes.Rebase():
            before = civil_dates(series.times, node.tz) < np.datetime64(node.at, "D")
            begins_with_zero = bool((values[~before][:1] == 0).any())
            return {"before": before, "zero_divisor": ~before & begins_with_zero}
        case _:
            return {}


def _reasons_of_window(node: nodes.WindowOp | nodes.Quantile, series: Series) -> _Reasons:
    shared = {name: getattr(node, name) for name in ("series", "window", "unit", "tz")}
    size = windowed(nodes.WindowOp.model_construct(op="count", **shared, min_periods=1), series).values
    needs_two = node.op in {"std", "var", "zscore"}
    least = node.min_periods or (node.window if node.unit == "observations" else 1)
    too_few = size < max(least, 2 if needs_two else 1)
    is_warm_up = node.unit == "observations" and not (needs_two and node.window == 1)
    reasons = {"warm_up" if is_warm_up else "too_few": too_few}
    if node.op == "zscore":
        high, low = (
            windowed(nodes.WindowOp.model_construct(op=op, **shared, min_periods=1), series).values
            for op in ("max", "min")
        )
        reasons["no_spread"] = high == low
    return reasons


def _reasons_of_lag(node: nodes.Lag, series: Series) -> _Reasons:
    times, values = series.times, series.values
    reasons = dict[str, _Mask]()
    if node.unit == "observations":
        reasons["warm_up"] = np.arange(times.size) < node.window
    elif times.size:
        dates = civil_dates(times, node.tz)
        reasons["no_earlier"] = minus(dates, node.window, node.unit) < dates[0]
    earlier = lagged(node.model_copy(update={"op": "lag"}), series)
    divisors = np.full(times.size, np.nan)
    divisors[np.searchsorted(times, earlier.times)] = earlier.values
    reasons["too_old"] = np.isnan(divisors)
    if node.op == "pct_change":
        reasons["zero_divisor"] = divisors == 0
    if node.op == "log_change":
        reasons["undefined"] = (divisors <= 0) | (values <= 0)
    return reasons


def _reasons_of_pair(node: nodes.Pair, left: Values, right: Values) -> _Reasons:
    early = np.arange(left.size) < node.window - 1
    constant = np.zeros(left.size, dtype=bool)
    for side in {"corr": (left, right), "beta": (right,), "cov": ()}[node.op]:
        constant[~early] |= rolling_max(side, node.window) == rolling_min(side, node.window)
    return {"warm_up": early, "no_spread": constant}


def _reasons_of_fill(node: nodes.Fill, series: Series, times: Times) -> _Reasons:
    if not len(series):
        return {"before": np.ones(times.size, dtype=bool)}
    late = "after" if node.method == "linear" else "too_old"
    return {"before": times < series.times[0], late: times > series.times[-1 if late == "after" else 0]}


def _of_resample(node: nodes.Resample, series: Series, result: Series) -> Lost:
    """Return the losses of a resample.

    They are counted by period and not by time, because the results of a resample can have times at which the
    operand has no observation.
    """
    if not len(series):
        return Lost()
    starts = period_starts(civil_dates(series.times, node.tz), node.to)
    incomplete = 0 if node.partial else int((starts == starts[-1]).sum())
    complete = len(series) - incomplete
    periods = np.unique(starts[:complete]).size
    return Lost(merged=complete - periods, incomplete=incomplete, not_finite=periods - len(result))

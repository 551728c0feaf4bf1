"""Compare the worker's kernels and operations with those of pandas, polars, bottleneck and numbagg.

The series contain no NaN. The times are CPU times of all threads, because other programs may use the machine
at the same time.
"""

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import bottleneck as bn
import numbagg
import numpy as np
import pandas as pd
import polars as pl

from benchmarks.measure import Spread, number, ratios, table
from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.grammar import parse
from metrics_worker.kernels import moments, order, rolling, variable
from metrics_worker.series import Series

SIZES = (1_000, 10_000, 1_000_000)
WINDOWS = (3, 30, 250, 5000)
STATISTICS = ("std", "var", "zscore", "median", "quantile", "rank")
PAIRS = ("corr", "cov")
CALENDAR = ("sum", "mean", "max", "std")
CALENDAR_HOURS = 30 * 24
RIVALS = ("pandas", "polars", "bottleneck", "numbagg")
BLOCK_SECONDS = 0.003
"""The CPU seconds that a measurement takes at least: a short call is repeated for about this time."""

type Call = Callable[[], object]


def _calls(op: str, values: Any, window: int) -> dict[str, Call]:
    """Return the calls to measure for an operation on fixed windows, by library or `worker`.

    Each call has its input in the library's own type of array. A library without the operation has no call.

    Args:
        op: the operation, such as `sum`.
        values: the series, a float64 array.
        window: the number of values of a window.
    """
    series, column = pd.Series(values), pl.Series(values)
    alpha = 2 / (window + 1)
    if op == "ema":
        return {
            "worker": lambda: rolling.ema(values, window),
            "pandas": lambda: series.ewm(span=window, adjust=False).mean(),
            "polars": lambda: column.ewm_mean(span=window, adjust=False),
            "numbagg": lambda: numbagg.move_exp_nanmean(values, alpha=alpha),
        }
    if op in STATISTICS:
        return _statistics(op, values, window)
    if op in PAIRS:
        return _pairs(op, values, window)
    kernel = getattr(rolling, f"rolling_{op}")
    calls: dict[str, Call] = {
        "worker": lambda: kernel(values, window),
        "pandas": lambda: getattr(series.rolling(window), op)(),  # noqa: PLW0108 - rolling() is part of it
        "polars": lambda: getattr(column, f"rolling_{op}")(window),
        "bottleneck": lambda: getattr(bn, f"move_{op}")(values, window),
    }
    if op in {"sum", "mean"}:
        calls["numbagg"] = lambda: getattr(numbagg, f"move_{op}")(values, window=window)
    return calls


def _statistics(op: str, values: Any, window: int) -> dict[str, Call]:
    """Return the calls, as `_calls` does, for an operation in `STATISTICS`.

    A z-score of pandas or polars is computed from their means and standard deviations.
    """
    series, column = pd.Series(values), pl.Series(values)
    if op == "zscore":
        return {
            "worker": lambda: moments.rolling_zscore(values, window),
            "pandas": lambda: (series - series.rolling(window).mean()) / series.rolling(window).std(),
            "polars": lambda: (column - column.rolling_mean(window)) / column.rolling_std(window),
        }
    if op == "quantile":
        return {
            "worker": lambda: order.rolling_quantile(values, window, 0.9),
            "pandas": lambda: series.rolling(window).quantile(0.9),
            "polars": lambda: column.rolling_quantile(0.9, interpolation="linear", window_size=window),
        }
    ours: dict[str, Call] = {
        "std": lambda: moments.rolling_std(values, window),
        "var": lambda: moments.rolling_var(values, window),
        "median": lambda: order.rolling_quantile(values, window, 0.5),
        "rank": lambda: order.rolling_rank(values, window),
    }
    return {
        "worker": ours[op],
        "pandas": lambda: getattr(series.rolling(window), op)(),  # noqa: PLW0108 - rolling() is part of it
        "polars": lambda: getattr(column, f"rolling_{op}")(window),
    }


def _pairs(op: str, values: Any, window: int) -> dict[str, Call]:
    """Return the calls, as `_calls` does, for an operation in `PAIRS`.

    The second series contains the values of the first series in reverse order.
    """
    other = values[::-1].copy()
    series, others = pd.Series(values), pd.Series(other)
    kernel = getattr(moments, f"rolling_{op}")
    return {
        "worker": lambda: kernel(values, other, window),
        "pandas": lambda: getattr(series.rolling(window), op)(others),
    }


def calendar(rounds: int, size: int) -> list[list[object]]:
    """Return the table rows of the operations on windows of 30 days, for a series of hourly observations.

    A window of `hours` contains the last 720 observations, as a window of pandas does. A window of `dates`
    begins at midnight, 29 days before the day of its last observation, as a calendar window of an expression
    does; the numbers of observations of these windows differ.

    Args:
        rounds: the number of measurements of each call.
        size: the number of observations.
    """
    values = np.cumsum(np.random.default_rng(1).normal(size=size))
    series = pd.Series(values, index=pd.date_range("2000", periods=size, freq="h"))
    stop = np.arange(1, size + 1)
    bounds = {
        "hours": np.maximum(0, stop - CALENDAR_HOURS),
        "dates": np.maximum(0, (stop - 1) // 24 * 24 - CALENDAR_HOURS + 24),
    }
    rows: list[list[object]] = []
    for op in CALENDAR:
        kernel = getattr(variable, f"{op}_between")
        for name, first in bounds.items():
            calls: dict[str, Call] = {
                "worker": partial(kernel, values, first, stop),
                "pandas": partial(_over_30_days, series, op),
            }
            times = _in_turn(calls, rounds)
            ours = number(Spread.of(times["worker"]).middle * 1e6)
            against = ratios(times["worker"], times["pandas"])
            rows.append([f"{size:,}", op, f"30 days ({name})", ours, against, "", "", ""])
    return rows


def _over_30_days(series: Any, op: str) -> object:
    return getattr(series.rolling("30D"), op)()


def operations(rounds: int, size: int) -> list[list[object]]:
    """Return the table rows of the operations without a window, for a series of hourly observations.

    The worker computes an operation with `evaluate`. The other libraries compute in UTC, and their cumulative
    sums are not compensated. The series that `fill` completes has an observation every three hours.

    Args:
        rounds: the number of measurements of each call.
        size: the number of observations.
    """
    values = np.cumsum(np.random.default_rng(1).normal(size=size))
    values += 1 - values.min()
    index = pd.date_range("2000", periods=size, freq="h", unit="us")
    series = pd.Series(values, index=index)
    frame = pl.DataFrame({"time": index.to_numpy(), "value": values}).set_sorted("time")
    times = index.to_numpy().astype(np.int64)
    inputs = {"A": Series(times, values), "B": Series(times[::3].copy(), values[::3].copy())}
    rows: list[list[object]] = []
    for name, (node, others) in _operations(series, frame).items():
        expression = parse(node)
        calls: dict[str, Call] = {"worker": partial(evaluate, expression, inputs), **others}
        spent = _in_turn(calls, rounds)
        ours = spent["worker"]
        against = [ratios(ours, spent[rival]) if rival in spent else "" for rival in RIVALS]
        rows.append([f"{size:,}", name, "", number(Spread.of(ours).middle * 1e6), *against])
    return rows


def _operations(series: Any, frame: Any) -> dict[str, tuple[dict[str, object], dict[str, Call]]]:
    """Return by operation (the worker's node in JSON, the calls of the same operation by library).

    Args:
        series: the hourly series of pandas.
        frame: the polars frame with the same series in the columns `time` and `value`.
    """
    a, column = {"series_code": "A"}, frame["value"]
    third, thirds = series.iloc[::3], frame.gather_every(3)
    left, right = (part.rename("value").rename_axis("time").reset_index() for part in (series, third))
    at = series.index[len(series) // 10].normalize() + pd.Timedelta(days=1)
    from_then_on = frame.lazy().filter(pl.col("time") >= at)
    indexed = pl.col("value") / pl.col("value").first() * 100
    return {
        "diff": (
            {"op": "diff", "series": a, "window": 1},
            {"pandas": series.diff, "polars": column.diff},
        ),
        "pct_change": (
            {"op": "pct_change", "series": a, "window": 12},
            {"pandas": partial(series.pct_change, 12), "polars": partial(column.pct_change, 12)},
        ),
        "log": ({"op": "log", "series": a}, {"pandas": partial(np.log, series), "polars": column.log}),
        "abs": ({"op": "abs", "series": a}, {"pandas": series.abs, "polars": column.abs}),
        "cumsum": ({"op": "cumsum", "series": a}, {"pandas": series.cumsum, "polars": column.cum_sum}),
        "cummax": ({"op": "cummax", "series": a}, {"pandas": series.cummax, "polars": column.cum_max}),
        "rebase": (
            {"op": "rebase", "series": a, "at": f"{at:%Y-%m-%d}", "base": 100},
            {
                "pandas": lambda: series[at:] / series[at:].iloc[0] * 100,
                "polars": lambda: from_then_on.select("time", indexed).collect(),
            },
        ),
        **{
            f"resample {how}": (
                {"op": "resample", "series": a, "to": "month", "how": how},
                {
                    "pandas": partial(_by_month_with_pandas, series, how),
                    "polars": partial(_by_month_with_polars, frame, how),
                },
            )
            for how in ("mean", "sum", "last", "max")
        },
        "fill previous": (
            {"op": "fill", "series": {"series_code": "B"}, "like": a, "method": "previous"},
            {
                "pandas": lambda: pd.merge_asof(left[["time"]], right, on="time"),
                "polars": lambda: frame.select("time").join_asof(thirds, on="time"),
            },
        ),
        "fill linear": (
            {"op": "fill", "series": {"series_code": "B"}, "like": a, "method": "linear"},
            {"pandas": lambda: third.reindex(series.index).interpolate("time")},
        ),
    }


def _by_month_with_pandas(series: Any, how: str) -> object:
    return getattr(series.resample("ME"), how)()


def _by_month_with_polars(frame: Any, how: str) -> object:
    return frame.group_by_dynamic("time", every="1mo").agg(getattr(pl.col("value"), how)())


def _in_turn(calls: dict[str, Call], rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of each call by its name, one number for each round; the calls take turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    repeats = {}
    for name, call in calls.items():
        call()  # numbagg compiles its function in the first call.
        start = time.process_time()
        call()
        repeats[name] = max(1, int(BLOCK_SECONDS / (time.process_time() - start)))
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            for _ in range(repeats[name]):
                call()
            times[name].append((time.process_time() - start) / repeats[name])
    return times


def compare(rounds: int, sizes: Iterable[int] = SIZES) -> str:
    """Return a Markdown table with the worker's CPU times, divided by the CPU time of each other library.

    Args:
        rounds: the number of measurements of each call.
        sizes: the numbers of observations of the measured series.
    """
    rng = np.random.default_rng(1)
    rows: list[list[object]] = []
    for size in sizes:
        values = np.cumsum(rng.normal(size=size))
        for op in ("sum", "mean", "max", "min", "ema", *STATISTICS, *PAIRS):
            for window in (window for window in WINDOWS if window <= size):
                times = _in_turn(_calls(op, values, window), rounds)
                ours = times["worker"]
                against = [ratios(ours, times[rival]) if rival in times else "" for rival in RIVALS]
                rows.append([f"{size:,}", op, window, number(Spread.of(ours).middle * 1e6), *against])
        rows += calendar(rounds, size)
        rows += operations(rounds, size)
    head = ["n", "kernel", "window", "worker, CPU µs", *RIVALS]
    return table("Kernels: the worker's time over the other's (below 1 the worker is faster)", head, rows)

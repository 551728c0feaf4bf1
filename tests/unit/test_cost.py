"""The memory that the worker estimates for an evaluation is close to the memory that numpy then allocates."""

import tracemalloc
from functools import cache

import numpy as np
import pytest

from metrics_worker.expression.cost import peak_bytes
from metrics_worker.expression.evaluate import evaluate
from metrics_worker.expression.grammar import parse
from metrics_worker.series import Series
from tests.builders import ratio, series, window

COUNT = 100_000
A, B, C, D = (series(code) for code in "ABCD")


@cache
def made(seed):
    rng = np.random.default_rng(seed)
    times = np.sort(rng.choice(10 * COUNT, COUNT, replace=False)).astype(np.int64) * 3_600_000_000
    return Series(times, rng.normal(size=COUNT))


@cache
def huge(seed):
    return Series(made(seed).times, np.full(COUNT, 1.7e308))


EXPRESSIONS = {
    "ratio": ratio(A, B),
    **{op: window(op, A, 30) for op in ("sma", "ema", "sum", "max", "min", "lag")},
    "long": window("sum", A, 5000),
    **{
        op: window(op, A, 30)
        for op in ("std", "var", "median", "zscore", "rank", "count", "diff", "pct_change", "log_change")
    },
    **{
        f"{op} of a month": window(op, A, 1, unit="months", tz="Europe/Berlin")
        for op in ("sma", "max", "std", "zscore", "median", "rank", "count", "lag", "log_change")
    },
    **{f"{op} of few": window(op, A, 30, min_periods=1) for op in ("sma", "std", "median", "rank")},
    **{
        f"{op}, {length} observations": window(op, A, length)
        for op in ("sma", "std", "zscore", "median", "rank")
        for length in (5000, COUNT // 2)
    },
    **{
        f"{op} of all observations": window(op, A, COUNT, min_periods=1)
        for op in ("sma", "max", "std", "zscore", "median", "rank", "count")
    },
    **{
        f"{op} of 100 years": window(op, A, 100, unit="years")
        for op in ("sma", "max", "std", "zscore", "median", "rank", "count")
    },
    "quantile": window("quantile", A, 30, q=0.9),
    "quantile, 31 observations": window("quantile", A, 31, q=0.9),
    "quantile, 5000 observations": window("quantile", A, 5000, q=0.99),
    "quantile of a year": window("quantile", A, 1, unit="years", q=0.9),
    **{
        op: {"op": op, "series": A} for op in ("abs", "neg", "log", "exp", "sqrt", "sign", "cumsum", "cummax")
    },
    "cumsum of a month": {"op": "cumsum", "series": A, "reset": "month", "tz": "Europe/Berlin"},
    "clip": {"op": "clip", "series": A, "lower": -1, "upper": 1},
    "round": {"op": "round", "series": A, "digits": 2},
    "round, one by one": {"op": "round", "series": A, "digits": 15},
    "rebase": {"op": "rebase", "series": A, "at": "1970-01-01"},
    **{
        f"resample {how} {stamp}": {"op": "resample", "series": A, "to": "week", "how": how, "stamp": stamp}
        for how, stamp in (("last", "last"), ("mean", "start"), ("sum", "end"), ("max", "end"))
    },
    **{
        f"fill {method}": {"op": "fill", "series": A, "like": B, "method": method}
        for method in ("previous", "linear")
    },
    **{op: {"op": op, "left": A, "right": {**A}, "window": 30} for op in ("corr", "cov", "beta")},
    "long corr": {"op": "corr", "left": A, "right": B, "window": COUNT // 4},
    "power": {"op": "power", "left": A, "right": {"const": 2}},
    "one minus": {"op": "subtract", "left": {"const": 1}, "right": A},
    "constants": {"op": "max", "operands": [A, {"const": 1}, {"const": 2}]},
    "monthly and daily": {
        "op": "sum",
        "operands": [{"op": "resample", "series": A, "to": "week", "how": "last", "stamp": "start"}, B],
    },
    **{f"composite {op}": {"op": op, "operands": [A, B, C, D]} for op in ("sum", "avg", "max", "min")},
    "nested": ratio(window("sma", ratio(A, B), 5), window("ema", ratio(C, D), 5)),
    "wide": {"op": "sum", "operands": [window("sma", A, length) for length in range(2, 30)]},
    "wide, of many": {"op": "max", "operands": [window("sma", x, n) for n in (2, 3) for x in (A, B, C, D)]},
    "deep": window("sma", window("sma", window("sma", window("sma", A, 2), 3), 4), 5),
    "twice": {
        "op": "sum",
        "operands": [{"op": "sum", "operands": [A, B]}, {"op": "sum", "operands": [C, D]}],
    },
}


@pytest.mark.parametrize("value", [made, huge])
@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_the_estimate_is_above_the_allocated_memory_but_not_more_than_twelve_times(expression, value):
    inputs = {code: value(seed) for seed, code in enumerate("ABCD")}
    node = parse(expression)
    evaluate(node, inputs)  # This call allocates the scratch memory that the kernels keep between calls.
    tracemalloc.start()
    try:
        evaluate(node, inputs)
        _, allocated = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    estimated = peak_bytes(node, dict.fromkeys("ABCD", COUNT))
    assert allocated < estimated < 12 * allocated


def test_the_estimate_of_a_series_is_the_memory_of_writing_it():
    assert peak_bytes(parse(A), {"A": COUNT}) == 80 * COUNT


def test_nested_composites_are_estimated_with_at_most_the_observations_of_all_series():
    nested = A
    for _ in range(6):
        nested = {"op": "sum", "operands": [nested, B]}
    assert peak_bytes(parse(nested), {"A": COUNT, "B": COUNT}) < 500 * COUNT

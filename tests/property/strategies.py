"""Hypothesis strategies: expressions as JSON values, and series with gaps, zeros and extreme values.

`expressions` generates references to series, operations of series_math, windows that count observations, and
composites. `all_expressions` generates every kind of node.
"""

from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import strategies as st

from metrics_worker.series import Series

CODES = ("A", "B", "C")

tame = st.one_of(
    st.integers(-1000, 1000).map(float),
    st.floats(-1e6, 1e6, width=32),
    st.sampled_from([0.0, -0.0, 1.0, 0.1, 1e-3]),
)
"""Values of the magnitudes that metrics usually have."""

wild = st.one_of(
    tame,
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([1.7976931348623157e308, -1.7976931348623157e308, 1e308, -1e308, 1e16, 5e-324, 2.3e-308]),
)
"""Any finite float64."""

windows = st.one_of(st.integers(1, 8), st.integers(1, 40), st.just(1_000_000))
scales = st.one_of(st.sampled_from([1, 100, -1, 0.5, 0]), st.floats(-1e3, 1e3))


@st.composite
def series(draw: st.DrawFn, values: st.SearchStrategy[float] = tame, longest: int = 20) -> Series:
    """Generate a series with at most `longest` observations, possibly with none.

    The times are small integers (microseconds), with gaps between some of them; `values` generates the
    values.
    """
    size = draw(st.integers(0, longest))
    gaps = draw(st.lists(st.sampled_from([1, 1, 1, 2, 3]), min_size=size, max_size=size))
    drawn = draw(st.lists(values, min_size=size, max_size=size))
    times = draw(st.integers(-3, 3)) + np.cumsum(gaps, dtype=np.int64)
    return Series(times, np.array(drawn, np.float64))


def inputs(values: st.SearchStrategy[float] = tame) -> st.SearchStrategy[dict[str, Series]]:
    """Generate a dict with one series for each of the codes in `CODES`; `values` generates their values."""
    return st.fixed_dictionaries({code: series(values) for code in CODES})


def _nodes(node: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.fixed_dictionaries(
            {"op": st.sampled_from(["add", "subtract", "multiply", "ratio"]), "left": node, "right": node},
            optional={"scale": scales},
        ),
        st.fixed_dictionaries(
            {
                "op": st.sampled_from(["sma", "ema", "sum", "max", "min", "lag"]),
                "series": node,
                "window": windows,
            }
        ),
        st.fixed_dictionaries(
            {
                "op": st.sampled_from(["sum", "avg", "max", "min"]),
                "operands": st.lists(node, min_size=2, max_size=4),
            }
        ),
    )


_references = st.builds(
    lambda name, code: {name: code}, st.sampled_from(["series_code", "seriesCode"]), st.sampled_from(CODES)
)
expressions: st.SearchStrategy[Any] = st.recursive(_references, _nodes, max_leaves=8)
"""Valid expressions over the series of `CODES`, as JSON values."""

ZONES = ("UTC", "America/Argentina/Buenos_Aires", "Europe/Berlin", "America/St_Johns")
_START = int(datetime(2007, 10, 1, tzinfo=UTC).timestamp()) * 1_000_000
_MINUTE = 60_000_000
_MINUTES = (0, 120, 180, 181, 210, 150, 151, 720, 1320, 1380)
"""Minutes after midnight UTC: among them are the midnights of `ZONES`, in summer and in winter.

In this period, the clocks of Buenos Aires went forward at midnight, and those of St John's back at 00:01.
"""


@st.composite
def calendar_inputs(draw: st.DrawFn, values: st.SearchStrategy[float] = tame) -> dict[str, Series]:
    """Generate a dict with one series for each of the codes in `CODES`; `values` generates their values.

    The times are near midnights of the zones in `ZONES`, and some of them occur in several series.
    """
    gaps = draw(st.lists(st.sampled_from([0, 1, 1, 1, 2, 7, 29, 31, 90, 366]), min_size=1, max_size=14))
    pool = set()
    for day in np.cumsum(gaps).tolist():
        minute, off = draw(st.sampled_from(_MINUTES)), draw(st.sampled_from([0, 0, 0, -1, 1]))
        pool.add(_START + (day * 1440 + minute) * _MINUTE + off)
    found = {}
    for code in CODES:
        times = sorted(draw(st.sets(st.sampled_from(sorted(pool))) | st.just(pool)))
        drawn = draw(st.lists(values, min_size=len(times), max_size=len(times)))
        found[code] = Series(np.array(times, np.int64), np.array(drawn, np.float64))
    return found


_zones = st.sampled_from(ZONES)
_numbers = st.one_of(st.sampled_from([1, 0, -1, 2, 0.5, -0.0, 100]), st.floats(-1e3, 1e3))
_constants = st.builds(lambda number: {"const": number}, _numbers)


def _fields(**required: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Generate JSON objects that have exactly the fields in `required`.

    Args:
        required: for each field, the strategy that generates its value, a tuple of its possible values, or
            its only value.
    """
    made = {
        name: value
        if isinstance(value, st.SearchStrategy)
        else st.sampled_from(value if isinstance(value, tuple) else [value])
        for name, value in required.items()
    }
    return st.fixed_dictionaries(made)


def _merged(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*parts).map(lambda found: {name: one for part in found for name, one in part.items()})


_STATISTICS = ("sma", "sum", "max", "min", "std", "var", "median", "zscore", "rank", "count")
_UNITS = ("days", "weeks", "months", "quarters", "years")
_calendar = _merged(
    _fields(window=st.integers(1, 12), unit=_UNITS),
    st.one_of(st.just({}), _fields(tz=_zones)),
)
_min_periods = st.one_of(st.just({}), _fields(min_periods=st.integers(1, 4)))
_rolling = st.one_of(
    _fields(window=windows),
    st.integers(1, 8).flatmap(lambda n: _fields(window=n, min_periods=st.integers(1, n))),
    _merged(_calendar, _min_periods),
)
_zone = st.one_of(st.just({}), _fields(tz=_zones))
_limits = st.one_of(
    _fields(lower=_numbers),
    _fields(upper=_numbers),
    st.tuples(_numbers, _numbers).map(lambda both: {"lower": min(both), "upper": max(both)}),
)
_resets = st.one_of(st.just({}), _merged(_fields(reset=("year", "quarter", "month")), _zone))
_dates = st.sampled_from(["2007-10-01", "2007-12-30", "2007-11-04", "2008-02-29", "2009-01-01", "1999-12-31"])
_LAGS = ("lag", "diff", "pct_change", "log_change")


def _with_one_series(node: st.SearchStrategy[Any]) -> list[st.SearchStrategy[Any]]:
    """Return one strategy for each kind of node with one operand, except for resampling.

    An observation that is added at the end of the operand never changes an earlier result of these nodes.

    Args:
        node: the strategy of the operand.
    """
    lag = st.one_of(
        _fields(window=windows),
        _merged(_calendar, st.one_of(st.just({}), _fields(max_age_days=st.sampled_from([0, 3, 7, 400])))),
    )
    base = st.one_of(st.just({}), _fields(base=_numbers))
    ignored = st.sampled_from([{}, {"window": 1}])
    transforms = ("abs", "neg", "log", "exp", "sqrt", "sign")
    return [
        _merged(_fields(op=_STATISTICS, series=node), _rolling),
        _merged(
            _fields(op="quantile", series=node, q=st.sampled_from([0, 0.25, 0.9, 1]) | st.floats(0, 1)),
            _rolling,
        ),
        _fields(op="ema", series=node, window=windows),
        _merged(_fields(op=_LAGS, series=node), lag),
        _merged(_fields(op=transforms, series=node), ignored),
        _merged(_fields(op="clip", series=node), _limits, ignored),
        _merged(_fields(op="round", series=node, digits=st.integers(0, 15)), ignored),
        _merged(_fields(op=("cumsum", "cummax", "cummin"), series=node), _resets, ignored),
        _merged(_fields(op="rebase", series=node, at=_dates), base, _zone, ignored),
    ]


def _with_two_series(node: st.SearchStrategy[Any]) -> list[st.SearchStrategy[Any]]:
    """Return one strategy for each kind of node with two or more operands, except for linear interpolation.

    An observation that is added at the end of an operand never changes an earlier result of these nodes.

    Args:
        node: the strategy of the operands that are series; some operands are constants instead.
    """
    sides = st.one_of(
        _fields(left=node, right=node),
        _fields(left=node, right=_constants),
        _fields(left=_constants, right=node),
    )
    operands = st.tuples(
        st.lists(node, min_size=1, max_size=3), st.lists(node | _constants, min_size=1, max_size=2)
    )
    age = st.one_of(st.just({}), _fields(max_age_days=st.sampled_from([0, 1, 30])))
    return [
        _merged(_fields(op=("add", "subtract", "multiply", "ratio", "power"), scale=scales), sides),
        _fields(op=("sum", "avg", "max", "min"), operands=operands.map(lambda both: both[0] + both[1])),
        _fields(op=("corr", "cov", "beta"), left=node, right=node, window=st.integers(2, 6)),
        _merged(_fields(op="fill", series=node, like=node, method="previous"), age),
    ]


def resamples(node: st.SearchStrategy[Any], *, partial: bool = False) -> st.SearchStrategy[Any]:
    """Generate nodes that resample the operand generated by `node`.

    Args:
        node: the strategy of the operand.
        partial: whether the nodes also have a result for the last period, which may be incomplete.
    """
    how = ("last", "first", "mean", "sum", "min", "max", "count")
    found = _fields(op="resample", series=node, to=("week", "month", "quarter", "year"), how=how)
    stamp = st.one_of(st.just({}), _fields(stamp=("last", "start", "end")))
    return _merged(found, stamp, _zone, st.just({"partial": True} if partial else {}))


def interpolations(node: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Generate nodes that interpolate one operand linearly at the times of another one.

    Args:
        node: the strategy of both operands.
    """
    return _fields(op="fill", series=node, like=node, method="linear")


def _lasting(node: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(*_with_one_series(node), *_with_two_series(node))


def _all(node: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        *_with_one_series(node),
        *_with_two_series(node),
        resamples(node),
        resamples(node, partial=True),
        interpolations(node),
    )


lasting_expressions: st.SearchStrategy[Any] = st.recursive(_references, _lasting, max_leaves=6)
"""Valid expressions of all nodes whose result at a time depends only on observations up to this time."""
all_expressions: st.SearchStrategy[Any] = st.recursive(_references, _all, max_leaves=6)
"""Valid expressions of all nodes over the series of `CODES`, as JSON values."""
single_nodes: st.SearchStrategy[Any] = _all(_references)
"""Valid expressions of one node over the series of `CODES`, as JSON values."""

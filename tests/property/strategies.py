"""Hypothesis strategies: expressions as JSON values, and series with gaps, zeros and extreme values."""

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
    """Generate a series of up to `longest` observations, with gaps between its times; it may be empty."""
    size = draw(st.integers(0, longest))
    gaps = draw(st.lists(st.sampled_from([1, 1, 1, 2, 3]), min_size=size, max_size=size))
    drawn = draw(st.lists(values, min_size=size, max_size=size))
    times = draw(st.integers(-3, 3)) + np.cumsum(gaps, dtype=np.int64)
    return Series(times, np.array(drawn, np.float64))


def inputs(values: st.SearchStrategy[float] = tame) -> st.SearchStrategy[dict[str, Series]]:
    """Generate a dict with one series for each of `CODES`."""
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


expressions: st.SearchStrategy[Any] = st.recursive(
    st.builds(
        lambda name, code: {name: code},
        st.sampled_from(["series_code", "seriesCode"]),
        st.sampled_from(CODES),
    ),
    _nodes,
    max_leaves=8,
)
"""Valid expressions over the series of `CODES`, as JSON values."""

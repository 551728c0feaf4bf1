"""Valid nodes of each kind, which the JSON Schemas of requests contain as examples."""

from metrics_tools.contracts.schema import Schema

_X, _Y = {"series_code": "ECB_USD_EUR_D"}, {"series_code": "ECB_GBP_EUR_D"}
_ZONED = {"tz": "America/Argentina/Buenos_Aires"}
EXAMPLES: dict[str, list[Schema]] = {
    "series": [_X],
    "series_math": [
        {"op": "ratio", "left": _X, "right": _Y, "scale": 100},
        {"op": "subtract", "left": {"const": 1}, "right": _X},
    ],
    "constant": [{"const": 1}],
    "pair": [{"op": "corr", "left": _X, "right": _Y, "window": 60}],
    "window_op": [
        {"op": "sma", "series": _X, "window": 14},
        {"op": "zscore", "series": _X, "window": 12, "unit": "months", "min_periods": 200, **_ZONED},
    ],
    "quantile": [{"op": "quantile", "series": _X, "window": 250, "q": 0.9}],
    "ema": [{"op": "ema", "series": _X, "window": 10}],
    "lag": [
        {"op": "lag", "series": _X, "window": 30},
        {"op": "pct_change", "series": _X, "window": 1, "unit": "years", "max_age_days": 7, **_ZONED},
    ],
    "transform": [{"op": "log", "series": _X}],
    "clip": [{"op": "clip", "series": _X, "lower": 0, "upper": 100}],
    "round": [{"op": "round", "series": _X, "digits": 2}],
    "cumulative": [{"op": "cumsum", "series": _X, "reset": "year", **_ZONED}],
    "rebase": [{"op": "rebase", "series": _X, "at": "2015-01-01", "base": 100, **_ZONED}],
    "resample": [
        {
            "op": "resample",
            "series": _X,
            "to": "month",
            "how": "mean",
            "stamp": "end",
            "partial": False,
            **_ZONED,
        }
    ],
    "fill": [{"op": "fill", "series": _X, "like": _Y, "method": "previous", "max_age_days": 31}],
    "composite": [{"op": "avg", "operands": [_X, _Y]}],
}
"""Valid nodes of each kind, as requests contain them. A manifest leaves out options with their defaults."""

"""Names that other tools use for operations and fields, and how to write the same with this grammar.

pandas, SQL and spreadsheets have many operations that the grammar does not have. A suggestion by spelling
alone would mislead there (`log` is spelled almost as `lag`), so such a name is answered by its meaning.
"""

import re
from collections.abc import Collection, Mapping

_LAGGED = '{"op": "lag", "series": X, "window": n}'
_CHANGE = (
    'write {"op": "ratio", "left": {"op": "subtract", "left": X, "right": L}, "right": L}, '
    f"where L is {_LAGGED}"
)
_YEAR = "n counts observations: 12 are a year of a monthly series, 4 of a quarterly one"
_NEGATIVE = '{"op": "add", "left": X, "right": X, "scale": -0.5}'

_SAME = {
    "sma": "average avg mean ma movingaverage rollingaverage runningaverage rollingmean rollmean runningmean "
    "simplemovingaverage",
    "avg": "average mean sma",
    "ema": "ewm ewma ewmmean exponentialmovingaverage exponentialsmoothing",
    "lag": "delay shift previous prev prior lagged backshift",
    "ratio": "/ ÷ div divide divided divideby division quotient truediv",
    "subtract": "- − minus sub substract subtraction diff difference delta",  # noqa: RUF001 - the minus sign
    "add": "+ plus addition sum total",
    "multiply": "* × mul mult times product prod multiplication",  # noqa: RUF001 - the multiplication sign
    "max": "maximum highest largest peak rollingmax",
    "min": "minimum lowest smallest trough rollingmin",
    "sum": "total rollingsum movingsum plus + add",
}
"""For each operation, its names in other tools. The node type decides if a name has several operations."""

_INSTEAD = {
    "log ln log2 log10 log1p logarithm lg exp exponential expm1 sqrt root cbrt": "",
    "pow power ** ^ square squared": 'the square of X is {"op": "multiply", "left": X, "right": X}',
    "abs absolute magnitude": f'write {{"op": "max", "operands": [X, {_NEGATIVE}]}}',
    "neg negate negative unaryminus": f"write {_NEGATIVE}",
    "sign signum round floor ceil trunc clip cap mod modulo remainder": "",
    "std stdev stddev standarddeviation sd volatility vol var variance": "",
    "median med quantile percentile zscore rank count mode skew kurt kurtosis mad sem": "",
    "corr correlation cov covariance beta regression": "",
    "pctchange percentchange pct change growth growthrate return returns roc rateofchange": _CHANGE,
    "yoy yearoveryear annualchange mom monthovermonth qoq quarteroverquarter wow": f"{_CHANGE}; {_YEAR}",
    "logchange logreturn logreturns logdiff": "",
    "diff difference delta": f'write {{"op": "subtract", "left": X, "right": {_LAGGED}}}',
    "product prod rollingproduct": "multiply takes left and right; a window has no product",
    "cumsum cumprod cummax cummin cumulative cumulativesum runningtotal expanding ytd": (
        "a window has a fixed length, and nothing adds up from the beginning"
    ),
    "lead forward next ahead": "lag looks back, and nothing looks ahead",
    "fill ffill fillna bfill pad interpolate resample asfreq align coalesce downsample upsample": (
        "nothing is filled or resampled: both sides of an operation need observations at the same times"
    ),
    "if where case when gt lt ge le eq compare": "",
    "rebase normalize normalise index standardize standardise": "",
    "wma dema tema hma kama": "sma weighs its observations alike; ema weighs the later ones more",
    "constant const number value": "there are no constants; the ratio of a series to itself is 1, and times "
    "its scale any other",
}
"""For the names of other operations, how to write them in the grammar; empty if the grammar can't."""

_CALENDAR = "windows count observations, not calendar time: `window` takes the number of observations"
_FIELDS = {
    "days day weeks week months month quarters quarter years year hours hour minutes calendar": _CALENDAR,
    "unit units freq frequency interval offset timedelta": _CALENDAR,
    "alpha smoothing": "`window` says it: alpha is 2 / (window + 1)",
    "halflife decay com": "`window` says it: the weight of the newest observation is 2 / (window + 1)",
    "minperiods minobs": "there is none: a window has a value once it is full",
    "weights weight": "there are none: multiply each operand by its scale, in a series_math",
    "fill fillvalue default method": "there is none: what is not defined is not there",
    "maxagedays": "there is none: lag counts observations, however old they are",
    "const constant value number": _INSTEAD["constant const number value"],
}
"""For the names of other tools' fields, the remedy."""


def _by_name(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: text for names, text in texts.items() for name in names.split()}


_SAME_BY_NAME = {
    name: tuple(operation for operation, names in _SAME.items() if name in names.split())
    for names in _SAME.values()
    for name in names.split()
}
_INSTEAD_BY_NAME, _FIELDS_BY_NAME = _by_name(_INSTEAD), _by_name(_FIELDS)


def plain(word: str) -> str:
    """Return a word's letters and digits, in lower case; the word itself if it has none."""
    return re.sub(r"[\W_]+", "", word).casefold() or word


def same_operation(word: str, allowed: Collection[str]) -> str | None:
    """Return the operation among `allowed` that another tool's name means; None if there is none."""
    meant = _SAME_BY_NAME.get(word, _SAME_BY_NAME.get(plain(word), ()))
    return next((operation for operation in meant if operation in allowed), None)


def instead_of_operation(word: str) -> str | None:
    """Return how to write another tool's operation: empty if the grammar can't, None for an unknown name."""
    return _INSTEAD_BY_NAME.get(word, _INSTEAD_BY_NAME.get(plain(word)))


def instead_of_field(word: str) -> str | None:
    """Return the remedy for another tool's field; None for an unknown name."""
    return _FIELDS_BY_NAME.get(plain(word))

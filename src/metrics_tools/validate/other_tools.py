"""How to write, in the grammar, the operations and fields of other tools that it does not have."""

import re
from collections.abc import Mapping

_CHANGES = {
    "yoy yearoveryear annualchange yryr yryr% pc1": ("pct_change", "years"),
    "ch1": ("diff", "years"),
    "mom monthovermonth": ("pct_change", "months"),
    "qoq quarteroverquarter": ("pct_change", "quarters"),
    "wow weekoverweek": ("pct_change", "weeks"),
}
"""By names of changes over one calendar unit, the operation and the unit."""
_DATED = {"years": "month", "quarters": "quarter", "months": "month"}
"""By unit of a change, the period of a series whose dates must be the first days of its periods."""
_FLAG = '{"op": "max", "operands": [{"op": "sign", "series": X}, {"const": 0}]}'
_GROWTH = (
    '{"op": "exp", "series": {"op": "cumsum", "series": {"op": "log", "series": '
    '{"op": "add", "left": {"const": 1}, "right": X}}}}'
)
_SQUARE = '{"op": "power", "left": X, "right": {"const": 2}}'


def _change_text(op: str, unit: str) -> str:
    """Return a text that says how to write a change over one calendar unit, also for a series of periods."""
    text = f'write {{"op": "{op}", "series": X, "window": 1, "unit": "{unit}"}}'
    if (period := _DATED.get(unit)) is None:
        return text
    options = f'"to": "{period}", "how": "last", "stamp": "start", "partial": true'
    dated = f'{{"op": "resample", "series": X, {options}}}'
    change = f'{{"op": "{op}", "series": {dated}, "window": 1, "unit": "{unit}", "max_age_days": 0}}'
    return f"{text}; for a {period}ly series, write {change}"


_INSTEAD = {
    "log2 log10 log1p lg expm1 cbrt": 'log is the natural logarithm: {"op": "ratio", "left": '
    '{"op": "log", "series": X}, "right": {"const": 2.302585092994046}} is the common one',
    "square squared": f"the square of X is {_SQUARE}",
    "reciprocal inverse invert": 'write {"op": "ratio", "left": {"const": 1}, "right": X}',
    "floor ceil trunc mod modulo remainder": "round rounds to the nearest value",
    "mode skew kurt kurtosis mad sem": "",
    "normalize normalise": "zscore is the distance from the mean in standard deviations, and rebase divides "
    "by the value at a date",
    **{names: _change_text(*change) for names, change in _CHANGES.items()},
    "ytd yeartodate": 'write {"op": "cumsum", "series": X, "reset": "year"}',
    "product prod rollingproduct": "multiply takes left and right; a window has no product",
    "cumprod cumulativeproduct": f"for changes X, as shares, write {_GROWTH}",
    "lead forward next ahead": "lag looks back, and nothing looks ahead",
    "bfill": "fill takes the previous observation, and nothing looks ahead",
    "if where case when gt lt ge le eq compare": f"there are no conditions: {_FLAG} is 1 where X > 0, else 0",
    "wma dema tema hma kama": "sma weighs its observations alike; ema weighs the later ones more",
    "constant const number value": 'a constant is an operand: {"const": 1}',
    "rate persecond nonnegativederivative": "diff is the change against an earlier value",
    "pca cca cch compounded annualised annualized": "scale a pct_change or a log_change",
}
"""For the names of other operations, how to write them in the grammar; empty if the grammar can't."""

_FIELDS = {
    **{
        f"{unit} {unit}s": f'`unit` says it: write "window": n, "unit": "{unit}s"'
        for unit in ("day", "week", "month", "quarter", "year")
    },
    "hour hours minutes timedelta": "a window counts observations, or days, weeks, months, quarters or years",
    "calendar": 'a calendar window has a `unit`, such as "unit": "months"',
    "alpha smoothing": "`window` says it: alpha is 2 / (window + 1)",
    "halflife decay com": "`window` says it: the weight of the newest observation is 2 / (window + 1)",
    "weights weight": "there are none: multiply each operand by its scale, in a series_math",
    "fillvalue default": "there is none: what is not defined is not there",
}
"""For the names of other tools' fields, the remedy."""


def _by_name[Entry](table: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return the entries of a table whose keys are several names each, by single name."""
    return {name: entry for names, entry in table.items() for name in names.split()}


_INSTEAD_BY_NAME, _FIELDS_BY_NAME = _by_name(_INSTEAD), _by_name(_FIELDS)
_CHANGE_BY_NAME = _by_name(_CHANGES)


def entry[Entry](table: Mapping[str, Entry], word: str) -> Entry | None:
    """Return the entry of a table for a word or, if there is none, for its letters and digits."""
    return table.get(word, table.get(plain(word)))


def plain(word: str) -> str:
    """Return a word's letters and digits, in lower case; the word itself if it has none."""
    return re.sub(r"[\W_]+", "", word).casefold() or word


def instead_of_operation(word: str) -> str | None:
    """Return a text that says how to express, in the grammar, an operation that another tool calls `word`.

    The text is empty if the grammar cannot express the operation. The result is None if the name is unknown.
    """
    return entry(_INSTEAD_BY_NAME, word)


def change_over_unit(word: str) -> tuple[str, str] | None:
    """Return (operation, unit) of a change that another tool calls `word`, such as `yoy`; None if unknown."""
    return entry(_CHANGE_BY_NAME, word)


def instead_of_field(word: str) -> str | None:
    """Return a text that says what to write instead of a field that another tool calls `word`.

    The result is None if the name is unknown.
    """
    return entry(_FIELDS_BY_NAME, word)

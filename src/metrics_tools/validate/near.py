"""The allowed name that an author probably meant, by its meaning in other tools or by its spelling.

pandas, SQL and spreadsheets have many operations that the grammar does not have. A suggestion by spelling
alone would mislead there (`log` is spelled almost as `lag`), so such a name is answered by its meaning.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from metrics_tools.validate.problems import quoted

_NEAR_ENOUGH = 0.6
"""The smallest ratio of difflib at which two long words are near: one wrong letter in three."""
_SHORT = 4
"""The most letters of a short word. Short words with one letter replaced (`log`, `lag`) are not near."""
_LONGEST = 300
"""The most characters of a word that is compared, because comparing long words takes time."""

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
    "window": "length n period periods size span lag",
    "series_code": "code symbol",
    "seriesCode": "code symbol",
    "metricCode": "code",
    "series": "serie",
    "scale": "factor multiplier",
    "left": "a lhs",
    "right": "b rhs",
    "op": "function operation operator",
    "operands": "items nodes",
    "expressionJson": "expression",
    "manifestPath": "manifest",
    "projectionsPath": "projections",
    "datasetId": "dataset",
}
"""For each operation and field, its names in other tools; of several, the first allowed one is meant."""

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


_MEANINGS: dict[str, list[str]] = {}
for _name, _synonyms in _SAME.items():
    for _synonym in _synonyms.split():
        _MEANINGS.setdefault(_synonym, []).append(_name)
_INSTEAD_BY_NAME, _FIELDS_BY_NAME = (
    {name: text for names, text in texts.items() for name in names.split()} for texts in (_INSTEAD, _FIELDS)
)


def _entry[Entry](table: Mapping[str, Entry], word: str) -> Entry | None:
    return table.get(word, table.get(_plain(word)))


def _plain(word: str) -> str:
    """Return a word's letters and digits, in lower case; the word itself if it has none."""
    return re.sub(r"[\W_]+", "", word).casefold() or word


def same_meaning(word: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed operation or field that another tool's name means; None if there is none."""
    candidates = set(allowed)
    return next((name for name in _entry(_MEANINGS, word) or () if name in candidates), None)


def instead_of_operation(word: str) -> str | None:
    """Return how to write another tool's operation: empty if the grammar can't, None for an unknown name."""
    return _entry(_INSTEAD_BY_NAME, word)


def instead_of_field(word: str) -> str | None:
    """Return the remedy for another tool's field; None for an unknown name."""
    return _entry(_FIELDS_BY_NAME, word)


def near(word: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed name that has the same meaning as a word or a similar spelling; None if none has."""
    if len(word) > _LONGEST:
        return None
    named = {_plain(candidate): candidate for candidate in reversed(list(allowed))}
    same = named.get(_plain(word)) or same_meaning(word, named.values())
    if same is not None or instead_of_field(word) is not None:
        return same
    alike = {_plain(name): name for name in named.values() if _may_be_a_slip(word, name)}
    found = get_close_matches(_plain(word), alike, n=1, cutoff=_NEAR_ENOUGH)
    return alike[found[0]] if found else None


def did_you_mean(word: str, allowed: Iterable[str]) -> str | None:
    """Return "did you mean `…`?" with the name that `near` finds; None if it finds no name."""
    found = near(word, allowed)
    return None if found is None else f"did you mean `{found}`?"


def renamed(
    fields: Mapping[str, object], required: Iterable[str], known: Iterable[str] = ()
) -> dict[str, str]:
    """Return the misspelled field names of an object, each with the name of the missing field that was meant.

    Args:
        fields: the object.
        required: the names of the required fields; those that are missing are suggested.
        known: the names of the optional fields, which are not misspelled.
    """
    missing, found = [name for name in required if name not in fields], dict[str, str]()
    right = {*required, *known}
    for name in fields if missing else ():
        if name not in right and (meant := near(name, missing)) is not None:
            found[name] = meant
            missing.remove(meant)
    return found


def meant_names(names: Mapping[str, str]) -> str:
    """Return the question "did you mean `…` for `…`?" for misspelled names and the names that were meant."""
    return f"did you mean {' and '.join(f'`{meant}` for {quoted(name)}' for name, meant in names.items())}?"


def _may_be_a_slip(word: str, name: str) -> bool:
    """Return whether a word can be a misspelling of a name, before the whole words are compared.

    A short word is a misspelling if one letter is missing or added, or two letters are swapped. If a letter
    is replaced, it is another word. Each part of a series code is compared as a word: `ECB_XAU_EUR_D` is not
    a misspelling of `ECB_ZAR_EUR_D`.
    """
    ours, its = word.casefold().split("_"), name.casefold().split("_")
    if len(ours) == len(its) > 1:
        pairs = [(one, other) for one, other in zip(ours, its, strict=True) if one != other]
        return all(
            _may_be_a_slip(one, other) and get_close_matches(one, [other], cutoff=_NEAR_ENOUGH)
            for one, other in pairs
        )
    shorter, longer = sorted((_plain(word), _plain(name)), key=len)
    if len(shorter) > _SHORT or (len(shorter) == _SHORT and shorter in longer):  # `path` for `basePath`
        return True
    if len(longer) == len(shorter):
        first, *more = [at for at in range(len(longer)) if longer[at] != shorter[at]] or [0]
        return len(more) == 1 and longer[first] + longer[more[0]] == shorter[more[0]] + shorter[first]
    return any(longer[:at] + longer[at + 1 :] == shorter for at in range(len(longer)))

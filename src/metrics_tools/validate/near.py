"""The allowed name that an author probably meant, by its meaning in other tools or by its spelling.

Other tools have many operations that the grammar does not have, or has under another name. For such a name, a
suggestion by spelling alone would mislead, so the suggestion depends on the meaning of the name.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from metrics_tools.validate.other_tools import entry, instead_of_field, plain
from metrics_tools.validate.problems import quoted

_NEAR_ENOUGH = 0.6
"""The smallest ratio of difflib at which two long words are near: one wrong letter in three."""
_SHORT = 4
"""The most letters of a short word. Short words with one letter replaced (`log`, `lag`) are not near."""
_LONGEST = 300
"""The most characters of a word that is compared, because comparing long words takes time."""

_SAME = {
    "sma": "average avg mean ma movingaverage rollingaverage runningaverage rollingmean rollmean runningmean "
    "simplemovingaverage",
    "avg": "average mean sma averageseries",
    "mean": "average avg sma",
    "ema": "ewm ewma ewmmean exponentialmovingaverage exponentialsmoothing",
    "lag": "delay shift previous prev prior lagged backshift timeshift",
    "ratio": "/ ÷ div divide divided divideby division quotient truediv divideseries",
    "subtract": "- − minus sub substract subtraction diff difference delta diffseries",  # noqa: RUF001 - as in print
    "add": "+ plus addition sum total",
    "multiply": "* × mul mult times product prod multiplication multiplyseries",  # noqa: RUF001 - as in print
    "power": "pow ** ^ exponent",
    "max": "maximum highest largest peak rollingmax movingmax maxseries high",
    "min": "minimum lowest smallest trough rollingmin movingmin minseries low",
    "sum": "total rollingsum movingsum sumseries plus + add",
    "std": "stdev stddev stddevp standarddeviation sd volatility vol rollingstd movingstd",
    "var": "variance rollingvar",
    "median": "med rollingmedian movingmedian",
    "quantile": "percentile npercentile rollingquantile",
    "zscore": "z standardscore standardize standardise",
    "rank": "percentrank pctrank percentileofscore rollingrank",
    "count": "nobs rollingcount numberofobservations",
    "diff": "difference delta change chg derivative absolutechange",
    "pct_change": "percentchange changepercent pct pch diff% DIFF% growth growthrate return returns roc "
    "rateofchange relativechange",
    "log_change": "logreturn logreturns logdiff logdifference dlog dln",
    "abs": "absolute absolutevalue magnitude",
    "neg": "negate negative unaryminus opposite",
    "log": "ln logarithm naturallog",
    "exp": "exponential",
    "sqrt": "root squareroot",
    "sign": "signum sgn",
    "clip": "clamp cap limit",
    "round": "around",
    "cumsum": "cumulative cumulativesum runningtotal runningsum integral expanding",
    "cummax": "cumulativemax runningmax",
    "cummin": "cumulativemin runningmin",
    "rebase": "index reindex nbd base100",
    "resample": "downsample asfreq groupby summarize smartsummarize aggregate collapse convert",
    "fill": "ffill fillna pad interpolate align coalesce upsample keeplastvalue asof mergeasof locf",
    "corr": "correlation correl pearson",
    "cov": "covariance covar",
    "beta": "regression slope",
    "window": "length n period periods size span lag",
    "unit": "units freq frequency interval offset",
    "tz": "timezone zone",
    "min_periods": "minobs mincount",
    "max_age_days": "maxage tolerance",
    "q": "quantile percentile p prob",
    "digits": "decimals ndigits places precision",
    "at": "date start from",
    "lower": "min low floor",
    "upper": "max high ceiling",
    "reset": "by per groupby",
    "to": "freq frequency rule period",
    "how": "agg aggregation func",
    "stamp": "label",
    "like": "on target reference",
    "method": "how kind",
    "const": "constant value number",
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
    "observations": "observation obs rows periods",
    "days": "day d daily",
    "weeks": "week w weekly",
    "months": "month m mo monthly",
    "quarters": "quarter q quarterly",
    "years": "year y yr a annual annually yearly",
    "week": "weeks w weekly",
    "month": "months m mo monthly",
    "quarter": "quarters q quarterly",
    "year": "years y yr a annual annually yearly ytd",
    "last": "close end eop latest",
    "first": "open begin bop",
    "start": "begin beginning left first",
    "end": "right close",
    "previous": "ffill pad forward asof locf last",
    "linear": "interpolate interpolation time",
}
"""For each operation, field and value, its names in other tools; of several, the first allowed is meant.

The other tools are pandas, FRED, Haver, Graphite, CloudWatch, SQL and spreadsheets.
"""

_MEANINGS: dict[str, list[str]] = {}
for _name, _synonyms in _SAME.items():
    for _synonym in _synonyms.split():
        _MEANINGS.setdefault(_synonym, []).append(_name)


def same_meaning(word: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed operation or field that another tool calls `word`; None if there is none."""
    candidates = set(allowed)
    return next((name for name in entry(_MEANINGS, word) or () if name in candidates), None)


def near(word: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed name that an author probably meant by a word; None if no allowed name is likely.

    A name with the same meaning in another tool is preferred to a name with a similar spelling.
    """
    if len(word) > _LONGEST:
        return None
    named = {plain(candidate): candidate for candidate in reversed(list(allowed))}
    same = named.get(plain(word)) or same_meaning(word, named.values())
    if same is not None or instead_of_field(word) is not None:
        return same
    alike = {plain(name): name for name in named.values() if _may_be_a_slip(word, name)}
    found = get_close_matches(plain(word), alike, n=1, cutoff=_NEAR_ENOUGH)
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
    """Return the question "did you mean `…` for `…`?" about misspelled names.

    Args:
        names: the misspelled names, each with the name that was meant.
    """
    return f"did you mean {' and '.join(f'`{meant}` for {quoted(name)}' for name, meant in names.items())}?"


def _may_be_a_slip(word: str, name: str) -> bool:
    """Return whether a word can be a misspelling of a name. If so, `near` then compares their similarity.

    Between long words, any misspelling is possible. If one of the two is short, the word is one only
    if a letter is missing or added or two letters are swapped, but not if a letter is replaced. If both have
    several parts between underscores, each part is compared: `ECB_XAU_EUR_D` is not a misspelling of
    `ECB_ZAR_EUR_D`.
    """
    ours, its = word.casefold().split("_"), name.casefold().split("_")
    if len(ours) == len(its) > 1:
        pairs = [(one, other) for one, other in zip(ours, its, strict=True) if one != other]
        return all(
            _may_be_a_slip(one, other) and get_close_matches(one, [other], cutoff=_NEAR_ENOUGH)
            for one, other in pairs
        )
    shorter, longer = sorted((plain(word), plain(name)), key=len)
    if len(shorter) > _SHORT or (len(shorter) == _SHORT and shorter in longer):  # `path` for `basePath`
        return True
    if len(longer) == len(shorter):
        first, *more = [at for at in range(len(longer)) if longer[at] != shorter[at]] or [0]
        return len(more) == 1 and longer[first] + longer[more[0]] == shorter[more[0]] + shorter[first]
    return any(longer[:at] + longer[at + 1 :] == shorter for at in range(len(longer)))

"""What somebody probably meant: the nearest of the words that are allowed."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

_NEAR_ENOUGH = 0.6
"""Of difflib's ratio: one letter wrong in three is near, two are not."""
_LONGEST = 300
"""What is longer than any name is meant for none: a file may be full of it."""

_MEANT: dict[str, tuple[str, ...]] = {
    "average": ("sma", "avg"),
    "avg": ("sma",),
    "mean": ("sma", "avg"),
    "ma": ("sma",),
    "movingaverage": ("sma",),
    "rollingmean": ("sma",),
    "sma": ("avg",),
    "ewm": ("ema",),
    "ewma": ("ema",),
    "exponential": ("ema",),
    "delay": ("lag",),
    "shift": ("lag",),
    "previous": ("lag",),
    "/": ("ratio",),
    "÷": ("ratio",),
    "div": ("ratio",),
    "divide": ("ratio",),
    "division": ("ratio",),
    "quotient": ("ratio",),
    "-": ("subtract",),
    "diff": ("subtract",),
    "difference": ("subtract",),
    "minus": ("subtract",),
    "+": ("add", "sum"),
    "plus": ("add", "sum"),
    "sum": ("add",),
    "total": ("sum",),
    "*": ("multiply",),
    "mul": ("multiply",),
    "product": ("multiply",),
    "times": ("multiply",),
    "highest": ("max",),
    "lowest": ("min",),
    "days": ("window",),
    "length": ("window",),
    "n": ("window",),
    "period": ("window",),
    "periods": ("window",),
    "size": ("window",),
    "code": ("series_code", "seriesCode", "metricCode"),
    "serie": ("series",),
    "symbol": ("series_code", "seriesCode"),
    "factor": ("scale",),
    "multiplier": ("scale",),
    "a": ("left",),
    "b": ("right",),
    "lhs": ("left",),
    "rhs": ("right",),
    "function": ("op",),
    "operation": ("op",),
    "operator": ("op",),
    "items": ("operands",),
    "nodes": ("operands",),
    "expression": ("expressionJson",),
    "manifest": ("manifestPath",),
    "projections": ("projectionsPath",),
    "dataset": ("datasetId",),
}
"""Other people's words for ours, by their letters and digits alone; the first that is allowed is meant."""


def near(word: str, allowed: Iterable[str]) -> str | None:
    """The word that was probably meant, or None where none is near."""
    if len(word) > _LONGEST:
        return None
    plain = {_plain(candidate): candidate for candidate in reversed(list(allowed))}
    if (same := plain.get(_plain(word))) is not None:
        return same
    candidates = set(plain.values())
    for meant in _MEANT.get(word, _MEANT.get(_plain(word), ())):
        if meant in candidates:
            return meant
    found = get_close_matches(_plain(word), plain, n=1, cutoff=_NEAR_ENOUGH)
    return plain[found[0]] if found else None


def did_you_mean(word: str, allowed: Iterable[str]) -> str | None:
    """The question, or None where nothing is near."""
    found = near(word, allowed)
    return None if found is None else f"did you mean `{found}`?"


def _plain(word: str) -> str:
    """Its letters and digits, in lower case; the word itself where it has none."""
    return re.sub(r"[\W_]+", "", word).casefold() or word

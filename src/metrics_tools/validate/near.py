"""Suggestions of the allowed name that an author probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches

from metrics_tools.validate.vocabulary import instead_of_field, plain, same_operation

_NEAR_ENOUGH = 0.6
"""The smallest ratio of difflib at which two long words are near: one wrong letter in three."""
_SHORT = 4
"""The most letters of a short word. Short words with one letter replaced (`log`, `lag`) are not near."""
_LONGEST = 300
"""The most characters of a word that is compared, because comparing long words takes time."""

_MEANT: dict[str, tuple[str, ...]] = {
    "length": ("window",),
    "n": ("window",),
    "period": ("window",),
    "periods": ("window",),
    "size": ("window",),
    "span": ("window",),
    "lag": ("window",),
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
"""By another tool's name in lower case, the fields that it can mean. The first allowed field is suggested."""


def near(word: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed name that has the same meaning as a word or a similar spelling; None if none has."""
    if len(word) > _LONGEST:
        return None
    named = {plain(candidate): candidate for candidate in reversed(list(allowed))}
    if (same := named.get(plain(word))) is not None:
        return same
    candidates = set(named.values())
    if (operation := same_operation(word, candidates)) is not None:
        return operation
    for meant in _MEANT.get(word, _MEANT.get(plain(word), ())):
        if meant in candidates:
            return meant
    if instead_of_field(word) is not None:
        return None
    alike = {plain(name): name for name in named.values() if _may_be_a_slip(word, name)}
    found = get_close_matches(plain(word), alike, n=1, cutoff=_NEAR_ENOUGH)
    return alike[found[0]] if found else None


def did_you_mean(word: str, allowed: Iterable[str]) -> str | None:
    """Return "did you mean `…`?" with the name that `near` finds; None if it finds no name."""
    found = near(word, allowed)
    return None if found is None else f"did you mean `{found}`?"


def _may_be_a_slip(word: str, name: str) -> bool:
    """Return whether a word can be a misspelling of a name, before the whole words are compared.

    A short word is a misspelling if one letter is missing or added, or two letters are swapped. If a letter
    is replaced, it is another word. Each part of a series code is compared as a word: `ECB_XAU_EUR_D` is not
    a misspelling of `ECB_ZAR_EUR_D`.
    """
    ours, its = word.casefold().split("_"), name.casefold().split("_")
    if len(ours) == len(its) > 1:
        pairs = [(one, other) for one, other in zip(ours, its, strict=True) if one != other]
        return all(_may_be_a_slip(one, other) and _alike(one, other) for one, other in pairs)
    shorter, longer = sorted((plain(word), plain(name)), key=len)
    if len(shorter) > _SHORT or (len(shorter) == _SHORT and shorter in longer):  # `path` for `basePath`
        return True
    return _one_slip(shorter, longer)


def _alike(one: str, other: str) -> bool:
    return bool(get_close_matches(one, [other], cutoff=_NEAR_ENOUGH))


def _one_slip(shorter: str, longer: str) -> bool:
    """Return whether removing one letter of the longer word, or swapping two, gives the shorter word."""
    if len(longer) == len(shorter):
        first, *more = [at for at in range(len(longer)) if longer[at] != shorter[at]] or [0]
        return len(more) == 1 and longer[first] + longer[more[0]] == shorter[more[0]] + shorter[first]
    return any(longer[:at] + longer[at + 1 :] == shorter for at in range(len(longer)))

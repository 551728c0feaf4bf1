"""An expression in plain words.

`in_words()` returns `the mean of the last 14 observations of ECB_USD_EUR_D`; an operand that is not a series
is in brackets. `step_in_words()` describes a node without its operands, for a tree that shows them below the
node.
"""

from collections.abc import Sequence

from metrics_tools.describe.formula import number_text
from metrics_tools.formatting import count
from metrics_worker.expression import nodes
from metrics_worker.expression.grammar import children

_MATH = {
    "add": "{} plus {}",
    "subtract": "{} minus {}",
    "multiply": "{} times {}",
    "ratio": "the ratio of {} to {}",
    "power": "{} to the power of {}",
}
_MEASURES = {
    "sma": "mean",
    "avg": "mean",
    "mean": "mean",
    "sum": "sum",
    "max": "highest",
    "min": "lowest",
    "first": "first value",
    "last": "last value",
    "std": "standard deviation",
    "var": "variance",
    "median": "median",
    "cumsum": "sum",
    "cummax": "highest",
    "cummin": "lowest",
}
"""By operation: a noun for the result, or an adjective for one of the values."""
_WITHIN = {
    "zscore": "the z-score{} within {}",
    "rank": "the rank{} within {}, as a share (1 for the highest)",
}
_EARLIER = {
    "lag": "the {}value{} {}",
    "diff": "the change{1} against the {0}value {2}",
    "pct_change": "the relative change{1} (0.01 for 1 %) against the {0}value {2}",
    "log_change": "the logarithmic change{1} against the {0}value {2}",
}
_FUNCTIONS = {
    "abs": "the absolute value",
    "neg": "the negative",
    "log": "the natural logarithm",
    "exp": "the exponential",
    "sqrt": "the square root",
    "sign": "the sign (-1, 0 or 1)",
}
_PAIRS = {
    "corr": "the correlation of {} and {}",
    "cov": "the covariance of {} and {}",
    "beta": "the beta of {} to {}",
}
_STAMPS = {"last": "", "start": ", dated to its first day", "end": ", dated to its last day"}


def in_words(node: nodes.Node) -> str:
    """Return an expression as a noun phrase, such as `the ratio of X to (the mean of the last 3 …)`."""
    if isinstance(node, nodes.SeriesRef):
        return node.series_code
    operands = [(below, in_words(below)) for below in children(node)]
    return _phrase(
        node,
        [
            text if isinstance(below, nodes.SeriesRef | nodes.Constant) else f"({text})"
            for below, text in operands
        ],
    )


def step_in_words(node: nodes.Node) -> str:
    """Return what a node does to its operands, such as `left plus right`. The operands are not described."""
    return _phrase(node, ())


def _phrase(node: nodes.Node, operands: Sequence[str]) -> str:  # noqa: PLR0911 - one case for each kind
    """Return a node in words.

    Args:
        node: the node.
        operands: the descriptions of its operands, in order. If they are empty, the result contains general
            words such as `left` and `right` instead.
    """
    match node:
        case nodes.SeriesRef():
            return "series"
        case nodes.Constant(const=value):
            return number_text(value)
        case nodes.SeriesMath(op=op, scale=scale):
            text = _MATH[op].format(*operands or ("left", "right"))
            return text if scale == 1 else f"{text}, times {number_text(scale)}"
        case nodes.Pair(op=op, window=window):
            sides = _PAIRS[op].format(*operands or ("left", "right"))
            return f"{sides} over the last {count(window, 'time')} that both have"
        case nodes.Composite(op=op):
            which = f"the {len(node.operands)} operands"
            if operands:
                which = f"{', '.join(operands[:-1])} and {operands[-1]}"
            return f"the {_MEASURES[op]} of whichever of {which} have a value"
        case nodes.Fill():
            return _filled(node, *operands or ("series", "like"))
        case _:
            text = _phrase_of_one(node, f" of {operands[0]}" if operands else "", *operands or ("the value",))
            zone = getattr(node, "tz", "UTC")
            return text if zone == "UTC" else f"{text} (dates in {zone})"


def _phrase_of_one(node: nodes.Node, of: str, operand: str) -> str:  # noqa: PLR0911 - one case for each kind
    """Return a node with one operand in words. The caller adds the time zone.

    Args:
        node: the node.
        of: the operand after a noun, such as ` of X` in "the logarithm of X"; empty if the operand is not
            named.
        operand: the operand at the beginning of the phrase, such as `X` in "X rounded to 2 decimal places".
    """
    match node:
        case nodes.WindowOp() | nodes.Quantile():
            return _windowed(node, of)
        case nodes.Ema(window=window):
            return f"the exponential mean{of} over {count(window, 'observation')}"
        case nodes.Lag(op=op):
            return _EARLIER[op].format("last " if _spans_dates(node) else "", of, _distance(node))
        case nodes.Transform(op=op):
            noun, bracket, rest = _FUNCTIONS[op].partition(" (")
            return f"{noun}{of}{bracket}{rest}"
        case nodes.Clip(lower=lower, upper=upper):
            limits = {"at least": lower, "at most": upper}
            texts = [f"{word} {number_text(value)}" for word, value in limits.items() if value is not None]
            return f"{operand} limited to {' and '.join(texts)}"
        case nodes.Round(digits=digits):
            return f"{operand} rounded to {count(digits, 'decimal place')}"
        case nodes.Cumulative(op=op, reset=reset):
            since = "so far" if reset is None else f"since the beginning of each {reset}"
            return f"the {_MEASURES[op]} of all observations{of} {since}"
        case nodes.Rebase(at=at, base=base):
            subject = f"{operand} as " if of else ""
            return f"{subject}an index that is {number_text(base)} at the first observation on or after {at}"
        case nodes.Resample(how=how, to=to, stamp=stamp, partial=partial):
            measure = "number of observations" if how == "count" else _MEASURES[how]
            open_period = ", also of the incomplete last one" if partial else ""
            return f"the {measure}{of} in each {to}{open_period}{_STAMPS[stamp]}"
        case _:
            raise AssertionError(f"a node without one operand: {node!r}")


def _windowed(node: nodes.WindowOp | nodes.Quantile, of: str) -> str:
    """Return a window operation in words. The caller adds the time zone.

    Args:
        node: the window operation.
        of: the operand after a noun, such as ` of X` in "the mean of the last 3 observations of X"; empty if
            the operand is not named.
    """
    least = node.min_periods
    text = "" if least is None else f", from {count(least, 'observation')} on"
    if node.unit == "observations":
        period = "observation" if node.window == 1 else count(node.window, "observation")
    else:
        period = count(node.window, f"calendar {node.unit.removesuffix('s')}")
        text = "" if least == 1 else text
    if node.op in _WITHIN:
        return _WITHIN[node.op].format(of, f"the last {period}") + text
    measure = (
        f"{number_text(node.q)} quantile"
        if isinstance(node, nodes.Quantile)
        else _MEASURES.get(node.op, "number")
    )
    if node.unit == "observations":
        return f"the {measure} of the last {period}{of}{text}"
    observations = " of observations" if node.op == "count" else ""
    return f"the {measure}{observations}{of} over the last {period}{text}"


def _spans_dates(node: nodes.Lag) -> bool:
    """Return whether a lag accepts an older observation if the exact date has none.

    Only a lag by calendar (months, for example) accepts one, and only if `max_age_days` is above zero.
    """
    return node.unit != "observations" and node.max_age_days > 0


def _distance(node: nodes.Lag) -> str:
    """Return how far back a lag or change looks, such as `1 observation earlier`."""
    if node.unit == "observations":
        return f"{count(node.window, 'observation')} earlier"
    before = f"the date {count(node.window, node.unit.removesuffix('s'))} earlier"
    if not node.max_age_days:
        return f"on {before}"
    return f"on or before {before}, at most {count(node.max_age_days, 'day')} older"


def _filled(node: nodes.Fill, series: str, like: str) -> str:
    if node.method == "linear":
        return f"{series} at the times of {like}, interpolated linearly"
    age = "" if node.max_age_days is None else f", at most {count(node.max_age_days, 'day')} old"
    return f"the last value of {series} at or before each time of {like}{age}"

"""Warnings about valid requests: fields without effect, and windows and dates that count the wrong unit."""

from collections.abc import Iterator, Mapping
from datetime import MAXYEAR, MINYEAR, date
from zoneinfo import ZoneInfo

import numpy as np

from metrics_tools.describe.formula import formula
from metrics_tools.describe.missing_periods import Period
from metrics_tools.describe.nodes import NodeView
from metrics_tools.formatting import count, shown_time
from metrics_tools.validate.common_times import resampled, usual_period
from metrics_tools.validate.contract import ALLOWED, OPTIONAL_FIELDS
from metrics_tools.validate.draft import Draft
from metrics_tools.validate.near import did_you_mean
from metrics_tools.validate.problems import Problem, quoted, warning
from metrics_tools.validate.zones_and_dates import abbreviated_zone_hint
from metrics_worker.civil_dates import MONTHS
from metrics_worker.expression.grammar import series_codes
from metrics_worker.expression.nodes import (
    Composite,
    Constant,
    Ema,
    Lag,
    Node,
    Quantile,
    Rebase,
    Resample,
    SeriesMath,
    WindowOp,
)
from metrics_worker.series import Series

_DAY = 86_400_000_000
"""In microseconds."""
_YEARS = {*range(249, 254), *range(259, 263), 364, 365, 366}
"""The numbers of observations that an author may write for a year of workdays or of days."""
_COMMENTS = ("description", "unit", "expectedError")
"""Fields that an author may add; the worker ignores them, as it ignores every unknown field."""
_NEAR = 7
"""The most days after `at` at which the base of a rebase of a daily or weekly series causes no warning."""
_MOST_TIMES = 0.5
"""The smallest share (0-1) of times that are not midnight in UTC for which a series has local times."""


def warnings_about_request(draft: Draft, view: NodeView) -> Iterator[Problem]:
    """Yield the warnings about a request with a valid expression.

    Args:
        draft: the request.
        view: the tree of its expression, with or without counts.
    """
    absent = [name for name in OPTIONAL_FIELDS if draft.event.get(name) is None]
    for name in draft.event:
        if name not in ALLOWED and name not in _COMMENTS and (hint := did_you_mean(name, absent)):
            text = f"a request has no field {quoted(name)}, so it is ignored"
            yield warning(name, text, draft.event[name], hint)
    declared, codes = draft.checked.declared, draft.checked.codes
    for code in declared:
        if code not in codes:
            hint = did_you_mean(code, [other for other in codes if other not in declared])
            text = f"the expression does not name {quoted(code)}, so it is not read"
            yield warning(draft.input_path(code), text, code, hint or "leave it out, or use it")
    yield from _warnings_about_nodes(view)


def _warnings_about_nodes(view: NodeView) -> Iterator[Problem]:
    match view.node:
        case Lag() as lag:
            yield from _warnings_about_lag(lag, view.path)
        case WindowOp(op="std" | "var" | "zscore" as op, window=1, unit="observations"):
            text = f"the {op} needs 2 observations, so it never has a value"
            yield warning(f"{view.path}.window", text, 1, "give a longer window")
        case Resample(partial=True):
            text = "the last period is open: its value changes with every new observation"
            hint = "leave partial out to keep every value final"
            usual = f"{hint}; the warning is harmless if each period has only one observation"
            yield warning(f"{view.path}.partial", text, hint=usual)
        case Composite(op="sum", operands=operands) if Constant(const=0.0) in operands:
            at = operands.index(Constant(const=0.0))
            yield warning(
                f"{view.path}.operands[{at}]", "plus 0, every sum stays the same", hint="leave it out"
            )
        case (
            WindowOp(op="sma" | "sum" | "max" | "min" as op, window=1, unit="observations")
            | Ema(op=op, window=1)
        ):
            yield warning(f"{view.path}.window", f"the {op} of one observation is that observation", 1)
        case SeriesMath(scale=0):
            hint = "leave scale out, or give it another value"
            yield warning(f"{view.path}.scale", "times 0, every value is 0", 0, hint)
        case SeriesMath(op="subtract", left=left, right=right) if left == right:
            # The ratio of a series to itself is intended: with a scale, it is how a constant is written.
            yield warning(view.path, "left and right are the same, so every value is 0")
        case _:
            pass
    zone = getattr(view.node, "tz", "UTC")
    if place := abbreviated_zone_hint(zone):
        yield warning(f"{view.path}.tz", "the time zone is an abbreviation", zone, place)
    for operand in view.operands:
        yield from _warnings_about_nodes(operand)


def _warnings_about_lag(lag: Lag, path: str) -> Iterator[Problem]:
    """Yield a warning if a lag or change, at this JSON path, probably counts the wrong unit."""
    if lag.op != "lag" and lag.unit == "observations" and lag.window in _YEARS:
        text = f"{lag.window} observations are about a year of daily data, but no year has exactly so many"
        year = formula(lag.model_copy(update={"window": 1, "unit": "years"}))
        yield warning(f"{path}.window", text, lag.window, f"for a change over a year, write {year}")
    match lag.series:
        case Resample(to=to, stamp="last" | "end" as stamp) if to in MONTHS and lag.unit in MONTHS:
            day = "last day" if stamp == "end" else "last day with a value"
            text = f"each {to} has the date of its {day}; if the earlier {to} ended on a later day, "
            periods, rest = divmod(lag.window * MONTHS[lag.unit], MONTHS[to])
            dated = formula(lag.model_copy(update={"series": resampled(lag.series, to, "start")}))
            counted = formula(lag.model_copy(update={"window": periods, "unit": "observations"}))
            hint = f"write {dated}" + ("" if rest else f"; or, if no {to} is missing, {counted}")
            yield warning(f"{path}.unit", f"{text}the result is missing", lag.unit, hint)


def warnings_about_zones(view: NodeView, inputs: Mapping[str, Series]) -> Iterator[Problem]:
    """Yield a warning for each node that counts civil dates in UTC although its series has local times.

    Args:
        view: the tree of the expression.
        inputs: the series of the expression by series code.
    """
    node = view.node
    uses_dates = getattr(node, "unit", "observations") != "observations" or getattr(node, "reset", None)
    if (uses_dates or isinstance(node, Rebase | Resample)) and getattr(node, "tz", None) == "UTC":
        for code in series_codes(node):
            of_day = inputs[code].times % _DAY
            if len(of_day) and np.count_nonzero(of_day) >= _MOST_TIMES * len(of_day):
                usual = shown_time(int(np.median(of_day)))[11:]
                text = (
                    f"its dates are those of UTC, but most times of {quoted(code)} are not midnight ({usual})"
                )
                hint = "give `tz`, such as America/Argentina/Buenos_Aires"
                yield warning(view.path, text, hint=hint)
                break
    for operand in view.operands:
        yield from warnings_about_zones(operand, inputs)


def warnings_about_missing_periods(view: NodeView) -> Iterator[Problem]:
    """Yield a warning for each node that counts observations although months of its series are missing.

    Series of quarters and years are treated in the same way.

    Args:
        view: the tree of the expression, with counts.
    """
    missing = view.counts and view.counts.missing
    if missing:
        window: int = getattr(view.node, "window", 0)
        length, period = count(window, missing.period), missing.period
        longer = f"the window covers more than {length}"
        if isinstance(view.node, Lag):
            longer = f"the earlier value is more than {length} old"
        text = (
            f"in {missing.affected:,} of {missing.results:,} results, {longer}: the series lacks "
            f"{count(missing.missing, period)}, the first after {shown_time(missing.after)}"
        )
        yield warning(f"{view.path}.window", text, window, _by_the_calendar(view.node, period))
    for operand in view.operands:
        yield from warnings_about_missing_periods(operand)


def warnings_about_base_dates(view: NodeView) -> Iterator[Problem]:
    """Yield a warning for each rebase whose base is an observation of a later period than its date `at`.

    The period is a month, quarter or year for a series with about one observation in each. For a series with
    more observations, the base may be up to seven days later than `at`, such as after a holiday.

    Args:
        view: the tree of the expression, with counts.
    """
    node, begin = view.node, view.counts and view.counts.first
    if isinstance(node, Rebase) and begin and MINYEAR < begin.year < MAXYEAR:
        base = begin.astimezone(ZoneInfo(node.tz)).date()
        at, period = date.fromisoformat(node.at), usual_period(view.operands[0])
        length = MONTHS.get(period)
        is_later = (base - at).days > _NEAR if length is None else _months(base, length) > _months(at, length)
        if is_later:
            text = f"there is no observation on {at} or soon after it, so the base is the value of {base}"
            first = view.operands[0].counts and view.operands[0].counts.first
            hint = f"the series begins on {base}: give `at` this date" if first == begin else None
            hint = hint or f"give `at` a date with an observation, such as {base}"
            yield warning(f"{view.path}.at", text, node.at, hint)
    for operand in view.operands:
        yield from warnings_about_base_dates(operand)


def _months(day: date, length: int) -> int:
    """Return the number of the period of `length` months that contains a date."""
    return (day.year * 12 + day.month - 1) // length


def _by_the_calendar(node: Node, period: Period) -> str | None:
    """Return a suggestion for a node that must not count over a missing period; None if it has no `unit`."""
    match node:
        case Lag():
            options: dict[str, int] = {"max_age_days": 0}
        case WindowOp(window=window) | Quantile(window=window):
            options = {"min_periods": window}
        case _:
            return None
    series = resampled(node.series, period, "start", partial=True)
    dated = node.model_copy(update={"series": series, "unit": f"{period}s", **options})
    return f"to leave them out, write {formula(dated)}"

"""Checks of a metric's observations: the models of `checks.yaml`, and the evaluation of the checks.

docs/testing-metrics.md describes each check.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Self

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from metrics_tools.definition_tests.observations import Part
from metrics_tools.formatting import count, shown_time
from metrics_worker.names import ID_RULE, is_id
from metrics_worker.series import Series

MOST_NAMED = 5
"""The number of offending observations that an outcome contains at most."""
_SHARE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+) ?%")
_DAY = 86_400_000_000  # in microseconds


@dataclass(frozen=True, slots=True)
class Limit:
    """The largest allowed change of a quantity: an absolute amount, or a share of its earlier value."""

    amount: float
    is_share: bool

    def __str__(self) -> str:
        return f"{self.amount * 100:g}%" if self.is_share else f"{self.amount:g}"

    def of(self, earlier: float) -> float:
        """Return the largest allowed change against an earlier value, as an absolute amount."""
        return self.amount * abs(earlier) if self.is_share else self.amount


def _limit(value: Any) -> Limit:
    """Return the limit for a number (an amount) or a text such as `20%` (a share of the earlier value).

    Raises:
        ValueError: the value is neither a number that is at least 0 nor a percentage.
    """
    if isinstance(value, str) and (found := _SHARE.fullmatch(value)):
        return Limit(float(found[1]) / 100, is_share=True)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= sys.float_info.max:
        raise ValueError("a limit is a number that is at least 0, such as 0.5, or a percentage, such as 20%")
    return Limit(float(value), is_share=False)


def _range(bounds: list[float | None]) -> list[float | None]:
    if len(bounds) != 2 or bounds == [None, None]:  # noqa: PLR2004 - the lower and the upper bound
        raise ValueError("a range is written [0, 1], or [0, null] without an upper bound")
    low, high = bounds
    if low is not None and high is not None and low > high:
        raise ValueError("the first bound is greater than the second")
    return bounds


def _code(name: str) -> str:
    if not is_id(name):
        raise ValueError(f"a metric code has {ID_RULE}")
    return name


type _Limit = Annotated[Limit, BeforeValidator(_limit)]
type _Bound = Annotated[float, Field(allow_inf_nan=False)]
type _Range = Annotated[list[_Bound | None], AfterValidator(_range)]


class ResultChecks(Part):
    """The checks that need only the observations of a result: `min_rows`, `between` and `max_change`.

    At least one of them must be given.
    """

    min_rows: Annotated[int, Field(ge=1)] | None = None
    between: _Range | None = None
    max_change: _Limit | None = None

    @model_validator(mode="after")
    def _has_a_check(self) -> Self:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            raise ValueError(f"give at least one of {', '.join(type(self).model_fields)}")
        return self


class MetricChecks(ResultChecks):
    """The checks of a published metric: those of `ResultChecks` and two more.

    `max_age_days` also needs the current time, and `no_drop_over` the previous version.
    """

    max_age_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    no_drop_over: _Limit | None = None


class CheckFile(Part):
    """The content of `checks.yaml`: the checks by metric code."""

    checks: Annotated[dict[Annotated[str, AfterValidator(_code)], MetricChecks], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Offender:
    """An observation that a check does not allow.

    Attributes:
        time: the time, in microseconds since 1970-01-01 UTC.
        value: the value.
        previous: the value of the preceding observation, if the check compares the two values.
    """

    time: int
    value: float
    previous: float | None = None


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """The outcome of a check.

    Attributes:
        check: the name of the check, such as `min_rows`.
        failure: the description of the fault; empty if the check passed.
        remedy: what an author or operator can do about the fault.
        offenders: the number of observations that the check does not allow.
        first: the first of these observations, at most `MOST_NAMED`.
    """

    check: str
    failure: str = ""
    remedy: str = ""
    offenders: int = 0
    first: tuple[Offender, ...] = ()

    def text(self, time_text: Callable[[int], str] = shown_time) -> str:
        """Return the name of a failed check, the fault and the first offending observations, in one line.

        Args:
            time_text: the function that formats a time in microseconds since 1970-01-01 UTC.
        """
        named = [
            f"{each.value!r} on {time_text(each.time)}"
            + ("" if each.previous is None else f" after {each.previous!r}")
            for each in self.first
        ]
        if self.offenders > len(self.first):
            named.append("…")
        return f"{self.check}: {self.failure}" + (f": {', '.join(named)}" if named else "")


def check_result(checks: ResultChecks, series: Series) -> list[CheckOutcome]:
    """Return the outcome of each check in `checks`, applied to the observations of a result."""
    found = []
    if checks.min_rows is not None:
        found.append(_min_rows(checks.min_rows, series))
    if checks.between is not None:
        found.append(_between(checks.between, series))
    if checks.max_change is not None:
        found.append(_max_change(checks.max_change, series))
    return found


def check_age(max_age_days: float, series: Series, now: datetime) -> CheckOutcome:
    """Return the outcome of the check that a metric's last observation is not too old.

    Args:
        max_age_days: the largest allowed age in days of 24 hours.
        series: the observations of the metric.
        now: the current time in UTC.
    """
    remedy = "find out whether the ingestor delivers and the metric is computed: `metrics history` shows both"
    if not len(series):
        return CheckOutcome("max_age_days", "there is no observation", remedy)
    last = int(series.times[-1])
    age = (now.timestamp() * 1e6 - last) / _DAY
    if age <= max_age_days:
        return CheckOutcome("max_age_days")
    failure = f"the last observation is {age:,.1f} days old, and {max_age_days:g} are allowed"
    return CheckOutcome("max_age_days", failure, remedy, 1, (Offender(last, float(series.values[-1])),))


def check_drop(no_drop_over: Limit, *, rows: int, previous: int | None) -> CheckOutcome:
    """Return the outcome of `no_drop_over`, which limits how many rows a version loses.

    Args:
        no_drop_over: the largest allowed loss.
        rows: the number of rows of the version.
        previous: the number of rows of the previous version. None if there is no previous version: the check
            then passes.
    """
    if previous is None or previous - rows <= no_drop_over.of(previous):
        return CheckOutcome("no_drop_over")
    failure = f"{previous:,} rows dropped to {rows:,}, and a drop of {no_drop_over} is allowed"
    remedy = "show the lost rows with `metrics compare`; `metrics rollback` returns to the previous version"
    return CheckOutcome("no_drop_over", failure, remedy)


def _min_rows(least: int, series: Series) -> CheckOutcome:
    if len(series) >= least:
        return CheckOutcome("min_rows")
    failure = f"{count(len(series), 'observation')} found, and at least {least:,} expected"
    return CheckOutcome("min_rows", failure, "show where observations are lost with `metrics explain`")


def _between(bounds: list[float | None], series: Series) -> CheckOutcome:
    low, high = bounds
    lowest, highest = (-np.inf if low is None else low), (np.inf if high is None else high)
    outside = np.flatnonzero((series.values < lowest) | (series.values > highest))
    if not outside.size:
        return CheckOutcome("between")
    shown = " to ".join("any" if bound is None else f"{bound:g}" for bound in bounds)
    verb = "is" if outside.size == 1 else "are"
    failure = f"{count(outside.size, 'observation')} of {len(series):,} {verb} outside {shown}"
    first = tuple(Offender(int(series.times[i]), float(series.values[i])) for i in outside[:MOST_NAMED])
    remedy = "correct the input or the expression (`metrics compare` shows what changed), or widen the range"
    return CheckOutcome("between", failure, remedy, int(outside.size), first)


def _max_change(most: Limit, series: Series) -> CheckOutcome:
    before, after = series.values[:-1], series.values[1:]
    allowed = most.amount * np.abs(before) if most.is_share else most.amount
    with np.errstate(over="ignore"):  # an infinite change is larger than every limit
        changed = np.flatnonzero(np.abs(after - before) > allowed)
    if not changed.size:
        return CheckOutcome("max_change")
    verb = "differs" if changed.size == 1 else "differ"
    failure = f"{count(changed.size, 'observation')} {verb} from the preceding one by more than {most}"
    first = tuple(
        Offender(int(series.times[i + 1]), float(after[i]), float(before[i])) for i in changed[:MOST_NAMED]
    )
    remedy = "correct the input or the expression (`metrics compare` shows what changed), or raise the limit"
    return CheckOutcome("max_change", failure, remedy, int(changed.size), first)

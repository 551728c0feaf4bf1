"""Missing periods of regular series, such as a month without an observation in a monthly series.

A node that counts observations treats the observations around a missing month as neighbours: the value 12
observations earlier is then 13 months old.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metrics_worker.civil_dates import MONTHS, Times
from metrics_worker.expression.nodes import Lag, Node, Pair, Quantile, WindowOp
from metrics_worker.series import Series, common

type Period = Literal["month", "quarter", "year"]

_PERIODS: tuple[Period, ...] = ("month", "quarter", "year")
_HALF_DAY = 43_200_000_000
"""In microseconds."""
_MOST_MORE = 2
"""The most observations in a regular series, minus the months from its first to its last observation in UTC.

The first month counts too, and moved times may be in one more month.
"""
_REGULAR = 0.75
"""The smallest share (0-1) of the distances in a regular series that are exactly one period."""


@dataclass(frozen=True, slots=True)
class MissingPeriods:
    """The missing periods of a regular series, and the results of a node that they affect.

    Attributes:
        period: the period of which each observation is one.
        missing: the number of periods without an observation between the first and the last observation.
        after: the time of the observation before the first missing period, in microseconds since 1970 UTC.
        affected: the number of results whose observations cover more periods than the node counts.
        results: the number of results with a complete window or with an earlier value.
    """

    period: Period
    missing: int
    after: int
    affected: int
    results: int


def missing_periods(node: Node, operands: list[Series]) -> MissingPeriods | None:
    """Return the missing periods that affect the results of a node.

    The result is None if the node does not count observations, if its series is not regular, as
    `regular_periods` defines it, or if no result is affected.

    Args:
        node: the node.
        operands: the series to which its operands evaluate, without constants.
    """
    match node:
        case Lag(window=window, unit="observations"):
            steps, times = window, operands[0].times
        case WindowOp(window=window, unit="observations") | Quantile(window=window, unit="observations"):
            steps, times = window - 1, operands[0].times
        case Pair(window=window):
            steps, times = window - 1, common(*operands)[0]
        case _:
            return None
    if not 0 < steps < len(times) or (found := regular_periods(times)) is None:
        return None
    period, numbers = found
    affected = int(np.count_nonzero(numbers[steps:] - numbers[:-steps] != steps))
    if not affected:
        return None
    missing = int(numbers[-1]) + 1 - len(numbers)
    before = int(np.argmax(np.diff(numbers) > 1))
    return MissingPeriods(period, missing, int(times[before]), affected, len(times) - steps)


def regular_periods(times: Times) -> tuple[Period, NDArray[np.int64]] | None:
    """Return the period of a regular series, and the number of the period of each observation, from 0.

    A series is regular in months if no month of the calendar has two of its observations, and if at least
    three of four observations are in the month directly after that of the observation before them. It is
    regular in quarters (three months) or years (twelve) if the distances between its observations, in months
    of the calendar, are all multiples of three or twelve, and at least three of four are exactly three or
    twelve. Days do not matter: observations may have the date of the first day, the last day, or the last
    trading day of their months. A daily or weekly series is not regular in this sense.

    The time zone of the series is not known. Therefore the months are those of the times in UTC, or those of
    all times moved by 12 hours in either direction, which are right for local midnights and for local ends of
    days. Of these three, the months with the fewest missing periods are used.

    Args:
        times: the times of the series, at least one.

    Returns:
        (period, numbers); None if the series is not regular. The numbers have shape (n,).
    """
    found: tuple[Period, NDArray[np.int64]] | None = None
    first, last = _months(times[[0, -1]])
    if len(times) > last - first + _MOST_MORE:
        return None  # without a look at every time of a long daily series
    for moved in (0, _HALF_DAY, -_HALF_DAY):
        months = _months(times + moved)
        distances = np.diff(months)
        for period in _PERIODS:
            length = MONTHS[period]
            is_regular = (distances >= 1).all() and not (distances % length).any()
            if is_regular and np.count_nonzero(distances == length) >= _REGULAR * distances.size:
                numbers = (months - months[0]) // length
                if found is None or numbers[-1] < found[1][-1]:
                    found = period, numbers
    return found


def _months(times: Times) -> NDArray[np.int64]:
    """Return the month of each time in UTC, as the number of months since January 1970."""
    return times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)

"""The panels of the plots of grammar.md: the series that each plot shows, and their labels.

Each plot shows the results of the JSON expressions in its own section of grammar.md.
"""

from collections.abc import Callable

import numpy as np

from docs.panel_parts import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    SOFT,
    Line,
    Panel,
    Shade,
    by_observations,
    dollar_line,
    expressions,
    krona_gap,
    krona_line,
    part,
    rates,
    value,
)
from metrics_worker.series import Series

_LAST_YEAR = "2025-11-01", "2026-10-30"


def series() -> list[Panel]:
    """Return a panel with the rate of the Icelandic króna; the years without observations are shaded."""
    (krona,) = expressions("series")
    return [Panel([krona_line(value(krona), BLUE)], krona_gap("no observations"))]


def series_math() -> list[Panel]:
    """Return three panels: two series, and their ratio, which exists only at times that both series have."""
    (cents,) = expressions("series_math")
    return [
        Panel([dollar_line("left: ")]),
        Panel([krona_line(rates()["ECB_ISK_EUR_D"], ORANGE, "right: ")]),
        Panel([Line(value(cents), "ratio: US cents per króna", GREEN)], krona_gap("no right side, no ratio")),
    ]


def averages() -> list[Panel]:
    """Return a panel with the dollar rate, its sma (which starts after a warm-up), and its ema (at once)."""
    mean, smooth = (value(one) for one in expressions("sma and ema"))
    lines = [
        dollar_line(marks="o"),
        Line(mean, "sma, 20 observations", BLUE),
        Line(smooth, "ema, 20 observations", ORANGE),
    ]
    warm_up = Shade("1999-01-04", "1999-01-29", "19 observations of warm-up", height=0.08)
    return [part(Panel(lines, warm_up), "1999-01-04", "1999-05-31")]


def extremes() -> list[Panel]:
    """Return a panel with one year of the dollar rate, and its rolling maximum and minimum."""
    high, low = (value(one) for one in expressions("max and min"))
    lines = [
        dollar_line(),
        Line(high, "max, 60 observations", BLUE),
        Line(low, "min, 60 observations", ORANGE),
    ]
    return [part(Panel(lines), *_LAST_YEAR)]


def sums() -> list[Panel]:
    """Return two panels: the dollar rate with its lag, and the rolling sum of the rate's daily changes."""
    past, total = (value(one) for one in expressions("lag and sum"))
    shifted = Panel([dollar_line(), Line(past, "lag, 20 observations", BLUE)])
    changes = Panel([Line(total, "sum of the last 20 daily changes", GREEN)])
    return [part(panel, *_LAST_YEAR) for panel in (shifted, changes)]


def composite() -> list[Panel]:
    """Return three panels: two series, one of them with a gap; their average; and their maximum."""
    mean, highest = (value(one) for one in expressions("composite"))
    yen = Line(rates()["ECB_JPY_EUR_D"], "ECB_JPY_EUR_D (yen per euro)", SOFT)
    return [
        Panel([yen, krona_line(rates()["ECB_ISK_EUR_D"], ORANGE)]),
        Panel([Line(mean, "avg of the operands that have an observation", GREEN)], krona_gap("yen only")),
        Panel([Line(highest, "max of the operands that have an observation", BLUE)], krona_gap("yen only")),
    ]


def division() -> list[Panel]:
    """Return two panels: the rate of the króna, and its position between its minimum and maximum in percent.

    The minimum and the maximum are those of five observations. The position has no observation if they are
    equal. The first panel marks these times.
    """
    (place,) = expressions("Division by zero")
    krona, result = rates()["ECB_ISK_EUR_D"], value(place)
    left_out = ~np.isin(krona.times, result.times)
    lost = Series(krona.times[left_out], krona.values[left_out])
    above = [
        krona_line(krona, SOFT, marks="o"),
        Line(lost, "equal to the four before: the range is zero, no ratio", ORANGE, "o"),
    ]
    below = [Line(result, "position in the range of 5 observations, percent", GREEN, "o")]
    return [part(Panel(lines), "2008-09-01", "2008-12-09") for lines in (above, below)]


def constants() -> list[Panel]:
    """Return two panels with operations on a series and a constant: one minus a share, and a reciprocal."""
    fall, reciprocal = (value(one) for one in expressions("constants and power"))
    return [
        Panel([Line(fall, "1 \u2212 the dollar rate ÷ its highest of 250 observations", BLUE)]),
        Panel([Line(reciprocal, "the dollar rate to the power of \u22121: euros per dollar", GREEN)]),
    ]


def changes() -> list[Panel]:
    """Return a panel with the percentage change and the logarithmic change of the Brazilian real."""
    percentage, logarithmic = (value(one) for one in expressions("diff, pct_change and log_change"))
    lines = [
        Line(percentage, "pct_change of ECB_BRL_EUR_D, 250 observations", BLUE),
        Line(logarithmic, "log_change", ORANGE),
    ]
    return [part(Panel(lines), "2019-01-01", "2022-12-31")]


def statistics() -> list[Panel]:
    """Return two panels: the standard deviation of a rate's daily changes, and the z-score of a rate."""
    deviation, score = (value(one) for one in expressions("std, var and zscore"))
    return [
        Panel([Line(deviation, "std of the daily log_change of the dollar rate, 60 observations", BLUE)]),
        Panel([Line(score, "zscore of the dollar rate, 250 observations", GREEN)]),
    ]


def order() -> list[Panel]:
    """Return two panels: the dollar rate with its median and its 0.9 quantile, and the rate's rank."""
    median, high, rank = (value(one) for one in expressions("median, quantile, rank and count"))
    above = [
        dollar_line(),
        Line(median, "median, 60 observations", BLUE),
        Line(high, "quantile 0.9", ORANGE),
    ]
    below = [Line(rank, "rank in 60 observations", GREEN)]
    return [part(Panel(lines), *_LAST_YEAR) for lines in (above, below)]


def calendar_windows() -> list[Panel]:
    """Return a panel with the rate of the króna after a gap of nine years, and with two means of it.

    One mean has a window of 12 months, the other one a window of 250 observations.
    """
    mean, _ = expressions("windows of the calendar")
    lines = [
        krona_line(rates()["ECB_ISK_EUR_D"], SOFT),
        Line(value(mean), "sma, 12 months", BLUE),
        Line(by_observations(mean), "sma, 250 observations", ORANGE),
    ]
    return [part(Panel(lines), "2018-01-01", "2019-12-31")]


def min_periods() -> list[Panel]:
    """Return two panels, each with a mean of the dollar rate with and without the option min_periods.

    With the option, a mean of 60 observations begins earlier, and a mean of 12 months begins later.
    """
    early, late = expressions("min_periods")
    above = [
        dollar_line(),
        Line(value(early), "sma of 60, min_periods 20", BLUE),
        Line(value({**early, "min_periods": None}), "sma of 60", ORANGE),
    ]
    below = [
        Line(value({**late, "min_periods": None}), "sma of 12 months", ORANGE),
        Line(value(late), "min_periods 200", BLUE),
    ]
    return [part(Panel(lines), "1999-01-04", "1999-12-31") for lines in (above, below)]


def calendar_lag() -> list[Panel]:
    """Return a panel with the percentage change of the króna after a gap of nine years, by two lags.

    One lag is a year, the other one is 250 observations.
    """
    change, _ = expressions("a lag by the calendar")
    lines = [
        Line(by_observations(change), "pct_change, 250 observations", ORANGE),
        Line(value(change), "pct_change, 1 year", BLUE),
    ]
    missing = Shade("2018-02-01", "2019-01-31", "no observation one year earlier", height=0.3)
    return [part(Panel(lines, missing), "2018-02-01", "2020-12-31")]


def transforms() -> list[Panel]:
    """Return two panels: the logarithm of a rate, and the absolute daily changes of another rate."""
    logarithm, absolute = (value(one) for one in expressions("abs, neg, log, exp, sqrt and sign"))
    return [
        Panel([Line(logarithm, "log of ECB_BRL_EUR_D (reais per euro)", BLUE)]),
        Panel([Line(absolute, "abs of the daily pct_change of ECB_CHF_EUR_D (francs per euro)", GREEN)]),
    ]


def clip_and_round() -> list[Panel]:
    """Return two panels: a z-score with and without limits by clip, and a rate with its rounded values."""
    clipped, rounded = expressions("clip and round")
    scores = [
        Line(value(clipped["series"]), "zscore, 250 observations", SOFT),
        Line(value(clipped), "clip to \u22122 and 2", BLUE),
    ]
    rates_ = [dollar_line(), Line(value(rounded), "round to 2 digits", ORANGE)]
    return [part(Panel(lines), *_LAST_YEAR) for lines in (scores, rates_)]


def cumulative() -> list[Panel]:
    """Return two panels: the highest rate so far, and the change of the rate since the start of the year."""
    highest, since = (value(one) for one in expressions("cumsum, cummax and cummin"))
    return [
        Panel([dollar_line(), Line(highest, "cummax", BLUE)]),
        Panel([Line(since, "cumsum of the daily diff, reset each year", GREEN)]),
    ]


def indexes() -> list[Panel]:
    """Return a panel with three currencies as indexes with the same base date."""
    dollar, yen = expressions("rebase")
    pound = {**dollar, "series": {"series_code": "ECB_GBP_EUR_D"}}
    lines = [
        Line(value(dollar), "ECB_USD_EUR_D, 2020 = 100", BLUE),
        Line(value({**yen, "base": 100}), "ECB_JPY_EUR_D", ORANGE),
        Line(value(pound), "ECB_GBP_EUR_D", GREEN),
    ]
    return [Panel(lines)]


def resampling() -> list[Panel]:
    """Return a panel with the mean of each month of a year, at the time of the month's last observation."""
    mean, *_ = expressions("resample")
    lines = [dollar_line(), Line(value(mean), "mean of each complete month", BLUE, "o")]
    return [part(Panel(lines), *_LAST_YEAR)]


def filling() -> list[Panel]:
    """Return a panel with a monthly series, filled at the times of a daily series by both methods of fill."""
    previous, linear = expressions("fill")
    lines = [
        Line(value(previous), "fill, previous", ORANGE),
        Line(value(linear), "fill, linear", BLUE),
        Line(value(previous["series"]), "monthly mean of ECB_USD_EUR_D", INK, "o"),
    ]
    return [part(Panel(lines), *_LAST_YEAR)]


def pairs() -> list[Panel]:
    """Return two panels: the correlation of two currencies, and the beta of the dollar to the renminbi."""
    correlation, beta = (value(one) for one in expressions("corr, cov and beta"))
    return [
        Panel([Line(correlation, "corr of daily changes: dollar and pound, 250 observations", BLUE)]),
        Panel([Line(beta, "beta of the dollar to the renminbi", GREEN)]),
    ]


PLOTS: dict[str, tuple[Callable[[], list[Panel]], float]] = {
    "series": (series, 2.3),
    "series-math": (series_math, 4.6),
    "constants": (constants, 3.6),
    "composite": (composite, 5.0),
    "averages": (averages, 2.8),
    "extremes": (extremes, 2.6),
    "sums": (sums, 3.8),
    "changes": (changes, 2.4),
    "statistics": (statistics, 3.6),
    "order": (order, 3.8),
    "calendar-windows": (calendar_windows, 2.6),
    "min-periods": (min_periods, 3.8),
    "calendar-lag": (calendar_lag, 2.4),
    "transforms": (transforms, 3.6),
    "clip-round": (clip_and_round, 3.6),
    "cumulative": (cumulative, 3.6),
    "rebase": (indexes, 2.4),
    "resample": (resampling, 2.4),
    "fill": (filling, 2.4),
    "pairs": (pairs, 3.6),
    "division": (division, 3.4),
}
"""For each plot (file grammar-….svg): the function that makes its panels, and its height in inches."""

"""The observations that the charts of the page draw, as exact and compact JSON.

Times are stored as a start, a unit and integer steps; series with the same times share them. Values are the
shortest decimals that parse to the same float64, so the script has exactly the values of the Parquet file. If
a series is too long for a page, some observations are left out, but never its extremes, and the page says so.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from metrics_tools.page.shown import ShownRun
from metrics_worker.series import Series, Times, Values

MAX_OBSERVATIONS = 200_000
"""The most observations of one series on a page. (Half a million make a page of 10 MB.)"""


@dataclass(slots=True)
class Numbers:
    """The series of a page, each stored once.

    Attributes:
        grids: the times of the series: a start in microseconds since 1970, a unit, and steps in this unit.
        series: the values of each series, the index of its grid, and the number of its observations (`of`),
            which is larger than the number of values if some are left out.
    """

    grids: list[dict[str, Any]] = field(default_factory=list)
    series: list[dict[str, Any]] = field(default_factory=list)
    _places: dict[tuple[str, bytes], int] = field(default_factory=dict)

    @classmethod
    def of(cls, runs: Sequence[ShownRun]) -> dict[str, Any]:
        """Return the observations of several runs as JSON values, in which each series is stored once.

        The result has three fields: `grids` and `series`, as in the attributes, and `runs`. For each run,
        `runs` contains the metric code, the unit, and the indices in `series` of the metric and of each
        input.

        Args:
            runs: the runs that the page shows.
        """
        numbers = cls()
        shown = [numbers._run(run) for run in runs]
        return {"grids": numbers.grids, "series": numbers.series, "runs": shown}

    def _run(self, run: ShownRun) -> dict[str, Any]:
        metric = None if run.metric is None or not len(run.metric) else self._add(run.metric)
        inputs = [[code, self._add(series)] for code, series in run.inputs.items() if len(series)]
        return {"code": run.metric_code, "unit": run.unit, "metric": metric, "inputs": inputs}

    def _add(self, whole: Series) -> int:
        """Store a series, unless the same observations are stored already, and return its index in `series`.

        If the series is too long for the page, about `MAX_OBSERVATIONS` of its observations are stored.
        """
        series = thinned(whole)
        key = "series", series.times.tobytes() + series.values.tobytes()
        if key not in self._places:
            self.series.append(
                {"grid": self._grid(series.times), "of": len(whole), "values": series.values.tolist()}
            )
            self._places[key] = len(self.series) - 1
        return self._places[key]

    def _grid(self, times: Times) -> int:
        key = "grid", times.tobytes()
        if key not in self._places:
            steps = np.diff(times)
            unit = max(int(np.gcd.reduce(steps)), 1) if steps.size else 1
            self.grids.append({"start": int(times[0]), "unit": unit, "steps": (steps // unit).tolist()})
            self._places[key] = len(self.grids) - 1
        return self._places[key]


def thinned(series: Series, most: int = MAX_OBSERVATIONS) -> Series:
    """Return a series, or about `most` of its observations if it has more.

    The remaining observations are those at the indices that `extremes` returns.
    """
    if len(series) <= most:
        return series
    places = extremes(series.values, most)
    return Series(series.times[places], series.values[places])


def extremes(values: Values, most: int) -> list[int]:
    """Return the indices of about `most` values that preserve the look of a line through all values.

    The indices are those of the first and the last value, and those of the least and the greatest value in
    each of `most / 2` sections of equal length, in ascending order.
    """
    if values.size <= most:
        return list(range(values.size))
    section = -(-2 * values.size // most)
    kept = {0, values.size - 1}
    for start in range(0, values.size, section):
        part = values[start : start + section]
        kept |= {start + int(part.argmin()), start + int(part.argmax())}
    return sorted(kept)


def embedded(document: Any) -> str:
    """Return the document as JSON text that is safe inside an HTML script element."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")

"""One chart: a line in SVG, its labels in HTML, so that it stretches to any width and stays readable.

A line has at most four points a pixel column (the column's first, last, least and greatest), so it looks as
one of all observations would. It breaks where observations are missing for long.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from html import escape

COLUMNS = 640
_UNITS = 1000
"""The SVG's own width and height: it is stretched to what room there is."""
_GAP_STEPS, _GAP_DAYS = 10, 31
"""A line breaks where no observation is for longer than this: in usual steps, and in days."""
_Y_TICKS = 5
_X_TICKS = 8
_DAY = 86_400
_FEW_MONTHS = 2
_YEAR = 12


@dataclass(frozen=True, slots=True)
class Chart:
    """Observations and the frame that they are drawn in; at least one observation.

    Attributes:
        seconds: since 1970, ascending.
        values: finite.
        low: the value at the bottom.
        high: the value at the top.
        step: between two ticks of the value axis.
    """

    seconds: Sequence[float]
    values: Sequence[float]
    low: float
    high: float
    step: float

    @classmethod
    def of(cls, times: Sequence[datetime], values: Sequence[float]) -> "Chart":
        """A chart of observations, its frame on round values."""
        least, greatest = min(values), max(values)
        if least == greatest:
            margin = abs(least) / 2 or 1.0
            least, greatest = least - margin, greatest + margin
        step = nice_step((greatest - least) / _Y_TICKS)
        low, high = math.floor(least / step) * step, math.ceil(greatest / step) * step
        return cls([time.timestamp() for time in times], values, low, high, step)

    @property
    def points(self) -> list[tuple[float, float]]:
        """The observations that are drawn: (seconds, value)."""
        return [
            (self.seconds[index], self.values[index])
            for column in self._columns()
            for index in sorted(
                {
                    column[0],
                    column[-1],
                    min(column, key=self.values.__getitem__),
                    max(column, key=self.values.__getitem__),
                }
            )
        ]

    def html(self, label: str) -> str:
        """The chart, with an accessible name."""
        lines = "".join(
            f'<line class="{"zero" if value == 0 else "tick"}" x1="0" x2="{_UNITS}" '
            f'y1="{self._y(value):.1f}" y2="{self._y(value):.1f}"/>'
            for value in self._y_ticks()
        )
        return (
            f'<div class="chart"><div class="plot" data-points="{self._data()}">'
            f'<svg viewBox="0 0 {_UNITS} {_UNITS}" preserveAspectRatio="none" role="img" '
            f'aria-label="{escape(label)}">'
            f'<g class="grid">{lines}</g><path d="{self._path()}"/></svg>{self._labels()}'
            '<div class="cursor" hidden></div><div class="dot" hidden></div>'
            '<output class="reading" hidden></output>'
            "</div></div>"
        )

    def _columns(self) -> Iterator[list[int]]:
        """The observations' indices, a list a pixel column."""
        column: list[int] = []
        place = -1
        for index, second in enumerate(self.seconds):
            now = int(self._x(second) / _UNITS * COLUMNS)
            if column and now != place:
                yield column
                column = []
            place = now
            column.append(index)
        yield column

    def _path(self) -> str:
        """The line, broken where observations are missing for long."""
        steps = [later - earlier for earlier, later in zip(self.seconds, self.seconds[1:], strict=False)]
        usual = statistics.median(steps) if steps else 0.0
        gap = max(_GAP_STEPS * usual, _GAP_DAYS * _DAY, 1.01 * (self.seconds[-1] - self.seconds[0]) / COLUMNS)
        parts, before = [], -math.inf
        for second, value in self.points:
            parts.append(f"{'M' if second - before > gap else 'L'}{self._x(second):.1f} {self._y(value):.1f}")
            before = second
        return "".join(parts) + "h.1"  # a single observation is a dot

    def _data(self) -> str:
        """The drawn points for the reading under the pointer: days and values, and the frame."""
        points = ",".join(f"{second / _DAY:.6g},{value:.7g}" for second, value in self.points)
        first, last = self.seconds[0] / _DAY, self.seconds[-1] / _DAY
        return f"{first:.6g},{last:.6g},{self.low:.9g},{self.high:.9g},{points}"

    def _labels(self) -> str:
        decimals = max(0, -math.floor(math.log10(self.step) + 1e-9))
        rows = "".join(
            f'<span class="y" style="top:{self._y(value) / _UNITS:.2%}">{_number(value, decimals)}</span>'
            for value in self._y_ticks()
        )
        ticks = date_ticks(self.seconds[0], self.seconds[-1])
        days = "".join(
            f'<span class="x{" odd" if number % 2 else ""}" style="left:{self._x(second) / _UNITS:.2%}">'
            f"{text}</span>"
            for number, (second, text) in enumerate(ticks)
        )
        return f'<div aria-hidden="true">{rows}{days}</div>'

    def _y_ticks(self) -> list[float]:
        count = round((self.high - self.low) / self.step)
        # Rounded, so that zero is zero.
        return [round(self.low / self.step + number) * self.step for number in range(count + 1)]

    def _x(self, second: float) -> float:
        span = self.seconds[-1] - self.seconds[0]
        return _UNITS / 2 if span == 0 else (second - self.seconds[0]) / span * _UNITS

    def _y(self, value: float) -> float:
        return (self.high - value) / (self.high - self.low) * _UNITS


def nice_step(rough: float) -> float:
    """The least of 1, 2 or 5 times a power of ten that is not less."""
    magnitude = 10.0 ** math.floor(math.log10(rough))
    return next(nice * magnitude for nice in (1, 2, 5, 10) if nice * magnitude >= rough * (1 - 1e-9))


def date_ticks(first: float, last: float) -> list[tuple[float, str]]:
    """Round dates between two times (seconds since 1970), with their labels: years, months or days."""
    start, end = (datetime.fromtimestamp(second, UTC).date() for second in (first, last))
    months = (end.year - start.year) * 12 + end.month - start.month
    step = next((step for step in (1, 3, 6, 12, 24, 60, 120) if months / step <= _X_TICKS), 240)
    if months < _FEW_MONTHS:
        days = max(1, math.ceil((end - start).days / _X_TICKS))
        ticks = [start + timedelta(days=number) for number in range(0, (end - start).days + 1, days)]
        return [(_seconds(day), f"{day:%d %b}") for day in ticks if first <= _seconds(day) <= last]
    years = max(1, step // 12)
    numbers = range(start.year // years * years * 12, (end.year + 1) * 12, step)
    ticks = [date(number // 12, number % 12 + 1, 1) for number in numbers]
    return [
        (_seconds(day), f"{day:%Y}" if step >= _YEAR else f"{day:%b %Y}")
        for day in ticks
        if first <= _seconds(day) <= last
    ]


def _number(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def _seconds(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()

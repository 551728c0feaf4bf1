"""The measurement of the times of several contestants in alternating rounds, and the formatting of results.

A contestant is one of the implementations that a benchmark compares.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Self

SIGNIFICANT = 3


@dataclass(frozen=True, slots=True)
class Spread:
    """The median, the minimum and the maximum of several measurements, in the measurements' unit."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the spread of at least one value."""
        return cls(median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{number(self.middle)} ({number(self.low)} to {number(self.high)})"


def number(value: float) -> str:
    """Return a number as text with three significant digits and without an exponent."""
    if not value:
        return "0"
    digits = 0
    while digits < 6 and abs(value) * 10**digits < 10 ** (SIGNIFICANT - 1):
        digits += 1
    return f"{value:,.{digits}f}"


@dataclass(frozen=True, slots=True)
class Timed:
    """The times of a contestant: for each round the wall time and the CPU time of all threads, in seconds."""

    wall: list[float]
    cpu: list[float]


def in_turn[Name](
    contestants: Mapping[Name, Callable[[], object]], rounds: Mapping[Name, int]
) -> dict[Name, Timed]:
    """Run all contestants in alternating rounds, and return the times of each.

    A shared machine slows down for seconds at a time. With alternating rounds this affects all contestants,
    so the ratio of two times of one round is more reliable than the ratio of two medians.

    Args:
        contestants: by name, the function to measure.
        rounds: by name, the number of rounds in which the contestant runs. A slow one can have fewer rounds.
    """
    times: dict[Name, Timed] = {name: Timed([], []) for name in contestants}
    for turn in range(max(rounds.values())):
        for name in (name for name in contestants if turn < rounds[name]):
            cpu, wall = time.process_time(), time.perf_counter()
            contestants[name]()
            times[name].wall.append(time.perf_counter() - wall)
            times[name].cpu.append(time.process_time() - cpu)
    return times


def ratios(ones: Sequence[float], others: Sequence[float]) -> Spread:
    """Return the spread of `ones[k] / others[k]` over the rounds k in which both contestants ran."""
    return Spread.of([a / b for a, b in zip(ones, others, strict=False)])


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a heading and a table in Markdown.

    Args:
        title: the text of the heading.
        head: the headings of the columns.
        rows: the cells of each row.
    """
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    rule = "| " + " | ".join("-" * width for width in widths) + " |"
    return "\n".join([f"### {title}", "", lines[0], rule, *lines[1:], ""])

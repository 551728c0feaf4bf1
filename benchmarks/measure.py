"""Taking times and printing them: contestants in turn, never one after the other, and always the range."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Self

SIGNIFICANT = 3


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some measurements, and between what they lay."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Of at least one value."""
        return cls(median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{number(self.middle)} ({number(self.low)} to {number(self.high)})"


def number(value: float) -> str:
    """With three significant digits, and no exponent."""
    if not value:
        return "0"
    digits = 0
    while digits < 6 and abs(value) * 10**digits < 10 ** (SIGNIFICANT - 1):
        digits += 1
    return f"{value:,.{digits}f}"


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of a contestant: by the clock, and of processor time over all threads of the process."""

    wall: list[float]
    cpu: list[float]


def in_turn[Name](
    contestants: Mapping[Name, Callable[[], object]], rounds: Mapping[Name, int]
) -> dict[Name, Timed]:
    """Run all contestants in turn, each in so many rounds; one that is slow may take part in fewer.

    A machine that others use slows down for seconds at a time. In turn, that hits all alike, so a ratio
    within a round is better than a ratio of two medians.
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
    """One over the other, round by round, of the rounds in which both took part."""
    return Spread.of([a / b for a, b in zip(ones, others, strict=False)])


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table under its title."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    rule = "| " + " | ".join("-" * width for width in widths) + " |"
    return "\n".join([f"### {title}", "", lines[0], rule, *lines[1:], ""])

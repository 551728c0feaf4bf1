"""A run in time: its stages, its requests and its status events, a row each; part files a row a series.

The rows are a table with their start and length as text; the bars beside them are decoration. Requests of a
group that overlap stand in lanes, as many as were under way at once. What each request of a group was is in
the JSON that `rows()` gives, for the reading under the pointer and the table of all requests.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from statistics import median
from typing import Any

from explain.page.shown import ShownEvent, ShownRun
from explain.page.words import breakable, count, size, took
from metrics_worker.traffic import Timed, Trace

MAX_ROWS = 30
"""Beyond so many, single requests share a row by their operation."""
_UNITS, _SHORTEST = 1000, 4
_LANE, _LEAST, _MOST = 3, 12, 120
"""Pixels: of a lane, and how high a group's row may be."""


@dataclass(slots=True)
class _Row:
    """Requests that stand in one row, in the order of their start."""

    name: str
    requests: list[Timed] = field(default_factory=list)


def waterfall(run: ShownRun, trace: Trace, number: int) -> str:
    """The table of a run's stages, requests and events.

    Args:
        run: which one.
        trace: its requests and stages.
        number: of the run on the page.
    """
    total = _total(trace)
    groups = _groups(run, trace)
    body = "".join(
        [
            *(
                _stage(name, start, seconds, total)
                for name, start, seconds in sorted(trace.stages, key=lambda stage: stage[1])
            ),
            *(_group(row, run, total, f"{number}-{place}") for place, row in enumerate(groups)),
            *_of_others(run, trace, groups),
            _events(run.events, trace, total),
        ]
    )
    return (
        f'<p class="soft small">{escape(summary(trace))}</p><div class="waterfall"><table>'
        '<thead><tr><th scope="col">Stage or request</th><th scope="col" class="num start">Start</th>'
        f'<th scope="col" class="axis"><span class="sr">In time</span>{_axis(total)}</th>'
        f'<th scope="col" class="num">Took</th></tr></thead><tbody>{body}</tbody></table>'
        '<output class="asked soft" aria-live="off">&nbsp;</output></div>'
        '<details class="lazy"><summary>Table of the '
        f'{count(len(trace.requests), "request")}</summary><div class="room"></div></details>'
    )


def rows(run: ShownRun) -> list[list[Any]]:
    """For each row its requests, as [operation, key, start and length in ms, bytes, problem, lane]."""
    if run.trace is None:
        return []
    return [
        [
            [
                one.operation,
                one.key,
                round(one.start * 1000, 1),
                round(one.seconds * 1000, 1),
                one.size,
                one.problem,
                lane,
            ]
            for one, lane in zip(row.requests, lanes(row.requests), strict=True)
        ]
        for row in _groups(run, run.trace)
    ]


def summary(trace: Trace) -> str:
    """How many requests there were, what they brought, how long they took."""
    asked = trace.requests
    kinds = {one.operation: sum(other.operation == one.operation for other in asked) for one in asked}
    parts = [f"{took(_total(trace))} in all", ", ".join(f"{times:,} {kind}" for kind, times in kinds.items())]
    read = sum(one.size for one in asked if one.operation == "GET")
    written = sum(one.size for one in asked if one.operation == "PUT")
    parts.append(f"{size(read)} read, {size(written)} written")
    if asked:
        middle, most = median(one.seconds for one in asked), max(one.seconds for one in asked)
        parts.append(f"median {took(middle)}, slowest {took(most)}")
    empty = sum(one.problem == "ObjectNotFound" for one in asked)
    if empty:
        parts.append(f"{count(empty, 'request')} found nothing, as on a first run")
    if failed := sum(bool(one.problem) for one in asked) - empty:
        parts.append(f"{count(failed, 'request')} failed")
    if trace.left_out:
        parts.append(f"{count(trace.left_out, 'more request')} not traced")
    return "; ".join(part for part in parts if part) + "."


def lanes(requests: Sequence[Timed]) -> list[int]:
    """The first free lane for each of these, which are in the order of their start."""
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    places, most = [], 0
    for one in requests:
        while busy and busy[0][0] <= one.start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        if free:
            lane = heapq.heappop(free)
        else:
            lane, most = most, most + 1
        heapq.heappush(busy, (one.start + one.seconds, lane))
        places.append(lane)
    return places


def _total(trace: Trace) -> float:
    ends = [start + seconds for _, start, seconds in trace.stages]
    return max([*ends, *(one.start + one.seconds for one in trace.requests)], default=0.0) or 1e-3


def _groups(run: ShownRun, trace: Trace) -> list[_Row]:
    """The requests by row: those for part files by series, the others one by one."""
    found: dict[str, _Row] = {}
    asked = sorted(trace.requests, key=lambda one: one.start)
    named = [_series_of(one, run) or f"{one.operation} {one.key}" for one in asked]
    crowded = len(set(named)) > MAX_ROWS
    for one, name in zip(asked, named, strict=True):
        place = name if not crowded or name in run.inputs else f"{one.operation}, all others"
        found.setdefault(place, _Row(place)).requests.append(one)
    return list(found.values())


def _series_of(request: Timed, run: ShownRun) -> str | None:
    """The series whose part file is read: the one whose code is a folder of the key."""
    folders = {part.rpartition("=")[2] for part in request.key.split("/")[:-1]}
    return next((code for code in run.inputs if code in folders), None)


def _stage(name: str, start: float, seconds: float, total: float) -> str:
    return _row("stage", escape(name), start, _bar(start, seconds, total), took(seconds))


def _group(row: _Row, run: ShownRun, total: float, place: str) -> str:
    first, end = row.requests[0].start, max(one.start + one.seconds for one in row.requests)
    octets = sum(one.size for one in row.requests)
    notes = [size(octets)] if octets else []
    if problems := sorted({one.problem for one in row.requests if one.problem}):
        notes.append(", ".join(problems))
    if len(row.requests) > 1:
        notes.insert(0, count(len(row.requests), "request"))
    name = f'{breakable(_short(row.name, run))} <span class="soft">{escape(", ".join(notes))}</span>'
    kind = "write" if row.name.startswith(("PUT", "PUBLISH")) else "read"
    return _row(f"request {kind}", name, first, _lanes(row, total, place), took(end - first))


def _lanes(row: _Row, total: float, place: str) -> str:
    """The bars of a row, as one path."""
    places = lanes(row.requests)
    deep = max(places) + 1
    path = "".join(
        f"M{one.start / total * _UNITS:.1f} {lane + 0.5}h{max(one.seconds / total * _UNITS, _SHORTEST):.1f}"
        for one, lane in zip(row.requests, places, strict=True)
    )
    height = min(max(deep * _LANE, _LEAST), _MOST)
    return (
        f'<svg class="lanes" data-row="{place}" viewBox="0 0 {_UNITS} {deep}" preserveAspectRatio="none" '
        f'data-total="{total * 1000:.1f}" height="{height}" aria-hidden="true"><path d="{path}"/></svg>'
    )


def _of_others(run: ShownRun, trace: Trace, groups: Sequence[_Row]) -> Iterator[str]:
    """A row for each series that was read, but not by this run; a trace that is cut short can't tell."""
    own = {row.name for row in groups}
    if run.status == "SUCCESS" and not trace.left_out:
        for code in (code for code in run.inputs if code not in own):
            yield (
                f'<tr class="other"><th scope="row">{breakable(code)}</th><td class="start"></td>'
                '<td class="soft note" colspan="2">read by another run of the batch</td></tr>'
            )


def _events(events: Sequence[ShownEvent], trace: Trace, total: float) -> str:
    began = datetime.fromtimestamp(trace.began_at, UTC)
    marks = []
    for event in events:
        at = (event.at - began).total_seconds() / total
        if 0 <= at <= 1:
            marks.append(f'<i class="mark" style="left:{at:.2%}"></i>')
    if not marks:
        return ""
    name = f'status events <span class="soft">{len(marks)}, below with their times</span>'
    return (
        f'<tr class="event"><th scope="row">{name}</th><td class="start"></td>'
        f'<td class="track"><div>{"".join(marks)}</div></td><td></td></tr>'
    )


def _row(kind: str, name: str, start: float, bars: str, length: str) -> str:
    return (
        f'<tr class="{kind}"><th scope="row">{name}</th><td class="num start">{took(start)}</td>'
        f'<td class="track"><div>{bars}</div></td><td class="num">{length}</td></tr>'
    )


def _bar(start: float, seconds: float, total: float) -> str:
    return f'<i class="bar" style="left:{start / total:.2%};width:{max(seconds / total, 0.001):.2%}"></i>'


def _axis(total: float) -> str:
    return "".join(
        f'<span aria-hidden="true" class="at" style="left:{part:.0%}">{took(total * part)}</span>'
        for part in (0, 0.5, 1)
    )


def _short(name: str, run: ShownRun) -> str:
    """The row's name without what all keys of the metric begin with."""
    operation, _, key = name.partition(" ")
    _, is_own, rest = key.partition(f"/{run.metric_code}/")
    return f"{operation} …/{rest}" if is_own else name

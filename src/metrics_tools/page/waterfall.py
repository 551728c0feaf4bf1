"""The timeline of a run: a table with a row for each stage, each request and the status events.

Requests for part files of one series share a row. Start and duration are text; the bars only illustrate them.
Requests of one row that overlap are drawn below each other, in lanes: as many as there were requests at the
same time. `rows()` returns the details of every request as JSON, for the request under the pointer and for
the table of all requests.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from statistics import median
from typing import Any

from metrics_tools.page.shown import ShownEvent, ShownRun
from metrics_tools.page.words import breakable, count, size, took
from metrics_worker.observability.traffic import Timed, Trace

MAX_ROWS = 30
"""The most rows for single requests; if there are more, requests with the same operation share a row."""
_UNITS, _SHORTEST = 1000, 4
"""The width of the SVG's coordinate system, and the width of the shortest bar in it."""
_LANE, _LEAST, _MOST = 3, 12, 120
"""In pixels: the height of a lane, and the least and the greatest height of a row."""


@dataclass(slots=True)
class _Row:
    """The requests of one row, in the order of their start."""

    name: str
    requests: list[Timed] = field(default_factory=list)


def waterfall(run: ShownRun, trace: Trace, number: int) -> str:
    """Return the table of a run's stages, requests and events as HTML.

    Args:
        run: the run.
        trace: the requests and stages of the run.
        number: the index of the run on the page.
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
        f'<th scope="col" class="axis"><span class="sr">Timeline</span>{_axis(total)}</th>'
        f'<th scope="col" class="num">Duration</th></tr></thead><tbody>{body}</tbody></table>'
        '<output class="hovered soft" aria-live="off">&nbsp;</output></div>'
        '<details class="lazy"><summary>Table of the '
        f'{count(len(trace.requests), "request")}</summary><div class="content"></div></details>'
    )


def rows(run: ShownRun) -> list[list[Any]]:
    """Return the requests of each row, each as [operation, key, start, duration, bytes, problem, lane].

    Start and duration are in milliseconds; `problem` is empty if the request succeeded.
    """
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
    """Return a sentence with the number of requests, the bytes they transferred and their durations."""
    requests = trace.requests
    kinds = {one.operation: sum(other.operation == one.operation for other in requests) for one in requests}
    parts = [
        f"{took(_total(trace))} in total",
        ", ".join(f"{times:,} {kind}" for kind, times in kinds.items()),
    ]
    read = sum(one.size for one in requests if one.operation == "GET")
    written = sum(one.size for one in requests if one.operation == "PUT")
    parts.append(f"{size(read)} read, {size(written)} written")
    if requests:
        middle, most = median(one.seconds for one in requests), max(one.seconds for one in requests)
        parts.append(f"median {took(middle)}, slowest {took(most)}")
    empty = sum(one.problem == "ObjectNotFound" for one in requests)
    if empty:
        parts.append(f"{count(empty, 'request')} for objects that do not exist (normal in a first run)")
    if failed := sum(bool(one.problem) for one in requests) - empty:
        parts.append(f"{count(failed, 'request')} failed")
    if trace.left_out:
        parts.append(f"{count(trace.left_out, 'more request')} not traced")
    return "; ".join(part for part in parts if part) + "."


def lanes(requests: Sequence[Timed]) -> list[int]:
    """Return the lane of each request: the first one in which no earlier request is still under way.

    The requests must be in the order of their start.
    """
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
    """Return the rows of the requests: one for the part files of each series, one for each other request."""
    found: dict[str, _Row] = {}
    requests = sorted(trace.requests, key=lambda one: one.start)
    named = [_series_of(one, run) or f"{one.operation} {one.key}" for one in requests]
    crowded = len(set(named)) > MAX_ROWS
    for one, name in zip(requests, named, strict=True):
        place = name if not crowded or name in run.inputs else f"{one.operation}, all others"
        found.setdefault(place, _Row(place)).requests.append(one)
    return list(found.values())


def _series_of(request: Timed, run: ShownRun) -> str | None:
    """Return the input series whose code is a folder of the request's key; None if there is none."""
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
    """Return the bars of a row's requests as an SVG with one path."""
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
    """Yield a row for each input series that another run of the batch read.

    Yield nothing if the trace is incomplete, because the reads of this run may be missing from it.
    """
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
    """Return the name of a row; an ellipsis replaces the common beginning of all keys of the metric."""
    operation, _, key = name.partition(" ")
    _, is_own, rest = key.partition(f"/{run.metric_code}/")
    return f"{operation} …/{rest}" if is_own else name

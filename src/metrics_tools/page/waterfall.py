"""The timeline of a run: a table with a row for each stage, each request and the status events.

Requests for part files of one series share a row. Start and duration are text; the bars only illustrate them.
Requests of one row that overlap are drawn below each other, in lanes: as many as there were requests at the
same time. `rows()` returns the details of every request as JSON, for the request under the pointer and for
the table of all requests.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from statistics import median
from typing import Any

from metrics_tools.formatting import count, duration, size
from metrics_tools.page.shown import ShownEvent, ShownRun
from metrics_worker.observability.traffic import Timed, Trace

MAX_ROWS = 30
"""The most rows for single requests; if there are more, requests with the same operation share a row."""
_UNITS, _SHORTEST = 1000, 4
"""The width of the SVG's coordinate system, and the width of the shortest bar in it."""
_LANE, _LEAST, _MOST = 3, 12, 120
"""In pixels: the height of a lane, and the least and the greatest height of a row."""


def waterfall(run: ShownRun, trace: Trace, number: int) -> str:
    """Return the table of a run's stages, requests and events as HTML.

    Args:
        run: the run.
        trace: the requests and stages of the run.
        number: the index of the run on the page.
    """
    total, groups = _total(trace), _groups(run, trace)
    body = [
        *(
            _row("stage", escape(name), start, _bar(start, seconds, total), seconds)
            for name, start, seconds in sorted(trace.stages, key=lambda stage: stage[1])
        ),
        *(
            _group(name, requests, _svg(requests, total, f"{number}-{place}"), run.metric_code)
            for place, (name, requests) in enumerate(groups.items())
        ),
        *_read_by_others(run, trace, groups),
        _events(run.events, trace, total),
    ]
    return (
        f'<p class="soft small">{escape(summary(trace))}</p><div class="waterfall"><table>'
        '<thead><tr><th scope="col">Stage or request</th><th scope="col" class="num start">Start</th>'
        f'<th scope="col" class="axis"><span class="sr">Timeline</span>{_axis(total)}</th>'
        f'<th scope="col" class="num">Duration</th></tr></thead><tbody>{"".join(body)}</tbody></table>'
        '<output class="hovered soft" aria-live="off">&nbsp;</output></div>'
        '<details class="lazy"><summary>Table of the '
        f'{count(len(trace.requests), "request")}</summary><div class="content"></div></details>'
    )


def rows(run: ShownRun) -> list[list[list[Any]]]:
    """Return the requests of each row, each as [operation, key, start, duration, bytes, problem, lane].

    Start and duration are in milliseconds; `problem` is empty if the request succeeded.
    """
    groups = _groups(run, run.trace) if run.trace else {}
    return [
        [[x.operation, x.key, _ms(x.start), _ms(x.seconds), x.size, x.problem, lane] for x, lane in placed]
        for placed in (zip(requests, lanes(requests), strict=True) for requests in groups.values())
    ]


def summary(trace: Trace) -> str:
    """Return a sentence with the number of requests, the bytes they transferred and their durations."""
    requests = trace.requests
    octets = {
        kind: size(sum(one.size for one in requests if one.operation == kind)) for kind in ("GET", "PUT")
    }
    parts = [
        f"{duration(_total(trace))} in total",
        ", ".join(f"{times:,} {kind}" for kind, times in Counter(one.operation for one in requests).items()),
        f"{octets['GET']} read, {octets['PUT']} written",
    ]
    if requests:
        seconds = [one.seconds for one in requests]
        parts.append(f"median {duration(median(seconds))}, slowest {duration(max(seconds))}")
    absent = sum(one.problem == "ObjectNotFound" for one in requests)
    if absent:
        parts.append(f"{count(absent, 'request')} for objects that do not exist (normal in a first run)")
    if failed := sum(bool(one.problem) for one in requests) - absent:
        parts.append(f"{count(failed, 'request')} failed")
    if trace.left_out:
        parts.append(f"{count(trace.left_out, 'more request')} not traced")
    return "; ".join(part for part in parts if part) + "."


def lanes(requests: Sequence[Timed]) -> list[int]:
    """Return the lane of each request: the first one in which no earlier request is in progress.

    The requests must be in the order of their start.
    """
    ends: list[float] = []
    """For each lane, the end of its last request."""
    found = []
    for one in requests:
        lane = next((lane for lane, end in enumerate(ends) if end <= one.start), len(ends))
        ends[lane : lane + 1] = [one.start + one.seconds]
        found.append(lane)
    return found


def breakable(name: str) -> str:
    """Return a key or a code as HTML in which a line may break after each slash, underscore and dot."""
    return re.sub(r"[/_.]", r"\g<0><wbr>", escape(name))


def _total(trace: Trace) -> float:
    """Return the seconds from the start of the trace to the end of its last stage or request."""
    ends = [start + seconds for _, start, seconds in trace.stages]
    return max([*ends, *(one.start + one.seconds for one in trace.requests)], default=0.0) or 1e-3


def _groups(run: ShownRun, trace: Trace) -> dict[str, list[Timed]]:
    """Return the requests of each row by its name: one row for the part files of each series."""
    requests = sorted(trace.requests, key=lambda one: one.start)
    named = [_series_of(one, run) or f"{one.operation} {one.key}" for one in requests]
    is_crowded = len(set(named)) > MAX_ROWS
    found: dict[str, list[Timed]] = {}
    for one, name in zip(requests, named, strict=True):
        is_own = not is_crowded or name in run.inputs
        found.setdefault(name if is_own else f"{one.operation}, all others", []).append(one)
    return found


def _series_of(request: Timed, run: ShownRun) -> str | None:
    """Return the input series whose code is a folder of the request's key; None if there is none."""
    folders = {part.rpartition("=")[2] for part in request.key.split("/")[:-1]}
    return next((code for code in run.inputs if code in folders), None)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _group(name: str, requests: Sequence[Timed], bars: str, metric_code: str) -> str:
    """Return the row of the requests that share a name."""
    first, end = requests[0].start, max(one.start + one.seconds for one in requests)
    octets, problems = sum(one.size for one in requests), sorted({one.problem for one in requests})
    notes = [
        count(len(requests), "request") if len(requests) > 1 else "",
        size(octets) if octets else "",
        *problems,
    ]
    # An ellipsis replaces the common beginning of all keys of the metric.
    operation, _, key = name.partition(" ")
    _, is_own, rest = key.partition(f"/{metric_code}/")
    text = breakable(f"{operation} …/{rest}" if is_own else name)
    kind = "write" if name.startswith(("PUT", "PUBLISH")) else "read"
    note = f'<span class="soft">{escape(", ".join(filter(None, notes)))}</span>'
    return _row(f"request {kind}", f"{text} {note}", first, bars, end - first)


def _svg(requests: Sequence[Timed], total: float, place: str) -> str:
    """Return the bars of a row's requests as an SVG with one path."""
    placed = lanes(requests)
    deep = max(placed) + 1
    path = "".join(
        f"M{one.start / total * _UNITS:.1f} {lane + 0.5}h{max(one.seconds / total * _UNITS, _SHORTEST):.1f}"
        for one, lane in zip(requests, placed, strict=True)
    )
    height = min(max(deep * _LANE, _LEAST), _MOST)
    return (
        f'<svg class="lanes" data-row="{place}" viewBox="0 0 {_UNITS} {deep}" preserveAspectRatio="none" '
        f'data-total="{total * 1000:.1f}" height="{height}" aria-hidden="true"><path d="{path}"/></svg>'
    )


def _read_by_others(run: ShownRun, trace: Trace, groups: Iterable[str]) -> Iterator[str]:
    """Yield a row for each input series that another run of the batch read.

    Yield nothing if the trace is incomplete, because the reads of this run may be missing from it.
    """
    if run.status == "SUCCESS" and not trace.left_out:
        for code in (code for code in run.inputs if code not in groups):
            yield (
                f'<tr class="other"><th scope="row">{breakable(code)}</th><td class="start"></td>'
                '<td class="soft note" colspan="2">read by another run of the batch</td></tr>'
            )


def _events(events: Sequence[ShownEvent], trace: Trace, total: float) -> str:
    """Return the row of the status events, with a mark for each that lies within the timeline."""
    began = datetime.fromtimestamp(trace.began_at, UTC)
    places = [(event.at - began).total_seconds() / total for event in events]
    marks = [f'<i class="mark" style="left:{place:.2%}"></i>' for place in places if 0 <= place <= 1]
    if not marks:
        return ""
    name = f'status events <span class="soft">{len(marks)}, below with their times</span>'
    return (
        f'<tr class="event"><th scope="row">{name}</th><td class="start"></td>'
        f'<td class="track"><div>{"".join(marks)}</div></td><td></td></tr>'
    )


def _row(kind: str, name: str, start: float, bars: str, seconds: float) -> str:
    return (
        f'<tr class="{kind}"><th scope="row">{name}</th><td class="num start">{duration(start)}</td>'
        f'<td class="track"><div>{bars}</div></td><td class="num">{duration(seconds)}</td></tr>'
    )


def _bar(start: float, seconds: float, total: float) -> str:
    return f'<i class="bar" style="left:{start / total:.2%};width:{max(seconds / total, 0.001):.2%}"></i>'


def _axis(total: float) -> str:
    return "".join(
        f'<span aria-hidden="true" class="at" style="left:{part:.0%}">{duration(total * part)}</span>'
        for part in (0, 0.5, 1)
    )

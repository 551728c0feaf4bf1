"""The timeline of a run, whose table has a row for each stage, each request and the status events.

Requests for part files of one series share a row. The listing, the snapshot and the changed part files of a
series have rows of their own. The table shows start and duration as text, and the bars illustrate them. A
lane is a line of bars within a row: requests of one row that overlap in time are drawn in different lanes,
one below the other. `rows()` returns the details of every request as JSON, for the request under the pointer
and for the table of all requests.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from statistics import median
from typing import Any, ClassVar

from metrics_tools.formatting import count, duration, size
from metrics_tools.page.shown import ShownEvent, ShownRun
from metrics_worker.observability.traffic import Timed, Trace

MAX_ROWS = 30
"""The most rows for single requests; if there are more, requests with the same operation share a row."""
_SNAPSHOT = re.compile(r"/_snapshots/([^/]+)-[0-9a-f]{16}\.snapshot$")
"""The end of the key of a snapshot, which contains the series code if the code can be part of a key."""
_SHORTEST = 4
"""The width of the shortest bar, in the units of `RequestRow.width`."""
_LANE, _LEAST, _MOST = 3, 12, 120
"""In pixels: the height of a lane, and the least and the greatest height of a row."""


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A row of the timeline's table, with a bar for each of the requests that share a name.

    Attributes:
        width: the width of the coordinate system of the bars.
        kind: "read" or "write"; or, for the requests by which a run uses a snapshot, "listing" (of part
            files),
            "snapshot" or "changed" (part files that are not in the snapshot).
        name: the name, in which an ellipsis replaces the common beginning of the metric's keys.
        notes: the number of requests, the bytes that they transferred, and their problems, as text.
        start: the start of the first request, in seconds since the start of the trace.
        seconds: the time from the start of the first request to the end of the last one.
        lanes: the number of lanes of the bars.
        path: the bars as an SVG path; a lane has the height 1.
    """

    width: ClassVar = 1000

    kind: str
    name: str
    notes: str
    start: float
    seconds: float
    lanes: int
    path: str

    @property
    def height(self) -> int:
        """Return the height of the row in pixels."""
        return min(max(self.lanes * _LANE, _LEAST), _MOST)


def rows(run: ShownRun) -> list[list[list[Any]]]:
    """Return, for each row of the timeline's table that shows requests, a list of the requests in the row.

    A request is [operation, key, start, duration, bytes, problem, lane]. Start and duration are in
    milliseconds; `problem` is empty if the request succeeded; `lane` is the line within the row, from 0.
    The result is empty for a run without a trace.
    """
    groups = _groups(run, run.trace) if run.trace else {}
    return [
        [[x.operation, x.key, _ms(x.start), _ms(x.seconds), x.size, x.problem, lane] for x, lane in placed]
        for placed in (zip(requests, lanes(requests), strict=True) for requests in groups.values())
    ]


def summary(trace: Trace) -> str:
    """Return a sentence about the requests of a run: their number, bytes, durations and failures."""
    requests = trace.requests
    octets = {
        kind: size(sum(one.size for one in requests if one.operation == kind)) for kind in ("GET", "PUT")
    }
    parts = [
        f"{duration(total_seconds(trace))} in total",
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
    """Return the lane of each request: the first lane that is free when the request starts.

    A lane is a line within a row of the table, counted from 0. The requests must be in the order of their
    start.
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


def total_seconds(trace: Trace) -> float:
    """Return the seconds from the start of the trace to the end of its last stage or request, never 0."""
    ends = [start + seconds for _, start, seconds in trace.stages]
    return max([*ends, *(one.start + one.seconds for one in trace.requests)], default=0.0) or 1e-3


def _groups(run: ShownRun, trace: Trace) -> dict[tuple[str, str], list[Timed]]:
    """Return a dict from the kind and the name of each row to its requests, in the order of their start.

    If there would be more than `MAX_ROWS` rows, the requests that are not for an input series share one row
    for each kind of row and operation.
    """
    requests = sorted(trace.requests, key=lambda one: one.start)
    changed = _changed_series(run, requests)
    rows_of_requests = [_row_of(one, run, changed) for one in requests]
    is_crowded = len(set(rows_of_requests)) > MAX_ROWS
    found: dict[tuple[str, str], list[Timed]] = {}
    for one, row in zip(requests, rows_of_requests, strict=True):
        is_own = not is_crowded or _series_of(one, run)
        found.setdefault(row if is_own else (row[0], f"{one.operation}, all others"), []).append(one)
    return found


def _row_of(request: Timed, run: ShownRun, changed: Collection[str]) -> tuple[str, str]:
    """Return the kind and the name of the row of a request, such as ("listing", "ECB_USD_EUR_D, listing").

    Args:
        request: the request.
        run: the run.
        changed: the codes of the series of which the run read a snapshot and only the changed part files.
    """
    code, name = _series_of(request, run), f"{request.operation} {request.key}"
    if request.operation in {"PUT", "PUBLISH"}:
        return "write", f"{code}, snapshot written" if code else name
    if request.operation == "LIST":
        return "listing", f"{code}, listing" if code else name
    if _SNAPSHOT.search(request.key):
        return "snapshot", f"{code}, snapshot" if code else name
    if code in changed:
        return "changed", f"{code}, changed part files"
    return "read", code or name


def _changed_series(run: ShownRun, requests: Sequence[Timed]) -> set[str]:
    """Return the codes of the series for which a run read a snapshot and only some of the part files."""
    inputs = (run.manifest or {}).get("inputs", ())
    part_files = {one["series_code"]: one["part_files"] for one in inputs}
    read: dict[str, set[str]] = {}
    has_snapshot = set()
    for one in requests:
        code = _series_of(one, run)
        if code and one.operation == "GET" and not one.problem:
            if _SNAPSHOT.search(one.key):
                has_snapshot.add(code)
            else:
                read.setdefault(code, set()).add(one.key)
    return {code for code in has_snapshot if len(read.get(code, ())) != part_files.get(code)}


def _series_of(request: Timed, run: ShownRun) -> str | None:
    """Return the code of the input series for which a run made a request.

    The result is None if the request is not for a part file, a listing or a snapshot of an input series.
    """
    if snapshot := _SNAPSHOT.search(request.key):
        return snapshot[1] if snapshot[1] in run.inputs else None
    folders = {part.rpartition("=")[2] for part in request.key.split("/")[:-1]}
    return next((code for code in run.inputs if code in folders), None)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def request_rows(run: ShownRun) -> Iterator[RequestRow]:
    """Yield the rows of the timeline's table that show requests, for a run with a trace."""
    assert run.trace is not None
    total = total_seconds(run.trace)
    for (kind, name), requests in _groups(run, run.trace).items():
        first, octets = requests[0].start, sum(one.size for one in requests)
        notes = [
            count(len(requests), "request") if len(requests) > 1 else "",
            size(octets) if octets else "",
            *sorted({one.problem for one in requests}),
        ]
        # An ellipsis replaces the common beginning of all keys of the metric.
        operation, _, key = name.partition(" ")
        _, is_own, rest = key.partition(f"/{run.metric_code}/")
        placed = lanes(requests)
        yield RequestRow(
            kind=kind,
            name=f"{operation} …/{rest}" if is_own else name,
            notes=", ".join(filter(None, notes)),
            start=first,
            seconds=max(one.start + one.seconds for one in requests) - first,
            lanes=max(placed) + 1,
            path="".join(_bar(one, lane, total) for one, lane in zip(requests, placed, strict=True)),
        )


def _bar(request: Timed, lane: int, total: float) -> str:
    """Return an SVG path segment that draws the bar of a request.

    Args:
        request: the request.
        lane: the line within the row, from 0.
        total: the duration in seconds that the full width of the drawing represents.
    """
    length = max(request.seconds / total * RequestRow.width, _SHORTEST)
    return f"M{request.start / total * RequestRow.width:.1f} {lane + 0.5}h{length:.1f}"


def read_by_others(run: ShownRun) -> list[str]:
    """Return the codes of input series that this run did not request because another run of its batch did.

    The list is empty if the run did not succeed or its trace is incomplete, because the reads of this run may
    then be missing from the trace.
    """
    if run.status != "SUCCESS" or run.trace is None or run.trace.left_out:
        return []
    read = {_series_of(one, run) for one in run.trace.requests}
    return [code for code in run.inputs if code not in read]


def event_places(events: Sequence[ShownEvent], trace: Trace) -> list[float]:
    """Return the position on the timeline, 0 to 1, of each status event. Events outside it are left out."""
    began, total = datetime.fromtimestamp(trace.began_at, UTC), total_seconds(trace)
    places = ((event.at - began).total_seconds() / total for event in events)
    return [place for place in places if 0 <= place <= 1]

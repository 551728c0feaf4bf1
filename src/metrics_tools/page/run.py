"""The card of one run: its heading, its chart, its error, its facts and its collapsible sections."""

import json
from collections.abc import Iterator, Sequence
from html import escape

from metrics_tools.formatting import clock, count, duration, rounded, shown_time
from metrics_tools.page.shown import ShownEvent, ShownRun
from metrics_tools.page.tree import size, tree
from metrics_tools.page.waterfall import summary, waterfall
from metrics_worker.series import Series

_FEW_NODES = 15
"""The most nodes of an expression tree that is shown open; a larger tree would dominate the page."""
_COLOURS = {"SUCCESS": "good", "FAILURE": "bad"}


def card(run: ShownRun, place: int) -> str:
    """Return an HTML article about the run; `place` is the index of the run on the page, from 0."""
    formula = run.expression.formula if run.expression else "not a valid expression"
    error = (
        f'<p class="error">{escape(run.error)}</p>'
        if run.error and not any(run.error in text for text in run.complaints)
        else ""
    )
    complaints = "".join(f'<p class="complaint">✗ {escape(text)}</p>' for text in run.complaints)
    facts = "".join(f"<div><dt>{escape(name)}</dt><dd>{text}</dd></div>" for name, text in _facts(run))
    return f"""<article id="run-{place}" aria-labelledby="name-{place}">
<header><h2 id="name-{place}">{escape(run.heading)}</h2>{badge(run)}</header>
<p class="soft"><code>{escape(run.metric_code)}</code> = <code>{escape(formula)}</code></p>
{error}{complaints}
{_chart(run, place)}
<dl>{facts}</dl>
{"".join(_sections(run, place))}
</article>"""


def badge(run: ShownRun, *, is_short: bool = False) -> str:
    """Return a badge with the outcome of the run.

    If the run was expected to fail, the badge adds "as it should"; the short form only for screen readers.
    """
    right = ", as it should" if run.is_right and run.status == "FAILURE" else ""
    kind = "calm" if right else _COLOURS.get(run.status or "", "bad")
    if right and is_short:
        right = f'<span class="sr">{right}</span>'
    return f'<span class="badge {kind}">{escape(run.status or "no outcome")}{right}</span>'


def _chart(run: ShownRun, place: int) -> str:
    if not run.has_chart:
        return ""
    caption = escape(_in_words(run))
    return f"""<figure class="chart" data-run="{place}" aria-labelledby="chart-{place}">
<figcaption id="chart-{place}" class="sr">{caption}</figcaption>
<noscript><p class="soft">The chart and the tables of observations and requests need a script.</p></noscript>
<div class="tools"><div role="group" aria-label="Period" class="periods"></div>
<div role="group" aria-label="Zoom" class="zoom"></div>
<label class="scale" hidden>Inputs <select></select></label></div>
<div class="reading"><p><time></time></p><ul></ul></div>
<div class="plot" role="slider" tabindex="0" aria-label="{escape(run.metric_code)}"
 aria-describedby="keys-{place}" aria-valuemin="0" aria-valuemax="0" aria-valuenow="0"></div>
<p class="soft keys" id="keys-{place}">To zoom, drag, pinch, or turn the wheel with Ctrl; a double click shows
the whole period. Keys: arrows, Page Up, Page Down, Home and End move the cursor; plus and minus zoom; 0 shows
the whole period.</p>
<details class="lazy"><summary>Table of the observations in view</summary>
<div class="content"></div></details>
</figure>"""


def _in_words(run: ShownRun) -> str:
    """Return a description of the chart for screen readers."""
    metric = run.metric
    inputs = f"Below: {count(len(run.inputs), 'input')}: {', '.join(run.inputs)}." if run.inputs else ""
    if metric is None or not len(metric):
        return f"Line chart of the inputs of {run.heading}: {', '.join(run.inputs)}"
    first, last = (shown_time(metric.times[at]) for at in (0, -1))
    return (
        f"Line chart of {run.heading}: {count(len(metric), 'observation')} from {first} to {last}, between "
        f"{_range(metric)}, last {rounded(metric.values[-1])} {run.unit}".rstrip()
        + f". {inputs}"
    )


def _range(series: Series) -> str:
    return f"{rounded(series.values.min())} and {rounded(series.values.max())}"


def _facts(run: ShownRun) -> Iterator[tuple[str, str]]:
    """Yield the facts of a run's fact list, as (name, HTML text)."""
    metric = run.metric
    if metric is not None and len(metric):
        for name, at in ("Last", -1), ("First", 0):
            yield name, f"{rounded(metric.values[at])} on <time>{shown_time(metric.times[at])}</time>"
        yield "Minimum and maximum", _range(metric)
    if metric is not None:
        yield "Rows", f"{len(metric):,}"
    for name, text in run.facts:
        yield escape(name), escape(text)
    yield "Run", f"<code>{escape(run.run_id)}</code>"


def _sections(run: ShownRun, place: int) -> Iterator[str]:
    if run.expression is not None:
        nodes = size(run.expression)
        text = f"The expression and its observations: {count(nodes, 'node')}"
        yield _folded("expression", text, tree(run.expression), is_open=nodes <= _FEW_NODES)
    if run.trace is not None:
        length, _, _ = summary(run.trace).partition(";")
        text = f"Requests and stages: {length}, {count(len(run.trace.requests), 'request')}"
        yield _folded("waterfall-of", text, waterfall(run, run.trace, place))
    if run.events:
        yield _folded("events", f"Status events: {len(run.events)}", _events(run.events))
    if run.manifest is not None:
        text = json.dumps(run.manifest, indent=2, ensure_ascii=False)
        yield _folded("manifest", "Manifest of the version", f"<pre>{escape(text)}</pre>")
    if run.keys:
        keys = "".join(f"<li>{escape(key)}</li>" for key in run.keys)
        yield _folded(
            "left", f"Objects that the run wrote: {len(run.keys):,}", f'<ul class="keys">{keys}</ul>'
        )


def _folded(kind: str, title: str, body: str, *, is_open: bool = False) -> str:
    shown = " open" if is_open else ""
    return f'<details class="{kind}"{shown}><summary><h3>{escape(title)}</h3></summary>{body}</details>'


def _events(events: Sequence[ShownEvent]) -> str:
    began = events[0].at
    rows = "".join(
        f'<tr><th scope="row"><time datetime="{event.at.isoformat()}">{clock(event.at)}</time></th>'
        f'<td class="num start">+{duration((event.at - began).total_seconds())}</td>'
        f"<td>{escape(event.type.removeprefix('metric_run_'))}</td><td>{escape(event.detail)}</td></tr>"
        for event in events
    )
    return (
        f'<table class="events"><caption>{began:%Y-%m-%d}, UTC, in the order of publication</caption>'
        '<thead><tr><th scope="col">Time</th><th scope="col" class="num start">Since first</th>'
        f'<th scope="col">Event</th><th scope="col">Detail</th></tr></thead><tbody>{rows}</tbody></table>'
    )

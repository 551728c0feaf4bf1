"""The whole page: its head, an overview of all runs, and one card for each run."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from metrics_tools.formatting import clock, count, duration, rounded, shown_time
from metrics_tools.page import tree, waterfall
from metrics_tools.page.numbers import Numbers, embedded
from metrics_tools.page.shown import ShownRun, Source
from metrics_tools.page.sparkline import sparkline

_FOLDER = Path(__file__).parent
_SCRIPTS = ("theme.js", "format.js", "scale.js", "chart.js", "gestures.js", "tables.js", "page.js")


def write(
    path: Path,
    runs: Sequence[ShownRun],
    *,
    title: str = "Metrics",
    lead: str = "",
    source: Source | None = None,
    now: datetime | None = None,
) -> None:
    """Write the page of the given runs to a file.

    Args:
        path: the HTML file, which is overwritten.
        runs: the runs in the order in which the page shows them.
        title: the title of the page.
        lead: one or two sentences below the title.
        source: the source of the data, named at the end of the page.
        now: the time shown on the page, in UTC; the current time by default.
    """
    text = page(runs, title=title, lead=lead, source=source, now=now or datetime.now(UTC))
    path.write_text(text, encoding="utf-8")


def page(runs: Sequence[ShownRun], *, title: str, lead: str, source: Source | None, now: datetime) -> str:
    """Return the page of the given runs as HTML; `write()` describes the arguments."""
    script = "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    numbers = Numbers.of(runs)
    for shown, run in zip(numbers["runs"], runs, strict=True):
        shown["requests"] = waterfall.rows(run)
    return (
        _templates()
        .get_template("page.html")
        .render(
            runs=runs,
            title=title,
            lead=lead,
            source=source,
            now=now,
            newest=_newest(runs),
            policy=_policy(script),
            style=(_FOLDER / "page.css").read_text(encoding="utf-8"),
            numbers=embedded(numbers),
            script=script,
        )
    )


def _templates() -> Environment:
    """Return the HTML templates of this folder, which escape all text that is not marked as safe."""
    templates = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    filters = (clock, count, duration, rounded, shown_time)
    templates.filters |= {function.__name__: function for function in filters}
    templates.filters["indented_json"] = partial(json.dumps, indent=2, ensure_ascii=False)
    functions = (
        in_words,
        sparkline,
        *(tree.lost_in_words, tree.most_observations, tree.name_of, tree.nodes_below),
        *(waterfall.breakable, waterfall.summary, waterfall.total_seconds),
        *(waterfall.event_places, waterfall.read_by_others, waterfall.request_rows),
    )
    templates.globals |= {function.__name__: function for function in functions}
    return templates


def _policy(script: str) -> str:
    """Return the content security policy, which allows only the page's own script and styles."""
    digest = base64.b64encode(sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )


def _newest(runs: Sequence[ShownRun]) -> datetime | None:
    """Return the time of the newest observation of all metrics; None if there is none."""
    counts = (run.expression.counts for run in runs if run.metric is not None and run.expression)
    return max((found.last for found in counts if found and found.last), default=None)


def in_words(run: ShownRun) -> str:
    """Return a description of the chart for screen readers."""
    metric = run.metric
    inputs = f"Below: {count(len(run.inputs), 'input')}: {', '.join(run.inputs)}." if run.inputs else ""
    if not metric:
        return f"Line chart of the inputs of {run.heading}: {', '.join(run.inputs)}"
    first, last = (shown_time(metric.times[at]) for at in (0, -1))
    low, high = rounded(metric.values.min()), rounded(metric.values.max())
    return (
        f"Line chart of {run.heading}: {count(len(metric), 'observation')} from {first} to {last}, between "
        f"{low} and {high}, last {rounded(metric.values[-1])} {run.unit}".rstrip()
        + f". {inputs}"
    )

"""The whole page: its head, an overview of all runs, and one card for each run."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from metrics_tools.describe.formula import number_text, plain_options
from metrics_tools.describe.losses import REASONS, Lost
from metrics_tools.describe.nodes import NodeView
from metrics_tools.formatting import clock, count, duration, rounded, shown_time
from metrics_tools.page import waterfall
from metrics_tools.page.numbers import Numbers, embedded, extremes
from metrics_tools.page.shown import ShownRun, Source
from metrics_worker.expression.nodes import (
    Composite,
    Constant,
    Node,
    SeriesMath,
    SeriesRef,
)
from metrics_worker.series import Series

SPARKLINE_WIDTH = 120
_SPARKLINE_HEIGHT = 32
_GAP_STEPS, _GAP_MICROSECONDS = 10, 31 * 86_400_000_000
"""The longest gap that a sparkline bridges: this many median steps or this time, whichever is longer."""
_FOLDER = Path(__file__).parent
_SCRIPTS = (
    *("theme.js", "format.js", "axis.js", "scale.js", "controls.js"),
    *("chart.js", "gestures.js", "link.js", "tables.js", "page.js"),
)
_REASONS = REASONS | {
    "warm_up": "before the window is full",
    "left_only": "only on the left",
    "right_only": "only on the right",
    "zero_divisor": "division by zero",
    "not_finite": "outside the float64 range",
}
"""The text of each reason for which a node lacks an observation, by the attribute of `Lost`."""


def page(
    runs: Sequence[ShownRun],
    *,
    title: str = "Metrics",
    lead: str = "",
    source: Source | None = None,
    now: datetime | None = None,
) -> str:
    """Return the page of the given runs as HTML.

    Args:
        runs: the runs in the order in which the page shows them.
        title: the title of the page.
        lead: one or two sentences below the title.
        source: the source of the data, named at the end of the page.
        now: the time shown on the page, in UTC; the current time by default.
    """
    script = "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    numbers = Numbers.of(runs)
    for shown, run in zip(numbers["runs"], runs, strict=True):
        shown["requests"] = waterfall.rows(run)
    template = _templates().get_template("page.html")
    return template.render(
        runs=runs,
        title=title,
        lead=lead,
        source=source,
        now=now or datetime.now(UTC),
        newest=_newest(runs),
        policy=_policy(script),
        style=(_FOLDER / "page.css").read_text(encoding="utf-8"),
        numbers=embedded(numbers),
        script=script,
    )


def _templates() -> Environment:
    """Return a Jinja environment for this folder's templates, with the filters and functions that they use.

    The environment escapes all text that is not marked as safe.
    """
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
        *(in_words, sparkline, lost_in_words, most_observations, name_of, nodes_below),
        *(waterfall.breakable, waterfall.summary, waterfall.total_seconds),
        *(waterfall.event_places, waterfall.read_by_others, waterfall.request_rows),
    )
    templates.globals |= {function.__name__: function for function in functions}
    return templates


def _policy(script: str) -> str:
    """Return the content security policy of the page, which allows only one script and styles in the page.

    Args:
        script: the text of the page's own script, which is identified by its hash.
    """
    digest = base64.b64encode(sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )


def _newest(runs: Sequence[ShownRun]) -> datetime | None:
    """Return the time of the newest observation of all metrics; None if no metric has an observation."""
    counts = (run.expression.counts for run in runs if run.metric is not None and run.expression)
    return max((found.last for found in counts if found and found.last), default=None)


def in_words(run: ShownRun) -> str:
    """Return a text for screen readers that describes the chart of a run: its lines, times and values."""
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


def sparkline(series: Series) -> str:
    """Return a small line chart without axes, as an SVG that stretches to any width.

    For a long series, the line shows only the extreme values of each section. Long gaps interrupt the line.
    Screen readers skip the chart.

    Args:
        series: a series with at least one observation.
    """
    # The values are scaled down because the difference of two large values may exceed the range of float64.
    times, values = series.times.astype(float), series.values / 4
    span, low = times[-1] - times[0], values.min()
    x = (times - times[0]) / span * SPARKLINE_WIDTH if span else np.full(times.size, SPARKLINE_WIDTH / 2)
    y = _SPARKLINE_HEIGHT - 2 - (values - low) / ((values.max() - low) or 1.0) * (_SPARKLINE_HEIGHT - 4)
    steps = np.diff(times)
    usual = float(np.median(steps)) if steps.size else 0
    gap = max(_GAP_STEPS * usual, _GAP_MICROSECONDS, 1.01 * span / SPARKLINE_WIDTH)
    part = np.append(0, np.cumsum(steps > gap))  # the number of gaps before each observation
    path, before = [], -1
    for place in extremes(values, 4 * SPARKLINE_WIDTH):
        path.append(f"{'L' if part[place] == before else 'M'}{x[place]:.1f} {y[place]:.1f}")
        before = part[place]
    return (
        f'<svg class="spark" viewBox="0 0 {SPARKLINE_WIDTH} {_SPARKLINE_HEIGHT}" '
        'preserveAspectRatio="none" aria-hidden="true">'
        f'<path d="{"".join(path)}h.1"/></svg>'
    )


def nodes_below(root: NodeView) -> list[NodeView]:
    """Return the nodes of an expression tree: the given node, and all nodes below it."""
    return [root, *(view for operand in root.operands for view in nodes_below(operand))]


def most_observations(root: NodeView) -> int:
    """Return the largest number of observations of any node in a tree; 0 if the series were not read."""
    return max((view.counts.observations for view in nodes_below(root) if view.counts), default=0)


def name_of(node: Node) -> str:
    """Return the label of a node without its operands, such as `sma 14`, `subtract` or `avg of 3`.

    The label of a series is its code, and that of a constant is its number.
    """
    match node:
        case SeriesRef(series_code=code):
            return code
        case Constant(const=value):
            return number_text(value)
        case SeriesMath(op=op, scale=scale):
            return op if scale == 1 else f"{op} × {number_text(scale)}"  # noqa: RUF001 - a multiplication sign
        case Composite(op=op, operands=operands):
            return f"{op} of {len(operands)}"
        case _:
            return " ".join([node.op, *plain_options(node)])


def lost_in_words(lost: Lost) -> str:
    """Return a text that says at how many times a node has no observation, and for which reasons.

    Args:
        lost: the losses of the node, at least one.
    """
    found = [(number, text) for name, text in _REASONS.items() if (number := getattr(lost, name))]
    if len(found) == 1:
        return f"{lost.total:,} lost: {found[0][1]}"
    return f"{lost.total:,} lost: " + ", ".join(f"{n:,} {text}" for n, text in found)

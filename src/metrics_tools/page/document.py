"""The whole page: its head, an overview of all runs, and one card for each run."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from pathlib import Path

from metrics_tools.formatting import rounded, shown_time
from metrics_tools.page.numbers import Numbers, embedded
from metrics_tools.page.run import badge, card
from metrics_tools.page.shown import ShownRun, Source
from metrics_tools.page.sparkline import sparkline
from metrics_tools.page.waterfall import breakable, rows

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
    style = (_FOLDER / "page.css").read_text(encoding="utf-8")
    script = "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    right = sum(run.is_right for run in runs)
    numbers = Numbers.of(runs)
    for shown, run in zip(numbers["runs"], runs, strict=True):
        shown["requests"] = rows(run)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<header class="top">
<h1>{escape(title)}</h1>
<button type="button" id="theme" hidden>Dark</button>
<p class="soft">{now:%Y-%m-%d %H:%M} UTC{_newest(runs)}: {right} of {len(runs)} runs ended as they should.
{escape(lead)}</p>
</header>
<main>
{_overview(runs) if len(runs) > 1 else ""}
{"".join(card(run, place) for place, run in enumerate(runs))}
</main>
{_footer(source) if source else ""}
<script type="application/json" id="numbers">{embedded(numbers)}</script>
<script>{script}</script>
</body>
</html>
"""


def _policy(script: str) -> str:
    """Return the content security policy, which allows only the page's own script and styles."""
    digest = base64.b64encode(sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )


def _overview(runs: Sequence[ShownRun]) -> str:
    body = "".join(_line(run, place) for place, run in enumerate(runs))
    return f"""<section aria-labelledby="all"><h2 id="all">All {len(runs)} runs</h2>
<table class="overview"><thead><tr><th scope="col">Metric</th>
<th scope="col" class="wide">Trend</th><th scope="col" class="num">Last</th>
<th scope="col" class="wide num">Rows</th><th scope="col">Outcome</th></tr></thead>
<tbody>{body}</tbody></table></section>"""


def _line(run: ShownRun, place: int) -> str:
    metric = run.metric if run.metric is not None and len(run.metric) else None
    trend = sparkline(metric) if metric else ""
    last = rounded(metric.values[-1]) if metric else "none"
    count = f"{len(metric):,}" if metric else "none"
    return (
        f'<tr><th scope="row"><a href="#run-{place}">{escape(run.heading)}</a> '
        f'<code class="soft">{breakable(run.metric_code)}</code></th><td class="wide">{trend}</td>'
        f'<td class="num">{last}</td><td class="wide num">{count}</td>'
        f"<td>{badge(run, is_short=True)}</td></tr>"
    )


def _footer(source: Source) -> str:
    link = f'<a href="{escape(source.url)}">{escape(source.name)}</a>'
    return f'<footer class="soft"><p>Source of the data: {link}. {escape(source.note)}</p></footer>'


def _newest(runs: Sequence[ShownRun]) -> str:
    """Return a phrase with the time of the newest observation of all metrics; empty if there is none."""
    last = [
        run.expression.counts.last
        for run in runs
        if run.metric is not None and run.expression and run.expression.counts and run.expression.counts.last
    ]
    return f", data to {shown_time(max(last))}" if last else ""

"""out/metrics.html: the metrics as a person looks at them, in one file that needs no network.

A card a run: what it is, its formula, a chart, the facts, the keys it left; of a run that failed the error.
Styles and the reading under the pointer stand in page.css and page.js beside this file and are put into the
page.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from explain.formula import formula
from local.chart import Chart
from local.ecb import SOURCE, SOURCE_URL
from local.outcome import Outcome

_FOLDER = Path(__file__).parent


def write_page(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the page of these runs."""
    path.write_text(page(outcomes, datetime.now(UTC)), encoding="utf-8")


def page(outcomes: Sequence[Outcome], now: datetime) -> str:
    """The page of these runs as HTML; `now` in UTC is shown."""
    style = (_FOLDER / "page.css").read_text(encoding="utf-8")
    script = (_FOLDER / "page.js").read_text(encoding="utf-8")
    right = sum(not outcome.complaints for outcome in outcomes)
    cards = "\n".join(map(_card, outcomes))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Metrics of the local run</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>Metrics of the local run</h1>
<p class="soft">{now:%Y-%m-%d %H:%M} UTC{_newest(outcomes)}:
{right} of {len(outcomes)} runs ended as they should. Computed by the Lambda handler from series of daily
exchange rates, ECB_USD_EUR_D for instance: US dollars per euro. Windows and lags count observations, not
calendar days.</p>
</header>
<main>
{cards}
</main>
<footer class="soft"><p>Source of the data: <a href="{escape(SOURCE_URL)}">{escape(SOURCE)}</a>.
The metrics are computed from them and are not the ECB's.</p></footer>
<script>
{script}</script>
</body>
</html>
"""


def _card(outcome: Outcome) -> str:
    sample = outcome.sample
    expression = sample.expression
    written = formula(expression) if expression else "not a valid expression"
    chart = Chart.of(outcome.times, outcome.values).html(_in_words(outcome)) if outcome.values else ""
    if chart and sample.unit:
        chart = f'<p class="soft unit">{escape(sample.unit)}</p>{chart}'
    error = (
        f'<p class="error">{escape(outcome.error)}</p>'
        if outcome.error and not outcome.error_in_complaints
        else ""
    )
    complaints = "".join(f'<p class="complaint">✗ {escape(text)}</p>' for text in outcome.complaints)
    facts = "".join(
        f"<div{' class="wide"' if name == 'Run' else ''}><dt>{escape(name)}</dt><dd{kind}>{text}</dd></div>"
        for name, text, kind in _facts(outcome)
    )
    keys = "".join(f"<li>{escape(key)}</li>" for key in outcome.keys)
    left = (
        f'<details><summary>What it left in S3</summary><ul class="keys">{keys}</ul></details>'
        if keys
        else ""
    )
    kind = "expected" if _failed_rightly(outcome) else outcome.status or "none"
    return f"""<article class="{escape(kind)}" aria-label="{escape(sample.metric_code)}">
<h2>{escape(sample.title)}</h2>
<p class="soft"><code>{escape(sample.metric_code)}</code></p>
<p><code>{escape(written)}</code></p>
{chart}{error}{complaints}
<dl>{facts}</dl>
{left}
</article>"""


def _facts(outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    """What is listed of a run: name, HTML, and the class of the latter."""
    expected = ", as it should" if _failed_rightly(outcome) else ""
    yield "Status", escape(f"{outcome.status or 'no outcome'}{expected}"), ' class="status"'
    if outcome.values:
        yield "Last", f"{_number(outcome.values[-1])} on {_date(outcome.times[-1])}", ""
        yield "First", f"{_number(outcome.values[0])} on {_date(outcome.times[0])}", ""
        ends = (_number(end(outcome.values)) for end in (min, max))
        yield "Minimum and maximum", " and ".join(ends), ""
    if outcome.status == "SUCCESS":
        yield "Rows", f"{len(outcome.values):,}", ""
        yield "Version", escape(outcome.version), ""
    if outcome.seconds is not None:
        yield "Time taken", f"{outcome.seconds:.2f} s", ""
    if outcome.check and not outcome.check.problem:
        yield "Checked", "every row as recomputed from the source", ""
    yield "Run", escape(outcome.sample.run_id), ""


def _failed_rightly(outcome: Outcome) -> bool:
    return outcome.status == "FAILURE" and not outcome.complaints


def _newest(outcomes: Sequence[Outcome]) -> str:
    """Until when the metrics go."""
    last = [outcome.times[-1] for outcome in outcomes if outcome.times]
    return f", data to {_date(max(last))}" if last else ""


def _number(value: float) -> str:
    return f"{value:,.6g}".replace("-", "\N{MINUS SIGN}")


def _date(time: datetime) -> str:
    return f"<time>{time:%Y-%m-%d}</time>"


def _in_words(outcome: Outcome) -> str:
    """The chart for who can't see it."""
    first, last = (f"{outcome.times[index]:%Y-%m-%d}" for index in (0, -1))
    values = outcome.values
    return (
        f"Line chart of {outcome.sample.title}, from {first} to {last}: between {min(values):.6g} and "
        f"{max(values):.6g}, last {values[-1]:.6g} {outcome.sample.unit}"
    ).rstrip()
